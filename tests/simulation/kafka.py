"""A Kafka as far as the product's promises rest on it: partitions, groups, clients; and what may happen to them.

Records stand in offset order per partition; a log may have holes (compaction), begin late (truncation), or be another
one under the same name. An acknowledged record stays; one whose acknowledgement was lost may be there or not. A group
gives partitions anew when members come, go or are silent; one that was silent does not know it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaConnectionError

from tests.simulation.loop import Loop
from tests.simulation.postgres import latency
from tests.simulation.processes import CURRENT, Process

SESSION_SECONDS = 10.0
"""Silence after which a member is out of its group."""
POLL_SECONDS = 5.0
METADATA_SECONDS = 10.0


@dataclass(slots=True)
class Record:
    """One record, as aiokafka gives it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


@dataclass(slots=True)
class Log:
    """One partition. ``start``: offsets below were deleted; ``deleted`` is what stood there, for the judge."""

    records: list[Record] = field(default_factory=list)
    deleted: list[Record] = field(default_factory=list)
    start: int = 0
    end: int = 0

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Any) -> None:
        self.records.append(Record(topic, partition, self.end, key, value, headers))
        self.end += 1

    def since(self, offset: int, limit: int) -> list[Record]:
        """Records from an offset on, as far as they are there."""
        return [it for it in self.records if it.offset >= offset][:limit]

    def truncate(self, start: int) -> None:
        """Delete what stands before an offset."""
        self.start = max(self.start, start)
        self.deleted += [it for it in self.records if it.offset < self.start]
        self.records = [it for it in self.records if it.offset >= self.start]

    def compact(self) -> None:
        """Keep the newest record of each key; offsets stay."""
        newest = {it.key: it.offset for it in self.records}
        self.records = [it for it in self.records if newest[it.key] == it.offset]


@dataclass
class Broker:
    """One cluster."""

    loop: Loop
    chance: random.Random
    partitions: int
    compacted: frozenset[str] = frozenset()
    cluster_id: str = "kafka-1"
    up: bool = True
    slow_rate: float = 0.03
    topics: dict[str, list[Log]] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    _waiting: list[tuple[Process, asyncio.Future[None]]] = field(default_factory=list)

    def make(self, topic: str) -> None:
        """Make a topic; once more: another log, another generation."""
        self.topics[topic] = [Log() for _ in range(self.partitions)]
        self.generations[topic] = self.generations.get(topic, 0) + 1
        self._metadata_changes()

    def delete(self, topic: str) -> None:
        """Delete a topic, if it is there."""
        if self.topics.pop(topic, None) is not None:
            self._metadata_changes()

    def _metadata_changes(self) -> None:
        """Clients look now and then; one that finds other partitions than before asks for a new round."""
        for group in self.groups.values():
            self.loop.after(self.chance.random() * METADATA_SECONDS, group.look)

    def wipe(self, cluster_id: str) -> None:
        """Lose the disk: another cluster, without topics."""
        self.cluster_id = cluster_id
        self.topics.clear()
        self.generations.clear()
        for group in self.groups.values():
            group.committed.clear()

    def logs(self, topic: str) -> list[Log]:
        """The partitions of a topic.

        Raises:
            KafkaConnectionError: there is no such topic, or nobody to ask.
        """
        if not self.up or topic not in self.topics:
            raise KafkaConnectionError(f"no leader for {topic}")
        return self.topics[topic]

    def append(self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes | None, Any]]) -> None:
        """Append and wake those who wait for records."""
        log = self.logs(topic)[partition]
        for key, value, headers in records:
            log.append(topic, partition, key, value, headers)
        self.wake()

    def wake(self) -> None:
        """Let waiting polls look."""
        waiting, self._waiting = self._waiting, []
        for process, future in waiting:
            process.deliver(future, None)

    async def travel(self, process: Process) -> None:
        """The way to the broker and back."""
        if not process.alive:
            raise KafkaConnectionError("this process is dead")
        waiting = self.loop.create_future()
        self.loop.after(latency(self.chance, self.slow_rate), process.deliver, waiting, None)
        await waiting

    async def news(self, process: Process, seconds: float) -> None:
        """Wait for records, at most so long."""
        if not process.alive:
            raise KafkaConnectionError("this process is dead")
        waiting = self.loop.create_future()
        self._waiting.append((process, waiting))
        self.loop.after(seconds, process.deliver, waiting, None)
        await waiting


