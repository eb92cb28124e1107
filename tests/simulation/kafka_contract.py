"""What the simulated Kafka promises the schedules; each check runs on it and on a real one.

A check gets a :class:`Cluster` with a topic ``TOPIC`` of twelve partitions and no records. Pages are published by the
product's publisher, members of groups are hosted by its hosting, topics are made and deleted by its functions: in a
simulated world each of them meets the simulation's stand-in. Left out, as the two cannot be compared:

- how long a member is silent until it is out of its group, and how soon it sees other partitions: the simulation takes
  both from ``chassis.consumer.hosting``;
- how many records make a batch or a poll: sizes there, a few records here, and nothing may rest on either;
- which member gets which partition: both deal them out in turn, to members in an order of their own;
- a repeated send of an idempotent producer: nothing on this side of the socket tells it from the first one. That each
  record stands once after the broker was away is checked instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import pytest
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaConnectionError

import chassis.consumer.assignment as consumer_assignment
import chassis.consumer.loop as consumer_loop
from chassis import repair as operators_repair
from chassis.relay.publisher import Publisher, PublishError, Record
from chassis.settings import InstallationSettings
from chassis.testing import eventually
from chassis.topics import PARTITIONS, TopicSpec

# A simulated world replaces what these name, where they name it.
assignment: Any = consumer_assignment
loop: Any = consumer_loop
repair: Any = operators_repair

TOPIC = "source.events"
STATES = "source.owners"


class Cluster(Protocol):
    """A Kafka, and what is done to it from outside."""

    settings: InstallationSettings

    async def truncate(self, partition: int, before: int) -> None:
        """Delete a partition's records below an offset."""

    async def raise_partitions(self, count: int) -> None:
        """Give the topic more partitions."""

    async def make_states(self) -> None:
        """Make ``STATES``, compacted as often as can be, with tombstones that go at the second time."""

    async def compact(self, before: int) -> None:
        """Compact partition 0 of ``STATES`` below an offset; the real one does so by itself, some time."""

    async def leave(self) -> None:
        """Kill the broker."""

    async def come_back(self) -> None:
        """Start it again, with what it had."""


Check = Callable[[Cluster], Coroutine[Any, Any, None]]
CHECKS: list[Check] = []
ALONE: list[Check] = []
"""Those that need a broker of their own: it is killed, or compacts sooner than others do."""


def check(it: Check) -> Check:
    """One of the suite."""
    CHECKS.append(it)
    return it


def check_alone(it: Check) -> Check:
    """One of the suite, with a broker of its own."""
    ALONE.append(it)
    return it


def sent(key: str, partition: int = 0, value: bytes | None = b"{}") -> Record:
    """A record without headers, as the publisher takes it, without the topic's prefix."""
    return (TOPIC, partition, key.encode(), value, [])


@asynccontextmanager
async def publisher(cluster: Cluster, *, deadline: float = 20.0) -> AsyncIterator[Publisher]:
    """A started publisher, thrown away at the end."""
    it = Publisher(cluster.settings, "contract", deadline=deadline)
    await it.start()
    try:
        yield it
    finally:
        await it.close()


def full(cluster: Cluster, page: Iterable[Record]) -> list[Record]:
    """With the topics' prefix."""
    return [(f"{cluster.settings.prefix}{it[0]}", *it[1:]) for it in page]


async def publish(cluster: Cluster, *page: Record) -> None:
    """Publish a page with a publisher of its own."""
    async with publisher(cluster) as it:
        await it.publish(full(cluster, page))


def sought(*places: tuple[int, int]) -> Callable[[Member], Awaitable[None]]:
    """What a listener does that seeks: partitions and offsets."""

    async def seek(member: Member) -> None:
        for partition, offset in places:
            member.client.seek(member.place(partition), offset)

    return seek


