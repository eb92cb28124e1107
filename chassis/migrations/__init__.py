"""Runs SQL migrations: chassis' own first, then the service's, each once, each checked against what was landed.

Promise: two runners at once do no harm (one waits), a file that was changed after it ran is refused, and a file that
fails leaves nothing behind. The waiter polls a try-lock: a blocking advisory lock would deadlock with
``CREATE INDEX CONCURRENTLY``, which waits for every transaction, the waiter's too.

A file is ``NNNN_name.sql`` and runs in one transaction, unless its first line is ``-- no-transaction``: then its
statements run one by one and each must bear being run again.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from chassis.clocks import monotonic

CHASSIS = Path(__file__).parent
NO_TRANSACTION = "-- no-transaction"
_NAME = re.compile(r"^[0-9]{4}_[a-z0-9_]+\.sql$")
_LOCK = 0x7461697761
"""``taiwa`` in ASCII; one lock per database."""

_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '10s'"
"""A migration that waits for a table makes everybody who needs the table wait behind it: better it fails."""

_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


class MigrationError(Exception):
    """A migration cannot run; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. ``name`` is ``<origin>/<file name>``, unique within a database."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def in_transaction(self) -> bool:
        """Whether the file runs as one transaction."""
        return not self.sql.startswith(NO_TRANSACTION)


def migrations_of(origin: str, directory: Path) -> list[Migration]:
    """The files of a directory in order.

    Raises:
        MigrationError: a file's name is not ``NNNN_name.sql``.
    """
    found = []
    for path in sorted(directory.glob("*.sql")):
        if _NAME.match(path.name) is None:
            raise MigrationError(f"rename {path}: a migration is called NNNN_lower_case.sql")
        found.append(Migration(f"{origin}/{path.name}", path.read_text(encoding="utf-8")))
    return found


def wanted_migrations(service: str, directory: Path) -> list[Migration]:
    """Everything a service's database needs, chassis' own first."""
    return [*migrations_of("chassis", CHASSIS), *migrations_of(service, directory)]


async def pending(connection: asyncpg.Connection[asyncpg.Record], wanted: Sequence[Migration]) -> list[Migration]:
    """What has not run yet.

    Raises:
        MigrationError: a file was edited after it ran, or the database ran one that this version does not know.
    """
    await connection.execute(_LEDGER)
    done = {
        row["name"]: row["checksum"] for row in await connection.fetch("SELECT name, checksum FROM schema_migrations")
    }
    known = {migration.name: migration for migration in wanted}
    if unknown := sorted(set(done) - set(known)):
        raise MigrationError(f"the database is newer than this version (it ran {unknown[0]}); start the newer version")
    for name, checksum in done.items():
        if known[name].checksum != checksum:
            raise MigrationError(f"{name} was changed after it ran; undo the change and write a new migration")
    return [migration for migration in wanted if migration.name not in done]


async def migrate(
    connection: asyncpg.Connection[asyncpg.Record],
    wanted: Sequence[Migration],
    *,
    owner: str | None = None,
    patience: float = 60,
) -> list[str]:
    """Run what is pending, as role ``owner`` if given, and give the names that ran.

    Raises:
        MigrationError: see :func:`pending`; or another runner held the lock for ``patience`` seconds; or a file failed.
    """
    deadline = monotonic() + patience
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        if monotonic() > deadline:
            raise MigrationError("another migration has been running for a minute; look at pg_stat_activity")
        await asyncio.sleep(0.1)
    try:
        if owner is not None:
            await connection.execute(f'SET ROLE "{owner}"')
        ran = []
        for migration in await pending(connection, wanted):
            try:
                await _run(connection, migration)
            except asyncpg.PostgresError as error:
                raise MigrationError(f"{migration.name} failed: {error}") from error
            ran.append(migration.name)
        return ran
    finally:
        if owner is not None:
            await connection.execute("RESET ROLE")
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _run(connection: asyncpg.Connection[asyncpg.Record], migration: Migration) -> None:
    record = "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)"
    if migration.in_transaction:
        async with connection.transaction():
            await connection.execute(_LOCK_TIMEOUT)
            await connection.execute(migration.sql)
            await connection.execute(record, migration.name, migration.checksum)
        return
    for statement in filter(None, (part.strip() for part in migration.sql.split(";\n"))):
        await connection.execute(statement)
    await connection.execute(record, migration.name, migration.checksum)
