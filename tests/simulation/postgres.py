"""A PostgreSQL cluster as far as the product's promises rest on it, and the sessions of asyncpg to it.

What is modelled, because something rests on it: transaction ids given at the first write, snapshots whose ``xmax``
follows the last id that *ended* (ids above it may be running and have drawn positions already), READ COMMITTED with a
snapshot per statement, row locks with waiters and deadlocks, ``SKIP LOCKED``, savepoints, a failed transaction that
only rolls back, session advisory locks, a sequence that is not transactional, ``synchronous_commit=off`` whose newest
commits a crash may lose, the timeouts of statements and of idle transactions.

What a statement does stands in ``statements``; the contract suite runs the same statements on the real server.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, ClassVar

import asyncpg

from tests.simulation.loop import Loop
from tests.simulation.processes import Process

BEGINNING = datetime(2026, 4, 1, tzinfo=UTC)
"""When every schedule begins; the loop's time is counted from here."""

STATEMENT_SECONDS, IDLE_SECONDS = 30.0, 60.0
SEQUENCE_AHEAD = 32
"""Values a sequence may skip after a crash."""

_ASIDE = re.compile(r"\s*(INSERT INTO|DELETE FROM|UPDATE) (late_timers|idempotency_keys|operator_acts)\b")
"""Writes that no decision of a relay, consumer or timer rests on."""

Content = dict[str, Any]
Key = Any


class Row(tuple[Any, ...]):  # noqa: SLOT001  its subclasses bear their columns
    """A record of asyncpg: by place and by name."""

    places: dict[str, int]

    def __getitem__(self, at: Any) -> Any:
        return tuple.__getitem__(self, self.places[at] if at.__class__ is str else at)

    def keys(self) -> Iterable[str]:
        return self.places


@cache
def row_type(*names: str) -> type[Row]:
    """The class of rows with these columns."""
    return type("Row", (Row,), {"places": {name: place for place, name in enumerate(names)}})


def rows_of(contents: Iterable[Content], *names: str) -> list[Row]:
    """Rows of some columns."""
    made = row_type(*names)
    return [made(content[name] for name in names) for content in contents]


class Waits(Exception):  # noqa: N818  not an error
    """The statement waits for a lock that another transaction holds."""

    def __init__(self, lock: tuple[str, Key]) -> None:
        super().__init__(lock)
        self.lock = lock


class Transaction:
    """One transaction."""

    __slots__ = ("changes", "events", "failed", "locks", "savepoints", "session", "waits_for", "writes", "xid")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.xid: int | None = None
        self.writes: dict[str, dict[Key, Content | None]] = {}
        self.events: list[Content] = []
        self.changes: dict[int, Content] = {}
        """Rows of the log as an operator's command rewrites them, by position."""
        self.locks: list[tuple[str, Key]] = []
        self.savepoints: list[tuple[str, dict[str, dict[Key, Content | None]], int]] = []
        self.failed = False
        self.waits_for: Transaction | None = None


@dataclass(slots=True)
class Backup:
    """What a backup holds."""

    tables: dict[str, dict[Key, Content]]
    log: list[Content]
    position: int
    next_xid: int
    ended: int


@dataclass
class Commit:
    """What a watcher is told of one commit, before it can be seen."""

    server: Server
    process: str
    process_began_at: float
    writes: dict[str, dict[Key, Content | None]]
    events: list[Content]


Statement = Callable[..., Any]


