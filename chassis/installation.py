"""Makes what a service needs in PostgreSQL: its three roles, its database, its tables.

``<service>_owner`` cannot log in; migrations run as it. ``_api`` and ``_worker`` log in with the service's password
and own nothing. Needs an administrator's connection; safe to run again, also by two at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import asyncpg

from chassis.database import database_name, role_name
from chassis.migrations import migrate, wanted_migrations
from chassis.settings import InstallationSettings

_ROLES_LOCK = 0x726F6C6573
"""Roles belong to the whole cluster: two installers at once would both create one."""

_DATABASE_LOCK = 0x6461746162
"""Two installers at once would both create a database, and PostgreSQL refuses two grants on one thing at once."""


@dataclass(frozen=True, slots=True)
class Tenancy:
    """One service to install: its name, the password of its two login roles and its migrations."""

    service: str
    password: str
    migrations: Path


def _literal(text: str) -> str:
    """An SQL literal, for CREATE ROLE, which takes no parameters."""
    return "'" + text.replace("'", "''") + "'"


async def make_roles(
    admin: asyncpg.Connection[asyncpg.Record], installation: InstallationSettings, it: Tenancy
) -> None:
    """Create or update the service's three roles."""
    async with admin.transaction():
        await admin.execute("SELECT pg_advisory_xact_lock($1)", _ROLES_LOCK)
        for kind in ("owner", "api", "worker"):
            role = role_name(installation, it.service, kind)
            if not await admin.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
                await admin.execute(f'CREATE ROLE "{role}" NOLOGIN NOINHERIT NOBYPASSRLS')
            if kind != "owner":
                await admin.execute(f'ALTER ROLE "{role}" LOGIN PASSWORD {_literal(it.password)}')


async def make_database(
    admin: asyncpg.Connection[asyncpg.Record],
    installation: InstallationSettings,
    service: str,
    *,
    template: str = "template0",
) -> None:
    """Create the service's database, owned by its owner role, closed to everybody else."""
    name = database_name(installation, service)
    if not await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
        try:
            owner = role_name(installation, service, "owner")
            strategy = "wal_log" if template == "template0" else "file_copy"
            await admin.execute(
                f'CREATE DATABASE "{name}" OWNER "{owner}" TEMPLATE "{template}" ENCODING \'UTF8\' STRATEGY {strategy}'
            )
        except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            return
    await admin.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
    for kind in ("api", "worker"):
        await admin.execute(f'GRANT CONNECT ON DATABASE "{name}" TO "{role_name(installation, service, kind)}"')


async def install(admin_url: str, installation: InstallationSettings, it: Tenancy) -> list[str]:
    """Roles, database and migrations of one service; gives the names of the migrations that ran.

    Raises:
        chassis.migrations.MigrationError: a migration cannot run.
        OSError, asyncpg.PostgresError: PostgreSQL cannot be reached or refuses the administrator.
    """
    name, owner = database_name(installation, it.service), role_name(installation, it.service, "owner")
    roles = ", ".join(f'"{role_name(installation, it.service, kind)}"' for kind in ("api", "worker"))
    admin = await asyncpg.connect(admin_url)
    connection = None
    try:
        await make_roles(admin, installation, it)
        # Held by the session, in the administrator's database: whoever waits for it holds no snapshot in the service's,
        # where CREATE INDEX CONCURRENTLY of a runner that is already migrating would wait for it.
        await admin.execute("SELECT pg_advisory_lock($1)", _DATABASE_LOCK)
        await make_database(admin, installation, it.service)
        connection = await asyncpg.connect(admin_url, database=name)
        await connection.execute(f'REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT ALL ON SCHEMA public TO "{owner}"')
        await connection.execute(f"GRANT USAGE ON SCHEMA public TO {roles}")
        await admin.execute("SELECT pg_advisory_unlock($1)", _DATABASE_LOCK)
        return await migrate(connection, wanted_migrations(it.service, it.migrations), owner=owner)
    finally:
        if connection is not None:
            await connection.close()
        await admin.close()