class Member(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """A member of a group. ``given``: its records in order; ``told``: what its listener was told, and of which."""

    def __init__(
        self,
        cluster: Cluster,
        group: str = "readers",
        topic: str = TOPIC,
        assigned: Callable[[Member], Awaitable[None]] | None = None,
        revoked: Callable[[Member], Awaitable[None]] | None = None,
    ) -> None:
        self._topic = f"{cluster.settings.prefix}{topic}"
        self._assigned, self._revoked = assigned, revoked
        self.given: list[Any] = []
        self.told: list[tuple[str, set[int]]] = []
        self.has: set[int] = set()
        self.hosting = loop.Hosting(
            cluster.settings.kafka,
            group=f"{cluster.settings.prefix}{group}",
            topics=[self._topic],
            handle=self._take,
            listener=self,
            polled=lambda: None,
        )

    async def _take(self, records: Sequence[Any]) -> None:
        self.given += records

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Pauses first, as the product's listener does."""
        places = list(assigned)
        self.client.pause(*places)
        self.told.append(("assigned", {it.partition for it in places}))
        if self._assigned is not None:
            await self._assigned(self)
        self.has = {it.partition for it in places}
        self.client.resume(*places)
        self.told.append(("resumed", self.has))

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.told.append(("revoked", {it.partition for it in revoked}))
        if self._revoked is not None:
            await self._revoked(self)
        self.has = set()

    @property
    def client(self) -> Any:
        """The client that it is."""
        return self.hosting.client

    def place(self, partition: int) -> TopicPartition:
        """As the client names it."""
        return TopicPartition(self._topic, partition)

    def offsets(self, partition: int = 0) -> list[int]:
        """Of its records of a partition, in the order in which they came."""
        return [it.offset for it in self.given if it.partition == partition]

    def keys(self, partition: int = 0) -> list[str]:
        """The same as keys."""
        return [it.key.decode() for it in self.given if it.partition == partition]


@asynccontextmanager
async def member(cluster: Cluster, **given: Any) -> AsyncIterator[Member]:
    """A member that has partitions, until it leaves at the end."""
    it = Member(cluster, **given)
    await it.hosting.start()
    try:
        await eventually(lambda: it.has)
        yield it
    finally:
        await it.hosting.stop()


async def stays(question: Callable[[], bool]) -> bool:
    """Whether something that is so is still so after a while."""
    await asyncio.sleep(0.7)  # paced: nothing tells that nothing comes
    return question()


async def make_anew(cluster: Cluster) -> None:
    await repair.delete_topics(cluster.settings, [TOPIC])
    await repair.ensure_topics(cluster.settings, [TopicSpec(TOPIC)])


@check
async def records_of_a_partition_stand_in_the_order_in_which_they_were_sent(cluster: Cluster) -> None:
    """Also where a page is more than one batch; offsets have no holes."""
    bulk = b"x" * 200_000
    async with publisher(cluster) as it:
        for page in range(2):
            await it.publish(full(cluster, [sent(f"{page}.{number}", number % 2, bulk) for number in range(20)]))
    wanted = [[f"{page}.{number}" for page in range(2) for number in range(part, 20, 2)] for part in range(2)]
    async with member(cluster) as reader:
        await eventually(lambda: len(reader.given) == 40)
        assert [reader.keys(0), reader.keys(1)] == wanted
        assert [reader.offsets(0), reader.offsets(1)] == [list(range(20))] * 2


@check
async def keys_values_and_headers_come_as_they_were_sent(cluster: Cluster) -> None:
    headers: list[tuple[str, Any]] = [("null", None), ("empty", b""), ("名", "値".encode()), ("null", b"again")]
    odd: Any = (TOPIC, 0, None, None, headers)
    await publish(cluster, odd, sent("tombstone", value=None), sent("empty", value=b""))
    async with member(cluster) as reader:
        await eventually(lambda: len(reader.given) == 3)
        assert [(it.key, it.value) for it in reader.given] == [(None, None), (b"tombstone", None), (b"empty", b"")]
        assert [list(map(tuple, it.headers)) for it in reader.given] == [headers, [], []]


@check
async def a_page_for_a_topic_that_is_not_there_is_given_up_at_the_deadline(cluster: Cluster) -> None:
    async with publisher(cluster, deadline=1.0) as it:
        with pytest.raises(PublishError):
            await it.publish([(f"{cluster.settings.prefix}missing", 0, b"a", b"{}", [])])


@check
async def a_group_goes_on_where_it_committed(cluster: Cluster) -> None:
    await publish(cluster, *(sent(str(number)) for number in range(5)))
    async with member(cluster) as first:
        await eventually(lambda: len(first.given) == 5)
        await first.client.commit({first.place(0): 3})
    async with member(cluster) as second, member(cluster, group="others") as other:
        await eventually(lambda: len(second.given) >= 2 and len(other.given) == 5)
        assert second.offsets() == [3, 4]


@check
async def what_is_not_assigned_is_refused(cluster: Cluster) -> None:
    async with member(cluster) as it:
        nowhere = it.place(PARTITIONS)
        for act in (it.client.pause, it.client.resume, lambda place: it.client.seek(place, 0)):
            with pytest.raises(IllegalStateError):
                act(nowhere)
        with pytest.raises(IllegalStateError):
            await it.client.commit({nowhere: 1})


@check
async def a_paused_partition_gives_nothing_and_the_others_go_on(cluster: Cluster) -> None:
    async with member(cluster) as it:
        it.client.pause(it.place(0))
        await publish(cluster, sent("a", 0), sent("b", 1))
        await eventually(lambda: it.keys(1) == ["b"])
        assert await stays(lambda: not it.keys(0))
        it.client.resume(it.place(0))
        await eventually(lambda: it.keys(0) == ["a"])


@check
async def what_a_listener_seeks_is_the_first_that_comes(cluster: Cluster) -> None:
    await publish(cluster, *(sent(str(number)) for number in range(5)))
    async with member(cluster, assigned=sought((0, 3))) as it:
        await eventually(lambda: len(it.given) >= 2)
        it.client.seek(it.place(0), 1)
        await eventually(lambda: len(it.given) >= 6)
        assert it.offsets() == [3, 4, 1, 2, 3, 4]


@check
async def who_seeks_beyond_the_end_begins_anew_in_silence(cluster: Cluster) -> None:
    await publish(cluster, sent("a"), sent("b"))
    async with member(cluster, assigned=sought((0, 7))) as it:
        await eventually(lambda: it.offsets() == [0, 1])


@check
async def who_seeks_the_end_gets_what_comes_next(cluster: Cluster) -> None:
    await publish(cluster, sent("a"), sent("b"))
    async with member(cluster, assigned=sought((0, 2))) as it:
        assert await stays(lambda: not it.given)
        await publish(cluster, sent("c"))
        await eventually(lambda: it.given)
        assert it.offsets() == [2]


@check
async def who_seeks_before_the_beginning_gets_the_first_that_is_there(cluster: Cluster) -> None:
    await publish(cluster, *(sent(str(number)) for number in range(5)))
    await cluster.truncate(0, 3)
    async with member(cluster, assigned=sought((0, 1))) as it:
        places = [it.place(0), it.place(1)]
        assert await it.client.beginning_offsets(places) == dict(zip(places, (3, 0), strict=True))
        assert await it.client.end_offsets(places) == dict(zip(places, (5, 0), strict=True))
        await eventually(lambda: it.offsets() == [3, 4])


@check
async def a_topic_made_anew_is_another_generation_with_offsets_of_its_own(cluster: Cluster) -> None:
    """Who stood further begins there in silence, from its beginning."""
    before = (await assignment.generations(cluster.settings))[TOPIC]
    await publish(cluster, *(sent(str(number)) for number in range(3)))
    async with member(cluster) as it:
        await eventually(lambda: it.offsets() == [0, 1, 2])
        await make_anew(cluster)
        assert (await assignment.generations(cluster.settings))[TOPIC] == before + 1
        await publish(cluster, sent("a"), sent("b"))
        await eventually(lambda: it.keys() == ["0", "1", "2", "a", "b"])
        assert it.offsets() == [0, 1, 2, 0, 1]


@check
async def a_producer_goes_on_in_a_topic_made_anew(cluster: Cluster) -> None:
    async with publisher(cluster) as it:
        await it.publish(full(cluster, [sent("a"), sent("b")]))
        await make_anew(cluster)
        await it.publish(full(cluster, [sent("c")]))
    async with member(cluster) as reader:
        await eventually(lambda: reader.given)
        assert (reader.keys(), reader.offsets()) == (["c"], [0])


@check
async def what_a_group_committed_goes_with_the_topic(cluster: Cluster) -> None:
    await publish(cluster, sent("a"))
    async with member(cluster) as it:
        await it.client.commit({it.place(0): 1})
    await make_anew(cluster)
    await publish(cluster, sent("b"), sent("c"))
    async with member(cluster) as it:
        await eventually(lambda: it.offsets() == [0, 1])


@check
async def partitions_that_were_added_are_given_soon(cluster: Cluster) -> None:
    async with member(cluster) as it:
        await cluster.raise_partitions(PARTITIONS + 1)
        await eventually(lambda: PARTITIONS in it.has)
        await publish(cluster, sent("a", PARTITIONS))
        await eventually(lambda: it.keys(PARTITIONS) == ["a"])


@check
async def members_share_the_partitions_and_take_over_from_who_leaves(cluster: Cluster) -> None:
    every = set(range(PARTITIONS))
    async with member(cluster) as first:
        assert first.told == [("revoked", set()), ("assigned", every), ("resumed", every)]
        async with member(cluster) as second:
            await eventually(lambda: len(first.has) == len(second.has) == PARTITIONS / 2)
            assert first.has | second.has == every
            assert ("revoked", every) in first.told
        await eventually(lambda: first.has == every)
        assert [what for what, _ in first.told] == ["revoked", "assigned", "resumed"] * (len(first.told) // 3)


@check
async def a_round_waits_for_who_has_something_in_hand(cluster: Cluster) -> None:
    done = asyncio.Event()
    done.set()

    async def finish(_: Member) -> None:
        await done.wait()

    async with member(cluster, revoked=finish) as first, AsyncExitStack() as stack:
        done.clear()
        joining = asyncio.create_task(stack.enter_async_context(member(cluster)))
        await eventually(lambda: first.told[-1][0] == "revoked")
        assert await stays(lambda: not joining.done())
        done.set()
        second = await joining
        assert not first.has & second.has


@check
async def a_listener_is_told_one_thing_at_a_time(cluster: Cluster) -> None:
    """Where positions take long, the next round waits for them."""
    done = asyncio.Event()

    async def position(_: Member) -> None:
        await done.wait()

    first = Member(cluster, assigned=position)
    await first.hosting.start()
    try:
        await eventually(lambda: first.told[-1:] == [("assigned", set(range(PARTITIONS)))])
        async with AsyncExitStack() as stack:
            joining = asyncio.create_task(stack.enter_async_context(member(cluster)))
            assert await stays(lambda: first.told[-1][0] == "assigned")
            done.set()
            second = await joining
            await eventually(lambda: first.has and not first.has & second.has)
        assert [what for what, _ in first.told[:6]] == ["revoked", "assigned", "resumed"] * 2
    finally:
        done.set()
        await first.hosting.stop()


@check_alone
async def a_page_waits_for_a_broker_that_comes_back(cluster: Cluster) -> None:
    async with publisher(cluster, deadline=60.0) as it:
        await it.publish(full(cluster, [sent("a")]))
        await cluster.leave()
        page = asyncio.create_task(it.publish(full(cluster, [sent("b"), sent("c", 1)])))
        assert await stays(lambda: not page.done())
        await cluster.come_back()
        await page
    async with member(cluster) as reader:
        await eventually(lambda: len(reader.given) >= 3)
        assert [reader.keys(0), reader.keys(1)] == [["a", "b"], ["c"]]


@check_alone
async def a_page_that_was_given_up_does_not_come_later(cluster: Cluster) -> None:
    async with publisher(cluster, deadline=1.0) as it:
        await it.publish(full(cluster, [sent("a")]))
        await cluster.leave()
        with pytest.raises(PublishError):
            await it.publish(full(cluster, [sent("b")]))
    await cluster.come_back()
    await publish(cluster, sent("c"))
    async with member(cluster) as reader:
        await eventually(lambda: len(reader.given) >= 2)
        assert await stays(lambda: reader.keys() == ["a", "c"])


@check_alone
async def a_member_reads_on_after_the_broker_was_away(cluster: Cluster) -> None:
    """Meanwhile it is given nothing, without a fault; who asks for offsets waits; who asks who Kafka is, is refused."""
    await publish(cluster, sent("a"))
    async with member(cluster) as it:
        await eventually(lambda: it.offsets() == [0])
        known = await assignment.cluster_id(cluster.settings)
        await cluster.leave()
        with pytest.raises(KafkaConnectionError):
            await assignment.cluster_id(cluster.settings)
        asked = asyncio.create_task(it.client.end_offsets([it.place(0)]))
        committed = asyncio.create_task(it.client.commit({it.place(0): 1}))
        assert await stays(lambda: not asked.done() and not committed.done())
        await cluster.come_back()
        assert await asked == {it.place(0): 1}
        await committed
        assert await assignment.cluster_id(cluster.settings) == known
        await publish(cluster, sent("b"))
        await eventually(lambda: it.offsets() == [0, 1])


@check_alone
async def compaction_leaves_the_newest_of_each_key_and_in_the_end_no_tombstone(cluster: Cluster) -> None:
    """Offsets stay, and so do the beginning and the end; the newest records are not compacted yet."""
    await cluster.make_states()

    def state(key: str, value: bytes | None = b"{}") -> Record:
        return (STATES, 0, key.encode(), value, [])

    async def holds(*offsets: int) -> bool:
        async with member(cluster, group=f"readers-{len(offsets)}", topic=STATES, assigned=sought((0, 0))) as it:
            ends = await it.client.end_offsets([it.place(0)])
            await eventually(lambda: ends[it.place(0)] - 1 in it.offsets())
            assert await it.client.beginning_offsets([it.place(0)]) == {it.place(0): 0}
            return it.offsets() == list(offsets)

    for it in (state("a"), state("b"), state("a"), state("b", None)):
        await publish(cluster, it)
    assert await holds(0, 1, 2, 3)
    await asyncio.sleep(0.5)  # paced: the next record begins another segment
    await publish(cluster, state("c"))
    await cluster.compact(4)
    await eventually(lambda: holds(2, 3, 4))
    await asyncio.sleep(0.5)  # paced: as above
    await publish(cluster, state("a"))
    await cluster.compact(5)
    await eventually(lambda: holds(2, 4, 5))
