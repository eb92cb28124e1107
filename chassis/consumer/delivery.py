"""Takes what Kafka hands over: together where that goes, else partition by partition, else one by one.

Promise: a transient fault is retried with back-off under a minute, then its partition is paused with a reason; an event
that fails becomes a dead letter and the rest goes on; nothing is passed over without one of these.

Proven by ``tests/simulation`` and ``tests/integration/messaging/test_poison.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from aiokafka import ConsumerRecord

from chassis.clocks import monotonic
from chassis.consumer.assignment import Assignment, republish
from chassis.consumer.batch import Batches, BlockedError, Delivery, OtherLogError, StopConsumingError
from chassis.consumer.decide import MisplacedError
from chassis.consumer.halts import Halts
from chassis.consumer.ledger import Partition, Stop
from chassis.consumer.records import Incoming, Reader
from chassis.faults import is_transient, pauses

_log = structlog.get_logger("taiwa.consumer")

_LETTERS = "taiwa dead-letters list"
_DOCTOR = "taiwa doctor"


class Deliveries:
    """Takes deliveries of one consumer; ``moved_on`` is called at every sign of life."""

    def __init__(
        self,
        batches: Batches,
        reader: Reader,
        assignment: Assignment,
        halts: Halts,
        moved_on: Callable[[], None],
    ) -> None:
        self._batches = batches
        self._reader = reader
        self._assignment = assignment
        self._halts = halts
        self._moved_on = moved_on
        self.ending = asyncio.Event()

    async def handle(self, records: Sequence[ConsumerRecord]) -> None:
        """Take a delivery. Never raises: FastStream would log it and pass over the records."""
        try:
            async with self._assignment.in_hand:
                await self._take(records)
        except Exception as error:  # noqa: BLE001  a defect of ours costs time, not records
            _log.error("consumer.defect", error=repr(error), exc_info=True)
            for record in records:
                self._assignment.hold_back((self._reader.topic(record), record.partition))
        self._moved_on()

    async def _take(self, records: Sequence[ConsumerRecord]) -> None:
        grouped: dict[Partition, list[Incoming]] = {}
        for raw in records:
            record = self._reader.read(raw)
            grouped.setdefault((record.topic, raw.partition), []).append(record)
        deliveries = [
            Delivery(partition, batch, since)
            for partition, batch in grouped.items()
            if (since := self._since(partition, batch)) is not None
        ]
        if not deliveries:
            return
        try:
            await self._batches.together(deliveries)
        except Exception as error:  # noqa: BLE001  taken again one partition at a time, where it is told apart
            _log.info("consumer.taken_apart", group=self._batches.consumer, error=repr(error)[:500])
            for delivery in deliveries:
                await self._apart(delivery)
        else:
            for delivery in deliveries:
                self._assignment.applied(delivery.partition, delivery.records[-1].offset + 1)

    def _since(self, partition: Partition, batch: Sequence[Incoming]) -> int | None:
        """From which offset on this is everything; ``None`` where it is not wanted, or not what was expected."""
        expected = self._assignment.expected.get(partition)
        if expected is None or self._halts.stands_still(partition):
            self._assignment.hold_back(partition)
            return None
        if batch[0].offset < expected:
            reason = f"{partition[0]}-{partition[1]} jumped back from offset {expected} to {batch[0].offset}"
            if self._assignment.suspect(partition, reason):
                self._assignment.stop_all(reason, republish(partition[0]))
            return None
        return expected

    async def _apart(self, delivery: Delivery) -> None:
        partition = delivery.partition
        rest = list(delivery.records)
        stop = await self._alone(partition, rest, delivery.since)
        if stop is not None and not stop.topic:
            self._assignment.stop_all(stop.reason, stop.command)
        elif stop is not None:
            self._halts.note(stop, monotonic())
            _log.error(
                "consumer.halted", scope=stop.scope, topic=stop.topic, partition=stop.partition, reason=stop.reason
            )
        if rest:
            self._assignment.hold_back(partition)

    async def _alone(self, partition: Partition, rest: list[Incoming], since: int) -> Stop | None:
        """Apply one partition's records and take them out of ``rest``; gives why it cannot go on, if so."""
        waits = pauses()
        fast = len(rest) > 1
        while rest and not self.ending.is_set() and self._halts.stopped is None:
            try:
                delivery = Delivery(partition, rest, since)
                if fast:
                    await self._batches.together([delivery])
                    self._assignment.applied(partition, rest[-1].offset + 1)
                    rest.clear()
                else:
                    fast = await self._batches.one(delivery) and len(rest) > 1
                    since = rest.pop(0).offset + 1
                    self._assignment.applied(partition, since)
                waits = pauses()
            except (MisplacedError, OtherLogError) as error:
                again = self._assignment.suspect(partition, str(error))
                return Stop("stopped", str(error), republish(partition[0])) if again else None
            except StopConsumingError as error:
                return Stop("stopped", str(error), _LETTERS)
            except BlockedError as error:
                return Stop("blocked", str(error), _LETTERS, *partition)
            except Exception as error:  # noqa: BLE001  told apart below
                if not is_transient(error) and fast:
                    fast = False
                    continue
                # What is neither transient nor of the event's own work is a defect: it may not cost the record.
                pause = next(waits, None) if is_transient(error) else None
                if pause is None:
                    return Stop("paused", f"{type(error).__name__}: {error}", _DOCTOR, *partition)
                _log.warning("consumer.retries", group=self._batches.consumer, error=repr(error), pause=pause)
                self._moved_on()
                await waited(self.ending, pause)
        return None


async def waited(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, at most ``seconds``; whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
