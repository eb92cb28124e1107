"""P8, P9, P13, P14, P16: time from the start of a command to its committed projection; all in one process."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Any
from uuid import UUID

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from chassis.testing import MIDORI, Installation
from chassis.transaction import key_hash, new_id
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy
from tests.performance.ground import NOTE, TOWNS

SECONDS = 6.0
AT_ONCE = 64
"""Commands in hand at most; a machine that cannot keep up makes both sides wait alike."""

WARM = 1.5
"""Seconds at the start that are not counted."""

_serial = count()

Took = list[tuple[float, float]]
"""When each began, in seconds from the start, and the milliseconds it took."""


class Clock:
    """When each thing's command began, and how long it took to be projected, by label."""

    def __init__(self) -> None:
        self.began: dict[str, tuple[float, str]] = {}
        self.took: dict[str, Took] = defaultdict(list)
        self.busy = 0.0
        """Share of one core that this process used."""
        self.start = perf_counter()

    def begin(self, thing: str, label: str) -> None:
        """A command begins now."""
        self.began[thing] = perf_counter(), label

    def projected(self, thing: str) -> None:
        """A thing's projection is committed."""
        began, label = self.began.pop(thing, (0.0, ""))
        if began > self.start + WARM:
            self.took[label].append((began - self.start, (perf_counter() - began) * 1000))

    def percentile(self, per_cent: int, label: str = "") -> float:
        """Milliseconds."""
        return percentile([took for _, took in self.took[label]], per_cent)


def percentile(figures: Sequence[float], per_cent: int) -> float:
    """Of a hundred equal parts."""
    return quantiles(figures, n=100)[per_cent - 1]


Command = Callable[[str, int], Awaitable[None]]
"""Carries out the command of a thing, the ``int``-th of the run."""


async def drive(
    clock: Clock,
    per_second: int,
    command: Command,
    *,
    seconds: float = SECONDS,
    label: Callable[[int], str] = lambda _: "",
    thing: Callable[[int], str] | None = None,
) -> None:
    """Begin commands at a steady rate, whether the ones before are done or not; wait for the last projections."""
    running: set[asyncio.Task[None]] = set()
    room = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, number: int) -> None:
        async with room:
            await command(name, number)

    began, used = perf_counter(), process_time()
    for number in range(int(per_second * seconds)):
        ahead = began + number / per_second - perf_counter()
        if ahead > 0:
            await asyncio.sleep(ahead)
        name = f"l{next(_serial)}" if thing is None else thing(number)
        clock.begin(name, label(number))
        task = asyncio.ensure_future(one(name, number))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    clock.busy = (process_time() - used) / (perf_counter() - began)
    deadline = perf_counter() + 10
    while clock.began and perf_counter() < deadline:
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def pipeline(source: Toy, sink: Toy, clock: list[Clock]) -> Any:
    """Relay and consumer as they are; the newest clock of the list is told what was projected."""
    source.relay()
    consumer = sink.consumer()
    together = consumer._batches.together

    async def timed(deliveries: Any) -> None:
        await together(deliveries)
        if clock:
            for delivery in deliveries:
                for record in delivery.records:
                    if record.received is not None:
                        clock[-1].projected(record.received.event.thing_id)

    consumer._batches.together = timed  # type: ignore[method-assign]  # the moment of the commit is measured there
    try:
        await _flowing(source, sink)
        yield
    finally:
        await source.stop()
        await sink.stop()


async def _flowing(source: Toy, sink: Toy) -> None:
    thing = f"first{next(_serial)}"
    await source.make(thing, 1)
    while not await sink.value("SELECT true FROM copies WHERE thing_id = $1", thing):
        await asyncio.sleep(0.05)


async def ours(source: Toy, sink: Toy, per_second: int, seconds: float = SECONDS) -> Clock:
    """Relay and consumer as they are."""
    clocks: list[Clock] = []
    async with pipeline(source, sink, clocks):
        clocks.append(clock := Clock())

        async def command(thing: str, _: int) -> None:
            async with source.api.transaction(MIDORI, source.SYSTEM) as transaction:
                transaction.emit(ThingMadeV1(thing_id=thing, note=NOTE), version=1)

        await drive(clock, per_second, command, seconds=seconds)
    return clock


