"""Collects what a run left behind, past the proxies; and tells when the installation has come to rest."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from aiokafka import AIOKafkaConsumer

from chassis.tail import log_ends
from tests.chaos.checker import Applied, Evidence, Fact, Move
from tests.chaos.ground import SERVICES, Ground
from tests.chaos.history import Operation

_OPEN_LETTERS = """
SELECT kind, code, aggregate, version, left(error, 200) AS error FROM dead_letters WHERE closed_at IS NULL
"""
_STOPS = "SELECT consumer, scope, topic, partition, reason, command FROM stops"
_LOG = "SELECT aggregate, version, event_id::text FROM event_log WHERE topic = $1 ORDER BY position"
_MOVES = "SELECT consumer, topic, partition, log, before, after FROM offset_history ORDER BY id"
_EFFECTS = 'SELECT aggregate, version, generation, partition, "offset", event_id::text FROM effects ORDER BY id'
_FILINGS = 'SELECT aggregate, version, generation, partition, "offset", event_id::text FROM filings ORDER BY id'


async def on_topic(ground: Ground, topic: str) -> list[Fact]:
    """Every record of a topic, by partition and offset."""
    consumer = AIOKafkaConsumer(
        f"{ground.looking.prefix}{topic}", bootstrap_servers=ground.looking.kafka, enable_auto_commit=False
    )
    await consumer.start()
    try:
        partitions = sorted(consumer.assignment())
        begin, end = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        found: dict[int, list[Fact]] = {partition.partition: [] for partition in partitions}
        for partition in partitions:
            consumer.seek(partition, begin[partition])
        left = {partition for partition in partitions if end[partition] > begin[partition]}
        consumer.pause(*[partition for partition in partitions if partition not in left])
        while left:
            for partition, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    headers = dict(record.headers)
                    subject, version, id_ = (headers[it].decode() for it in ("ce_subject", "ce_sequence", "ce_id"))
                    found[partition.partition].append(Fact(subject, int(version), id_))
                if await consumer.position(partition) >= end[partition]:
                    left.discard(partition)
                    consumer.pause(partition)
        return [fact for partition in partitions for fact in found[partition.partition]]
    finally:
        await consumer.stop()


async def _rows(ground: Ground, service: str, sql: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await ground.administrator(service)
    try:
        return await connection.fetch(sql, *arguments)
    finally:
        await connection.close()


async def leftovers(ground: Ground) -> list[str]:
    """Dead letters, stops and timers that are still there."""
    found = []
    for service in SERVICES:
        found += [f"{service}: a letter: {dict(row)}" for row in await _rows(ground, service, _OPEN_LETTERS)]
        found += [f"{service}: a stop: {dict(row)}" for row in await _rows(ground, service, _STOPS)]
        if timers := (await _rows(ground, service, "SELECT count(*) FROM timers"))[0][0]:
            found.append(f"{service}: {timers} timers did not run")
    return found


async def behind(ground: Ground) -> str:
    """What is still on its way; empty when the installation has come to rest."""
    archive = await ground.administrator("archive")
    clerk = await ground.administrator("clerk")
    try:
        lost = frozenset[str]().union(*(it.facts for it in ground.restores))
        timers = await clerk.fetchval("SELECT count(*) FROM timers WHERE failed_at IS NULL")
        if timers:
            return f"{timers} timers have not run"
        logged = await clerk.fetchval("SELECT count(*) FROM event_log")
        effects = await archive.fetchval("SELECT count(*) FROM effects WHERE event_id <> ALL ($1)", list(lost))
        if effects < logged:
            return f"{logged - effects} of {logged} facts have not reached the archive"
        filed = await archive.fetchval("SELECT count(*) FROM event_log")
        filings = await clerk.fetchval("SELECT count(*) FROM filings")
        if filings < filed:
            return f"{filed - filings} of {filed} filings have not reached the clerk"
        async with log_ends(ground.looking) as ends:
            for connection, topic in ((archive, "clerk.events"), (clerk, "archive.events")):
                stand = {
                    row["partition"]: row["next"]
                    for row in await connection.fetch("SELECT partition, next FROM offsets WHERE topic = $1", topic)
                }
                late = sum(end - stand.get(number, 0) for (_, number), end in (await ends([topic])).items())
                if late:
                    return f"{late} records of {topic} are not consumed"
    finally:
        await archive.close()
        await clerk.close()
    return ""


async def collect(ground: Ground, operations: Sequence[Operation], surprises: Sequence[str]) -> Evidence:
    """Everything the checker looks at."""
    marks = await _rows(ground, "clerk", "SELECT paper_id, version, mark FROM marks ORDER BY paper_id, version")
    papers = await _rows(ground, "clerk", "SELECT paper_id, total, version FROM papers")
    copies = await _rows(ground, "archive", "SELECT paper_id, total, version FROM copies")
    moves = [row for service in SERVICES for row in await _rows(ground, service, _MOVES)]
    return Evidence(
        operations=operations,
        marks=[(row[0], row[1], row[2]) for row in marks],
        papers={row[0]: (row[1], row[2]) for row in papers},
        reminders=[row[0] for row in await _rows(ground, "clerk", "SELECT mark FROM reminders ORDER BY id")],
        clerk_log=[Fact(*row) for row in await _rows(ground, "clerk", _LOG, "clerk.events")],
        clerk_topic=await on_topic(ground, "clerk.events"),
        copies={row[0]: (row[1], row[2]) for row in copies},
        effects=[Applied(*row) for row in await _rows(ground, "archive", _EFFECTS)],
        archive_log=[Fact(*row) for row in await _rows(ground, "archive", _LOG, "archive.events")],
        archive_topic=await on_topic(ground, "archive.events"),
        filings=[Applied(*row) for row in await _rows(ground, "clerk", _FILINGS)],
        moves=[Move(*row) for row in moves],
        restores=tuple(ground.restores),
        leftovers=[*await leftovers(ground), *surprises, *ground.unexplained],
    )
