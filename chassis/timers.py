"""Runs what is due: the timers of a service's aggregates, and the small chores of its database.

Promise: a timer's effect and its deletion are one committed transaction, so it takes effect exactly once, under crash
and with several processes; a timer that can never run becomes a dead letter and its row stays, marked. Its handler
re-checks the state, so a late one is a no-op; it may set the same timer anew. One that ran more than a minute late is
noted in ``late_timers`` by the same transaction.

``due_at`` is civil time, compared with the town's clock; ``retry_at`` is machine time.

Invariant: who runs, moves or cancels a timer holds its row until the effect is committed.

Proven by ``tests/simulation``, ``tests/unit/chassis/messaging/test_faults.py`` and
``tests/integration/messaging/test_timers.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import structlog
from opentelemetry import trace

from chassis import dead_letters, failpoints, metrics
from chassis.clocks import monotonic
from chassis.database import ALL_MUNICIPALITIES, Database
from chassis.faults import is_transient
from chassis.operations.standing import LATE_AFTER
from chassis.refusals import Refusal
from chassis.service import Service, TimerHandler
from chassis.settings import InstallationSettings
from chassis.transaction import Actor, Connection, Transaction

PAGE = 50
"""Timers run in one transaction where all goes well."""

POLL, POLL_SIMULATED = 1.0, 0.2
"""Seconds between looks; where the civil clock may jump, more often."""

CHORES_EVERY = 600.0
"""Seconds between looks at partitions to make and idempotency keys to delete."""

KEYS_KEPT = timedelta(hours=48)
CHORE_BATCH = 1000

LONGEST_RETRY = timedelta(minutes=10)

LATE_KEPT = timedelta(days=90)

_log = structlog.get_logger("taiwa.timers")
_tracer = trace.get_tracer("taiwa.timers")


@dataclass(frozen=True, slots=True)
class Due:
    """A timer that is due."""

    municipality: str
    aggregate: str
    name: str
    due_at: datetime
    correlation_id: UUID
    attempts: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a timer whose handler raised. ``retry_in`` only with ``retry``."""

    kind: Literal["retry", "dead"]
    code: str = ""
    error: str = ""
    retry_in: timedelta = timedelta()


def outcome_of(error: BaseException, attempts: int) -> Outcome:
    """Transient: tried again, after a second, doubling, ten minutes at most. Else never again."""
    if is_transient(error):
        return Outcome("retry", retry_in=min(timedelta(seconds=2 ** min(attempts, 12)), LONGEST_RETRY))
    code = error.code if isinstance(error, Refusal) else "timer.failed"
    return Outcome("dead", code, f"{type(error).__name__}: {error}"[:4000])


# The row is deleted before the handler runs, so that a handler may set the same timer anew. Names that this version
# does not know stay for the version that set them.
_CLAIM = """
DELETE FROM timers USING (
    SELECT municipality, aggregate, name FROM timers
    WHERE due_at <= $1 AND failed_at IS NULL AND (retry_at IS NULL OR retry_at <= clock_timestamp())
      AND name = ANY ($2::text[])
    ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
) AS due
WHERE timers.municipality = due.municipality AND timers.aggregate = due.aggregate AND timers.name = due.name
RETURNING timers.municipality, timers.aggregate, timers.name, timers.due_at, timers.correlation_id, timers.attempts
"""

_PUT_BACK = """
INSERT INTO timers (municipality, aggregate, name, due_at, correlation_id, attempts, retry_at, failed_at)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + $7::interval, CASE WHEN $8 THEN clock_timestamp() END)
ON CONFLICT DO NOTHING
"""

_NOTE_LATE = """
INSERT INTO late_timers (municipality, aggregate, name, due_at, ran_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
"""

_FORGET_LATE = """
DELETE FROM late_timers WHERE (municipality, aggregate, name, due_at) IN (
    SELECT municipality, aggregate, name, due_at FROM late_timers
    WHERE recorded_at < clock_timestamp() - $1::interval LIMIT $2
)
"""

_FORGET_KEYS = """
DELETE FROM idempotency_keys WHERE (municipality, actor, route, key) IN (
    SELECT municipality, actor, route, key FROM idempotency_keys
    WHERE stored_at < clock_timestamp() - $1::interval LIMIT $2
)
"""