class Server:
    """One cluster with one service's database; other databases only hold transaction ids."""

    def __init__(
        self, loop: Loop, chance: random.Random, name: str, identifier: str, statements: dict[str, Statement]
    ) -> None:
        self.loop = loop
        self.chance = chance
        self.name = name
        self.identifier = identifier
        self.statements = statements
        self.up = True
        self.fault_rate = 0.0
        """Statements that end with a serialization failure, of one."""
        self.slow_rate = 0.03
        self.tables: dict[str, dict[Key, Content]] = {}
        self.log: list[Content] = []
        self.position = 0
        self.next_xid = 10
        self.ended = 9
        self.open_xids: list[int] = []
        self.advisory: dict[int, Session] = {}
        self.sessions: list[Session] = []
        self.watchers: list[Callable[[Commit], None]] = []
        self.serial = 0
        self._locks: dict[tuple[str, Key], Transaction] = {}
        self._waiting: dict[tuple[str, Key], list[Callable[[], None]]] = {}
        self._unflushed: list[list[tuple[str, Key, Content | None]]] = []

    # time and ids

    def clock(self) -> datetime:
        """``clock_timestamp()``."""
        return BEGINNING + timedelta(seconds=self.loop.now)

    def take_xid(self) -> int:
        """Give an id."""
        xid = self.next_xid
        self.next_xid += 1
        self.open_xids.append(xid)
        return xid

    def end_xid(self, xid: int) -> None:
        """Commit or roll back, as far as snapshots are concerned."""
        self.open_xids.remove(xid)
        self.ended = max(self.ended, xid)

    def snapshot(self) -> str:
        """``pg_current_snapshot()::text``."""
        xmax = self.ended + 1
        xip = [xid for xid in self.open_xids if xid < xmax]
        return f"{xip[0] if xip else xmax}:{xmax}:{','.join(map(str, xip))}"

    def draw(self, transaction: Transaction) -> tuple[int, int]:
        """The id of a transaction and the next position, in this order, as the columns of ``event_log`` stand."""
        xid = self.xid(transaction)
        self.position += 1
        return xid, self.position

    def xid(self, transaction: Transaction) -> int:
        """``pg_current_xact_id()``."""
        if transaction.xid is None:
            transaction.xid = self.take_xid()
        return transaction.xid

    # rows

    def rows(self, transaction: Transaction, table: str) -> Iterator[tuple[Key, Content]]:
        """What a statement of this transaction sees."""
        stored = self.tables.get(table, {})
        own = transaction.writes.get(table)
        if not own:
            yield from list(stored.items())
            return
        for key, content in list(stored.items()):
            if key not in own:
                yield key, content
        for key, written in list(own.items()):
            if written is not None:
                yield key, written

    def get(self, transaction: Transaction, table: str, key: Key) -> Content | None:
        """One row."""
        own = transaction.writes.get(table)
        if own is not None and key in own:
            return own[key]
        return self.tables.get(table, {}).get(key)

    def lock(self, transaction: Transaction, table: str, key: Key) -> None:
        """Lock a row until the transaction ends; what was read before must be read anew.

        Raises:
            Waits: another one has it.
        """
        place = (table, key)
        owner = self._locks.get(place)
        if owner is transaction:
            return
        if owner is not None:
            raise Waits(place)
        self._locks[place] = transaction
        transaction.locks.append(place)

    def locked_by_another(self, transaction: Transaction, table: str, key: Key) -> bool:
        """Whether ``SKIP LOCKED`` passes it over."""
        owner = self._locks.get((table, key))
        return owner is not None and owner is not transaction

    def put(self, transaction: Transaction, table: str, key: Key, content: Content | None) -> None:
        """Write a row (``None``: delete it), locking it first."""
        self.lock(transaction, table, key)
        self.xid(transaction)
        transaction.writes.setdefault(table, {})[key] = content

    # statements

    def receive(
        self,
        session: Session,
        waiting: asyncio.Future[Any],
        sql: str,
        arguments: tuple[Any, ...],
        alone: Transaction | None = None,
    ) -> None:
        """A statement arrived, or may go on. ``alone``: its own transaction, where none was begun."""
        if session.broken:
            return
        if not self.up:
            session.cut()
            return
        if session.begun is None and alone is None:
            alone = Transaction(session)
        transaction = session.begun or alone
        assert transaction is not None
        try:
            answer = self._perform(session, transaction, sql, arguments)
        except Waits as wait:
            self._wait(session, transaction, alone, wait.lock, waiting, sql, arguments)
            return
        except asyncpg.PostgresError as error:
            transaction.failed = True
            if alone is not None:
                self._end(alone, commit=False)
            session.answer(waiting, None, error)
            return
        if alone is not None:
            self._end(alone, commit=True)
        session.answer(waiting, answer, None)

    def _perform(self, session: Session, transaction: Transaction, sql: str, arguments: tuple[Any, ...]) -> Any:
        statement = self.statements.get(sql)
        if statement is None:
            return 0 if _ASIDE.match(sql) else self._control(session, sql)
        if transaction.failed:
            raise asyncpg.InFailedSQLTransactionError("current transaction is aborted")
        if self.fault_rate and self.chance.random() < self.fault_rate:
            kind = self.chance.choice([asyncpg.SerializationError, asyncpg.DeadlockDetectedError])
            raise kind("injected")
        return statement(self, transaction, *arguments)

    def _control(self, session: Session, sql: str) -> int:
        """Statements without rows, one or several."""
        for part in sql.split(";"):
            words = part.split()
            does = self._CONTROLS.get(words[0])
            if does is None or (words[0] == "SELECT" and words[1] != "pg_advisory_unlock_all()"):
                raise AssertionError(
                    f"the simulated PostgreSQL does not know this statement; teach it in statements.py:\n{sql}"
                )
            does(self, session, words)
        return 0

    def _begin(self, session: Session, _: list[str]) -> None:
        session.begun = Transaction(session)

    def _finish(self, session: Session, words: list[str]) -> None:
        transaction = session.begun
        if transaction is None:
            return
        if words[:2] == ["ROLLBACK", "TO"]:
            self._roll_back_to(transaction, words[-1])
            return
        session.begun = None
        self._end(transaction, commit=words[0] == "COMMIT" and not transaction.failed)

    def _savepoint(self, session: Session, words: list[str]) -> None:
        if session.begun is not None:
            written = {table: dict(rows) for table, rows in session.begun.writes.items()}
            session.begun.savepoints.append((words[1], written, len(session.begun.events)))

    def _release(self, session: Session, _: list[str]) -> None:
        if session.begun is not None:
            session.begun.savepoints.pop()

    def _set(self, session: Session, words: list[str]) -> None:
        if words[0] == "RESET" or words[1] == "synchronous_commit":
            session.synchronous = words[-1] != "off"

    def _unlock(self, session: Session, _: list[str]) -> None:
        session.unlock()

    _CONTROLS: ClassVar[dict[str, Callable[[Server, Session, list[str]], None]]] = {
        "BEGIN": _begin,
        "COMMIT": _finish,
        "ROLLBACK": _finish,
        "SAVEPOINT": _savepoint,
        "RELEASE": _release,
        "SET": _set,
        "RESET": _set,
        "SELECT": _unlock,
    }

    def _roll_back_to(self, transaction: Transaction, name: str) -> None:
        while transaction.savepoints[-1][0] != name:
            transaction.savepoints.pop()
        _, writes, events = transaction.savepoints[-1]
        transaction.writes = {table: dict(written) for table, written in writes.items()}
        del transaction.events[events:]
        transaction.failed = False

    def _wait(
        self,
        session: Session,
        transaction: Transaction,
        alone: Transaction | None,
        lock: tuple[str, Key],
        waiting: asyncio.Future[Any],
        sql: str,
        arguments: tuple[Any, ...],
    ) -> None:
        owner: Transaction | None = self._locks[lock]
        transaction.waits_for = owner
        while owner is not None:
            if owner is transaction:
                transaction.waits_for = None
                transaction.failed = True
                if alone is not None:
                    self._end(alone, commit=False)
                session.answer(waiting, None, asyncpg.DeadlockDetectedError("deadlock detected"))
                return
            owner = owner.waits_for

        def again() -> None:
            if session.broken or waiting.done():
                return
            transaction.waits_for = None
            self.receive(session, waiting, sql, arguments, alone)

        def too_long() -> None:
            if transaction.waits_for is not None and not session.broken and not waiting.done():
                transaction.waits_for = None
                if again in self._waiting.get(lock, ()):
                    self._waiting[lock].remove(again)
                transaction.failed = True
                session.answer(waiting, None, asyncpg.QueryCanceledError("statement timeout"))

        self._waiting.setdefault(lock, []).append(again)
        self.loop.after(STATEMENT_SECONDS, too_long)

    def _end(self, transaction: Transaction, *, commit: bool) -> None:
        if commit and (transaction.writes or transaction.events or transaction.changes):
            self._commit(transaction)
        if transaction.xid is not None:
            self.end_xid(transaction.xid)
        for lock in transaction.locks:
            del self._locks[lock]
        for lock in transaction.locks:
            for again in self._waiting.pop(lock, ()):
                self.loop.after(0, again)

    def _commit(self, transaction: Transaction) -> None:
        process = transaction.session.process
        told = Commit(self, process.name, process.began_at, transaction.writes, transaction.events)
        for watch in self.watchers:
            watch(told)
        undo: list[tuple[str, Key, Content | None]] = []
        for table, written in transaction.writes.items():
            stored = self.tables.setdefault(table, {})
            for key, content in written.items():
                undo.append((table, key, stored.get(key)))
                if content is None:
                    stored.pop(key, None)
                else:
                    stored[key] = content
        if transaction.changes:
            self.log = [transaction.changes.get(it["position"], it) for it in self.log]
        self.log += transaction.events
        if transaction.session.synchronous:
            self._unflushed.clear()
        else:
            assert not transaction.events
            self._unflushed.append(undo)

    # faults

    def crash(self) -> None:
        """End without a word; what was committed asynchronously may be lost."""
        self.up = False
        for session in list(self.sessions):
            session.cut()
        for _ in range(self.chance.randint(0, len(self._unflushed))):
            for table, key, before in reversed(self._unflushed.pop()):
                if before is None:
                    self.tables[table].pop(key, None)
                else:
                    self.tables[table][key] = before
        self._unflushed.clear()
        self.position += self.chance.randint(0, SEQUENCE_AHEAD)

    def start(self) -> None:
        """Come back."""
        self.up = True

    def sessions_in_transaction(self) -> bool:
        """Whether anybody is in the middle of something."""
        return any(it.begun is not None for it in self.sessions)

    def backup(self) -> Backup:
        """A copy of everything that is committed."""
        tables = {table: dict(stored) for table, stored in self.tables.items()}
        return Backup(tables, list(self.log), self.position, self.next_xid, self.ended)

    def restore(self, backup: Backup, identifier: str | None = None) -> None:
        """Be what the backup holds: the same cluster, or, with another ``identifier``, one it was dumped into."""
        for session in list(self.sessions):
            session.cut()
        self.tables = {table: dict(stored) for table, stored in backup.tables.items()}
        self.log = list(backup.log)
        self.position = backup.position
        self._unflushed.clear()
        if identifier is None:
            self.next_xid, self.ended = backup.next_xid, backup.next_xid - 1
        else:
            self.identifier = identifier
            self.next_xid, self.ended = 10, 9


