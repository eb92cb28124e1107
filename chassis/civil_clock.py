"""The town's simulated time, copied from its owner's event into each service's own table ``civil_clock``.

Promise: the newest jump holds (by ``machine_at``), however late or often a record comes. The chassis knows no event, so
each service names the class: ``civil_clock_projection(CivilClockSetV1, "leaders.civil_clock")``.

Proven by ``tests/integration/messaging/test_consumer.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chassis.service import Projection, ReadableFact, Received
from chassis.transaction import Connection

_SET = """
INSERT INTO civil_clock (civil_at, machine_at) VALUES ($1, $2)
ON CONFLICT (singleton) DO UPDATE SET civil_at = excluded.civil_at, machine_at = excluded.machine_at
WHERE civil_clock.machine_at < excluded.machine_at
"""


def civil_clock_projection(event: type[ReadableFact], name: str) -> Projection:
    """A projection of an event with ``civil_at`` and ``machine_at``; ``name`` is ``<service>.civil_clock``."""

    async def set_civil_clock(connection: Connection, records: Sequence[Received[Any]]) -> None:
        newest = max(records, key=lambda record: record.event.machine_at)
        await connection.execute(_SET, newest.event.civil_at, newest.event.machine_at)

    return Projection(name, (event,), set_civil_clock)
