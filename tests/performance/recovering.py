"""P15: seconds from kill -9 of a consumer to new projections, beside the session timeout and a second.

Two ways: the same process is started anew and has to wait until the dead one's session ends; or another one that runs
already takes over, and every key flows again.
"""

from __future__ import annotations

import asyncio
import contextlib
from itertools import count
from time import perf_counter

from chassis.consumer.hosting import SESSION_MS
from tests.integration.messaging.services import Toy
from tests.performance.processes import process

PATIENCE = SESSION_MS / 1000 + 1
KEYS = 48
"""Things, so many that every partition has one."""

_serial = count()


async def _make_for_ever(source: Toy, batch: str) -> None:
    for version in count(1):
        for number in range(KEYS):
            await source.make(f"{batch}{number}", version)
        await asyncio.sleep(0.2)


async def _flowing(sink: Toy, batch: str, *, after: dict[str, int], keys: int) -> None:
    """Wait until so many things have a newer projection."""
    while True:
        now = await _versions(sink, batch)
        if sum(version > after.get(thing, 0) + 1 for thing, version in now.items()) >= keys:
            return
        await asyncio.sleep(0.02)


async def _versions(sink: Toy, batch: str) -> dict[str, int]:
    rows = await sink.rows("SELECT thing_id, version FROM copies WHERE thing_id LIKE $1", f"{batch}%")
    return {row["thing_id"]: row["version"] for row in rows}


async def after_a_kill(source: Toy, sink: Toy, *, stand_by: bool) -> float:
    """Seconds until the first projection by the process started anew, or until a stand-by projects every key."""
    batch = f"k{next(_serial)}-"
    source.relay()
    making = asyncio.create_task(_make_for_ever(source, batch))
    try:
        async with contextlib.AsyncExitStack() as stack:
            one = await stack.enter_async_context(process(sink.installation, "consumer"))
            await _flowing(sink, batch, after={}, keys=KEYS)
            if stand_by:
                await stack.enter_async_context(process(sink.installation, "consumer"))
                await asyncio.sleep(4)  # it joins and takes half of the partitions
                await _flowing(sink, batch, after=await _versions(sink, batch), keys=KEYS)
            await one.kill()
            began = perf_counter()
            after = await _versions(sink, batch)
            if not stand_by:
                await stack.enter_async_context(process(sink.installation, "consumer"))
            await _flowing(sink, batch, after=after, keys=KEYS if stand_by else 1)
            return perf_counter() - began
    finally:
        making.cancel()
        await source.stop()