class Session:
    """One connection of a process; behaves as asyncpg's does."""

    def __init__(self, server: Server, process: Process) -> None:
        self.server = server
        self.process = process
        self.broken = False
        self.ended = False
        """Given up on this side; the server learns it later."""
        self.synchronous = True
        self.begun: Transaction | None = None
        self._waiting: asyncio.Future[Any] | None = None
        self._listeners: list[Callable[[object], None]] = []
        server.sessions.append(self)
        process.at_death.append(self._peer_died)

    def _peer_died(self) -> None:
        # A statement that is on its way is still carried out.
        self.server.loop.after(self.server.chance.random() * 0.01, self.cut)

    def cut(self) -> None:
        """The connection ends; the server rolls back."""
        if self.broken:
            return
        self.broken = True
        self.server.sessions.remove(self)
        self.unlock()
        transaction, self.begun = self.begun, None
        if transaction is not None:
            transaction.waits_for = None
            self.server._end(transaction, commit=False)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            gone = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
            self.process.deliver(waiting, None, gone)
        for listener in self._listeners:
            noticed = self.server.loop.create_future()
            noticed.add_done_callback(listener)
            self.process.deliver(noticed, None)

    def add_termination_listener(self, listener: Callable[[object], None]) -> None:
        self._listeners.append(listener)

    def remove_termination_listener(self, listener: Callable[[object], None]) -> None:
        self._listeners.remove(listener)

    def watch_idleness(self) -> None:
        """Its process was stopped: a transaction that stays idle for too long is ended."""
        if self.begun is not None and self._waiting is None:
            self.server.loop.after(IDLE_SECONDS, self._idle, self.begun)

    def unlock(self) -> None:
        """Give session advisory locks back."""
        for lock in [lock for lock, session in self.server.advisory.items() if session is self]:
            del self.server.advisory[lock]

    def answer(self, waiting: asyncio.Future[Any], answer: Any, error: BaseException | None) -> None:
        """Send an answer; it may take its time, and be lost on the way with the connection."""
        if self.server.chance.random() < 0.1:
            self.server.loop.after(
                latency(self.server.chance, self.server.slow_rate), self._arrive, waiting, answer, error
            )
        else:
            self._arrive(waiting, answer, error)

    def _arrive(self, waiting: asyncio.Future[Any], answer: Any, error: BaseException | None) -> None:
        if self.broken:
            return
        self._waiting = None
        self.process.deliver(waiting, answer, error)
        if self.begun is not None and self.process.stopped:
            self.server.loop.after(IDLE_SECONDS, self._idle, self.begun)

    def _idle(self, transaction: Transaction) -> None:
        if self.begun is transaction and self.process.stopped and self._waiting is None:
            self.cut()

    async def _ask(self, sql: str, arguments: tuple[Any, ...]) -> Any:
        if self.is_closed():
            raise asyncpg.InterfaceError("connection is closed")
        loop = self.server.loop
        waiting = loop.create_future()
        self._waiting = waiting
        delay = latency(self.server.chance, self.server.slow_rate)
        loop.after(delay, self.server.receive, self, waiting, sql, arguments)
        return await waiting

    async def fetch(self, sql: str, *arguments: Any) -> list[Row]:
        found: list[Row] = await self._ask(sql, arguments)
        return found

    async def fetchrow(self, sql: str, *arguments: Any) -> Row | None:
        found = await self._ask(sql, arguments)
        return found[0] if found else None

    async def fetchval(self, sql: str, *arguments: Any) -> Any:
        found = await self._ask(sql, arguments)
        return found[0][0] if found else None

    async def execute(self, sql: str, *arguments: Any) -> str:
        found = await self._ask(sql, arguments)
        return f"DONE {found if isinstance(found, int) else len(found)}"

    @asynccontextmanager
    async def transaction(self) -> Any:
        """asyncpg's ``connection.transaction()``."""
        await self.execute("BEGIN")
        try:
            yield
        except BaseException:
            if not self.is_closed():
                await self.execute("ROLLBACK")
            raise
        await self.execute("COMMIT")

    def is_closed(self) -> bool:
        return self.broken or self.ended or not self.process.alive

    def terminate(self) -> None:
        self.ended = True
        self.server.loop.after(0.001, self.cut)

    async def close(self) -> None:
        self.terminate()


