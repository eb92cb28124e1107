"""FastStream hosts the consumer: connection, group membership, batches, lifecycle. Everything that decides is ours.

One subscriber and one group per service over all its topics: several subscribers of one group rebalance each other.
Acknowledgement is manual and the handler never raises: under every other policy FastStream 0.7.8 commits failed
messages or seeks in a hot loop. The parser is our own because the built-in one drops a whole batch for one null header.

FastStream sleeps ``batch_timeout_ms`` after each empty poll; the poll itself therefore waits long (``_patiently``), so
that a new record is handed over at once and an idle consumer costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage

from chassis.consumer.header_names import bear_any_name

POLL_MS = 500
"""Longest wait of one poll; records end it at once."""

SESSION_MS, HEARTBEAT_MS = 10_000, 1_000
"""A process that died is noticed after the one; those that live learn of it within the other."""

METADATA_MS = 10_000
"""How soon topics that were made anew are noticed; the default is five minutes."""

BATCH = 1000
"""Most records handed over at once."""


async def _parse(records: tuple[ConsumerRecord, ...]) -> KafkaMessage:
    return KafkaMessage(body=b"", headers={}, raw_message=records, consumer=None)  # type: ignore[arg-type]  # nothing is acknowledged through it


async def _decode(message: KafkaMessage) -> object:
    return message.raw_message


class Hosting:
    """A FastStream broker with the one subscriber of a service."""

    def __init__(
        self,
        bootstrap: str,
        *,
        group: str,
        topics: Sequence[str],
        handle: Callable[[Sequence[ConsumerRecord]], Awaitable[None]],
        listener: ConsumerRebalanceListener,
        polled: Callable[[], None],
        tuning: Mapping[str, Any] | None = None,
    ) -> None:
        self._broker = KafkaBroker(
            bootstrap,
            client_id=group,
            logger=None,
            apply_types=False,
            allow_auto_create_topics=False,
            graceful_timeout=20.0,
            metadata_max_age_ms=METADATA_MS,
        )
        self._subscriber = self._broker.subscriber(
            *topics,
            group_id=group,
            batch=True,
            max_records=BATCH,
            batch_timeout_ms=5,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            ack_policy=AckPolicy.MANUAL,
            # Positions come from our own table: the listener seeks. Where the log has no such offset the client would
            # jump silently; the placement rule sees that.
            auto_offset_reset="earliest",
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            listener=listener,
            parser=_parse,
            decoder=_decode,
            **(tuning or {}),
        )
        self._polled = polled

        async def consume(records: Sequence[ConsumerRecord]) -> None:
            await handle(records)

        self._subscriber(consume)

    @property
    def client(self) -> AIOKafkaConsumer:
        """The client, which exists from the beginning of :meth:`start` on."""
        client = self._subscriber.consumer
        if client is None:
            raise RuntimeError("the consumer is not started")
        return client

    async def start(self) -> None:
        """Connect, join the group, begin to poll."""
        bear_any_name()
        await self._broker.start()
        self._patiently(self.client)

    def _patiently(self, client: AIOKafkaConsumer) -> None:
        poll = client.getmany

        async def getmany(*partitions: Any, timeout_ms: int = 0, max_records: int | None = None) -> Any:
            self._polled()
            return await poll(*partitions, timeout_ms=max(timeout_ms, POLL_MS), max_records=max_records)

        client.getmany = getmany

    async def stop(self) -> None:
        """Let the batch in hand end, leave the group, disconnect."""
        await self._broker.stop()
