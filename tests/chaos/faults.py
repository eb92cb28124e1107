"""The faults, each with a name, and what it does to the ground; it returns when it has passed, with what it did.

A fault heals what it broke. What the product must do by itself afterwards is not helped along; what needs an operator
(see :mod:`tests.chaos.repairs`) is done by the command that the product names.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import asyncpg
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from chassis.clocks import monotonic
from chassis.failpoints import NAMES
from taiwa.local.kafka import Kafka
from taiwa.local.postgres import Postgres
from tests.chaos.disks import fill, free
from tests.chaos.ground import Ground, Member, crash_kafka, crash_postgres
from tests.chaos.proxy import Proxy


class NotReachedError(Exception):
    """The fault did not come about (a fail-point that nobody passed); it does not count."""


MOST_CONNECTIONS = 200

Run = Callable[[Ground, random.Random], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault."""

    name: str
    about: str
    run: Run


FAULTS: dict[str, Fault] = {}


def fault(name: str, about: str) -> Callable[[Run], Run]:
    """Register a fault."""

    def register(run: Run) -> Run:
        FAULTS[name] = Fault(name, about, run)
        return run

    return register


async def lasting(seconds: float) -> None:
    """A fault goes on for so long."""
    await asyncio.sleep(seconds)  # paced: the length of a fault


PLACES = {
    "relay": [name for name in sorted(NAMES) if name.startswith("relay.")],
    "consumer": [
        name for name in sorted(NAMES) if name.startswith("consumer.") and name != "consumer.after_dead_letter"
    ],
    "timers": [name for name in sorted(NAMES) if name.startswith("timers.")],
}
"""Fail-points by the role that passes them."""

FAILPOINTS = tuple(place for places in PLACES.values() for place in places)
PAST_SESSION = 12.0
"""Longer than Kafka's session timeout of the clients (10 s)."""
PAST_TAKEOVER = 16.0
"""And long enough for another process to have dealt with what the silent one holds."""


@fault("kill", "kill -9 of one process at a random time")
async def kill(ground: Ground, chance: random.Random) -> str:
    member = chance.choice(ground.members)
    await ground.kill_member(member)
    await lasting(chance.choice([0.0, 0.5, 2.0]))
    await ground.start_member(member)
    return member.name


async def _arm(ground: Ground, chance: random.Random, place: str, *, freeze: bool) -> tuple[Member, list[Member], int]:
    """Restart a process that passes this place so that it stops there; gives it, its rivals, and at which turn."""
    role = place.partition(".")[0]
    hosts = ground.having(role)
    if freeze:  # one that nobody takes over from would only be late
        hosts = [it for it in hosts if len(ground.having(role, it.service)) > 1]
    member = chance.choice(hosts)
    rivals = [it for it in ground.having(role, member.service) if it is not member]
    count = chance.choice([1, 1, 2, 5])
    await ground.kill_member(member)
    await ground.start_member(member, f"{place}:{count}", freeze=freeze)
    if role == "relay":  # one leads; the armed one must get the chance
        for rival in rivals:
            await ground.kill_member(rival)
    return member, rivals, count


async def _all_up(ground: Ground, some: Sequence[Member]) -> None:
    for member in some:
        if member.pid is None:
            await ground.start_member(member)


async def die_at(ground: Ground, chance: random.Random, place: str, seconds: float = 20) -> str:
    """Arm a fail-point in a process that passes it, and let it die there."""
    member, rivals, count = await _arm(ground, chance, place, freeze=False)
    reached = await ground.gone(member, seconds)
    if not reached:
        await ground.kill_member(member)
    await _all_up(ground, [member, *rivals])
    if not reached:
        raise NotReachedError(f"{member.name} did not pass {place}:{count}")
    ground.hit[place] += 1
    return f"{member.name} at {place}:{count}"


async def freeze_at(ground: Ground, chance: random.Random, place: str, seconds: float = 20) -> str:
    """Let a process stand still at a named place until others took over, then wake it."""
    member, rivals, count = await _arm(ground, chance, place, freeze=True)
    reached = await ground.frozen(member, seconds)
    await _all_up(ground, rivals)
    if reached:
        await lasting(PAST_TAKEOVER)
        member.signal(signal.SIGCONT)
        member.expected = False
    else:
        await ground.kill_member(member)
        await ground.start_member(member)
        raise NotReachedError(f"{member.name} did not pass {place}:{count}")
    ground.hit[place] += 1
    return f"{member.name} at {place}:{count} for {PAST_TAKEOVER:.0f} s"


def _next_place(ground: Ground, chance: random.Random) -> str:
    """One of the places that were hit least often: one that was missed is aimed at again."""
    fewest = min(ground.hit[place] for place in FAILPOINTS)
    return chance.choice([place for place in FAILPOINTS if ground.hit[place] == fewest])


@fault("failpoint", "a process dies at a named place of its loop")
async def failpoint(ground: Ground, chance: random.Random) -> str:
    return await die_at(ground, chance, _next_place(ground, chance))