class Batch:
    """aiokafka's batch builder."""

    LIMIT = 4

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes | None, Any]] = []

    def append(self, *, key: bytes, value: bytes | None, timestamp: None, headers: Any) -> object | None:
        del timestamp  # the broker's
        if len(self.records) >= self.LIMIT:
            return None
        self.records.append((key, value, headers))
        return self

    def close(self) -> None:
        """Nothing more is added."""


class Producer:
    """aiokafka's idempotent producer with ``acks="all"``."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._process = CURRENT.get()
        self._last: dict[tuple[str, int], asyncio.Future[Any]] = {}
        self._sender = self
        self.sender_task = None  # batches are sent at once

    async def start(self) -> None:
        await self._broker.travel(self._process)
        if not self._broker.up:
            raise KafkaConnectionError("no broker")

    async def stop(self) -> None:
        """Nothing is flushed."""

    async def partitions_for(self, topic: str) -> set[int]:
        await self._broker.travel(self._process)
        return set(range(len(self._broker.logs(topic))))

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[Any]:
        """In order per partition: a batch arrives after the one sent before it."""
        broker, process = self._broker, self._process
        if not process.alive:
            raise KafkaConnectionError("this process is dead")
        acknowledged = broker.loop.create_future()
        before = self._last.get((topic, partition))
        arrived = self._last[topic, partition] = broker.loop.create_future()

        def arrive() -> None:
            if before is not None and not before.done():
                before.add_done_callback(lambda _: broker.loop.after(0, arrive))
                return
            try:
                broker.append(topic, partition, batch.records)
            except KafkaConnectionError as error:
                process.deliver(acknowledged, None, error)
            else:
                # On its way back the answer may be lost with the broker: then the producer gives up in the end.
                broker.loop.after(latency(broker.chance, broker.slow_rate), answer)
            arrived.set_result(None)

        def answer() -> None:
            if broker.up:
                process.deliver(acknowledged, None)
            else:
                process.deliver(acknowledged, None, KafkaConnectionError("the broker went away"))

        broker.loop.after(latency(broker.chance, broker.slow_rate), arrive)
        return acknowledged


class Client:
    """aiokafka's consumer, as far as the listener and the hosting use it."""

    def __init__(self, broker: Broker, process: Process, group: Group) -> None:
        self._broker = broker
        self._process = process
        self._group = group
        self.positions: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        """A new assignment: positions are the group's own, until somebody seeks."""
        self.positions = {it: self._group.committed.get(it, 0) for it in partitions}
        self.paused.clear()

    def _check(self, it: TopicPartition) -> None:
        if it not in self.positions:
            raise IllegalStateError(f"{it} is not assigned")

    def pause(self, *partitions: TopicPartition) -> None:
        for it in partitions:
            self._check(it)
            self.paused.add(it)

    def resume(self, *partitions: TopicPartition) -> None:
        for it in partitions:
            self._check(it)
            self.paused.discard(it)
        self._broker.wake()

    def seek(self, it: TopicPartition, offset: int) -> None:
        self._check(it)
        self.positions[it] = offset

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        await self._broker.travel(self._process)
        return {it: self._broker.logs(it.topic)[it.partition].start for it in partitions}

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        await self._broker.travel(self._process)
        return {it: self._broker.logs(it.topic)[it.partition].end for it in partitions}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        await self._broker.travel(self._process)
        if self._broker.up and self in self._group.current:
            self._group.committed.update(offsets)

    def take(self, limit: int) -> list[Record]:
        """What a poll gives: records of what is assigned and not paused."""
        found: list[Record] = []
        if not self._broker.up:
            return found
        for it in self.positions:
            if it in self.paused or it.topic not in self._broker.topics or len(found) >= limit:
                continue
            log = self._broker.topics[it.topic][it.partition]
            if not log.start <= self.positions[it] <= log.end:
                self.positions[it] = log.start  # auto_offset_reset="earliest" jumps without a word
            records = log.since(self.positions[it], limit - len(found))
            if records:
                self.positions[it] = records[-1].offset + 1
                found += records
        return found


