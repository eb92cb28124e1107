"""Consumes the topics a service needs, for ever: puts decisions, ledger, batches, assignment and halts together.

Promise: every reaction takes effect exactly once in the consumer's own database, in order per aggregate, under crash,
pause, rebalance, redelivery and duplicate publication. Kafka is told the offsets now and then: that shows the lag, and
tells of a restored database.

Proven by ``tests/simulation``, ``tests/integration/messaging/test_consumer.py`` and ``tests/resilience``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import structlog
from aiokafka.errors import KafkaError

from chassis import dead_letters, metrics
from chassis.clocks import monotonic
from chassis.consumer.assignment import Assignment, Logs
from chassis.consumer.batch import Batches
from chassis.consumer.delivery import Deliveries, waited
from chassis.consumer.effects import Effects
from chassis.consumer.halts import Halts
from chassis.consumer.hosting import Hosting
from chassis.consumer.ledger import Ledger
from chassis.consumer.records import Reader
from chassis.database import ALL_MUNICIPALITIES, Database
from chassis.faults import is_transient
from chassis.service import Service
from chassis.settings import InstallationSettings

WATCH_SECONDS = 0.5
"""How often stops, deferred and released records are looked at."""

LAG_EVERY = 10
"""Watches between two looks at the lag, each with a commit to Kafka."""

TELLING_SECONDS = 2.0
"""How long a consumer that ends tries to tell Kafka how far it came."""

LOGS_EVERY = 60
"""Watches between two looks whether the topics are still the ones that were positioned on."""

_log = structlog.get_logger("taiwa.consumer")


class Consumer:
    """The consumer of one service."""

    def __init__(
        self,
        service: Service,
        database: Database,
        installation: InstallationSettings,
    ) -> None:
        self._service = service.name
        self._database = database
        self._installation = installation
        self._topics = sorted({event.TOPIC for event in service.consumes})
        self._progress = monotonic()
        self.halts = Halts()
        self.lag: Mapping[str, int] | None = None
        """Records behind, by topic, of this process's partitions; unknown until first looked at."""
        self._ledger = Ledger(service.name)
        self._logs = Logs(installation)
        reader = Reader(installation.prefix, service.consumes)
        effects = Effects(service, database)
        self._batches = Batches(database, self._ledger, self._logs, effects, reader)
        self._assignment = Assignment(
            database, self._ledger, self._logs, self.halts, prefix=installation.prefix, compacted=reader.compacted
        )
        self._deliveries = Deliveries(self._batches, reader, self._assignment, self.halts, self._moved_on)

    def progress(self) -> float:
        """Monotonic time at which the loop last polled or got on."""
        return self._progress

    def standing(self) -> str | None:
        """Why records are not applied, if there is a reason: the stop of the whole consumer, else a partition's."""
        stop = self.halts.stopped or next(iter(self.halts.all), None)
        return None if stop is None else stop.reason

    def _moved_on(self) -> None:
        self._progress = monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until ``stop``; faults are logged and mended by beginning again from the stored offsets."""
        self._deliveries.ending = stop
        if not self._topics:
            while not await waited(stop, WATCH_SECONDS):
                self._moved_on()
            return
        pause = 0.1
        while not stop.is_set():
            try:
                await self._consume(stop)
                pause = 0.1
            except Exception as error:  # noqa: BLE001  a consumer outlives every fault; an unknown one is told in full
                pause = min(pause * 2, 5.0)
                _log.warning(
                    "consumer.fault", service=self._service, error=repr(error), exc_info=not is_transient(error)
                )
            self._moved_on()
            await waited(stop, pause)

    async def _consume(self, stop: asyncio.Event) -> None:
        assignment = self._assignment
        prefix = self._installation.prefix
        hosting = Hosting(
            self._installation.kafka,
            group=f"{prefix}{self._service}",
            topics=[f"{prefix}{topic}" for topic in self._topics],
            handle=self._deliveries.handle,
            listener=assignment,
            polled=self._moved_on,
        )
        assignment.attach(lambda: hosting.client)
        try:
            await hosting.start()
            _log.info("consumer.started", service=self._service, topics=self._topics)
            watches = 0
            while not await waited(stop, WATCH_SECONDS):
                watches += 1
                await self._watch(lag=watches % LAG_EVERY == 0, logs=watches % LOGS_EVERY == 0)
        finally:
            with contextlib.suppress(Exception):  # told for the case of a restore; nothing rests on it
                async with asyncio.timeout(TELLING_SECONDS):
                    await assignment.tell()
            await hosting.stop()
            assignment.forget()

    async def _watch(self, *, lag: bool, logs: bool) -> None:
        """Stops, released and deferred records, positions, lag: everything that is not a record's turn."""
        try:
            async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
                while self.halts.unsaved:
                    await self._ledger.stop(connection, self.halts.unsaved[0])
                    self.halts.unsaved.pop(0)
                while self.halts.cleared:
                    await self._ledger.clear(connection, *self.halts.cleared[0])
                    self.halts.cleared.pop(0)
                saved = await self._ledger.stops(connection)
                heads = await dead_letters.heads(connection, self._ledger.consumer)
            metrics.CONSUMER_STOPS.labels(self._service).set(len(saved))
            self.halts.reconcile(saved, monotonic())
            for letter, topic, partition in heads:
                await self._batches.again(letter, (topic, partition), self._installation.prefix)
            if logs:
                await self._assignment.look_at_logs()
            await self._assignment.go_on()
            if lag:
                self.lag = await self._assignment.lag()
                for topic, records in self.lag.items():
                    metrics.CONSUMER_LAG.labels(self._service, topic).set(records)
        except Exception as error:  # noqa: BLE001  tried again at the next watch
            known = is_transient(error) or isinstance(error, KafkaError)
            _log.warning("consumer.watch_failed", service=self._service, error=repr(error), exc_info=not known)