@fault("freeze", "a process stands still at a named place, past its session, and wakes as a zombie")
async def freeze(ground: Ground, chance: random.Random) -> str:
    return await freeze_at(ground, chance, _next_place(ground, chance))


@fault("pause", "SIGSTOP past lock and session timeouts, then SIGCONT: a zombie wakes")
async def pause(ground: Ground, chance: random.Random) -> str:
    member = chance.choice(ground.members)
    seconds = chance.choice([1.0, 4.0, PAST_SESSION])
    member.paused = True
    member.signal(signal.SIGSTOP)
    ended = 0
    try:
        await lasting(seconds / 2)
        if "relay" in member.roles and chance.random() < 0.5:
            # What a server's timeout does in earnest: the session is gone and with it the lock.
            ended = await _end_sessions(ground, member.service)
        await lasting(seconds / 2)
    finally:
        member.signal(signal.SIGCONT)
        member.paused = False
    return f"{member.name} for {seconds:.0f} s" + (f", {ended} sessions ended meanwhile" if ended else "")


async def _end_sessions(ground: Ground, service: str) -> int:
    connection = await ground.administrator(service)
    try:
        return len(
            await connection.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename LIKE '%worker'"
            )
        )
    finally:
        await connection.close()


def _some(ground: Ground, chance: random.Random) -> tuple[str, list[Proxy]]:
    return chance.choice(
        [
            ("PostgreSQL", [ground.to_postgres]),
            ("Kafka", [ground.to_kafka]),
            ("both", [ground.to_postgres, ground.to_kafka]),
        ]
    )


@fault("cut", "connections are reset, some or all")
async def cut(ground: Ground, chance: random.Random) -> str:
    name, proxies = _some(ground, chance)
    share = chance.choice([0.3, 1.0])
    return f"{sum(proxy.cut(share, chance) for proxy in proxies)} connections to {name}"


@fault("refuse", "connections are reset and new ones refused")
async def refuse(ground: Ground, chance: random.Random) -> str:
    name, proxies = _some(ground, chance)
    seconds = chance.uniform(1, 6)
    try:
        for proxy in proxies:
            proxy.set("refuse")
            proxy.cut()
        await lasting(seconds)
    finally:
        for proxy in proxies:
            proxy.set("open")
    return f"{name} for {seconds:.1f} s"


@fault("delay", "every piece of every connection is late")
async def delay(ground: Ground, chance: random.Random) -> str:
    name, proxies = _some(ground, chance)
    late, seconds = chance.choice([0.02, 0.1, 0.5]), chance.uniform(2, 8)
    try:
        for proxy in proxies:
            proxy.set("delay", late)
        await lasting(seconds)
    finally:
        for proxy in proxies:
            proxy.set("open")
    return f"{name} by {late:.2f} s for {seconds:.1f} s"


@fault("half-open", "connections stay up and carry nothing; afterwards they go on, or are reset")
async def half_open(ground: Ground, chance: random.Random) -> str:
    name, proxies = _some(ground, chance)
    seconds, reset = chance.choice([3.0, 8.0, 15.0, 25.0]), chance.random() < 0.5
    try:
        for proxy in proxies:
            proxy.set("swallow")
        await lasting(seconds)
        if reset:
            for proxy in proxies:
                proxy.cut()
    finally:
        for proxy in proxies:
            proxy.set("open")
    return f"{name} for {seconds:.0f} s, then {'reset' if reset else 'on'}"


@fault("postgres", "PostgreSQL is killed -9 with all its sessions and started again")
async def postgres(ground: Ground, chance: random.Random) -> str:
    await asyncio.to_thread(crash_postgres, ground.postgres)
    down = chance.choice([0.0, 1.0, 4.0])
    await lasting(down)
    await asyncio.to_thread(ground.postgres.start)
    return f"down for {down:.0f} s and its recovery"


@fault("kafka", "Kafka is killed -9 and started again")
async def kafka(ground: Ground, chance: random.Random) -> str:
    await asyncio.to_thread(crash_kafka, ground.kafka)
    down = chance.choice([0.0, 1.0, 4.0])
    await lasting(down)
    await asyncio.to_thread(ground.kafka.start)
    return f"down for {down:.0f} s and its recovery"


@fault("connections", "PostgreSQL has no connection left")
async def connections(ground: Ground, chance: random.Random) -> str:
    held: list[asyncpg.Connection[asyncpg.Record]] = []
    seconds = chance.uniform(2, 6)
    ended = await _end_sessions(ground, chance.choice(["clerk", "archive"]))
    try:
        with contextlib.suppress(asyncpg.TooManyConnectionsError, OSError):
            while len(held) < MOST_CONNECTIONS:
                held += [await ground.administrator()]
        await lasting(seconds)
    finally:
        for connection in held:
            connection.terminate()
    return f"{len(held)} taken for {seconds:.1f} s, {ended} sessions ended first"


