"""A Kafka as far as the product's promises rest on it: partitions, groups, clients; and what may happen to them.

Records stand in offset order per partition; a log may have holes (compaction), begin late (truncation), or be another
one under the same name. An acknowledged record stays; one whose acknowledgement was lost may be there or not. Clients
ask a broker that is away until it is back. A group gives partitions anew when members come, go or are silent; one that
was silent does not know it.

Like the real one as far as ``kafka_contract`` tells.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaTimeoutError,
)

from chassis.consumer import hosting
from tests.simulation.loop import Loop
from tests.simulation.postgres import latency
from tests.simulation.processes import CURRENT, Process

SESSION_SECONDS = hosting.SESSION_MS / 1000
"""Silence after which a member is out of its group; a round waits as long for those who have something in hand."""
POLL_SECONDS = 5.0
METADATA_SECONDS = hosting.METADATA_MS / 1000
RETRY_SECONDS = 0.5
"""A client asks again after so long; aiokafka sooner, which says nothing more."""
PRODUCER_PATIENCE, CONSUMER_PATIENCE = 10.0, 40.0
"""How long they ask for topics that are not there."""


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
    compacted: int = 0
    """Offsets below were compacted; their tombstones go the next time."""

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

    def compact(self, before: int, unread: int | None = None) -> None:
        """Keep the newest record of each key below an offset; offsets stay, and so do start and end.

        ``unread``: tombstones from here on stay yet, as the real ones do for a day.
        """
        newest = {it.key: it.offset for it in self.records if it.offset < before}
        old = self.compacted if unread is None else min(self.compacted, unread)

        def goes(it: Record) -> bool:
            return it.offset < before and (newest[it.key] > it.offset or (it.value is None and it.offset < old))

        self.deleted += [it for it in self.records if goes(it)]
        self.records = [it for it in self.records if not goes(it)]
        self.compacted = max(self.compacted, before)


@dataclass
class Broker:
    """One cluster."""

    loop: Loop
    chance: random.Random
    partitions: int
    cluster_id: str = "kafka-1"
    up: bool = True
    slow_rate: float = 0.03
    topics: dict[str, list[Log]] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    _waiting: list[tuple[Process, asyncio.Future[None]]] = field(default_factory=list)

    def make(self, topic: str) -> None:
        """Make a topic; once more: another log, another generation."""
        self._forget(topic)
        self.topics[topic] = [Log() for _ in range(self.partitions)]
        self.generations[topic] = self.generations.get(topic, 0) + 1
        self._metadata_changes()

    def raise_partitions(self, topic: str, count: int) -> None:
        """Give a topic more partitions."""
        logs = self.topics[topic]
        logs += [Log() for _ in range(count - len(logs))]
        self._metadata_changes()

    def delete(self, topic: str) -> None:
        """Delete a topic, if it is there."""
        if self.topics.pop(topic, None) is not None:
            self._forget(topic)
            self._metadata_changes()

    def _forget(self, topic: str) -> None:
        """What groups committed goes with a topic."""
        for group in self.groups.values():
            group.committed = {it: at for it, at in group.committed.items() if it.topic != topic}

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

    def leave(self) -> None:
        """Be killed; what was written stays."""
        self.up = False

    def come_back(self) -> None:
        """Be there again."""
        self.up = True
        self.wake()

    def log(self, topic: str, partition: int) -> Log | None:
        """A partition; ``None``: there is none, or nobody to ask."""
        logs = self.topics.get(topic, ())
        return logs[partition] if self.up and partition < len(logs) else None

    async def answers(self, process: Process, places: Sequence[tuple[str, int]], patience: float) -> list[Log]:
        """Ask for partitions until they are there.

        Raises:
            KafkaTimeoutError: they are not within ``patience`` seconds.
        """
        deadline = self.loop.now + patience
        while True:
            await self.travel(process)
            logs = [log for it in places if (log := self.log(*it)) is not None]
            if self.up and len(logs) == len(places):
                return logs
            if self.loop.now > deadline:
                raise KafkaTimeoutError(f"no leader for {places}")
            await asyncio.sleep(RETRY_SECONDS)  # paced: as the client does

    def append(self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes | None, Any]]) -> None:
        """Append and wake those who wait for records."""
        for key, value, headers in records:
            self.topics[topic][partition].append(topic, partition, key, value, headers)
        self.wake()

    def wake(self) -> None:
        """Let waiting polls look."""
        waiting, self._waiting = self._waiting, []
        for process, future in waiting:
            process.deliver(future, None)

    def travels(self, then: Callable[..., object], *arguments: Any) -> None:
        """Do it after the time of a way over the network."""
        self.loop.after(latency(self.chance, self.slow_rate), then, *arguments)

    async def travel(self, process: Process) -> None:
        """The way to the broker and back."""
        if not process.alive:
            raise KafkaConnectionError("this process is dead")
        waiting = self.loop.create_future()
        self.travels(process.deliver, waiting, None)
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


class Sending:
    """One batch between a producer and the broker: tried until it is acknowledged, and written once in one log."""

    def __init__(self, producer: Producer, batch: Batch, place: tuple[str, int]) -> None:
        self._producer = producer
        self._batch = batch
        self._place = place
        self._written: Log | None = None
        self.acknowledged = producer.broker.loop.create_future()
        """What the caller waits for, and may give up."""
        self.settled = producer.broker.loop.create_future()

    def send(self, _: object = None) -> None:
        """The client sends it, if it is still at work."""
        producer = self._producer
        if producer.process.stopped:
            producer.broker.loop.after(RETRY_SECONDS, self.send)
        elif producer.process.alive and not producer.sender_task.cancelled():
            producer.broker.travels(self._arrive)

    def _arrive(self) -> None:
        broker = self._producer.broker
        log = broker.log(*self._place)
        if log is None:
            broker.loop.after(RETRY_SECONDS, self.send)
            return
        if log is not self._written:  # else only the answer was lost; a log that was made anew knows nothing of that
            broker.append(*self._place, self._batch.records)
            self._written = log
        broker.travels(self._answer)

    def _answer(self) -> None:
        broker = self._producer.broker
        if broker.up:
            self._producer.process.deliver(self.acknowledged, None)
            self.settled.set_result(None)
        else:
            broker.loop.after(RETRY_SECONDS, self.send)


class Producer:
    """aiokafka's idempotent producer with ``acks="all"``."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.process = CURRENT.get()
        self.sender_task: asyncio.Future[None] = broker.loop.create_future()
        """Cancelled, it sends nothing more; what is on its way arrives."""
        self._sender = self
        self._last: dict[tuple[str, int], Sending] = {}

    async def start(self) -> None:
        await self.broker.travel(self.process)
        if not self.broker.up:
            raise KafkaConnectionError("no broker")

    async def stop(self) -> None:
        """Nothing is flushed: the sender was ended before."""

    async def partitions_for(self, topic: str) -> set[int]:
        await self.broker.answers(self.process, [(topic, 0)], PRODUCER_PATIENCE)
        return set(range(len(self.broker.topics[topic])))

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[None]:
        """One in flight per partition: it is sent after the one before was acknowledged."""
        if not self.process.alive:
            raise KafkaConnectionError("this process is dead")
        place = (topic, partition)
        before = self._last.get(place)
        it = self._last[place] = Sending(self, batch, place)
        if before is None or before.settled.done():
            it.send()
        else:
            before.settled.add_done_callback(it.send)
        return it.acknowledged


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
        self.positions = {it: self._group.committed.get(it, (0, ""))[0] for it in partitions}
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

    async def _logs(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Log]:
        places = [(it.topic, it.partition) for it in partitions]
        return dict(zip(partitions, await self._broker.answers(self._process, places, CONSUMER_PATIENCE), strict=True))

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {it: log.start for it, log in (await self._logs(partitions)).items()}

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {it: log.end for it, log in (await self._logs(partitions)).items()}

    async def commit(self, offsets: dict[TopicPartition, int | tuple[int, str]]) -> None:
        for it in offsets:
            self._check(it)
        await self._broker.answers(self._process, (), float("inf"))
        if self not in self._group.current:
            raise CommitFailedError
        self._group.committed.update({it: (at, "") if isinstance(at, int) else at for it, at in offsets.items()})

    def take(self, limit: int) -> list[Record]:
        """What a poll gives: records of what is assigned and not paused."""
        found: list[Record] = []
        for it in self.positions:
            log = self._broker.log(it.topic, it.partition)
            if log is None or it in self.paused or len(found) >= limit:
                continue
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
    committed: dict[TopicPartition, tuple[int, str]] = field(default_factory=dict)
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
        self.broker.loop.after(SESSION_SECONDS, self._go_on_without, self.round)

    def _go_on_without(self, round_: int) -> None:
        """Members that have something in hand for too long are out."""
        late = [it for it in self.members if it.joined != round_]
        if round_ == self.round and late:
            self.members = [it for it in self.members if it not in late]
            self.ready(round_)

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
        self._told = asyncio.Lock()
        """The listener is told one thing at a time."""
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
            # It was silent for too long, and learns it now; or it had something in hand, and learns it then.
            if self not in self._group.members and not self._told.locked():
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
        async with self._told:
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
        async with self._told:
            if round_ != self._group.round:
                return
            self.client.assign(partitions)
            self._group.current.append(self.client)
            await self._listener.on_partitions_assigned(list(partitions))
