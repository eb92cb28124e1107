"""What the simulated PostgreSQL promises the schedules; each check runs on it and on a real one.

A check gets the worker's :class:`chassis.database.Database` of an empty service and works through the product's own
functions. Waiting for a lock is told apart from going on by a pause, of computed time in the one case.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import pytest

from chassis import dead_letters, timers
from chassis.clocks import machine_now
from chassis.consumer.decide import Known
from chassis.consumer.ledger import _LOCK, Ledger, Offset
from chassis.database import ALL_MUNICIPALITIES, Database
from chassis.dead_letters import HELD, Failure, StoredRecord
from chassis.operations import letters
from chassis.relay.log import EventLog
from chassis.relay.window import START, Place
from chassis.testing import eventually
from chassis.transaction import Actor, Connection, Transaction
from tests.integration.messaging.facts import ThingMadeV1

T = TypeVar("T")
Check = Callable[[Database], Awaitable[None]]
CHECKS: list[Check] = []

TOWN = "999997"
TOPIC = "source.events"
PLACE = (TOPIC, 0)
SYSTEM = Actor("system", "test")
LEDGER = Ledger("contract")


def check(it: Check) -> Check:
    """One of the suite."""
    CHECKS.append(it)
    return it


async def waits(task: asyncio.Task[Any]) -> bool:
    """Whether a task waits for somebody."""
    await asyncio.sleep(0.3)  # paced: nothing tells that a lock is not given
    return not task.done()


def transaction(database: Database) -> AbstractAsyncContextManager[Transaction]:
    """A command of nobody in particular."""
    return database.transaction(TOWN, SYSTEM)


class UndoneError(Exception):
    """Raised to roll back."""


@asynccontextmanager
async def rolled_back(scope: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """A transaction that is given up at the end of the block."""
    with suppress(UndoneError):
        async with scope as it:
            yield it
            raise UndoneError


async def emit(database: Database, thing: str) -> None:
    async with transaction(database) as it:
        it.emit(ThingMadeV1(thing_id=thing), version=1)


async def seen(log: EventLog, place: Place, limit: int = 10) -> tuple[list[str], Place]:
    """The things of the next page, and the place after it."""
    if place.cur is None:
        rows, opened = await log.open(place, await log.floor(place.prev.floor), START.prev.taken_at, limit)
    else:
        rows, opened = await log.page(place, START.prev.taken_at, limit), place
    things = [row["key"].decode().rpartition("/")[2] for row in rows]
    return things, opened.after([row["position"] for row in rows], limit)


def logged(work: Callable[[Database, EventLog], Coroutine[Any, Any, None]]) -> Check:
    """A check with a session that leads."""

    async def run(database: Database) -> None:
        connection = await database.pool.acquire()
        log = EventLog(connection, START, "kafka")
        assert await log.lead()
        await log.place()
        try:
            await work(database, log)
        finally:
            await log.resign()
            await database.pool.release(connection)

    run.__name__ = work.__name__
    return check(run)


@logged
async def a_transaction_that_commits_late_is_in_a_later_window(database: Database, log: EventLog) -> None:
    async with transaction(database) as slow:
        slow.emit(ThingMadeV1(thing_id="slow"), version=1)
        await slow.flush()
        await emit(database, "quick")
        things, place = await seen(log, START)
        assert things == ["quick"]
        assert place.prev.open_transactions
    things, place = await seen(log, place)
    assert things == ["slow"]
    assert (await seen(log, place))[0] == []


@logged
async def a_window_does_not_grow_while_it_is_walked(database: Database, log: EventLog) -> None:
    for thing in ("a", "b", "c"):
        await emit(database, thing)
    first, place = await seen(log, START, limit=2)
    await emit(database, "later")
    second, place = await seen(log, place, limit=2)
    third, _ = await seen(log, place, limit=2)
    assert (first, second, third) == (["a", "b"], ["c"], ["later"])


@logged
async def whoever_drew_a_position_before_the_barrier_is_below_xmax(database: Database, log: EventLog) -> None:
    """The transaction has an id and a position, and nothing has ended since: a snapshot alone would not tell."""
    async with transaction(database) as open_:
        open_.emit(ThingMadeV1(thing_id="open"), version=1)
        await open_.flush()
        floor = await log.floor(0)
        rows, opened = await log.open(START, floor, START.prev.taken_at, 10)
        assert rows == []
        assert floor > 0
        assert opened.cur is not None
        assert opened.cur.open_transactions
    assert (await seen(log, opened.after([], 10)))[0] == ["open"]


@logged
async def a_position_that_was_rolled_back_is_not_given_again(database: Database, log: EventLog) -> None:
    await emit(database, "a")
    before = await log.floor(0)
    async with rolled_back(transaction(database)) as it:
        it.emit(ThingMadeV1(thing_id="b"), version=1)
        await it.flush()
    assert await log.floor(before) == before + 1
    assert (await seen(log, START))[0] == ["a"]


@logged
async def a_saved_place_is_read_back_and_the_floor_told(database: Database, log: EventLog) -> None:
    await emit(database, "a")
    _, place = await seen(log, START)
    assert await log.save(place) == place.prev.floor
    assert await log.place() == place


@logged
async def only_one_session_leads_until_it_ends(database: Database, log: EventLog) -> None:
    del log
    other = await database.pool.acquire()
    assert not await EventLog(other, START, "kafka").lead()
    await database.pool.release(other)


@check
async def a_lock_goes_with_its_session(database: Database) -> None:
    first = await database.pool.acquire()
    assert await EventLog(first, START, "kafka").lead()
    first.terminate()
    await database.pool.release(first)
    second = await database.pool.acquire()
    log = EventLog(second, START, "kafka")
    assert await eventually(log.lead)
    await log.resign()
    await database.pool.release(second)


async def take(connection: Connection, *partitions: int) -> dict[tuple[str, int], Offset]:
    """Make offset rows and lock them."""
    await LEDGER.take(connection, dict.fromkeys([(TOPIC, it) for it in partitions], 0), "kafka", lambda _: 1)
    return await LEDGER.lock(connection, [(TOPIC, it) for it in partitions])


async def made(database: Database, *partitions: int) -> None:
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        await take(connection, *partitions)


@check
async def a_locked_offset_is_waited_for_and_then_read_anew(database: Database) -> None:
    await made(database, 0)

    async def second() -> int:
        async with database.scoped(ALL_MUNICIPALITIES) as connection:
            return (await LEDGER.lock(connection, [PLACE]))[PLACE].next

    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        await LEDGER.lock(connection, [PLACE])
        task = asyncio.create_task(second())
        assert await waits(task)
        await LEDGER.settle(connection, {PLACE: (7, 0)})
    assert await task == 7


@check
async def an_offset_read_without_a_lock_is_the_old_one_at_once(database: Database) -> None:
    await made(database, 0)
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        await LEDGER.lock(connection, [PLACE])
        await LEDGER.settle(connection, {PLACE: (7, 0)})
        async with database.scoped(ALL_MUNICIPALITIES) as other:
            rows = await other.fetch(_LOCK.replace("FOR UPDATE", ""), LEDGER.consumer, [TOPIC], [0])
            assert [row["next"] for row in rows] == [0]


@check
async def offset_rows_are_made_once(database: Database) -> None:
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        await take(connection, 0, 1)
        await LEDGER.settle(connection, {PLACE: (3, 0)})
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        rows = await take(connection, 0, 1)
    assert {place: row.next for place, row in rows.items()} == {PLACE: 3, (TOPIC, 1): 0}


@check
async def versions_and_offsets_move_together_or_not_at_all(database: Database) -> None:
    await made(database, 0)
    key, known = (TOWN, "source", "thing/a"), Known(2, uuid4())
    scope = database.scoped(ALL_MUNICIPALITIES)
    for scoped, expected in ((rolled_back(scope), {}), (database.scoped(ALL_MUNICIPALITIES), {key: known})):
        async with scoped as connection:
            await LEDGER.settle(connection, {PLACE: (1, 0)}, {key: known})
        async with database.scoped(ALL_MUNICIPALITIES) as connection:
            assert (await LEDGER.lock(connection, [PLACE]))[PLACE].next == len(expected)
            assert await LEDGER.versions(connection, [key]) == expected


@check
async def a_connection_that_ends_takes_its_transaction_along(database: Database) -> None:
    await made(database, 0)
    with suppress(asyncpg.InterfaceError):  # asyncpg takes the pool's hand off a terminated connection at once
        async with rolled_back(database.scoped(ALL_MUNICIPALITIES)) as connection:
            await LEDGER.settle(connection, {PLACE: (9, 0)})
            connection.terminate()
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        assert (await LEDGER.lock(connection, [PLACE]))[PLACE].next == 0


@check
async def two_that_wait_for_each_other_are_told_apart(database: Database) -> None:
    await made(database, 0, 1)

    async def lock_both(first: int, second: int) -> None:
        async with database.scoped(ALL_MUNICIPALITIES) as connection:
            await LEDGER.lock(connection, [(TOPIC, first)])
            await asyncio.sleep(0.3)  # paced: both shall have their first one
            await LEDGER.lock(connection, [(TOPIC, second)])

    answers = await asyncio.gather(lock_both(0, 1), lock_both(1, 0), return_exceptions=True)
    assert sorted(type(it).__name__ for it in answers) == ["DeadlockDetectedError", "NoneType"]


@check
async def a_savepoint_takes_back_what_came_after_it(database: Database) -> None:
    await made(database, 0)
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        await LEDGER.settle(connection, {PLACE: (1, 0)})
        await connection.execute("SAVEPOINT event")
        await LEDGER.settle(connection, {PLACE: (2, 0)})
        await connection.execute("ROLLBACK TO SAVEPOINT event")
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        assert (await LEDGER.lock(connection, [PLACE]))[PLACE].next == 1


async def schedule(database: Database, *names: str, due_in: float = 0) -> None:
    async with transaction(database) as it:
        for name in names:
            it.schedule("remind", f"thing/{name}", it.now + timedelta(seconds=due_in))


async def claim(connection: Connection, limit: int = 10) -> list[str]:
    rows = await connection.fetch(timers._CLAIM, machine_now(), ["remind"], limit)
    return sorted(row["aggregate"] for row in rows)


@check
async def a_claimed_timer_is_passed_over_by_others_and_comes_back_on_rollback(database: Database) -> None:
    await schedule(database, "a", "b")
    await schedule(database, "later", due_in=3600)
    scopes = database.scoped(ALL_MUNICIPALITIES), rolled_back(database.scoped(ALL_MUNICIPALITIES))
    async with scopes[0] as other, scopes[1] as connection:
        assert len(await claim(connection, 1)) == 1
        assert len(await claim(other)) == 1
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        assert len(await claim(connection)) == 1


@check
async def who_cancels_waits_for_who_runs(database: Database) -> None:
    await schedule(database, "a")

    async def cancel() -> None:
        async with transaction(database) as it:
            it.cancel("remind", "thing/a")

    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        await claim(connection)
        task = asyncio.create_task(cancel())
        assert await waits(task)
    await task


@check
async def a_handler_may_set_its_timer_anew(database: Database) -> None:
    await schedule(database, "a")
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        assert await claim(connection) == ["thing/a"]
        await connection.execute(
            timers._PUT_BACK, TOWN, "thing/a", "remind", machine_now(), uuid4(), 1, timedelta(hours=1), False
        )
        assert await claim(connection) == []
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        assert await claim(connection) == [], "it is tried again in an hour"


def record(offset: int, key: bytes = b"999997/thing/a") -> StoredRecord:
    headers = [("ce_municipality", TOWN.encode()), ("ce_id", str(uuid4()).encode()), ("ce_type", b"t")]
    return StoredRecord(TOPIC, 0, offset, key, b"{}", headers)


async def set_aside(connection: Connection, failure: Failure, offset: int, key: bytes = b"999997/thing/a") -> UUID:
    return await dead_letters.write(
        connection,
        LEDGER.consumer,
        record(offset, key),
        failure,
        topic=TOPIC,
        aggregate="thing/a",
        version=offset,
        cluster_id="kafka",
        generation=1,
        holds=True,
    )


@check
async def letters_are_dealt_with_in_the_order_of_their_offsets(database: Database) -> None:
    await made(database, 0)
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        dead = await set_aside(connection, Failure("dead", "code", "why"), 1)
        held = [await set_aside(connection, HELD, offset) for offset in (2, 3)]
        other = await set_aside(connection, Failure("deferred", "code", "why", timedelta()), 4, b"999997/thing/b")
        await LEDGER.settle(connection, {PLACE: (5, 4)})
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        counts = await dead_letters.held_keys(connection, LEDGER.consumer, [PLACE])
        assert counts == {(TOPIC, 0, b"999997/thing/a"): 3, (TOPIC, 0, b"999997/thing/b"): 1}
        assert [it[0] for it in await dead_letters.heads(connection, LEDGER.consumer)] == [other]
        assert await dead_letters.open_letter(connection, held[0], "") is None
        assert await dead_letters.open_letter(connection, dead, "") is None
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        await letters.replay(connection, [dead])
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        assert {it[0] for it in await dead_letters.heads(connection, LEDGER.consumer)} == {dead, other}
        found = await dead_letters.open_letter(connection, dead, "")
        assert found is not None
        assert (found[0].offset, found[0].value) == (1, b"{}")
        await dead_letters.close(connection, dead, "applied")
        assert {it[0] for it in await dead_letters.heads(connection, LEDGER.consumer)} == {held[0], other}
        await dead_letters.keep(connection, held[0], Failure("dead", "code", "why"), 2)
        assert {it[0] for it in await dead_letters.heads(connection, LEDGER.consumer)} == {other}


@check
async def a_discarded_letter_counts_as_dealt_with(database: Database) -> None:
    await made(database, 0)
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        dead = await set_aside(connection, Failure("dead", "code", "why"), 4)
        await LEDGER.settle(connection, {PLACE: (5, 1)})
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        await letters.discard(connection, dead)
    async with database.scoped(ALL_MUNICIPALITIES) as connection:
        assert (await LEDGER.lock(connection, [PLACE]))[PLACE].open_letters == 0
        known = await LEDGER.versions(connection, [(TOWN, "source", "thing/a")])
        assert [it.version for it in known.values()] == [4]
        with pytest.raises(letters.LetterClosed):
            await letters.discard(connection, dead)
