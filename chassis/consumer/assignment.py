"""Positions of the partitions this process was given: paused, positioned from our own rows, resumed.

Promise: no record flows before the stored offset was read and sought: the listener's first statement pauses. What
cannot be positioned (database down) stays paused and is tried again.

A database that was restored from an earlier time knows of less than was told to Kafka: its consumer would act again.
It stops with the command to run. What was done in the seconds before, and not told yet, is acted upon again.

A log that does not fit the stored offset (another Kafka, another generation, records gone, an offset beyond its end,
more partitions) stops the consumer with the command to run; whether it still fits is looked at now and then.

Proven by ``tests/integration/messaging/test_consumer.py``, ``test_forgotten.py`` and ``tests/simulation``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError

from chassis.clocks import monotonic
from chassis.consumer.halts import WHOLE, Halts
from chassis.consumer.ledger import REBASE, REPUBLISH, Ledger, Offset, Partition, Stop
from chassis.database import ALL_MUNICIPALITIES, Database
from chassis.kafka import cluster_id, committed
from chassis.settings import InstallationSettings
from chassis.topics import PARTITIONS, generations

_log = structlog.get_logger("taiwa.consumer")


class Logs:
    """Which Kafka and which lives of its topics this process reads."""

    def __init__(self, installation: InstallationSettings) -> None:
        self._installation = installation
        self.cluster_id = ""
        self._generations: dict[str, int] = {}

    async def refresh(self) -> None:
        """Ask Kafka anew."""
        self.cluster_id = await cluster_id(self._installation)
        self._generations = await generations(self._installation)

    @property
    def known(self) -> tuple[str, dict[str, int]]:
        """What was found at the last look."""
        return self.cluster_id, self._generations

    def generation(self, topic: str) -> int:
        """The generation of a topic, 1 if it was never registered."""
        return self._generations.get(topic, 1)

    async def told(self, consumer: str) -> dict[Partition, tuple[int, str]]:
        """How far a consumer told Kafka it is, and of which log (:attr:`Offset.log`)."""
        prefix = self._installation.prefix
        found = await committed(self._installation, f"{prefix}{consumer}")
        return {(place.topic[len(prefix) :], place.partition): it for place, it in found.items()}

    def mismatch(self, partition: Partition, row: Offset | None) -> str | None:
        """Why a stored offset is not of this log; ``None``: it is."""
        wanted = (self.cluster_id, self.generation(partition[0]))
        if row is not None and (row.cluster_id, row.generation) == wanted:
            return None
        stored = "no log" if row is None else f"cluster {row.cluster_id}, generation {row.generation}"
        return (
            f"the offset of {partition[0]}-{partition[1]} belongs to {stored}; "
            f"the topic is of cluster {wanted[0]}, generation {wanted[1]}"
        )


def republish(topic: str) -> str:
    """The command that mends a log which does not fit."""
    return f"{REPUBLISH} {topic.partition('.')[0]}"


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """The partitions of this process. ``expected``: the next offset of each, ``None`` while it is paused."""

    def __init__(
        self, database: Database, ledger: Ledger, logs: Logs, halts: Halts, *, prefix: str, compacted: set[str]
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._logs = logs
        self._halts = halts
        self._prefix = prefix
        self._compacted = compacted
        self._client: Callable[[], AIOKafkaConsumer] | None = None
        self.in_hand = asyncio.Lock()
        self.expected: dict[Partition, int | None] = {}
        self._of_log: dict[Partition, str] = {}
        """Of which log ``expected`` is: as the row said when it was positioned."""
        self._logs_are_known = False
        self.suspects: dict[Partition, str] = {}
        """Partitions that did not fit once; twice for the same reason is a stop."""

    @property
    def client(self) -> AIOKafkaConsumer | None:
        """The client while it is connected."""
        return None if self._client is None else self._client()

    def attach(self, client: Callable[[], AIOKafkaConsumer]) -> None:
        """Use this client; it exists when the first assignment comes."""
        self.forget()
        self._client = client

    def forget(self) -> None:
        """The client is gone, and with it the assignment."""
        self._client = None
        self.expected.clear()
        self.suspects.clear()

    async def look_at_logs(self) -> None:
        """See whether these are still the logs that were positioned on; if not, position anew, which tells why."""
        if not self._logs_are_known:
            return
        before = self._logs.known
        await self._logs.refresh()
        if self._logs.known != before:
            for partition in self.expected:
                self.hold_back(partition)
        await self._look_at_offsets()

    async def _look_at_offsets(self) -> None:
        """Position anew where the stored offset is not the next one, or where the log begins after it.

        This database was restored under us, or records were deleted before they were read. The next record would tell,
        but the partition may be silent for long.
        """
        begins = await self._begins([it for it, at in self.expected.items() if at is not None])
        async with self.in_hand:
            reading = [it for it, at in self.expected.items() if at is not None]
            async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
                rows = await self._ledger.lock(connection, reading)
            for partition in reading:
                row = rows.get(partition)
                if row is None or row.next != self.expected.get(partition) or row.next < begins.get(partition, 0):
                    self.hold_back(partition)

    async def _begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Where logs begin whose beginning nobody may take away."""
        places = [self.kafka(it) for it in partitions if it[0] not in self._compacted]
        if self.client is None or not places:
            return {}
        return {self.partition(it): at for it, at in (await self.client.beginning_offsets(places)).items()}

    async def lag(self) -> dict[str, int]:
        """Records behind, per topic, of this process's partitions; tells the group coordinator where we are."""
        at = await self.tell()
        if self.client is None or not at:
            return {}
        behind: dict[str, int] = {}
        for place, end in (await self.client.end_offsets(list(at))).items():
            topic = self.partition(place)[0]
            behind[topic] = behind.get(topic, 0) + max(0, end - at[place])
        return behind

    async def tell(self) -> dict[TopicPartition, int]:
        """Tell the group coordinator how far this process's partitions are, of which log, and give it.

        Only what is committed in PostgreSQL is told: a row that knows less went back with its database.
        """
        at = {it: offset for it, offset in self.expected.items() if offset is not None}
        if self.client is not None and at:
            await self.client.commit({self.kafka(it): (offset, self._of_log[it]) for it, offset in at.items()})
        return {self.kafka(it): offset for it, offset in at.items()}

    def partition(self, it: TopicPartition) -> Partition:
        """Without the installation's prefix."""
        return it.topic[len(self._prefix) :], it.partition

    def kafka(self, partition: Partition) -> TopicPartition:
        """With it."""
        return TopicPartition(f"{self._prefix}{partition[0]}", partition[1])

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Pause, position, resume. Catches everything: the client would swallow it and consume anyway."""
        if self.client is None:
            return
        self.client.pause(*assigned)  # before any await: no record may flow yet
        partitions = [self.partition(it) for it in assigned]
        self.expected.update(dict.fromkeys(partitions))
        self._logs_are_known = False  # topics may have been made anew, which is what made this assignment
        await self.position(partitions)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Wait for the batch in hand. Correctness does not rest on it, but on the row lock."""
        async with self.in_hand:
            for it in revoked:
                self.expected.pop(self.partition(it), None)

    async def go_on(self) -> None:
        """Position and resume whatever is paused without a reason to be."""
        if waiting := [it for it, at in self.expected.items() if at is None and not self._halts.stands_still(it)]:
            self._logs_are_known = self._logs_are_known and not self._halts.probing_whole
            await self.position(waiting)

    async def position(self, partitions: Sequence[Partition]) -> None:
        """Seek to the stored offsets and resume. Never raises; what fails stays paused for the next :meth:`go_on`."""
        if self.client is None or not partitions:
            return
        try:
            if not self._logs_are_known:
                await self._logs.refresh()
                self._logs_are_known = True
            places = [self.kafka(it) for it in partitions]
            begin = {self.partition(it): at for it, at in (await self.client.beginning_offsets(places)).items()}
            # Before the rows: another process moves them on first and tells Kafka then.
            told = await self._logs.told(self._ledger.consumer)
            async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
                # A log that lacks its beginning is no log to begin with; only compaction may have taken it.
                first = {it: at if it[0] in self._compacted else 0 for it, at in begin.items()}
                await self._ledger.take(connection, first, self._logs.cluster_id, self._logs.generation)
                rows = await self._ledger.lock(connection, partitions)
                saved = await self._ledger.stops(connection)
            self._halts.reconcile(saved, monotonic())
            # Asked after the offsets: another process moves them on, and the log would seem to end before them.
            end = {self.partition(it): at for it, at in (await self.client.end_offsets(places)).items()}
            if any(self._logs.mismatch(partition, rows.get(partition)) for partition in partitions):
                await self._logs.refresh()  # it may be we who are behind: an operator has mended it meanwhile
            for partition in partitions:
                if self._halts.stands_still(partition):
                    continue
                if not self._went_back(partition, rows.get(partition), *told.get(partition, (0, ""))):
                    self._seek(partition, rows, begin[partition], end[partition])
            if self._halts.probing_whole:
                self._halts.passed(WHOLE)
        except Exception as error:  # noqa: BLE001  whatever it is, nothing flows until a later attempt succeeds
            _log.warning("consumer.not_positioned", group=self._ledger.consumer, error=repr(error))

    def _went_back(self, partition: Partition, row: Offset | None, told: int, of_log: str) -> bool:
        """Stop where the row has forgotten what it dealt with; gives whether it has."""
        if row is None or not row.forgot(told, of_log):
            return False
        reason = (
            f"{partition[0]}-{partition[1]} was dealt with up to offset {told}, and the row says {row.next}: the "
            f"database of {self._ledger.consumer} was restored from an earlier time"
        )
        self.stop_all(reason, f"{REBASE} {self._ledger.consumer}")
        return True

    def _seek(self, partition: Partition, rows: Mapping[Partition, Offset], begin: int, end: int) -> None:
        row = rows.get(partition)
        topic, number = partition
        problem = self._logs.mismatch(partition, row)
        if row is None or problem is not None:
            self.stop_all(problem or "", republish(topic))
        elif number >= PARTITIONS:
            self.stop_all(f"{topic} has more than {PARTITIONS} partitions: keys would change place", republish(topic))
        elif row.next < begin and topic not in self._compacted:
            self.stop_all(f"{topic}-{number} begins at offset {begin}, after {row.next}", republish(topic))
        elif row.next > end:
            self.stop_all(f"{topic}-{number} ends at offset {end}, before {row.next}", republish(topic))
        elif self.client is not None and partition in self.expected:
            with contextlib.suppress(IllegalStateError):  # revoked meanwhile
                self.client.seek(self.kafka(partition), row.next)
                self.expected[partition] = row.next
                self._of_log[partition] = row.log
                self.client.resume(self.kafka(partition))

    def hold_back(self, partition: Partition) -> None:
        """Fetch no more of a partition until :meth:`go_on` positions it anew."""
        if partition not in self.expected:
            return
        self.expected[partition] = None
        if self.client is not None:
            with contextlib.suppress(IllegalStateError):
                self.client.pause(self.kafka(partition))

    def suspect(self, partition: Partition, reason: str) -> bool:
        """The log does not fit here; true if it did not for the same reason before, after positioning anew."""
        again = self.suspects.get(partition) == reason
        self._logs_are_known = False
        self.suspects[partition] = reason
        self.hold_back(partition)
        return again

    def stop_all(self, reason: str, command: str) -> None:
        """Stop the whole consumer until an operator clears it."""
        self._halts.note(Stop("stopped", reason, command), monotonic())
        _log.error("consumer.stopped", group=self._ledger.consumer, reason=reason, command=command)
        for partition in self.expected:
            self.hold_back(partition)

    def applied(self, partition: Partition, next_offset: int) -> None:
        """Records of a partition were dealt with. One that was held back meanwhile stays so, to be positioned anew."""
        if self.expected.get(partition) is not None:
            self.expected[partition] = next_offset
        self.suspects.pop(partition, None)
        self._halts.passed(partition)
