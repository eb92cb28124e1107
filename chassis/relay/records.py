"""Turns rows of the event log into CloudEvents records, reading the present row of a state where the log only points.

Promise: the log never holds what a state holds, and a state's record is never older than its pointer: the row is read
after the pointer was seen, and a later change has a later pointer.

Proven by ``tests/integration/messaging/test_delivery.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import asyncpg

from chassis.envelope import CONTENT_TYPE, SPECVERSION
from chassis.relay.log import RelayRefusedError
from chassis.relay.publisher import Record
from chassis.service import Key, StateSource
from chassis.transaction import Connection

_MUNICIPALITY = 6
"""Digits of a municipality's code; the key is ``<code>/<aggregate>``."""


class Recorder:
    """Makes the records of one service. Headers that are the same for many rows are made once."""

    def __init__(self, service: str, prefix: str, states: Sequence[StateSource]) -> None:
        self._source = ("ce_source", f"/taiwa/{service}".encode())
        self._prefix = prefix
        self._states: Mapping[str, StateSource] = {state.state.TYPE: state for state in states}
        self._types: dict[str, tuple[str, bytes]] = {}

    async def records(self, connection: Connection, rows: Sequence[asyncpg.Record]) -> list[Record]:
        """One record per row, in order.

        Raises:
            RelayRefusedError: a row points at a state this service has no source for.
        """
        present = await self._present(connection, rows)
        types = self._types
        made = []
        for (
            _,
            topic,
            type_,
            key_hash,
            version,
            occurred_at,
            _,
            key,
            event_id,
            correlation_id,
            causation_id,
            traceparent,
            payload,
            *_,
        ) in rows:
            header = types.get(type_)
            if header is None:
                header = types[type_] = ("ce_type", type_.encode())
            headers = [
                SPECVERSION,
                ("ce_id", event_id),
                header,
                self._source,
                ("ce_subject", key[_MUNICIPALITY + 1 :]),
                ("ce_time", occurred_at.isoformat().encode()),
                ("ce_sequence", b"%d" % version),
                ("ce_municipality", key[:_MUNICIPALITY]),
                ("ce_correlationid", correlation_id),
                CONTENT_TYPE,
            ]
            if causation_id is not None:
                headers.append(("ce_causationid", causation_id))
            if traceparent is not None:
                headers.append(("traceparent", traceparent))
            value = payload if payload is not None else present.get((type_, key))
            made.append(Record(self._prefix + topic, key_hash, key, value, headers))
        return made

    async def _present(
        self, connection: Connection, rows: Sequence[asyncpg.Record]
    ) -> Mapping[tuple[str, bytes], bytes]:
        pointers: dict[str, dict[Key, bytes]] = {}
        for row in rows:
            if row["payload"] is None:
                municipality, _, aggregate = row["key"].decode().partition("/")
                pointers.setdefault(row["type"], {})[municipality, aggregate] = row["key"]
        present = {}
        for type_, keys in pointers.items():
            source = self._states.get(type_)
            if source is None:
                raise RelayRefusedError(f"the event log points at {type_}, but the service names no StateSource for it")
            for key, payload in (await source.read(connection, list(keys))).items():
                present[type_, keys[key]] = payload.encode()
        return present
