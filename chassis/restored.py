"""Publishing a log again, also one that was restored from an earlier time: what it has lost is told, and forgotten.

Promise: publishing such a log again tells each fact that was lost, and lets every consumer forget that it dealt with
them: the versions of those aggregates go back to what the log holds, so that what is decided from now on is applied and
not taken for a repeat. What consumers did about a lost fact (a row of a projection, a mail) is not undone here: rebuild
the projections; a mail stays sent.

A lost fact is a record of a topic that is not in the log. Where the topics were lost as well, a version above the
log's tells of one, as far as consumers have it.

Proven by ``tests/resilience/test_restores.py``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from chassis.database import database_name
from chassis.envelope import Unreadable, read
from chassis.kafka import admin_client
from chassis.operations import acts
from chassis.operations.acts import Operator, Subject
from chassis.repair import republish
from chassis.settings import InstallationSettings
from chassis.topics import TopicSpec
from chassis.transaction import Connection

_CHUNK = 5000

_NOT_IN_LOG = """
SELECT k.number FROM unnest($1::text[], $2::text[], $3::bigint[], $4::uuid[])
    WITH ORDINALITY AS k (municipality, aggregate, version, event_id, number)
WHERE NOT EXISTS (
    SELECT FROM event_log AS e
    WHERE e.municipality = k.municipality AND e.aggregate = k.aggregate AND e.version = k.version
      AND e.event_id = k.event_id
)
ORDER BY k.number
"""

_DEALT_WITH = """
SELECT municipality, aggregate, version FROM versions
WHERE consumer = $1 AND owner = $2 AND (municipality, aggregate) > ($3, $4)
ORDER BY municipality, aggregate LIMIT $5
"""

# For each aggregate the newest event of the log at or below a version; none: the log has none.
_IN_LOG = """
SELECT k.municipality, k.aggregate, e.version, e.event_id
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS k (municipality, aggregate, version)
LEFT JOIN LATERAL (
    SELECT version, event_id FROM event_log AS it
    WHERE it.municipality = k.municipality AND it.aggregate = k.aggregate AND it.version <= k.version
      AND it.topic = ANY ($4)
    ORDER BY version DESC LIMIT 1
) AS e ON true
"""

_GO_BACK = """
UPDATE versions AS v SET version = k.version, event_id = k.event_id
FROM unnest($3::text[], $4::text[], $5::bigint[], $6::uuid[]) AS k (municipality, aggregate, version, event_id)
WHERE v.consumer = $1 AND v.owner = $2 AND v.municipality = k.municipality AND v.aggregate = k.aggregate
"""

_FORGET = """
DELETE FROM versions AS v USING unnest($3::text[], $4::text[]) AS k (municipality, aggregate)
WHERE v.consumer = $1 AND v.owner = $2 AND v.municipality = k.municipality AND v.aggregate = k.aggregate
"""

_COUNT = "SELECT count(*) FROM event_log WHERE topic = ANY ($1)"

_LOCK_LOG = "LOCK TABLE event_log IN SHARE ROW EXCLUSIVE MODE"

# A log that was restored into another PostgreSQL bears transaction ids that lie in the future there.
_MAKE_VISIBLE = """
UPDATE event_log SET xid = pg_current_xact_id() WHERE NOT pg_visible_in_snapshot(xid, pg_current_snapshot())
"""

Aggregate = tuple[str, str]
"""(municipality, aggregate)"""


@dataclass(frozen=True, slots=True)
class LostFact:
    """A fact on a topic that its log does not hold."""

    topic: str
    type: str
    municipality: str
    aggregate: str
    version: int
    event_id: UUID
    occurred_at: datetime


async def lost_facts(
    connection: Connection, installation: InstallationSettings, topics: Sequence[str]
) -> list[LostFact]:
    """Facts on ``topics`` (without prefix, none of states) that the log does not hold, the oldest first.

    Raises:
        aiokafka.errors.KafkaError: Kafka does not answer.
    """
    lost = []
    async for facts in _facts(installation, topics):
        rows = await connection.fetch(
            _NOT_IN_LOG,
            [it.municipality for it in facts],
            [it.aggregate for it in facts],
            [it.version for it in facts],
            [it.event_id for it in facts],
        )
        lost += [facts[row["number"] - 1] for row in rows]
    once = {it.event_id: it for it in lost}
    return sorted(once.values(), key=lambda it: (it.occurred_at, it.aggregate, it.version))


async def _facts(installation: InstallationSettings, topics: Sequence[str]) -> AsyncIterator[list[LostFact]]:
    places = await _partitions(installation, topics)
    if not places:
        return
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.kafka, enable_auto_commit=False)
    consumer.assign(places)
    await consumer.start()
    try:
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        left = {place for place in places if ends[place] > begins[place]}
        for place in places:
            consumer.seek(place, begins[place])
        while left:
            got = await consumer.getmany(*left, timeout_ms=500, max_records=_CHUNK)
            facts = [_fact(installation, record) for records in got.values() for record in records]
            yield [it for it in facts if it is not None]
            for place in list(left):
                if await consumer.position(place) >= ends[place]:
                    left.discard(place)
    finally:
        await consumer.stop()


async def _partitions(installation: InstallationSettings, topics: Sequence[str]) -> list[TopicPartition]:
    """Every partition of those of the topics that are there."""
    wanted = {f"{installation.prefix}{topic}" for topic in topics}
    async with admin_client(installation) as admin:
        there = sorted(wanted & set(await admin.list_topics()))
        described = await admin.describe_topics(there) if there else []
    return [
        TopicPartition(it["topic"], partition["partition"])
        for it in described
        if it["error_code"] == 0
        for partition in it["partitions"]
    ]


def _fact(installation: InstallationSettings, record: ConsumerRecord) -> LostFact | None:
    """What a record tells; none where somebody else put bytes on the topic: they were in no log."""
    try:
        it = read(record.key, record.headers)
    except Unreadable:
        return None
    topic = record.topic[len(installation.prefix) :]
    return LostFact(topic, it.type, it.municipality, it.aggregate, it.version, it.id, it.occurred_at)


def before(lost: Iterable[LostFact]) -> dict[Aggregate, int]:
    """The last version of each aggregate before its first lost fact."""
    last: dict[Aggregate, int] = {}
    for it in lost:
        key = (it.municipality, it.aggregate)
        last[key] = min(last.get(key, it.version - 1), it.version - 1)
    return last


@dataclass(frozen=True, slots=True)
class Published:
    """``events`` of the log are published again; ``lost``: facts that were published before and are not in the log.

    ``went_back``: of how many aggregates each consumer forgot lost versions; its projections hold what they told.
    """

    events: int
    lost: tuple[LostFact, ...]
    went_back: Mapping[str, int]


async def would_publish_again(
    admin_url: str, installation: InstallationSettings, service: str, topics: Sequence[TopicSpec]
) -> Published:
    """What :func:`publish_again` would do; changes nothing."""
    async with _database(admin_url, installation, service) as log:
        lost = await lost_facts(log, installation, [spec.name for spec in topics if not spec.compacted])
        events: int = await log.fetchval(_COUNT, [spec.name for spec in topics])
    return Published(events, tuple(lost), {})


async def publish_again(
    admin_url: str,
    installation: InstallationSettings,
    service: str,
    topics: Sequence[TopicSpec],
    consumers: Sequence[str],
    *,
    by: Operator,
    reason: str = "",
) -> Published:
    """Republish a service's log (:func:`chassis.repair.republish`) as it is now, restored or not; on record.

    Raises:
        chassis.repair.RepairError: the relay's lock could not be taken.
        OSError, asyncpg.PostgresError, aiokafka.errors.KafkaError: a server cannot be reached; run it again.
    """
    names, facts = [spec.name for spec in topics], [spec.name for spec in topics if not spec.compacted]
    went_back: dict[str, int] = {}
    async with _database(admin_url, installation, service) as log:
        lost = await lost_facts(log, installation, facts)
        last = before(lost)
        async with log.transaction():
            await log.execute(_LOCK_LOG)
            await log.execute(_MAKE_VISIBLE)
            reason = f"{reason}; {len(lost)} published facts are not in the log" if lost else reason
            await acts.note(log, by, "republished", [Subject(topic=name) for name in names], reason=reason)

        async def forget(database: asyncpg.Connection[asyncpg.Record], consumer: str) -> None:
            if changed := await go_back(log, database, consumer, service, topics=facts, last=last):
                went_back[consumer] = changed

        events = await republish(admin_url, installation, service, topics, consumers, also=forget)
    return Published(events, tuple(lost), went_back)


@asynccontextmanager
async def _database(
    admin_url: str, installation: InstallationSettings, service: str
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(admin_url, database=database_name(installation, service))
    try:
        yield connection
    finally:
        await connection.close()


async def go_back(
    log: Connection,
    consumer: Connection,
    name: str,
    owner: str,
    *,
    topics: Sequence[str],
    last: dict[Aggregate, int],
) -> int:
    """Let a consumer forget the versions that ``owner``'s log has lost; gives of how many aggregates.

    ``last``: of :func:`before`. ``consumer`` is in the transaction that sets its offsets to the start.
    """
    changed, at = 0, ("", "")
    while True:
        rows = await consumer.fetch(_DEALT_WITH, name, owner, *at, _CHUNK)
        if not rows:
            return changed
        at = (rows[-1]["municipality"], rows[-1]["aggregate"])
        dealt_with = {(row["municipality"], row["aggregate"]): row["version"] for row in rows}
        bound = {key: min(version, last.get(key, version)) for key, version in dealt_with.items()}
        columns = ([key[0] for key in bound], [key[1] for key in bound], list(bound.values()))
        found = await log.fetch(_IN_LOG, *columns, list(topics))
        back = [row for row in found if (row["version"] or 0) < dealt_with[row["municipality"], row["aggregate"]]]
        kept = [row for row in back if row["version"] is not None]
        gone = [row for row in back if row["version"] is None]
        await consumer.execute(
            _GO_BACK,
            name,
            owner,
            [row["municipality"] for row in kept],
            [row["aggregate"] for row in kept],
            [row["version"] for row in kept],
            [row["event_id"] for row in kept],
        )
        await consumer.execute(
            _FORGET, name, owner, [row["municipality"] for row in gone], [row["aggregate"] for row in gone]
        )
        changed += len(back)