@dataclass
class Group:
    """A consumer group with round-robin assignment."""

    broker: Broker
    name: str
    members: list[Hosting] = field(default_factory=list)
    current: list[Client] = field(default_factory=list)
    """Clients of members that have the present assignment."""
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    round: int = 0
    known: int = 0
    """Partitions there were when they were given."""

    def look(self) -> None:
        """The client's refresh of metadata: only another number of partitions is noticed."""
        if self.known != self._partitions():
            self.rebalance()

    def _partitions(self) -> int:
        topics = self.members[0].topics if self.members else ()
        return sum(len(self.broker.topics.get(topic, ())) for topic in topics)

    def rebalance(self) -> None:
        """Give the partitions anew."""
        self.round += 1
        self.current = []
        for member in list(self.members):
            member.rejoin(self.round)

    def leave(self, member: Hosting) -> None:
        """A member goes, or was silent for too long."""
        if member in self.members:
            self.members.remove(member)
            self.rebalance()

    def ready(self, round_: int) -> None:
        """A member has let go; once all have, partitions are given."""
        if round_ != self.round or not self.members or any(it.joined != round_ for it in self.members):
            return
        wanted = [
            TopicPartition(topic, partition)
            for topic in self.members[0].topics
            for partition in range(len(self.broker.topics.get(topic, ())))
        ]
        self.known = len(wanted)
        for place, member in enumerate(self.members):
            member.assigned(round_, wanted[place :: len(self.members)])


class Hosting:
    """Stands where FastStream's hosting stands: polls, hands records over, calls the listener."""

    BATCH = 5

    def __init__(
        self,
        broker: Broker,
        *,
        group: str,
        topics: Sequence[str],
        handle: Callable[[Sequence[Record]], Awaitable[None]],
        listener: Any,
        polled: Callable[[], None],
    ) -> None:
        self._broker = broker
        self._process = CURRENT.get()
        self._group = broker.groups.setdefault(group, Group(broker, group))
        self.topics = list(topics)
        self._handle = handle
        self._listener = listener
        self._polled = polled
        self.client = Client(broker, self._process, self._group)
        self.joined = 0
        self._seen = broker.loop.now
        self._tasks: list[asyncio.Task[Any]] = []

    async def start(self) -> None:
        await self._broker.travel(self._process)
        if not self._broker.up:
            raise KafkaConnectionError("no broker")
        self._process.at_death.append(self._silent)
        self._tasks.append(self._process.spawn(self._poll()))
        self._group.members.append(self)
        self._group.rebalance()

    async def stop(self) -> None:
        if not self._process.alive:
            return
        for task in self._tasks:
            task.cancel()
        self._group.leave(self)

    def _silent(self) -> None:
        self._broker.loop.after(SESSION_SECONDS, self._group.leave, self)

    def belongs_to(self, process: Process) -> bool:
        """Whether it is this process's."""
        return self._process is process

    def fall_silent(self) -> None:
        """The process was stopped; if it still is when its session ends, the others go on without it."""

        def out() -> None:
            if self._process.stopped and self._process.alive:
                self._group.leave(self)

        self._broker.loop.after(SESSION_SECONDS, out)

    async def _poll(self) -> None:
        client, process, broker = self.client, self._process, self._broker
        while process.alive:
            await broker.travel(process)
            if self not in self._group.members:  # it was silent for too long, and learns it now
                self._group.members.append(self)
                self._group.rebalance()
            self._polled()
            records = client.take(broker.chance.randint(1, self.BATCH))
            if records:
                await self._handle(records)
            else:
                await broker.news(process, POLL_SECONDS)

    def rejoin(self, round_: int) -> None:
        """The coordinator asks for a new round."""
        self._tasks.append(self._process.spawn(self._let_go(round_)))

    async def _let_go(self, round_: int) -> None:
        await self._broker.travel(self._process)
        if round_ != self._group.round:
            return
        await self._listener.on_partitions_revoked(list(self.client.positions))
        await self._broker.travel(self._process)
        self.joined = max(self.joined, round_)
        self._group.ready(round_)

    def assigned(self, round_: int, partitions: Sequence[TopicPartition]) -> None:
        """The coordinator's answer."""
        self._tasks.append(self._process.spawn(self._take_up(round_, partitions)))

    async def _take_up(self, round_: int, partitions: Sequence[TopicPartition]) -> None:
        await self._broker.travel(self._process)
        if round_ != self._group.round:
            return
        self.client.assign(partitions)
        self._group.current.append(self.client)
        await self._listener.on_partitions_assigned(list(partitions))
