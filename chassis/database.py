"""Connections to a service's own database, as one of its two roles, and the transactions in which everything happens.

``<service>_api``     sees and writes the municipality of its transaction, nothing without one
``<service>_worker``  relay, consumer, timers; one municipality in a reaction, all (``*``) in a batch

The transaction's first round trip is BEGIN and the municipality together; its last ones are the events, the timers
and COMMIT. A commit wakes the relay of the same process by ``committed``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from chassis.clocks import CivilClock, SimulatedTime
from chassis.settings import InstallationSettings
from chassis.transaction import Actor, Connection, Transaction, new_id

ALL_MUNICIPALITIES = "*"
_SCOPE = re.compile(r"[0-9]{6}|\*")

STATEMENT_TIMEOUT_MS = 30_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
ANSWER_TIMEOUT_SECONDS = 40
"""Longer than PostgreSQL's own timeout: it only ends the wait for a server that vanished without a word."""
CONNECT_TIMEOUT_SECONDS = 5
ACQUIRE_TIMEOUT_SECONDS = 10
"""A request that gets no connection for so long is answered 503 instead of waiting for ever."""


def database_name(installation: InstallationSettings, service: str) -> str:
    """Name of a service's database."""
    return f"{installation.prefix}{service}"


def role_name(installation: InstallationSettings, service: str, kind: str) -> str:
    """Name of a service's role; ``kind`` is ``owner``, ``api`` or ``worker``."""
    prefix = installation.prefix if installation.role_prefix is None else installation.role_prefix
    return f"{prefix}{service}_{kind}"


async def _keep_session(connection: Connection) -> None:
    """Replace asyncpg's reset: we set nothing beyond a transaction, so a round trip per release is saved."""
    # A transaction that a cancelled task left open was rolled back by asyncpg before it calls this.


class Database:
    """A pool of connections of one role of one service."""

    def __init__(self, pool: asyncpg.Pool, *, simulated_clock: bool = False) -> None:
        self.pool = pool
        self.simulated_clock = simulated_clock
        self.committed = asyncio.Event()

    @classmethod
    async def connect(
        cls,
        installation: InstallationSettings,
        service: str,
        kind: str,
        password: str,
        connections: int,
        *,
        search_path: str = "public",
    ) -> Database:
        """A pool for the role ``kind`` (``api`` or ``worker``) of ``service``; ``search_path`` is for rebuilding.

        It connects when first used, so that a service starts while PostgreSQL is not there yet; until then its users
        get an ``OSError`` (not reached) or ``asyncpg.PostgresError`` (wrong role, password or database).
        """
        pool = await asyncpg.create_pool(
            host=installation.postgres_host,
            port=installation.postgres_port,
            user=role_name(installation, service, kind),
            password=password,
            database=database_name(installation, service),
            min_size=0,
            max_size=connections,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=ANSWER_TIMEOUT_SECONDS,
            reset=_keep_session,
            server_settings={
                "application_name": f"taiwa-{service}-{kind}",
                "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_TIMEOUT_MS),
                "synchronous_commit": "on",
                "timezone": "UTC",
                "search_path": search_path,
            },
        )
        return cls(pool, simulated_clock=installation.simulated_clock)

    async def close(self, patience: float = 5) -> None:
        """Close all connections; those in use get ``patience`` seconds."""
        try:
            await asyncio.wait_for(self.pool.close(), patience)
        except TimeoutError:
            self.pool.terminate()

    @asynccontextmanager
    async def scoped(self, scope: str, *, read_only: bool = False) -> AsyncIterator[Connection]:
        """A connection inside a transaction that sees ``scope``: a municipality, or ``*`` for a worker's batch.

        Commits at the end, rolls back on any exception.

        Raises:
            ValueError: the scope is neither.
        """
        # The scope is the one value that is not bound: SET takes no parameters. It is six digits or a star.
        if _SCOPE.fullmatch(scope) is None:
            raise ValueError(f"not a municipality: {scope!r}")
        async with self.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            mode = " READ ONLY" if read_only else ""
            await connection.execute(f"BEGIN{mode}; SET LOCAL taiwa.municipality = '{scope}'")
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
                raise
            else:
                await connection.execute("COMMIT")

    @asynccontextmanager
    async def reading(self, municipality: str) -> AsyncIterator[Connection]:
        """A read-only view of one municipality, one snapshot per statement."""
        async with self.scoped(municipality, read_only=True) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(
        self,
        municipality: str,
        actor: Actor,
        *,
        correlation_id: UUID | None = None,
        causation_id: UUID | None = None,
    ) -> AsyncIterator[Transaction]:
        """One command: its state, events and timers are committed together or not at all."""
        async with self.scoped(municipality) as connection:
            transaction = Transaction(
                connection,
                municipality,
                actor,
                await self.civil_clock(connection),
                correlation_id=correlation_id or new_id(),
                causation_id=causation_id,
            )
            yield transaction
            await transaction.flush()
        self.committed.set()

    async def civil_clock(self, connection: Connection) -> CivilClock:
        """The town's clock as this service knows it. Costs a round trip only where time may be simulated."""
        if not self.simulated_clock:
            return CivilClock()
        row = await connection.fetchrow("SELECT civil_at, machine_at FROM civil_clock")
        return CivilClock(SimulatedTime(row["civil_at"], row["machine_at"]) if row else None)
