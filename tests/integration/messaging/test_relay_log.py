"""The relay's query: the right rows, and flat under a backlog and an open transaction of another database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

import asyncpg
import pytest

from chassis.database import database_name
from chassis.relay.log import _OPEN, EventLog, RelayRefusedError, save_place
from chassis.relay.window import START, Place
from chassis.testing import MIDORI, Installation
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy, source_service, toy

_FILL = """
INSERT INTO event_log (event_id, municipality, topic, type, aggregate, version, key_hash, occurred_at, correlation_id,
                       actor_kind, actor_id, payload)
SELECT uuidv7(), $1, 'source.events', 't', 'thing/' || n, 1, n, now(), uuidv7(), 'system', 'x', '{}'
FROM generate_series(1, $2::int) AS n
"""


@pytest.fixture
async def source(installation: Installation) -> AsyncIterator[Toy]:
    async with toy(source_service(installation), installation) as it:
        yield it


@pytest.fixture
async def log(source: Toy) -> AsyncIterator[EventLog]:
    async with source.worker.pool.acquire() as connection:
        it = EventLog(connection, START, "kafka")
        assert await it.lead()
        await it.place()
        yield it
        await it.resign()


async def window(log: EventLog, place: Place, limit: int = 10) -> tuple[list[Any], Place]:
    rows, opened = await log.open(place, await log.floor(place.prev.floor), START.prev.taken_at, limit)
    return rows, opened.after([row["position"] for row in rows], limit)


async def test_a_row_that_commits_late_is_in_the_window_after(source: Toy, log: EventLog) -> None:
    async with source.api.transaction(MIDORI, source.SYSTEM) as slow:
        slow.emit(ThingMadeV1(thing_id="slow"), version=1)
        await slow.flush()
        await source.make("quick", 1)
        rows, place = await window(log, START)
        assert [row["key"] for row in rows] == [f"{MIDORI}/thing/quick".encode()]
        assert place.prev.open_transactions
    rows, place = await window(log, place)
    assert [row["key"] for row in rows] == [f"{MIDORI}/thing/slow".encode()]
    rows, _ = await window(log, place)
    assert rows == []


async def test_a_window_is_walked_in_pages(source: Toy, log: EventLog) -> None:
    async with source.worker.scoped("*") as connection:
        await connection.execute(_FILL, MIDORI, 25)
    place, seen = START, []
    for _ in range(3):
        if place.cur is None:
            rows, opened = await log.open(place, await log.floor(place.prev.floor), START.prev.taken_at, 10)
        else:
            rows, opened = await log.page(place, START.prev.taken_at, 10), place
        seen += [row["position"] for row in rows]
        place = opened.after([row["position"] for row in rows], 10)
    assert seen == list(range(1, 26))
    assert place.cur is None


async def test_only_one_session_leads_and_the_lock_is_really_held(source: Toy, log: EventLog) -> None:
    async with source.worker.pool.acquire() as connection:
        other = EventLog(connection, START, "kafka")
        assert not await other.lead()


async def test_a_place_of_another_postgresql_or_kafka_is_refused_with_the_command(source: Toy, log: EventLog) -> None:
    identifier = await source.value("SELECT system_identifier FROM pg_control_system()")
    await save_place(log.connection, START, system_identifier="another", cluster_id="kafka")
    with pytest.raises(RelayRefusedError, match="taiwa relay rebase"):
        await log.place()
    await save_place(log.connection, START, system_identifier=str(identifier), cluster_id="another")
    with pytest.raises(RelayRefusedError, match="taiwa republish"):
        await log.place()


async def test_a_log_without_a_place_that_came_from_another_postgresql_is_refused(source: Toy, log: EventLog) -> None:
    """Its rows bear ids which this cluster has not given: of a window only the first page would be seen."""
    await source.make("a", 1)
    assert await log.place() == START
    name = database_name(source.installation.settings, source.service.name)
    admin = await asyncpg.connect(source.installation.admin_url, database=name)
    try:
        await admin.execute("UPDATE event_log SET xid = (xid::text::bigint + 1000000000)::text::xid8")
    finally:
        await admin.close()
    with pytest.raises(RelayRefusedError, match="taiwa relay rebase"):
        await log.place()


async def _analyse(source: Toy) -> None:
    name = database_name(source.installation.settings, source.service.name)
    admin = await asyncpg.connect(source.installation.admin_url, database=name)
    try:
        await admin.execute("ANALYZE event_log")
    finally:
        await admin.close()


async def test_the_query_stays_flat_under_a_backlog_and_an_open_transaction_elsewhere(
    source: Toy, log: EventLog, installation: Installation
) -> None:
    """The plan, not the clock: a window of nothing may touch few blocks, whatever lies in the log."""
    elsewhere = await asyncpg.connect(installation.admin_url)
    try:
        await elsewhere.execute("BEGIN; SELECT pg_current_xact_id()")
        async with source.worker.scoped("*") as connection:
            await connection.execute(_FILL, MIDORI, 50_000)
        await _analyse(source)  # from now on the planner believes that nothing lies beyond
        _, opened = await log.open(START, await log.floor(0), START.prev.taken_at, 1)
        assert opened.cur is not None
        place = Place(prev=opened.cur)
        assert place.prev.open_transactions
        async with source.worker.scoped("*") as connection:
            await connection.execute(_FILL, MIDORI, 100)
        floor = await log.floor(place.prev.floor)
        given = (place.prev.taken, floor - 100, 0, 1000, place.prev.taken_at)
        assert place.lower_bound == floor - 100
        (plan,) = json.loads(await log.connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {_OPEN}", *given))
        assert plan["Plan"]["Actual Rows"] == 100
        assert "Seq Scan" not in json.dumps(plan), plan
        assert "Workers" not in json.dumps(plan), plan
        assert plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"] < 400, plan

        began = perf_counter()
        for _ in range(10):
            rows, _ = await log.open(place, floor, place.prev.taken_at, 1000)
            assert len(rows) == 100
        assert (perf_counter() - began) / 10 < 0.5
    finally:
        await elsewhere.close()
