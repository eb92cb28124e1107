"""Turns rows of the event log into CloudEvents records, reading the present row of a state where the log only points.

Promise: the log never holds what a state holds, and a state's record is never older than its pointer: the row is read
after the pointer was seen, and a later change has a later pointer.

A record is made when it is handed to Kafka's client, and forgotten at once. A page of records that lived together cost
the relay a third of its time: each has a dozen small objects, which the garbage collector walked again and again.

Proven by ``tests/integration/messaging/test_delivery.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import asyncpg

from chassis.envelope import CONTENT_TYPE, SPECVERSION, VERSIONS
from chassis.relay.log import RelayRefusedError
from chassis.relay.publisher import Record
from chassis.service import Key, StateSource
from chassis.transaction import Connection

_MUNICIPALITY = 6
"""Digits of a municipality's code; the key is ``<code>/<aggregate>``."""

Present = Mapping[tuple[str, bytes], bytes]
"""Payloads of states, by type and record key; one that is missing was erased."""


class Recorder:
    """Makes the records of one service. What is the same for many rows is made once."""

    def __init__(self, service: str, prefix: str, states: Sequence[StateSource]) -> None:
        self._source = ("ce_source", f"/taiwa/{service}".encode())
        self._prefix = prefix
        self._states: Mapping[str, StateSource] = {state.state.TYPE: state for state in states}
        self._types: dict[str, tuple[str, bytes]] = {}
        self._topics: dict[str, str] = {}

    def records(self, rows: Sequence[asyncpg.Record], present: Present) -> Iterator[Record]:
        """One record per row, in order; ``present`` was read by :meth:`present` after the rows."""
        types, topics = self._types, self._topics
        for row in rows:
            key, version, occurred_at = row["key"], row["version"], row["occurred_at"]
            type_ = row["type"]
            header = types.get(type_)
            if header is None:
                header = types[type_] = ("ce_type", type_.encode())
            topic = topics.get(row["topic"])
            if topic is None:
                topic = topics[row["topic"]] = self._prefix + row["topic"]
            headers = [
                SPECVERSION,
                ("ce_id", row["event_id"]),
                header,
                self._source,
                ("ce_subject", key[_MUNICIPALITY + 1 :]),
                ("ce_time", occurred_at.isoformat().encode()),
                ("ce_sequence", b"%d" % version),
                ("ce_municipality", key[:_MUNICIPALITY]),
                ("ce_correlationid", row["correlation_id"]),
                CONTENT_TYPE,
            ]
            if (causation_id := row["causation_id"]) is not None:
                headers.append(("ce_causationid", causation_id))
            if (traceparent := row["traceparent"]) is not None:
                headers.append(("traceparent", traceparent))
            if (told_in := row["told_in"]) is not None:
                headers.append((VERSIONS, told_in))
            payload = row["payload"]
            yield topic, row["key_hash"], key, payload if payload is not None else present.get((type_, key)), headers

    async def present(self, connection: Connection, rows: Sequence[asyncpg.Record]) -> Present:
        """What the states that rows point at hold now.

        Raises:
            RelayRefusedError: a row points at a state this service has no source for.
        """
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
