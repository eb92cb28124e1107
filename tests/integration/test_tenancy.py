"""Nothing of one municipality is ever read or changed by another.

The tables come from ``pg_class`` and the routes from OpenAPI, so a new one that nobody thought of fails here: a table
is walled off or stands in ``SHARED`` with its reason; a route has its step in ``tests/integration/operations``. Each
refusal is paired with the same attempt succeeding for its own town: a wall that keeps everybody out proves nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from chassis.clocks import machine_now
from chassis.database import Database, role_name
from chassis.testing import MIDORI, OTHER_TOWN, Installation, Running, running
from chassis.transaction import Connection
from services.portal import main as portal
from tests.integration.operations import WALKS, Step, Walk, World
from tests.integration.operations.walk import operations_of

SHARED = {
    "schema_migrations": "which migrations ran; no town's",
    "civil_clock": "the simulated time of the whole installation",
    "relay_place": "how far the event log is published; positions only",
    "offsets": "how far topics are consumed; positions only",
    "stops": "what stands still, for the installation's operator",
    "rebuilds": "which projections are being built anew; names, fingerprints and ids of dead letters only",
}
"""Tables of every service that belong to no town, and why."""

SHARED_OF = {"directory": {"signing_keys": "the installation's own keys for tokens; the api role cannot read them"}}
"""The same, of one service."""

UUIDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
REFUSED = {401, 403, 404, 409, 422}
by_name = pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.service)


# --- routes


@by_name
async def test_no_route_gives_or_changes_anything_of_another_town(installation: Installation, walk: Walk) -> None:
    async with running(walk.main.build, installation, roles=("api",), settings=walk.settings) as it:
        world = World(it)
        await walk.settle(world)
        for step in walk.steps:
            if step.before is not None:
                await step.before(world)
            if not step.nobody:
                before = await own_rows(it)
                await attempt_from_elsewhere(world, walk, step)
                assert await own_rows(it) == before, f"{step.operation} changed another town's rows"
            await step.succeed(world)


async def attempt_from_elsewhere(world: World, walk: Walk, step: Step) -> None:
    """Make the step's request as a caller of another town who has copied ids, roles and the person's own id."""
    own = set(UUIDS.findall(json.dumps(world.ids, default=str)))
    given = {world.ids.get(name) for each in walk.steps for name in (each.by, each.section) if name}
    request = step.request(world)
    carried = own & set(UUIDS.findall(json.dumps(request, default=str)))
    answer = await step.make(world, OTHER_TOWN)
    if answer.is_success:
        leaked = own.intersection(UUIDS.findall(answer.text)) - given
        assert not leaked, f"{step.operation} gives {leaked} to another town: {answer.text}"
        assert not carried, f"{step.operation} takes {carried} of another town: {answer.status_code}"
    else:
        assert answer.status_code in REFUSED, f"{step.operation}: {answer.status_code} {answer.text}"
        told = own.intersection(UUIDS.findall(answer.text)) - carried - given
        assert not told, f"{step.operation} tells {told} to another town when it refuses"


@by_name
async def test_every_route_is_walked(installation: Installation, walk: Walk) -> None:
    async with running(walk.main.build, installation, roles=("api",), settings=walk.settings) as it:
        there, walked = set(operations_of(it.app)), {step.operation for step in walk.steps}
    assert there - walked == set(), "give each a step in tests/integration/operations, so that its wall is tried"
    assert walked - there == set(), "these operations are gone: take their steps away"


# --- tables


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: dict[str, str]
    """Types by name, without generated columns."""
    walled: bool

    @property
    def is_a_tenants(self) -> bool:
        return "municipality" in self.columns


@by_name
async def test_no_table_shows_or_takes_a_row_of_another_town(installation: Installation, walk: Walk) -> None:
    async with running(walk.main.build, installation, roles=("api",), settings=walk.settings) as it:
        world = World(it)
        await walk.settle(world)
        for step in walk.steps:
            if step.before is not None:
                await step.before(world)
            await step.succeed(world)
        await try_every_table(it)


async def test_no_table_of_the_portal_shows_or_takes_a_row_of_another_town(installation: Installation) -> None:
    async with running(portal.build, installation, roles=("api",)) as it:
        await try_every_table(it)


async def try_every_table(it: Running) -> None:
    shared = SHARED | SHARED_OF.get(it.service.name, {})
    async with administering(it) as admin:
        tables = await tables_of(admin)
        unlisted = [table.name for table in tables if not (table.is_a_tenants and table.walled)]
        assert sorted(set(unlisted) - set(shared)) == [], (
            "give these tables a column municipality and SELECT tenant_table('…'), or a reason in SHARED"
        )
        assert await open_partitions(admin, it) == [], "a partition must be reached through its table only"
        tried = [table for table in tables if table.name not in shared]
        assert tried
        for table in tried:
            await try_table(it, admin, table)


async def try_table(it: Running, admin: asyncpg.Connection[asyncpg.Record], table: Table) -> None:
    row = await a_row(admin, table)
    for pool, kind in ((it.database, "api"), (it.worker, "worker")):
        role = role_name(it.installation.settings, it.service.name, kind)
        may = {
            each: await admin.fetchval("SELECT has_table_privilege($1, $2, $3)", role, table.name, each)
            for each in ("SELECT", "INSERT", "UPDATE", "DELETE")
        }
        if may["SELECT"]:
            count = f'SELECT count(*) FROM "{table.name}" WHERE municipality = $1'
            assert await seen(pool, MIDORI, count) > 0, f"{table.name}: {kind} of the own town sees its rows"
            assert await seen(pool, OTHER_TOWN, count) == 0, f"{table.name}: {kind} sees another town's rows"
            assert await seen(pool, None, count) == 0, f"{table.name}: {kind} without a town sees rows"
        for verb, statement in (
            ("UPDATE", f'UPDATE "{table.name}" SET municipality = municipality WHERE municipality = $1'),
            ("DELETE", f'DELETE FROM "{table.name}" WHERE municipality = $1'),
        ):
            if may[verb] and may["SELECT"]:
                assert await touched(pool, OTHER_TOWN, statement) == 0, f"{table.name}: {kind} may {verb} elsewhere"
                if verb == "UPDATE":
                    assert await touched(pool, MIDORI, statement) > 0, f"{table.name}: {kind} may not {verb} at home"
        if may["INSERT"]:
            assert await inserts(pool, MIDORI, table, row) != "walled off", f"{table.name}: {kind} inserts at home"
            assert await inserts(pool, OTHER_TOWN, table, row) == "walled off", (
                f"{table.name}: {kind} inserts elsewhere"
            )
            assert await inserts(pool, None, table, row) == "walled off", f"{table.name}: {kind} inserts without a town"


async def seen(pool: Database, town: str | None, count: str) -> int:
    """How many rows of みどり町 a connection in that scope sees."""
    async with undone(pool, town) as connection:
        return int(await connection.fetchval(count, MIDORI))


async def touched(pool: Database, town: str, statement: str) -> int:
    """How many rows of みどり町 the statement reaches in that scope; undone."""
    async with undone(pool, town) as connection:
        done = await connection.execute(statement, MIDORI)
    return int(done.split()[-1])


@asynccontextmanager
async def undone(pool: Database, town: str | None) -> AsyncIterator[Connection]:
    """A connection in that scope (none: without a town) whose transaction is rolled back."""
    async with pool.pool.acquire() as connection:
        await connection.execute("BEGIN" if town is None else f"BEGIN; SET LOCAL taiwa.municipality = '{town}'")
        try:
            yield connection
        finally:
            await connection.execute("ROLLBACK")


async def inserts(pool: Database, town: str | None, table: Table, row: str) -> str:
    """What becomes of a row of みどり町 that is inserted in that scope; undone."""
    columns = ", ".join(f'"{name}"' for name in table.columns)
    statement = (
        f'INSERT INTO "{table.name}" ({columns}) OVERRIDING SYSTEM VALUE '
        f'SELECT {columns} FROM jsonb_populate_record(NULL::"{table.name}", $1::jsonb)'
    )
    try:
        async with undone(pool, town) as connection:
            await connection.execute(statement, row)
    except asyncpg.InsufficientPrivilegeError:
        return "walled off"
    except asyncpg.IntegrityConstraintViolationError:
        return "there already"
    return "inserted"


async def tables_of(admin: asyncpg.Connection[asyncpg.Record]) -> list[Table]:
    """Every table of the database, partitions as part of theirs."""
    rows = await admin.fetch("""
        SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity
                   AND (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) >= 2 AS walled,
               json_object_agg(a.attname, format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS columns
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        GROUP BY c.oid ORDER BY c.relname
    """)
    return [Table(row["relname"], json.loads(row["columns"]), row["walled"]) for row in rows]


async def open_partitions(admin: asyncpg.Connection[asyncpg.Record], it: Running) -> list[str]:
    """Partitions that a role may use past their table's wall."""
    roles = [role_name(it.installation.settings, it.service.name, kind) for kind in ("api", "worker")]
    rows = await admin.fetch(
        """
        SELECT c.relname FROM pg_class AS c, unnest($1::text[]) AS role
        WHERE c.relispartition AND c.relkind = 'r'
          AND has_table_privilege(role, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
        """,
        roles,
    )
    return [row["relname"] for row in rows]


async def a_row(admin: asyncpg.Connection[asyncpg.Record], table: Table) -> str:
    """A row of みどり町 as JSON: one that the walk made, else one made up."""
    find = f'SELECT to_jsonb(t) FROM "{table.name}" AS t WHERE municipality = $1 LIMIT 1'
    row: str | None = await admin.fetchval(find, MIDORI)
    if row is not None:
        return row
    async with admin.transaction():
        await admin.execute("SET LOCAL session_replication_role = 'replica'")
        columns = {name: made_up(name, kind) for name, kind in table.columns.items()}
        names = ", ".join(f'"{name}"' for name in columns)
        await admin.execute(
            f'INSERT INTO "{table.name}" ({names}) OVERRIDING SYSTEM VALUE '
            f'SELECT {names} FROM jsonb_populate_record(NULL::"{table.name}", $1::jsonb)',
            json.dumps(columns),
        )
    made: str = await admin.fetchval(find, MIDORI)
    return made


CHECKED = {
    "source": "record",
    "kind": "dead",
    "scope": "paused",
    "outcome": None,
    "state": "waiting",
    "act": "seen",
    "operator_kind": "staff",
}
"""Words that a table's CHECK takes."""


def made_up(name: str, kind: str) -> Any:
    """A value for a column."""
    if name == "municipality":
        return MIDORI
    if name in CHECKED:
        return CHECKED[name]
    if kind.endswith("[]"):
        return []
    values: dict[str, Any] = {
        "uuid": "019e388c-eba0-7b9c-8400-122bae8c6a62",
        "boolean": False,
        "date": "2026-04-13",
        "timestamp with time zone": machine_now().isoformat(),
        "jsonb": [],
        "bytea": "\\x00",
        "text": "x",
    }
    return values.get(kind, 1)


@asynccontextmanager
async def administering(it: Running) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A superuser's connection to the service's database: no wall holds it."""
    database = f"{it.installation.settings.prefix}{it.service.name}"
    connection = await asyncpg.connect(it.installation.admin_url, database=database)
    try:
        yield connection
    finally:
        await connection.close()


async def own_rows(it: Running) -> dict[str, str | None]:
    """A fingerprint of all rows of みどり町, by table."""
    async with administering(it) as admin:
        tables = [table.name for table in await tables_of(admin) if table.is_a_tenants]
        each = " UNION ALL ".join(
            f"""SELECT '{name}' AS name, md5(string_agg(t::text, '' ORDER BY t::text)) AS print
                FROM "{name}" AS t WHERE municipality = $1"""
            for name in tables
        )
        return {row["name"]: row["print"] for row in await admin.fetch(each, MIDORI)}
