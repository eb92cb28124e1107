"""A service that takes every event of the catalogue and writes down what it was brought: the judge of the corpus.

Every fact leaves one row in ``effects`` by a reaction, every state its newest row in ``states`` by a projection. Texts
go into columns of PostgreSQL, as in any service, so what no column takes fails here as it would there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from pydantic_settings import SettingsConfigDict

from chassis.database import Database
from chassis.service import Projection, Reaction, ReadableFact, Received, Service
from chassis.settings import ServiceSettings
from chassis.testing import PASSWORD, Installation, drop_test_database, make_test_database
from chassis.transaction import Connection, Transaction
from taiwa_contracts.catalogue import EVENTS
from taiwa_contracts.topics import TOPICS
from tests.corpus.record import Record
from tests.integration.messaging.services import Toy

Place = tuple[str, int, int]
"""(topic without prefix, partition, offset)"""

FACTS = tuple(event for event in EVENTS if not event.STATE)
STATES = tuple(event for event in EVENTS if event.STATE)


class WitnessSettings(ServiceSettings):
    """Settings of the witness."""

    model_config = SettingsConfigDict(env_prefix="TAIWA_WITNESS_", extra="ignore", frozen=True)
    port: int = 0


def _texts(event: Any) -> list[str]:
    """Every text of an event, as columns would take them."""
    return [value for value in event.model_dump().values() if isinstance(value, str)]


async def witness_fact(transaction: Transaction, it: Received[Any]) -> None:
    """Write down that it happened."""
    await transaction.connection.execute(
        "INSERT INTO effects (municipality, event_id, type, aggregate, version, texts) VALUES ($1, $2, $3, $4, $5, $6)",
        transaction.municipality,
        it.id,
        it.type,
        it.event.aggregate(),
        it.version,
        _texts(it.event),
    )


async def keep_states(connection: Connection, records: Sequence[Received[Any]]) -> None:
    """Keep the newest state of each thing; a tombstone takes it away."""
    for it in records:
        if it.event is None:
            await connection.execute(
                "DELETE FROM states WHERE municipality = $1 AND aggregate = $2", it.municipality, it.aggregate
            )
            continue
        await connection.execute(
            """
            INSERT INTO states (municipality, aggregate, event_id, state_version, texts) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (municipality, aggregate) DO UPDATE
            SET event_id = excluded.event_id, state_version = excluded.state_version, texts = excluded.texts
            WHERE states.state_version <= excluded.state_version
            """,
            it.municipality,
            it.event.aggregate(),
            it.id,
            it.event.state_version,
            _texts(it.event),
        )


def witness_service(installation: Installation, facts: Sequence[type[ReadableFact]] = FACTS) -> Service:
    """The witness of these facts and of every state."""
    return Service(
        name="witness",
        title="witness",
        settings=WitnessSettings(installation=installation.settings, database_password=PASSWORD),
        migrations=Path(__file__).parent / "migrations",
        projections=(Projection("witness.states", STATES, keep_states),),
        reactions=tuple(Reaction(fact, witness_fact) for fact in facts),
    )


@dataclass
class Witness(Toy):
    """A running witness; what is sent is known again by its place."""

    producer: AIOKafkaProducer | None = None

    async def send(self, records: Sequence[Record]) -> list[Place]:
        """Put records on their topics as they are, in order; gives where each came to stand."""
        assert self.producer is not None
        prefix = self.installation.settings.prefix
        sent = [
            await self.producer.send(f"{prefix}{it.topic}", it.value, key=it.key, headers=list(it.headers))
            for it in records
        ]
        return [(it.topic[len(prefix) :], it.partition, it.offset) for it in await asyncio.gather(*sent)]

    async def dealt_with(self, places: Sequence[Place]) -> bool:
        """Whether the consumer has gone beyond all of these places.

        Raises:
            AssertionError: it stopped, or a partition is paused or blocked.
        """
        stops = await self.rows("SELECT scope, topic, partition, reason FROM stops")
        assert not stops, f"consumption stands still: {stops}"
        ends: dict[tuple[str, int], int] = {}
        for topic, partition, offset in places:
            ends[topic, partition] = max(ends.get((topic, partition), 0), offset + 1)
        at = {(it["topic"], it["partition"]): it["next"] for it in await self.rows("SELECT * FROM offsets")}
        return all(at.get(partition, 0) >= end for partition, end in ends.items())

    async def letters(self) -> dict[Place, dict[str, Any]]:
        """Every letter, dead and held, by the place of its record."""
        return {
            (it["topic"], it["partition"], it["offset"]): it for it in await self.rows("SELECT * FROM dead_letters")
        }


@asynccontextmanager
async def running_witness(installation: Installation, service: Service | None = None) -> AsyncIterator[Witness]:
    """A witness that consumes, with a database and topics of its own."""
    it = service or witness_service(installation)
    await installation.make_topics({topic.name: topic.compacted for topic in TOPICS})
    await make_test_database(installation, it)
    producer = AIOKafkaProducer(
        bootstrap_servers=installation.settings.kafka, acks="all", enable_idempotence=True, max_batch_size=900_000
    )
    await producer.start()
    try:
        api = await Database.connect(installation.settings, it.name, "api", PASSWORD, 2)
        worker = await Database.connect(installation.settings, it.name, "worker", PASSWORD, 8)
        witness = Witness(it, installation, api, worker, producer=producer)
        try:
            witness.consumer()
            yield witness
        finally:
            await witness.stop()
            await api.close()
            await worker.close()
    finally:
        await producer.stop()
        await drop_test_database(installation, it)
