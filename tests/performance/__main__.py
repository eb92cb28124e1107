"""``python -m tests.performance [ID …] [--rows N] [--pairs N]``: measure, print, write, fail where a gate is missed."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Awaitable, Callable

import structlog
import uvloop

from chassis.testing import Installation
from tests.integration.messaging.services import Toy
from tests.performance import commanding, consuming, ground, latency, relaying
from tests.performance.harness import BENCH_FILE, Gate, compare, say

P1 = Gate("P1", "relay ÷ pipelined asyncpg + send_batch loop", "rows/s", 0.50)
P2 = Gate("P2", "relay ÷ pipelined plain-send loop", "rows/s", 1.0)
P3 = Gate("P3", "consumer ÷ raw getmany + decode + same SQL", "rows/s", 0.60)
P4 = Gate("P4", "consumer hosted by FastStream ÷ on bare aiokafka", "rows/s", 0.75)
P6 = Gate("P6", "commands with event ÷ without", "commands/s", 0.70)
SLOW = 100
"""Commands a second that any machine carries; judged only where it carries neither of the other rates."""
SATURATED = 0.8
"""Share of a core beyond which a pipeline in one process is a queue; its median says nothing about the work."""
P8 = Gate("P8", "command to projection, p50, ours ÷ plain pipeline", "ms", 2.0, at_least=False)


async def _relay(installation: Installation, source: Toy, wanted: set[str], rows: int, pairs: int) -> list[bool]:
    passed = []
    if wanted & {"P1", "P2"}:
        rows = await ground.fill_log(source, rows)
    if "P1" in wanted:
        reference = relaying.batched(installation, source)
        passed.append((await compare(P1, lambda: relaying.ours(source, rows), reference, pairs=pairs))[1])
    if "P2" in wanted:
        reference = relaying.one_by_one(installation, source)
        passed.append((await compare(P2, lambda: relaying.ours(source, rows), reference, pairs=pairs))[1])
    return passed


async def _consume(installation: Installation, sink: Toy, wanted: set[str], rows: int, pairs: int) -> list[bool]:
    passed = []
    if wanted & {"P3", "P4"}:
        rows = await ground.fill_topic(installation, rows)
    if "P3" in wanted:
        reference = consuming.plain(installation, sink, rows)
        passed.append((await compare(P3, lambda: consuming.hosted(sink, rows), reference, pairs=pairs))[1])
    if "P4" in wanted:
        bare = lambda: consuming.bare(installation, sink, rows)  # noqa: E731  as its neighbours
        passed.append((await compare(P4, lambda: consuming.hosted(sink, rows), bare, pairs=pairs))[1])
    return passed


async def _command(installation: Installation, source: Toy, rows: int, pairs: int) -> bool:
    await commanding.prepare(source)
    count = max(2_000, rows // 20)

    def run(*, with_event: bool) -> Callable[[], Awaitable[float]]:
        return lambda: commanding.commands(installation, source, count, with_event=with_event)

    return (await compare(P6, run(with_event=True), run(with_event=False), pairs=pairs))[1]


async def _latency(installation: Installation, source: Toy, sink: Toy, pairs: int) -> list[bool]:
    passed: list[bool] = []
    for per_second in (500, 1000, SLOW):
        if per_second == SLOW and passed:
            break
        busy = (await latency.reference(installation, source, sink, per_second)).busy
        if busy > SATURATED:
            say(f"P8  {per_second}/s is not judged: the plain pipeline alone takes {busy:.0%} of a core here")
            continue
        gate = Gate(P8.id, f"{P8.title}, {per_second}/s", P8.unit, P8.limit, at_least=False)

        async def ours(rate: int = per_second) -> float:
            return (await latency.ours(source, sink, rate)).percentile(50)

        async def reference(rate: int = per_second) -> float:
            return (await latency.reference(installation, source, sink, rate)).percentile(50)

        passed.append((await compare(gate, ours, reference, pairs=pairs))[1])
    return passed


async def main(wanted: set[str], rows: int, pairs: int) -> bool:
    """Run what is wanted; whether every gate was met."""
    BENCH_FILE.unlink(missing_ok=True)
    passed: list[bool] = []
    with ground.servers() as (url, kafka):
        async with ground.pair(url, kafka) as (installation, source, _):
            passed += await _relay(installation, source, wanted, rows, pairs)
        async with ground.pair(url, kafka) as (installation, _, sink):
            passed += await _consume(installation, sink, wanted, rows, pairs)
        if "P6" in wanted:
            async with ground.pair(url, kafka) as (installation, source, _):
                passed.append(await _command(installation, source, rows, pairs))
        if "P8" in wanted:
            async with ground.pair(url, kafka) as (installation, source, sink):
                passed += await _latency(installation, source, sink, pairs)
    return all(passed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("ids", nargs="*", help="P1 P2 P3 P4 P6 P8; none: all")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.WARNING)
    ids = {name.upper() for name in given.ids} or {"P1", "P2", "P3", "P4", "P6", "P8"}
    raise SystemExit(0 if uvloop.run(main(ids, given.rows, given.pairs)) else 1)
