"""Whether the servers are such that our promises can be kept on them: asked before a service begins, and by the doctor.

Promise: nothing begins on a PostgreSQL that may forget a commit, behind a pooler that gives locks to others, on clocks
that differ, or on topics that lose order or records. Each refusal is a sentence that ends in what mends it.

Proven by ``tests/integration/chassis/test_startup.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from chassis.clocks import machine_now
from chassis.database import Database
from chassis.migrations import Migration
from chassis.service import ReadableFact
from chassis.settings import InstallationSettings
from chassis.topics import TopicSpec, verify_topics
from chassis.transaction import Connection

SKEW = timedelta(seconds=30)
"""Tokens, leases and retries are compared across machines; they bear this much."""

_SETTINGS = """
SELECT current_setting('synchronous_commit') AS synchronous_commit, current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes, clock_timestamp() AS clock
"""


def forgetful(found: Mapping[str, Any], *, production: bool) -> str | None:
    """Why PostgreSQL may forget what it has committed; ``found``: its settings as this session has them."""
    if found["synchronous_commit"] == "off":
        return (
            "synchronous_commit is off, so an answered command may be lost; remove it from postgresql.conf, ALTER "
            "SYSTEM, ALTER ROLE, ALTER DATABASE or the pooler's settings"
        )
    for setting in ("fsync", "full_page_writes"):
        if production and found[setting] == "off":
            return f"{setting} is off, so a power cut destroys the database; set {setting} = on and restart PostgreSQL"
    return None


def skew(before: datetime, there: datetime, after: datetime) -> str | None:
    """How far PostgreSQL's clock surely is from this machine's, read before and after it."""
    gap = max(before - there, there - after)
    if gap <= SKEW:
        return None
    direction = "behind" if there < before else "ahead of"
    return (
        f"PostgreSQL's clock is {gap.total_seconds():.0f} s {direction} this machine's; synchronise both, for example "
        "with chrony, and restart"
    )


async def database_problem(
    connection: Connection, installation: InstallationSettings, *, now: Callable[[], datetime] = machine_now
) -> str | None:
    """Why nothing may be written here; ``None``: all is well."""
    before = now()
    row = await connection.fetchrow(_SETTINGS)
    after = now()
    if row is None:
        return "PostgreSQL does not tell its settings"
    production = installation.environment == "production"
    return forgetful(dict(row), production=production) or skew(before, row["clock"], after)


async def pooler_problem(database: Database) -> str | None:
    """Whether a pooler hands our sessions to others: an advisory lock would then be held by nobody we know."""
    pids: list[int] = []
    try:
        async with database.pool.acquire() as one, database.pool.acquire() as other:
            pids.append(await one.fetchval(_PID))
            await other.execute("BEGIN")
            try:
                elsewhere = await other.fetchval(_PID)
            finally:
                await other.execute("ROLLBACK")
            pids.append(await one.fetchval(_PID))
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError):
        return _POOLER
    return _POOLER if elsewhere in pids or pids[0] != pids[1] else None


_PID = "SELECT pg_backend_pid()"
_POOLER = (
    "a pooler gives this session's transactions to different connections of PostgreSQL, so the relay's lock protects "
    "nothing; set TAIWA_POSTGRES_HOST and TAIWA_POSTGRES_PORT to PostgreSQL itself, or the pooler to session mode"
)


def migration_problem(service: str, done: Mapping[str, str], wanted: Sequence[Migration]) -> str | None:
    """Why the tables are not what this version knows; ``done``: names that ran, with their checksums."""
    known = {it.name: it.checksum for it in wanted}
    if unknown := sorted(set(done) - set(known)):
        return f"the database is newer than this version (it ran {unknown[0]}); start the newer version"
    if missing := [name for name in known if name not in done]:
        return f"{missing[0]} has not run (of {len(missing)}); run `taiwa migrate {service}`"
    if changed := [name for name, checksum in known.items() if done[name] != checksum]:
        return f"{changed[0]} was changed after it ran; install the version that it came with"
    return None


async def topics_problem(installation: InstallationSettings, events: Sequence[type[ReadableFact]]) -> str | None:
    """What is wrong with the topics of these events, the first thing; ``None``: all are as declared.

    Raises:
        aiokafka.errors.KafkaError, OSError: Kafka does not answer.
    """
    specs = sorted({TopicSpec(event.TOPIC, event.STATE) for event in events}, key=lambda spec: spec.name)
    problems = await verify_topics(installation, specs)
    return problems[0] if problems else None