def latency(chance: random.Random, slow_rate: float) -> float:
    """Seconds that something is on its way."""
    drawn = chance.random()
    return 0.0005 + drawn * 0.002 if drawn > slow_rate else 0.02 + chance.random() * 0.6


@dataclass
class Pool:
    """The connections of one process; they are made when first used."""

    server: Server
    process: Process
    idle: list[Session] = field(default_factory=list)

    def acquire(self, *, timeout: float | None = None) -> _Acquire:  # noqa: ARG002  asyncpg's signature
        return _Acquire(self)

    async def take(self) -> Session:
        if not self.process.alive:
            raise asyncpg.InterfaceError("pool is closed")
        while self.idle:
            session = self.idle.pop()
            if not session.is_closed():
                return session
        waiting = self.server.loop.create_future()
        delay = latency(self.server.chance, self.server.slow_rate)
        self.server.loop.after(delay, self.process.deliver, waiting, None)
        await waiting
        if not self.server.up:
            raise ConnectionRefusedError("connection refused")
        return Session(self.server, self.process)

    async def release(self, session: Session) -> None:
        if session.begun is not None and not session.broken:
            session.cut()
        if not session.is_closed():
            self.idle.append(session)


class _Acquire:
    """What ``pool.acquire()`` gives: to await, or to enter."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._session: Session | None = None

    def __await__(self) -> Any:
        return self._pool.take().__await__()

    async def __aenter__(self) -> Session:
        self._session = await self._pool.take()
        return self._session

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._pool.release(self._session)
