"""Publishes a service's event log to Kafka, for ever: one page is fetched while the one before is published.

Promise: every committed event reaches Kafka at least once, per aggregate in version order, under concurrent writers,
crashes and paused relays. Only the session that holds the advisory lock works; that is a hint, not a fence: a second
relay for a moment makes duplicates, which consumers drop.

Proven by ``tests/integration/messaging/test_delivery.py`` and ``tests/resilience/``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
import structlog

from chassis import failpoints, metrics
from chassis.clocks import machine_now, monotonic
from chassis.database import Database
from chassis.faults import is_transient
from chassis.kafka import cluster_id
from chassis.relay.log import EventLog, RelayRefusedError
from chassis.relay.publisher import Publisher, PublishError, Record
from chassis.relay.records import Recorder
from chassis.relay.window import START, Place
from chassis.service import Service
from chassis.settings import InstallationSettings

PAGE = 1000
"""Rows of a page where events are of ordinary size."""

PAGE_BYTES = 8_000_000
"""A page above this makes the next ones smaller, so that large events do not fill the memory."""

SEEN_WITHIN = timedelta(days=1)
"""A row is seen at most this long after its ``recorded_at``; see ``relay.log``."""

SHORTEST_POLL, LONGEST_POLL = 0.005, 0.05
"""Seconds between looks at an idle log, backing off from the one to the other; a commit in this process wakes it."""

SAVE_IDLE = 5.0
"""Seconds after which an idle relay saves that it has seen nothing, so that a restart looks at recent rows only."""

CANDIDATE_POLL = 0.5
"""Seconds between attempts of a relay that is not the leader."""

_log = structlog.get_logger("taiwa.relay")


@dataclass(frozen=True, slots=True)
class _Page:
    """What was fetched, and the place once it is acknowledged."""

    records: list[Record]
    after: Place


class Relay:
    """The relay of one service. ``wake`` is set by a commit in the same process."""

    def __init__(
        self,
        service: Service,
        database: Database,
        wake: asyncio.Event | None,
        installation: InstallationSettings,
    ) -> None:
        self._service = service
        self._database = database
        self._wake = wake if wake is not None else database.committed
        # Reactions and timers commit on the worker's database; their events shall wake this relay as well.
        database.committed = self._wake
        self._installation = installation
        self._recorder = Recorder(service.name, installation.prefix, service.states)
        self._limit = PAGE
        self._progress = monotonic()
        self._published = metrics.RELAY_PUBLISHED.labels(service.name)
        self._oldest_at: datetime | None = None
        metrics.RELAY_OLDEST.labels(service.name).set_function(self._oldest_seconds)
        self._leader = metrics.RELAY_LEADER.labels(service.name)
        self.refusal: str | None = None
        """Why the relay stands still until an operator acts; shown by health."""

    def progress(self) -> float:
        """Monotonic time at which the loop last got on: a page, an empty look, or a recorded reason to wait."""
        return self._progress

    def _oldest_seconds(self) -> float:
        return 0.0 if self._oldest_at is None else (machine_now() - self._oldest_at).total_seconds()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until ``stop``; faults are logged and mended by beginning again from the saved place."""
        pause = SHORTEST_POLL
        while not stop.is_set():
            try:
                await self._lead_once(stop)
                pause = SHORTEST_POLL
            except RelayRefusedError as refusal:
                self.refusal, pause = str(refusal), 5.0
                _log.error("relay.refused", service=self._service.name, reason=str(refusal))
            except Exception as error:  # noqa: BLE001  a relay outlives every fault; an unknown one is logged in full
                pause = min(max(pause * 2, 0.1), 5.0)
                known = is_transient(error) or isinstance(error, PublishError)
                _log.warning("relay.fault", service=self._service.name, error=repr(error), exc_info=not known)
            self._leader.set(0)
            self._progress = monotonic()
            await _either(stop, None, pause)

    async def _lead_once(self, stop: asyncio.Event) -> None:
        kafka = await cluster_id(self._installation)
        async with self._session(kafka) as log:
            while not await log.lead():
                self._progress = monotonic()
                if await _either(stop, None, CANDIDATE_POLL):
                    return
            place = await log.place()
            self.refusal = None
            self._leader.set(1)
            _log.info("relay.leads", service=self._service.name, prev=place.prev.taken, last=place.last)
            publisher = Publisher(self._installation, f"taiwa-{self._service.name}-relay")
            try:
                await publisher.start()
                await self._relay(log, publisher, place, stop)
            finally:
                await publisher.close()

    @contextlib.asynccontextmanager
    async def _session(self, kafka: str) -> AsyncIterator[EventLog]:
        connection = await self._database.pool.acquire()
        log = EventLog(connection, START, kafka)
        try:
            yield log
            await log.resign()
        except BaseException:
            # The session may still hold the lock or be in the middle of a statement: it is not reused.
            with contextlib.suppress(asyncpg.InterfaceError):  # the server ended it first
                connection.terminate()
            raise
        finally:
            with contextlib.suppress(asyncpg.InterfaceError):
                await self._database.pool.release(connection)

    async def _relay(self, log: EventLog, publisher: Publisher, place: Place, stop: asyncio.Event) -> None:
        idle = SHORTEST_POLL
        saved, saved_at = place, monotonic()
        floor: int | None = None
        while not stop.is_set():
            self._wake.clear()
            page = await self._next(log, place, floor)
            self._progress = monotonic()
            if page is not None and page.records:
                idle = SHORTEST_POLL
                place, floor = await self._drain(log, publisher, page, stop)
                saved, saved_at = place, monotonic()
                continue
            self._oldest_at, floor = None, None
            place = place if page is None else page.after
            if place is not saved and monotonic() - saved_at > SAVE_IDLE:
                floor = await log.save(place)
                saved, saved_at = place, monotonic()
            woken = await _either(stop, self._wake, idle)
            idle = SHORTEST_POLL if woken else min(idle * 2, LONGEST_POLL)

    async def _drain(self, log: EventLog, publisher: Publisher, page: _Page, stop: asyncio.Event) -> tuple[Place, int]:
        """Publish ``page`` and the rest of its window; gives the saved place and the floor read when it was saved.

        Under load, while one page is on its way to Kafka, the place of the one before is saved and the next one
        fetched. A page that ends its window is followed by a new window, which is better opened after its
        acknowledgement: it then holds what was committed meanwhile.
        """
        unsaved: Place | None = None
        while True:
            failpoints.reach("relay.after_fetch")
            half_done = page.after.cur is not None
            following = asyncio.create_task(self._save_and_fetch(log, unsaved, page.after)) if half_done else None
            try:
                await publisher.publish(page.records)
            except BaseException:
                if following is not None:
                    await _quietly(following)
                raise
            failpoints.reach("relay.after_ack_before_save")
            self._published.inc(len(page.records))
            self._progress = monotonic()
            unsaved = page.after
            next_page = None if following is None else await following
            if next_page is None or not next_page.records or stop.is_set():
                floor = await log.save(unsaved)
                failpoints.reach("relay.after_save")
                return unsaved, floor
            page = next_page

    async def _save_and_fetch(self, log: EventLog, acknowledged: Place | None, place: Place) -> _Page | None:
        if acknowledged is not None:
            await log.save(acknowledged)
            failpoints.reach("relay.after_save")
        return await self._next(log, place, None)

    async def _next(self, log: EventLog, place: Place, floor: int | None) -> _Page | None:
        """The next page, or none where there is surely nothing. ``floor``: if a barrier already stands behind one."""
        limit, since = self._limit, place.prev.taken_at - SEEN_WITHIN
        if place.cur is None:
            if floor is None:
                floor = await log.floor(place.prev.floor)
            if not place.worth_asking(floor):
                return None
            rows, opened = await log.open(place, floor, since, limit)
        else:
            rows, opened = await log.page(place, since, limit), place
        records = await self._recorder.records(log.connection, rows)
        self._fit(rows, records, limit)
        if rows:
            self._oldest_at = rows[0]["recorded_at"]
        return _Page(records, opened.after([row["position"] for row in rows], limit))

    def _fit(self, rows: list[asyncpg.Record], records: list[Record], limit: int) -> None:
        size = sum(len(record.value) for record in records if record.value is not None)
        if size > PAGE_BYTES:
            self._limit = max(10, limit // 2)
        elif limit < PAGE and len(rows) == limit and size < PAGE_BYTES // 4:
            self._limit = min(PAGE, limit * 2)


async def _either(stop: asyncio.Event, wake: asyncio.Event | None, seconds: float) -> bool:
    """Wait for one of the two, at most ``seconds``; true if one was set."""
    waits = [asyncio.ensure_future(event.wait()) for event in (stop, wake) if event is not None]
    try:
        done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for wait in waits:
            wait.cancel()


async def _quietly(task: asyncio.Task[_Page | None]) -> None:
    """Let a task end, whatever it gives: its session must not be in use when the caller goes on."""
    with contextlib.suppress(Exception):
        await task