class Timers:
    """The timers role of one service."""

    def __init__(self, service: Service, database: Database, installation: InstallationSettings) -> None:
        self._service = service.name
        self._database = database
        self._handlers: dict[str, TimerHandler] = {handler.name: handler for handler in service.timers}
        self._names = list(self._handlers)
        self._poll = POLL_SIMULATED if installation.simulated_clock else POLL
        self._progress = monotonic()
        self._fault: str | None = None
        self._run = {
            outcome: metrics.TIMERS_RUN.labels(service.name, outcome) for outcome in ("run", "retried", "dead")
        }
        self._overdue = metrics.TIMERS_OVERDUE.labels(service.name)

    def progress(self) -> float:
        """Monotonic time at which the loop last got on."""
        return self._progress

    def standing(self) -> str | None:
        """Why no timer runs, if there is a reason."""
        return self._fault

    async def run(self, stop: asyncio.Event) -> None:
        """Run timers until ``stop``; faults are logged and the same is tried again."""
        chores_at = 0.0
        while not stop.is_set():
            wait = self._poll
            try:
                if monotonic() >= chores_at:
                    await self._chores()
                    chores_at = monotonic() + CHORES_EVERY
                if await self.round():
                    wait = 0.0
                self._fault = None
            except Exception as error:  # noqa: BLE001  the role outlives every fault; an unknown one is told in full
                self._fault = type(error).__name__
                _log.warning("timers.fault", service=self._service, error=repr(error), exc_info=not is_transient(error))
            self._progress = monotonic()
            if wait:
                await _woken(stop, self._database.committed, wait)

    async def round(self) -> int:
        """Run a page of due timers; gives how many were dealt with."""
        if not self._names:
            return 0
        try:
            ran = await self._page(PAGE)
        except Exception as error:  # noqa: BLE001  one of them; each alone tells which
            _log.info("timers.taken_apart", service=self._service, error=repr(error)[:500])
            ran = 0
            for _ in range(PAGE):
                if not await self._alone():
                    break
                ran += 1
        return ran

    async def _page(self, limit: int) -> int:
        """Run due timers in one transaction; a handler that raises undoes them all."""
        async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
            due = await self._claim(connection, limit)
            failpoints.reach("timers.after_claim")
            for timer in due:
                await self._effect(connection, timer)
            failpoints.reach("timers.after_effect")
        failpoints.reach("timers.after_commit")
        if due:
            self._run["run"].inc(len(due))
            self._database.committed.set()
        return len(due)

    async def _alone(self) -> bool:
        """Run one due timer, or note why it cannot run; gives whether there was one."""
        async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
            due = await self._claim(connection, 1)
            if not due:
                return False
            (timer,) = due
            await connection.execute("SAVEPOINT effect")
            try:
                await self._effect(connection, timer)
                await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
                done = "run"
            except Exception as error:  # noqa: BLE001  told apart by outcome_of
                await connection.execute("ROLLBACK TO SAVEPOINT effect")
                done = await self._put_back(connection, timer, outcome_of(error, timer.attempts))
        self._run[done].inc()
        self._database.committed.set()
        return True

    async def _claim(self, connection: Connection, limit: int) -> Sequence[Due]:
        now = (await self._database.civil_clock(connection)).now()
        rows = await connection.fetch(_CLAIM, now, self._names, limit)
        due = sorted((Due(*row) for row in rows), key=lambda timer: timer.due_at)
        self._overdue.set((now - due[0].due_at).total_seconds() if due else 0)
        return due

    async def _effect(self, connection: Connection, timer: Due) -> None:
        with _tracer.start_as_current_span(f"{self._service} {timer.name}"):
            await connection.execute("SELECT set_config('taiwa.municipality', $1, true)", timer.municipality)
            transaction = Transaction(
                connection,
                timer.municipality,
                Actor("timer", timer.name),
                await self._database.civil_clock(connection),
                correlation_id=timer.correlation_id,
            )
            await self._handlers[timer.name].run(transaction, timer.aggregate)
            if transaction.now - timer.due_at > LATE_AFTER:
                await connection.execute(
                    _NOTE_LATE, timer.municipality, timer.aggregate, timer.name, timer.due_at, transaction.now
                )
            await transaction.flush()
            await connection.execute("SELECT set_config('taiwa.municipality', $1, true)", ALL_MUNICIPALITIES)

    async def _put_back(self, connection: Connection, timer: Due, outcome: Outcome) -> str:
        dead = outcome.kind == "dead"
        await connection.execute(
            _PUT_BACK,
            timer.municipality,
            timer.aggregate,
            timer.name,
            timer.due_at,
            timer.correlation_id,
            timer.attempts + 1,
            outcome.retry_in,
            dead,
        )
        if not dead:
            return "retried"
        await dead_letters.write_timer(
            connection,
            self._service,
            municipality=timer.municipality,
            aggregate=timer.aggregate,
            name=timer.name,
            code=outcome.code,
            error=outcome.error,
        )
        _log.error("timers.dead", service=self._service, timer=timer.name, code=outcome.code)
        return "dead"

    async def _chores(self) -> None:
        """Make the event log's partitions ahead; forget idempotency keys and late timers that are old enough."""
        async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
            await connection.execute("SELECT make_event_log_partitions()")
        for statement, kept in ((_FORGET_KEYS, KEYS_KEPT), (_FORGET_LATE, LATE_KEPT)):
            forgotten = CHORE_BATCH
            while forgotten == CHORE_BATCH:
                async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
                    answer = await connection.execute(statement, kept, CHORE_BATCH)
                self._progress = monotonic()
                forgotten = int(answer.rpartition(" ")[2])


async def _woken(stop: asyncio.Event, wake: asyncio.Event, seconds: float) -> None:
    """Wait for a commit of this process, the end, or the time. The relay clears ``wake``; a missed one is no loss."""
    waits = [asyncio.ensure_future(stop.wait())]
    if not wake.is_set():
        waits.append(asyncio.ensure_future(wake.wait()))
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
