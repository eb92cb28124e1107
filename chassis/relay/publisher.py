"""Hands pages of events to Kafka and waits for every acknowledgement.

Promise: ``publish`` returns only when all in-sync replicas have the page, or raises within its deadline; a
publisher that raised is thrown away and the page is repeated from the saved place by a new one.

Records of one key go to one partition in the given order, one batch in flight per partition. ``timestamp`` is the
broker's: a record dated hours ahead is refused and then breaks the idempotent producer. An idempotent batch never
expires in aiokafka, hence the own deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from chassis import failpoints
from chassis.settings import InstallationSettings

BATCH_BYTES = 900_000
"""Below the broker's default limit of a batch (1 MiB); one event has at most 512 KiB."""

DEADLINE = 20.0
"""Seconds for one page to be acknowledged."""

CLOSING = 2.0
"""Seconds each step of closing may take; a broker that is gone answers nothing."""

ACKNOWLEDGEMENT: Mapping[str, Any] = {"acks": "all", "enable_idempotence": True}
"""An event counts as published once every in-sync replica has it, and a repeated send is written once."""


def refuse_unacknowledged(options: Mapping[str, Any]) -> None:
    """Raise where a producer would take an event for published that may yet be lost or written twice.

    Raises:
        ValueError: with the sentence that mends it.
    """
    if options.get("acks") not in {"all", -1} or options.get("enable_idempotence") is not True:
        raise ValueError('a relay\'s producer needs acks="all" and enable_idempotence=True; set both')


class PublishError(Exception):
    """The page was not surely acknowledged; this publisher must not be used again."""


Record = tuple[str, int, bytes, bytes | None, list[tuple[str, bytes]]]
"""Topic with the installation's prefix, hash of the key, key, value (``None``: a tombstone), headers."""


class Publisher:
    """An idempotent producer with acknowledgement by all in-sync replicas."""

    def __init__(
        self,
        installation: InstallationSettings,
        client_id: str,
        *,
        deadline: float = DEADLINE,
        acknowledgement: Mapping[str, Any] = ACKNOWLEDGEMENT,
    ) -> None:
        refuse_unacknowledged(acknowledgement)
        self._producer = AIOKafkaProducer(
            bootstrap_servers=installation.kafka,
            client_id=client_id,
            **acknowledgement,
            max_batch_size=BATCH_BYTES,
            max_request_size=BATCH_BYTES + 100_000,
            linger_ms=0,
            request_timeout_ms=10_000,
            retry_backoff_ms=50,
        )
        self._deadline = deadline
        self._partitions: dict[str, int] = {}

    async def start(self) -> None:
        """Connect.

        Raises:
            PublishError: no broker answers.
        """
        try:
            async with asyncio.timeout(self._deadline):
                await self._producer.start()
        except (KafkaError, OSError, TimeoutError) as error:
            raise PublishError(f"Kafka cannot be reached: {error!r}") from error

    async def close(self) -> None:
        """Throw the producer away; what waits in it is not sent, but read again from the saved place.

        aiokafka's ``stop`` flushes first, and one that is given up leaves the sender at work: batches of a relay that
        leads no more would reach topics that were made anew meanwhile, before their beginning.
        """
        sending = self._producer._sender.sender_task  # noqa: SLF001  nothing public ends it without a flush
        if sending is not None:
            sending.cancel()  # and not the sender's close: it raises where the task was not under way yet
            await asyncio.wait({sending}, timeout=CLOSING)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSING):
                await self._producer.stop()

    async def _partitions_of(self, topic: str) -> int:
        if topic not in self._partitions:
            self._partitions[topic] = len(await self._producer.partitions_for(topic))
        return self._partitions[topic]

    async def publish(self, page: Iterable[Record]) -> None:
        """Publish a page and wait for its acknowledgement.

        Raises:
            PublishError: refused, fenced, out of sequence, or not acknowledged in time.
        """
        try:
            async with asyncio.timeout(self._deadline):
                acknowledgements = await self._send(page)
                failpoints.reach("relay.after_send_before_ack")
                await asyncio.gather(*acknowledgements)
        except (KafkaError, OSError, TimeoutError) as error:
            raise PublishError(f"a page was not acknowledged: {error!r}") from error

    async def _send(self, page: Iterable[Record]) -> list[asyncio.Future[object]]:
        producer = self._producer
        appends: dict[tuple[str, int], Callable[..., object]] = {}
        batches: dict[tuple[str, int], BatchBuilder] = {}
        acknowledgements: list[asyncio.Future[object]] = []
        for topic, key_hash, key, value, headers in page:
            partitions = self._partitions.get(topic) or await self._partitions_of(topic)
            place = (topic, key_hash % partitions)
            append = appends.get(place)
            if append is None:
                batches[place] = batch = producer.create_batch()
                append = appends[place] = batch.append
            if append(key=key, value=value, timestamp=None, headers=headers) is None:
                acknowledgements.append(await producer.send_batch(batches[place], topic, partition=place[1]))
                batches[place] = batch = producer.create_batch()
                append = appends[place] = batch.append
                append(key=key, value=value, timestamp=None, headers=headers)
        for (topic, partition), batch in batches.items():
            batch.close()
            acknowledgements.append(await producer.send_batch(batch, topic, partition=partition))
        return acknowledgements