async def towns(source: Toy, sink: Toy, per_second: int, seconds: float) -> tuple[float, float]:
    """Ten towns, of which the first sends half of all: the slowest town's p99 and the median town's."""
    clocks: list[Clock] = []
    rest = TOWNS[1:]

    def town(number: int) -> str:
        return TOWNS[0] if number % 2 else rest[number // 2 % len(rest)]

    async with pipeline(source, sink, clocks):
        clocks.append(clock := Clock())

        async def command(thing: str, number: int) -> None:
            async with source.api.transaction(town(number), source.SYSTEM) as transaction:
                transaction.emit(ThingMadeV1(thing_id=thing, note=NOTE), version=1)

        await drive(clock, per_second, command, seconds=seconds, label=town)
    each = [clock.percentile(99, it) for it in TOWNS]
    return max(each), median(each)


KEYS = 1_000
"""Things whose versions rise in P14; each hundredth is held."""


async def healthy(source: Toy, sink: Toy, per_second: int, seconds: float, *, poisoned: bool) -> float:
    """The p99 of healthy keys, with a dead letter before each hundredth key or with none."""
    batch = f"h{next(_serial)}-"
    held = range(0, KEYS, 100) if poisoned else range(0)
    clocks: list[Clock] = []
    async with pipeline(source, sink, clocks):
        for number in held:
            await source.installation.publish(
                ThingMadeV1(thing_id=f"{batch}{number}"), headers={"ce_time": "at some time"}
            )
        while await sink.value("SELECT count(*) FROM dead_letters WHERE closed_at IS NULL") < len(held):
            await asyncio.sleep(0.05)
        clocks.append(clock := Clock())

        async def command(thing: str, number: int) -> None:
            version = number // KEYS + (2 if number % KEYS in held else 1)
            async with source.api.transaction(MIDORI, source.SYSTEM) as transaction:
                transaction.emit(ThingMadeV1(thing_id=thing, note=NOTE), version=version)

        await drive(
            clock,
            per_second,
            command,
            seconds=seconds,
            label=lambda number: "held" if number % KEYS in held else "",
            thing=lambda number: f"{batch}{number % KEYS}",
        )
    async with sink.worker.scoped("*") as connection:
        await connection.execute("DELETE FROM dead_letters")
        await connection.execute("UPDATE offsets SET open_letters = 0")
    return clock.percentile(99)


async def soak(source: Toy, sink: Toy, per_second: int, minutes: float) -> tuple[tuple[float, float], ...]:
    """The last quarter's p99 and memory (MB), and the first quarter's."""
    clocks: list[Clock] = []
    memory: Took = []
    seconds = minutes * 60
    async with pipeline(source, sink, clocks):
        clocks.append(clock := Clock())

        async def watch() -> None:
            process = psutil.Process()
            while True:
                memory.append((perf_counter() - clock.start, process.memory_info().rss / 1e6))
                await asyncio.sleep(1)

        watching = asyncio.create_task(watch())

        async def command(thing: str, _: int) -> None:
            async with source.api.transaction(MIDORI, source.SYSTEM) as transaction:
                transaction.emit(ThingMadeV1(thing_id=thing, note=NOTE), version=1)

        await drive(clock, per_second, command, seconds=seconds)
        watching.cancel()

    def quarter(number: int) -> tuple[float, float]:
        begin, end = WARM + (seconds - WARM) * (number - 1) / 4, WARM + (seconds - WARM) * number / 4
        took = [it for at, it in clock.took[""] if begin <= at < end]
        return percentile(took, 99), median(it for at, it in memory if begin <= at < end)

    return quarter(4), quarter(1)


_INSERT = """
INSERT INTO event_log (event_id, municipality, topic, type, aggregate, version, key_hash, occurred_at, correlation_id,
                       actor_kind, actor_id, payload)
VALUES ($1, $2, 'reference.events', $3, $4, 1, $5, now(), $1, 'system', 'bench', $6)
"""
_COPY = """
INSERT INTO copies (municipality, thing_id, size, version)
SELECT $1, t.thing, 0, 1 FROM unnest($2::text[]) AS t (thing)
ON CONFLICT (municipality, thing_id) DO UPDATE SET size = excluded.size
"""
_OFFSETS = """
INSERT INTO offsets (consumer, topic, partition, next, cluster_id, generation)
SELECT 'reference', 'source.events', t.partition, t.next, '', 1
FROM unnest($1::int[], $2::bigint[]) AS t (partition, next)
ON CONFLICT (consumer, topic, partition) DO UPDATE SET next = excluded.next
"""


async def reference(
    installation: Installation, source: Toy, sink: Toy, per_second: int, seconds: float = SECONDS
) -> Clock:
    """A plain pipeline with an in-process wake-up: position above the last, send_batch, getmany, one transaction."""
    settings = installation.settings
    topic = f"{settings.prefix}sink.events"  # which the sink does not consume
    wake = asyncio.Event()
    stop = False
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", enable_idempotence=True)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False)
    # A second topic, on which nothing comes: what the sink consumes has two as well, and each poll asks for all.
    others = f"{settings.prefix}source.owners"
    partitions = [TopicPartition(name, number) for name in (topic, others) for number in range(12)]
    consumer.assign(partitions)
    await producer.start()
    await consumer.start()
    await consumer.seek_to_end(*partitions)
    for partition in partitions:
        await consumer.position(partition)
    async with source.worker.scoped("*") as connection:
        last = await connection.fetchval("SELECT coalesce(max(position), 0) FROM event_log")
    clock = Clock()

    async def relay() -> None:
        nonlocal last
        while not stop:
            wake.clear()
            async with source.worker.scoped("*") as connection:
                rows = await connection.fetch(
                    "SELECT position, key_hash, aggregate, payload FROM event_log WHERE position > $1 "
                    "ORDER BY position LIMIT 1000",
                    last,
                )
            if not rows:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), 0.02)
                continue
            batches: dict[int, Any] = {}
            for row in rows:
                number = row["key_hash"] % 12
                batch = batches.get(number) or batches.setdefault(number, producer.create_batch())
                batch.append(key=row["aggregate"].encode(), value=row["payload"].encode(), timestamp=None)
            await asyncio.gather(
                *[await producer.send_batch(batch, topic, partition=number) for number, batch in batches.items()]
            )
            last = rows[-1]["position"]

    async def consume() -> None:
        while not stop:
            fetched = await consumer.getmany(timeout_ms=200, max_records=1000)
            if not fetched:
                continue
            things = [ThingMadeV1.read(record.value).thing_id for records in fetched.values() for record in records]
            async with sink.worker.scoped("*") as connection:
                await connection.execute(_COPY, MIDORI, things)
                await connection.execute(
                    _OFFSETS,
                    [place.partition for place in fetched],
                    [records[-1].offset + 1 for records in fetched.values()],
                )
            for thing in things:
                clock.projected(thing)

    async def command(thing: str, _: int) -> None:
        async with source.api.scoped(MIDORI) as connection:
            event_id: UUID = new_id()
            await connection.execute(
                _INSERT,
                event_id,
                MIDORI,
                ThingMadeV1.TYPE,
                f"thing/{thing}",
                key_hash(MIDORI, f"thing/{thing}"),
                ThingMadeV1(thing_id=thing, note=NOTE).write(),
            )
        wake.set()

    loops = [asyncio.create_task(relay()), asyncio.create_task(consume())]
    try:
        await drive(clock, per_second, command, seconds=seconds)
    finally:
        stop = True
        wake.set()
        await asyncio.gather(*loops)
        await producer.stop()
        await consumer.stop()
    async with source.worker.scoped("*") as connection:
        # What the plain loop published is not for the relay that runs after it.
        await connection.execute("DELETE FROM event_log WHERE topic = 'reference.events'")
    return clock