@fault("locks", "rows are locked in the wrong order by another: deadlocks, lock waits")
async def locks(ground: Ground, chance: random.Random) -> str:
    before = await _deadlocks(ground)
    rounds = 6
    for _ in range(rounds):
        service = chance.choice(["clerk", "archive"])
        connection = await ground.administrator(service)
        try:
            async with asyncio.timeout(6):
                await _lock_backwards(connection, service, chance)
        except (asyncpg.DeadlockDetectedError, TimeoutError):
            pass
        finally:
            connection.terminate()
    return f"{rounds} intruders, {await _deadlocks(ground) - before} deadlocks"


async def _lock_backwards(connection: asyncpg.Connection[asyncpg.Record], service: str, chance: random.Random) -> None:
    async with connection.transaction():
        await connection.execute("SET LOCAL deadlock_timeout = '3s'")  # let the other be the victim
        if service == "clerk":
            papers = [f"p{number}" for number in range(4)]
            chance.shuffle(papers)
            for paper in papers:
                await connection.execute("SELECT FROM papers WHERE paper_id = $1 FOR UPDATE", paper)
                await lasting(0.1)
        else:
            for number in sorted(range(12), reverse=True):
                await connection.execute("SELECT FROM offsets WHERE partition = $1 FOR UPDATE", number)
                await lasting(0.02)


async def _deadlocks(ground: Ground) -> int:
    connection = await ground.administrator()
    try:
        return int(await connection.fetchval("SELECT sum(deadlocks) FROM pg_stat_database"))
    finally:
        await connection.close()


@fault("serialization", "every transaction is serializable for a while and fails as such")
async def serialization(ground: Ground, chance: random.Random) -> str:
    level, seconds = chance.choice(["serializable", "repeatable read"]), chance.uniform(4, 8)
    service = chance.choice(["clerk", "archive"])
    connection = await ground.administrator()
    database = f"{ground.looking.prefix}{service}"
    try:
        await connection.execute(f"ALTER DATABASE \"{database}\" SET default_transaction_isolation = '{level}'")
        await _end_sessions(ground, service)
        ground.to_postgres.cut()
        await lasting(seconds)
    finally:
        await connection.execute(f'ALTER DATABASE "{database}" RESET default_transaction_isolation')
        ground.to_postgres.cut()
        await connection.close()
    return f"{service} {level} for {seconds:.1f} s"


@fault("open-write", "a write transaction stays open in another database of the cluster")
async def open_write(ground: Ground, chance: random.Random) -> str:
    connection = await ground.administrator()
    seconds = chance.uniform(4, 12)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetchval("SELECT pg_current_xact_id()")
        await lasting(seconds)
        await transaction.rollback()
    finally:
        connection.terminate()
    return f"for {seconds:.1f} s"


@fault("clock", "the town's clock steps, forward or back")
async def clock(ground: Ground, chance: random.Random) -> str:
    hours = chance.choice([-48, -1, 1, 24, 24 * 40])
    for service in ("clerk", "archive"):
        connection = await ground.administrator(service)
        try:
            await connection.execute(STEP_CLOCK, hours)
        finally:
            await connection.close()
    return f"{hours:+} h"


STEP_CLOCK = """
INSERT INTO civil_clock (civil_at, machine_at)
VALUES (clock_timestamp() + make_interval(hours => $1), clock_timestamp())
ON CONFLICT (singleton) DO UPDATE
SET civil_at = civil_clock.civil_at + (clock_timestamp() - civil_clock.machine_at) + make_interval(hours => $1),
    machine_at = clock_timestamp()
"""


@fault("rebalance", "members of the consumer group come and go")
async def rebalance(ground: Ground, chance: random.Random) -> str:
    service, seconds, joined = chance.choice(["clerk", "archive"]), chance.uniform(4, 9), 0
    topic = {"clerk": "archive.events", "archive": "clerk.events"}[service]
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        # A guest reads nothing: it takes partitions away and gives them back.
        guest = AIOKafkaConsumer(
            bootstrap_servers=ground.looking.kafka,
            group_id=f"{ground.looking.prefix}{service}",
            enable_auto_commit=False,
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        )
        guest.subscribe([f"{ground.looking.prefix}{topic}"])
        await guest.start()
        joined += 1
        await lasting(chance.uniform(0.1, 1.0))
        await guest.stop()
    return f"{joined} guests in {service}'s group within {seconds:.1f} s"


@fault("disk", "the disk of PostgreSQL or of Kafka is full until somebody frees it")
async def disk(ground: Ground, chance: random.Random) -> str:
    if not ground.small_disks:
        raise NotReachedError("the servers have no small disks")
    servers: list[Postgres | Kafka] = [ground.postgres, ground.kafka]
    server = chance.choice(servers)
    name, seconds = "PostgreSQL" if server is ground.postgres else "Kafka", chance.uniform(3, 8)
    filled = await asyncio.to_thread(fill, server.directory)
    try:
        await lasting(seconds)
    finally:
        free(server.directory)
    await lasting(1)
    ended = server.process is not None and server.process.poll() is not None
    if ended:  # PostgreSQL where the log cannot grow, Kafka always: whoever frees the disk starts them again
        await asyncio.to_thread(server.start)
    return f"{name}, {filled} MB taken for {seconds:.1f} s" + (", it ended and was started again" if ended else "")
