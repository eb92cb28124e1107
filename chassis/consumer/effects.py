"""Runs a service's projections and reactions on records, inside the transaction of their batch.

Promise: a reaction sees and writes only the municipality of its event; its own events carry the cause, the correlation
and the trace, so that a trace is unbroken from HTTP through the event log and Kafka to the reaction and on.

Proven by ``tests/integration/messaging/test_consumer.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import extract

from chassis import failpoints
from chassis.clocks import CivilClock
from chassis.consumer.ledger import Partition
from chassis.database import ALL_MUNICIPALITIES, Database
from chassis.service import Projection, Reaction, Received, Service
from chassis.transaction import Actor, Connection, Transaction

NO_LINES: Mapping[Partition, int] = {}
"""Everything is acted upon."""

_tracer = trace.get_tracer("taiwa.consumer")


def _context(traceparent: str | None) -> Context | None:
    return extract({"traceparent": traceparent}) if traceparent else None


class Effects:
    """What the records of a service's topics bring about in it."""

    def __init__(
        self,
        service: Service,
        database: Database,
        *,
        projections_only: bool = False,
    ) -> None:
        self._service = service.name
        self._database = database
        self._projections: list[tuple[Projection, frozenset[str]]] = [
            (projection, frozenset(event.TYPE for event in projection.events)) for projection in service.projections
        ]
        self._reactions: dict[str, list[tuple[Reaction, Actor]]] = {}
        for reaction in () if projections_only else service.reactions:
            self._reactions.setdefault(reaction.event.TYPE, []).append((reaction, Actor("reaction", reaction.name)))

    async def apply(
        self, connection: Connection, records: Sequence[Received[Any]], acts_from: Mapping[Partition, int] = NO_LINES
    ) -> bool:
        """Bring the records' effects about; gives whether any reaction ran. The scope is ``*`` before and after.

        ``acts_from``: records of a partition before this offset are copied and not acted upon.
        """
        for projection, types in self._projections:
            wanted = [record for record in records if record.type in types]
            if wanted:
                await projection.apply(connection, wanted)
        failpoints.reach("consumer.after_projections")
        reacting = [record for record in records if record.type in self._reactions]
        if acts_from:
            reacting = [it for it in reacting if it.offset >= acts_from.get((it.topic, it.partition), 0)]
        if not reacting:
            return False
        clock = await self._database.civil_clock(connection)
        scope = ALL_MUNICIPALITIES
        for record in reacting:
            if record.municipality != scope:
                scope = await _enter(connection, record.municipality)
            for reaction, actor in self._reactions[record.type]:
                await self._react(connection, clock, reaction, actor, record)
        await _enter(connection, ALL_MUNICIPALITIES)
        failpoints.reach("consumer.after_reactions")
        return True

    async def _react(
        self, connection: Connection, clock: CivilClock, reaction: Reaction, actor: Actor, record: Received[Any]
    ) -> None:
        with _tracer.start_as_current_span(
            f"{self._service} {reaction.name}",
            context=_context(record.traceparent),
            kind=trace.SpanKind.CONSUMER,
            attributes={
                "messaging.system": "kafka",
                "messaging.destination.name": record.topic,
                "cloudevents.event_id": str(record.id),
                "cloudevents.event_type": record.type,
            },
        ):
            transaction = Transaction(
                connection,
                record.municipality,
                actor,
                clock,
                correlation_id=record.correlation_id,
                causation_id=record.id,
            )
            await reaction.react(transaction, record)
            await transaction.flush()


async def _enter(connection: Connection, scope: str) -> str:
    """Change the municipality of a running transaction. The codes were verified when the records were read."""
    await connection.execute("SELECT set_config('taiwa.municipality', $1, true)", scope)
    return scope
