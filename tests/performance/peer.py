"""P17: events a second and order per key of our relay and of ``faststream-outbox``, same payload, one and two replicas.

Each replica is a process. Rates are taken from the broker's own timestamps. An event is inverted if a newer one of its
key stands before it on the topic, the repetitions of an event not counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import asyncpg
from faststream.kafka import KafkaBroker, KafkaResponse
from faststream_outbox import OutboxBroker, make_outbox_table
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import create_async_engine

from chassis.testing import MIDORI, Installation
from chassis.topics import TopicSpec, ensure_topics
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy
from tests.performance.ground import NOTE, Seen, database, ends, watch
from tests.performance.processes import process

TOPIC = "peer.events"
THINGS, IN_SUCCESSION = 500, 4
"""So many events of a thing stand one after the other: a command that makes several, a person who works fast."""

BEST = {"max_workers": 4, "fetch_batch_size": 100, "terminal_flush_batch_size": 100, "min_fetch_interval": 0.05}
"""The fastest of the settings that were tried; 8 or 16 workers and larger batches gave no more."""

_FILL = """
INSERT INTO outbox (queue, payload, headers)
SELECT 'events',
       convert_to('{"thing_id":"t' || a.number || '","size":' || v.version || ',"note":"' || $1 || '"}', 'UTF8'),
       jsonb_build_object(
           'content-type', 'application/json', 'ce_specversion', '1.0', 'ce_id', uuidv7(), 'ce_type', $2::text,
           'ce_source', '/taiwa/source', 'ce_subject', 'thing/t' || a.number, 'ce_time', now(),
           'ce_sequence', v.version::text, 'ce_municipality', $3::text, 'ce_correlationid', uuidv7())
FROM generate_series(1, $4::int) AS v (version), generate_series(1, $5::int) AS a (number)
ORDER BY (v.version - 1) / $6::int, a.number, v.version
"""


async def relay(installation: Installation, *, database_url: str, best: bool) -> None:
    """Their relay as their documentation shows it, with a key; in the process that was made for it."""
    engine = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://"), pool_size=10)
    bootstrap = installation.settings.kafka
    safe = KafkaBroker(bootstrap, logger=None, acks="all", enable_idempotence=True)
    kafka = safe if best else KafkaBroker(bootstrap, logger=None)
    outbox = OutboxBroker(engine, outbox_table=make_outbox_table(MetaData()), logger=None)

    @kafka.publisher(f"{installation.settings.prefix}{TOPIC}")
    @outbox.subscriber("events", propagate_inbound_headers=True, **(BEST if best else {}))  # type: ignore[arg-type]  # options of several types in one mapping
    async def pass_on(body: dict[str, Any]) -> KafkaResponse:
        return KafkaResponse(body, key=body["thing_id"].encode())

    await kafka.start()
    await outbox.start()
    await asyncio.Event().wait()


async def theirs(installation: Installation, rows: int, *, best: bool, replicas: int) -> Seen:
    """Their relay over ``rows`` rows."""
    await ensure_topics(installation.settings, [TopicSpec(TOPIC)])
    async with database(installation, "peer") as url, contextlib.AsyncExitStack() as stack:
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
        metadata = MetaData()
        make_outbox_table(metadata)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        await engine.dispose()
        filler = await asyncpg.connect(url)
        await filler.execute(_FILL, NOTE, ThingMadeV1.TYPE, MIDORI, rows // THINGS, THINGS, IN_SUCCESSION)
        await filler.execute("ANALYZE outbox")
        await filler.close()
        begin = await ends(installation, TOPIC)
        for _ in range(replicas):
            await stack.enter_async_context(process(installation, "peer", database_url=url, best=best))
        return await watch(installation, begin, rows // THINGS * THINGS)


async def ours(source: Toy, rows: int, *, replicas: int) -> Seen:
    """Our relay over a log of ``rows`` rows."""
    async with source.worker.scoped("*") as connection:
        await connection.execute("DELETE FROM relay_place")
    begin = await ends(source.installation, "source.events")
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(replicas):
            await stack.enter_async_context(process(source.installation, "relay"))
        return await watch(source.installation, begin, rows)
