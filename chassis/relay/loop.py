"""Publishes a service's event log to Kafka, for ever: one page is fetched while the one before is published.

Promise: every committed event reaches Kafka at least once, per aggregate in version order, under concurrent writers,
crashes and paused relays. Only the session that holds the advisory lock works; that is a hint, not a fence: a second
relay for a moment makes duplicates, which consumers drop.

Invariant: the place is saved only after the broker's acknowledgement, and says to which PostgreSQL and which Kafka it
belongs.

Proven by ``tests/simulation``, ``tests/integration/messaging/test_delivery.py`` and ``tests/resilience``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
import structlog
from aiokafka.errors import KafkaError

from chassis import failpoints, metrics
from chassis.clocks import machine_now, monotonic
from chassis.database import Database
from chassis.faults import is_transient
from chassis.kafka import cluster_id
from chassis.relay.fitting import miscounted, misfit
from chassis.relay.log import EventLog, RelayRefusedError
from chassis.relay.publisher import Publisher, PublishError
from chassis.relay.records import Present, Recorder
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

LOOK_SECONDS = 30.0
"""How often a relay that leads asks whether Kafka and its topics are still those that it began with."""

TRUSTED_SECONDS = 1.0
"""A page older than this is published only after a look whether the lock is still held: the process may have stood."""

CANDIDATE_POLL = 0.5
"""Seconds between attempts of a relay that is not the leader."""

_log = structlog.get_logger("taiwa.relay")


@dataclass(frozen=True, slots=True)
class _Page:
    """What was fetched, and the place once it is acknowledged."""

    rows: Sequence[asyncpg.Record]
    present: Present
    after: Place
    asked_at: float


@dataclass(slots=True)
class _Standing:
    """Where the relay stands, and what of it is saved."""

    place: Place
    saved_at: float
    acknowledged: bool = False
    """Whether pages were acknowledged since the place was saved."""
    moved: bool = False
    """Whether it only saw since then that there is nothing."""
    floor: int | None = None
    """The floor of the last save, with its barrier behind it."""


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
        self._topics = sorted({event.TOPIC for event in service.emits})
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
            await _set_within(stop, pause)

    async def _lead_once(self, stop: asyncio.Event) -> None:
        kafka = await cluster_id(self._installation)
        async with self._session(kafka) as log:
            while not await log.lead():
                self.refusal = None  # whoever leads has its own reason to stand still, or none
                self._progress = monotonic()
                if await _set_within(stop, CANDIDATE_POLL):
                    return
            place = await log.place()
            await self._see_that_topics_fit(log)
            self.refusal = None
            self._leader.set(1)
            _log.info("relay.leads", service=self._service.name, prev=place.prev.taken, last=place.last)
            publisher = Publisher(self._installation, f"taiwa-{self._service.name}-relay")
            another = asyncio.create_task(self._until_kafka_differs(kafka))
            try:
                async with _while_connected(log):
                    await publisher.start()
                    await self._relay(log, publisher, place, stop, another)
            finally:
                another.cancel()
                await publisher.close()

    async def _until_kafka_differs(self, known: str) -> None:
        """End when Kafka is another cluster: a producer may go on there, as if what it published before were there too.

        Or when a topic has other partitions: the producer keeps to those it began with, the next one would not. The
        relay then begins again from its place, and refuses.
        """
        differs = False
        while not differs:
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                differs = await cluster_id(self._installation) != known or (
                    await miscounted(self._installation, self._topics) is not None
                )

    async def _see_that_topics_fit(self, log: EventLog) -> None:
        if problem := await misfit(log.connection, self._installation, self._topics):
            raise RelayRefusedError(f"{problem}; run: taiwa republish {self._service.name}")

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

    async def _relay(
        self, log: EventLog, publisher: Publisher, place: Place, stop: asyncio.Event, another: asyncio.Task[None]
    ) -> None:
        """Publish window after window; a new one is opened once the one before is acknowledged, and so holds the rest.

        While a page is on its way to Kafka, the session saves the place of the page before and, within a window,
        fetches the next page: a crash repeats two pages at most.
        """
        at = _Standing(place, saved_at=monotonic())
        idle, woken = SHORTEST_POLL, False
        page: _Page | None = None
        while not (stop.is_set() or another.done()):
            if page is None:
                page = await self._look(log, at, woken=woken)
            self._progress = monotonic()
            if page is not None and page.rows:
                page = await self._publish(log, publisher, page, at)
                idle, woken = SHORTEST_POLL, True
                continue
            self._oldest_at = None
            if page is not None and page.after is not at.place:
                at.place, at.moved = page.after, True
            page = None
            if at.acknowledged or (at.moved and monotonic() - at.saved_at > SAVE_IDLE):
                await self._save(log, at)
            woken = await _set_within(self._wake, idle)  # so short that the end need not be waited for as well
            idle = SHORTEST_POLL if woken else min(idle * 2, LONGEST_POLL)
        if at.acknowledged:
            await self._save(log, at)

    async def _look(self, log: EventLog, at: _Standing, *, woken: bool) -> _Page | None:
        """The next page, or none where there is surely nothing.

        After a page or a wake-up the floor that the last save read still stands behind a barrier: lower than it could
        be, which is safe, and it spares a round trip.
        """
        self._wake.clear()
        asked_at = monotonic()
        if at.place.cur is not None:
            return await self._page(log, at.place)
        floor = at.floor if woken else None
        if floor is None:
            floor = await log.floor(at.place.prev.floor)
            if not at.place.worth_asking(floor):
                return None
        rows, opened = await log.open(at.place, floor, at.place.prev.taken_at - SEEN_WITHIN, self._limit)
        return await self._paged(log, rows, opened, self._limit, asked_at)

    async def _publish(self, log: EventLog, publisher: Publisher, page: _Page, at: _Standing) -> _Page | None:
        """Publish a page; gives the next one of its window."""
        failpoints.reach("relay.after_fetch")
        if monotonic() - page.asked_at > TRUSTED_SECONDS and not await log.leads():
            raise PublishError("another relay leads, or the topics were made anew: this page may be out of its turn")
        beside = asyncio.create_task(self._beside(log, page, at))
        try:
            await publisher.publish(self._recorder.records(page.rows, page.present))
        except BaseException:
            await _quietly(beside)
            raise
        failpoints.reach("relay.after_ack_before_save")
        self._published.inc(len(page.rows))
        self._progress = monotonic()
        following = await beside
        at.place, at.acknowledged = page.after, True
        return following

    async def _beside(self, log: EventLog, page: _Page, at: _Standing) -> _Page | None:
        if at.acknowledged:
            await self._save(log, at)
        return None if page.after.cur is None else await self._page(log, page.after)

    async def _save(self, log: EventLog, at: _Standing) -> None:
        at.floor = await log.save(at.place)
        at.acknowledged = at.moved = False
        at.saved_at = monotonic()
        failpoints.reach("relay.after_save")

    async def _page(self, log: EventLog, place: Place) -> _Page:
        """The next page of an open window."""
        limit, asked_at = self._limit, monotonic()
        rows = await log.page(place, place.prev.taken_at - SEEN_WITHIN, limit)
        return await self._paged(log, rows, place, limit, asked_at)

    async def _paged(
        self, log: EventLog, rows: list[asyncpg.Record], window: Place, limit: int, asked_at: float
    ) -> _Page:
        present = await self._recorder.present(log.connection, rows)
        self._fit(rows, present, limit)
        if rows:
            self._oldest_at = rows[0]["recorded_at"]
        return _Page(rows, present, window.after([row["position"] for row in rows], limit), asked_at)

    def _fit(self, rows: Sequence[asyncpg.Record], present: Present, limit: int) -> None:
        size = sum(len(row["payload"] or b"") for row in rows) + sum(map(len, present.values()))
        if size > PAGE_BYTES:
            self._limit = max(10, limit // 2)
        elif limit < PAGE and len(rows) == limit and size < PAGE_BYTES // 4:
            self._limit = min(PAGE, limit * 2)


@contextlib.asynccontextmanager
async def _while_connected(log: EventLog) -> AsyncIterator[None]:
    """Interrupt what is done in the block when the session ends, and the lock with it.

    A page that is on its way would be tried again for seconds, and may reach topics that were made anew meanwhile.

    Raises:
        TimeoutError: it ended.
    """
    async with asyncio.timeout(None) as scope:

        def interrupt(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the block is over already
                scope.reschedule(asyncio.get_running_loop().time())

        log.connection.add_termination_listener(interrupt)
        try:
            yield
        finally:
            with contextlib.suppress(asyncpg.InterfaceError):  # the session is gone, and its listeners with it
                log.connection.remove_termination_listener(interrupt)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, at most ``seconds``; whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def _quietly(task: asyncio.Task[_Page | None]) -> None:
    """Let a task end, whatever it gives: its session must not be in use when the caller goes on."""
    with contextlib.suppress(Exception):
        await task
