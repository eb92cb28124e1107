"""``python -m tests.performance [ID …] [--rows N] [--pairs N] [--quick] [--soak MINUTES]``

Measures, prints, writes ``build/bench.jsonl``; fails where a gate is missed. Ids: P1 to P18, S1 and S2 (what a weak
reference would show), T1 and T2 (what tutorials lose).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable

import structlog
import uvloop

from chassis.serve import spare_what_stands
from chassis.testing import Installation
from tests.integration.messaging.services import Toy
from tests.performance import (
    commanding,
    consuming,
    ground,
    latency,
    peer,
    recovering,
    relaying,
    serving,
    starting,
    tutorial,
)
from tests.performance.harness import BENCH_FILE, Bench, Ratio, say

P1 = Ratio("P1", "relay ÷ pipelined asyncpg + send_batch loop", "rows/s", 0.50, 0.80)
P2 = Ratio("P2", "relay ÷ pipelined plain-send loop", "rows/s", 1.0, 1.6)
S1 = Ratio("S1", "the reference itself: send_batch loop ÷ plain-send loop", "rows/s")
P3 = Ratio("P3", "consumer ÷ raw getmany + decode + same SQL", "rows/s", 0.60, 0.80)
P4 = Ratio("P4", "consumer hosted by FastStream ÷ on bare aiokafka", "rows/s", 0.75, 0.90)
S2 = Ratio("S2", "the reference itself: hosted by FastStream ÷ bare", "rows/s")
P6 = Ratio("P6", "commands with event ÷ without", "commands/s", 0.70, 0.85)
P7 = Ratio("P7", "commands over HTTP ÷ asyncpg loop, same SQL and connections", "commands/s", 0.25, 0.40)
SATURATED = 0.8
"""Share of a core beyond which a pipeline in one process is a queue; its median says nothing about the work."""
SLOW = 100
"""Commands a second that any machine carries; judged only where it carries neither of the other rates."""
P10 = Ratio("P10", "commands with the relay woken by commits ÷ polling", "commands/s", 0.90, 0.97)
P11 = Ratio(
    "P11", "relay's poll, p50, a transaction open elsewhere ÷ none, 10k/s", "ms", 2.0, 1.5, at_least=False
)  # fmt: skip
P12 = Ratio("P12", "relay over a backlog of 1M rows ÷ over a fifth of it", "rows/s", 0.8, 1.0)
P13 = Ratio("P13", "slowest town's p99 ÷ median town's, one sends half", "ms", 3.0, 1.5, at_least=False)
P14 = Ratio(
    "P14", "p99 of healthy keys, 1 % of keys behind a dead letter ÷ none", "ms", 1.3, 1.1, at_least=False,
    of_medians=True,
)  # fmt: skip
P15 = Ratio("P15", "kill -9 to the first new projection ÷ (session timeout + 1 s)", "s", 1.5, 1.0, at_least=False)
P15B = Ratio("P15-stand-by", "the same until a stand-by projects every key", "s", 1.5, 1.0, at_least=False)
P16 = (
    Ratio("P16-p99", "soak: p99, last quarter ÷ first", "ms", 1.2, 1.05, at_least=False),
    Ratio("P16-memory", "soak: resident memory, last quarter ÷ first", "MB", 1.2, 1.05, at_least=False),
)
P17 = Ratio("P17", "relay ÷ faststream-outbox at its best setting", "rows/s", 20.0, 40.0)
P17B = Ratio("P17-replicas", "two replicas each; theirs inverts then, so it is not the same work", "rows/s")
P18 = Ratio("P18", "relay and consumer together ÷ reference pair", "rows/s", 0.50, 0.75)

STARTS = (
    Ratio("D1", "demo: first start, network apart ÷ 2 min", "s", 1.0, at_least=False),
    Ratio("D2", "demo: second start ÷ 25 s", "s", 1.0, at_least=False),
    Ratio("D3", "demo: PSS of all but PostgreSQL and Kafka ÷ 1.2 GiB", "MiB", 1.0, at_least=False),
)
LIMITS = (120.0, 25.0, 1.2 * 1024)
TOLD = (
    Ratio("D4-inbox", "demo: decision to the leader's notice ÷ 1 s", "ms", 1.0, at_least=False),
    Ratio("D4-mail", "demo: decision to the mail in its inbox ÷ 1 s", "ms", 1.0, at_least=False),
    Ratio("D4-copy", "demo: decision to what consultations knows ÷ 1 s", "ms", 1.0, at_least=False),
)


def latencies(per_second: int) -> tuple[Ratio, Ratio]:
    """P8 and P9 at a rate."""
    return (
        Ratio(f"P8-{per_second}", f"command to projection, p50, {per_second}/s", "ms", 2.0, 1.3, at_least=False),
        Ratio(
            f"P9-{per_second}", f"command to projection, p99, {per_second}/s", "ms", 3.0, 1.5, at_least=False,
            of_medians=True,
        ),
    )  # fmt: skip


async def _relay(bench: Bench, installation: Installation, source: Toy, _: Toy) -> None:
    rows = await ground.fill_log(source, bench.rows)
    batched, one_by_one = relaying.batched(installation, source), relaying.one_by_one(installation, source)
    if bench.wants("P1"):
        await bench.compare(P1, lambda: relaying.ours(source, rows), batched)
    if bench.wants("P2"):
        await bench.compare(P2, lambda: relaying.ours(source, rows), one_by_one)
    if bench.wants("S1"):
        await bench.compare(S1, batched, one_by_one, pairs=2)


async def _consume(bench: Bench, installation: Installation, _: Toy, sink: Toy) -> None:
    rows = await ground.fill_topic(installation, bench.rows)
    plain = consuming.plain(installation, sink, rows)
    if bench.wants("P3"):
        await bench.compare(P3, lambda: consuming.hosted(sink, rows), plain)
    if bench.wants("P4"):
        await bench.compare(P4, lambda: consuming.hosted(sink, rows), lambda: consuming.bare(installation, sink, rows))
    if bench.wants("S2"):
        await bench.compare(S2, lambda: consuming.plain_hosted(installation, sink, rows), plain, pairs=2)


async def _command(bench: Bench, installation: Installation, source: Toy, _: Toy) -> None:
    await commanding.prepare(source)
    count = max(2_000, bench.rows // 20)

    def run(*, with_event: bool, woken: bool | None = None) -> Callable[[], Awaitable[float]]:
        return lambda: commanding.commands(installation, source, count, with_event=with_event, woken=woken)

    if bench.wants("P6"):
        await bench.compare(P6, run(with_event=True), run(with_event=False))
    if bench.wants("P7"):
        await bench.compare(
            P7, lambda: serving.over_http(source, count // 2), lambda: serving.directly(source, count // 2)
        )
    if bench.wants("P10"):
        await bench.compare(P10, run(with_event=True, woken=True), run(with_event=True, woken=False))


async def _latency(bench: Bench, installation: Installation, source: Toy, sink: Toy) -> None:
    seconds = 3.0 if bench.quick else latency.SECONDS
    judged = False
    for per_second in (500, 1000, SLOW):
        if per_second == SLOW and judged:
            break
        busy = (await latency.reference(installation, source, sink, per_second, seconds)).busy
        if busy > SATURATED:
            bench.note(f"P8-{per_second}", "not judged, the plain pipeline alone is too much here", core=round(busy, 2))
            continue

        async def ours(rate: int = per_second) -> list[float]:
            return _both(await latency.ours(source, sink, rate, seconds))

        async def reference(rate: int = per_second) -> list[float]:
            return _both(await latency.reference(installation, source, sink, rate, seconds))

        pairs = bench.pairs if bench.quick else max(7, bench.pairs)
        await bench.compare(latencies(per_second), ours, reference, pairs=pairs)
        judged = True


def _both(clock: latency.Clock) -> list[float]:
    return [clock.percentile(50), clock.percentile(99)]


async def _fairness(bench: Bench, _: Installation, source: Toy, sink: Toy) -> None:
    say(f"{P13.id}  {P13.title}")
    seconds = 5 if bench.quick else 20
    found = [await latency.towns(source, sink, 500, seconds) for _ in range(bench.pairs)]
    bench.judge(P13, [slowest for slowest, _ in found], [middle for _, middle in found])


async def _poison(bench: Bench, _: Installation, source: Toy, sink: Toy) -> None:
    seconds = 4 if bench.quick else 10
    await bench.compare(
        P14,
        lambda: latency.healthy(source, sink, 500, seconds, poisoned=True),
        lambda: latency.healthy(source, sink, 500, seconds, poisoned=False),
    )


async def _soak(bench: Bench, _: Installation, source: Toy, sink: Toy) -> None:
    for ratio in P16:
        say(f"{ratio.id}  {ratio.title}, {bench.soak:g} minutes at 300/s")
    last, first = await latency.soak(source, sink, 300, bench.soak)
    for place, ratio in enumerate(P16):
        bench.judge(ratio, [last[place]], [first[place]])


async def _open_transaction(bench: Bench, _: Installation, source: Toy, __: Toy) -> None:
    hold, seconds = (8.0, 5.0) if bench.quick else (60.0, 15.0)
    await bench.compare(
        P11,
        lambda: relaying.polls(source, 10_000, hold=hold, seconds=seconds),
        lambda: relaying.polls(source, 10_000, hold=0, seconds=seconds),
        pairs=1,
        warm_up=False,
    )


async def _backlog(bench: Bench, _: Installation, source: Toy, __: Toy) -> None:
    small = await ground.fill_log(source, bench.rows)
    say(f"{P12.id}  {P12.title}")
    pairs = 1 if bench.quick else 3
    await relaying.ours(source, small)
    steady = [await relaying.ours(source, small) for _ in range(pairs)]
    large = small + await ground.fill_log(source, 4 * bench.rows, begin=small // ground.AGGREGATES)
    drained = [await relaying.ours(source, large) for _ in range(pairs)]
    bench.judge(P12, drained, steady)


async def _recovery(bench: Bench, _: Installation, source: Toy, sink: Toy) -> None:
    for ratio, stand_by in ((P15, False), (P15B, True)):
        say(f"{ratio.id}  {ratio.title}")
        runs = 1 if bench.quick else 3
        took = [await recovering.after_a_kill(source, sink, stand_by=stand_by) for _ in range(runs)]
        bench.judge(ratio, took, [recovering.PATIENCE] * runs)


async def _peer(bench: Bench, installation: Installation, source: Toy, _: Toy) -> None:
    say(f"{P17.id}  {P17.title}; both in processes of their own")
    rows = await ground.fill_log(source, bench.rows, things=peer.THINGS, in_succession=peer.IN_SUCCESSION)
    few = 1_000 if bench.quick else 4_000
    runs: list[tuple[str, Callable[[], Awaitable[ground.Seen]]]] = [
        ("ours, 1 replica", lambda: peer.ours(source, rows, replicas=1)),
        ("ours, 2 replicas", lambda: peer.ours(source, rows, replicas=2)),
        ("outbox at its defaults, 1 replica", lambda: peer.theirs(installation, few, best=False, replicas=1)),
        ("outbox at its defaults, 2 replicas", lambda: peer.theirs(installation, few, best=False, replicas=2)),
        ("outbox at its best, 1 replica", lambda: peer.theirs(installation, few * 5, best=True, replicas=1)),
        ("outbox at its best, 2 replicas", lambda: peer.theirs(installation, few * 5, best=True, replicas=2)),
    ]  # fmt: skip
    rates: dict[str, list[float]] = {}
    for turn in range(1 if bench.quick else 3):
        for title, run in runs:
            if turn and "defaults" in title:
                continue
            seen = await run()
            rates.setdefault(title, []).append(seen.rate)
            facts = {"rows_per_second": round(seen.rate), "inverted": seen.inverted, "repeated": seen.repeated}
            bench.note("P17-run", title, **facts, records=seen.records)
    bench.judge(P17, rates["ours, 1 replica"], rates["outbox at its best, 1 replica"])
    bench.judge(P17B, rates["ours, 2 replicas"], rates["outbox at its best, 2 replicas"])


async def _pair(bench: Bench, _: Installation, source: Toy, sink: Toy) -> None:
    rows = await ground.fill_log(source, bench.rows if bench.quick else 500_000)
    await bench.compare(
        P18,
        lambda: consuming.together(source, sink, rows, plain=False),
        lambda: consuming.together(source, sink, rows, plain=True),
        pairs=1 if bench.quick else 3,
        warm_up=False,
    )


async def _tutorials(bench: Bench, installation: Installation, source: Toy, sink: Toy) -> None:
    kills = 2 if bench.quick else 5

    def tell(id_: str, title: str, loss: tutorial.Loss) -> None:
        bench.note(id_, title, kills=kills, events=loss.events, lost=loss.lost, repeated=loss.repeated)

    async with tutorial.ground(installation) as url:
        if bench.wants("T1"):
            tell(
                "T1", "publish after commit", await tutorial.writers_killed(installation, url, kills=kills, seconds=0.5)
            )
            tell("T1", "ours: emit and relay", await tutorial.our_writers_killed(source, kills=kills, seconds=0.5))
        if bench.wants("T2"):
            kills = 1 if bench.quick else 3
            for policy in ("ACK_FIRST", "ACK"):
                loss = await tutorial.consumers_killed(installation, url, policy, kills=kills)
                tell("T2", f"a consumer per message, {policy}", loss)
            tell("T2", "ours: the consumer", await tutorial.our_consumers_killed(source, sink, kills=kills))


async def _start(bench: Bench) -> None:
    say("D1 to D4  the demo: starts, memory, how soon a decision is told")
    *found, told = await starting.measured()
    for ratio, figure, limit in zip(STARTS, found, LIMITS, strict=True):
        bench.judge(ratio, [figure], [limit])
    for place, ratio in enumerate(TOLD):
        bench.judge(ratio, [each[place] for each in told], [1000.0] * len(told))


Group = Callable[[Bench, Installation, Toy, Toy], Awaitable[None]]
GROUPS: list[tuple[set[str], Group]] = [
    ({"P1", "P2", "S1"}, _relay),
    ({"P3", "P4", "S2"}, _consume),
    ({"P6", "P7", "P10"}, _command),
    ({"P8", "P9"}, _latency),
    ({"P11"}, _open_transaction),
    ({"P12"}, _backlog),
    ({"P13"}, _fairness),
    ({"P14"}, _poison),
    ({"P15"}, _recovery),
    ({"P16"}, _soak),
    ({"P17"}, _peer),
    ({"P18"}, _pair),
    ({"T1", "T2"}, _tutorials),
]
"""Each on databases and topics of its own."""


async def main(bench: Bench) -> bool:
    """Run what is wanted; whether every gate was met.

    SIGTERM and Ctrl-C cancel it, so that the servers it started are stopped whatever it is doing.
    """
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    BENCH_FILE.unlink(missing_ok=True)
    spare_what_stands()  # as every process of the product; both sides have it
    if bench.wants("D1", "D2", "D3", "D4"):
        await _start(bench)
    with ground.servers() as (url, kafka):
        for ids, group in GROUPS:
            if bench.wants(*ids):
                async with ground.pair(url, kafka, reacts=ids == {"T1", "T2"}) as (installation, source, sink):
                    await group(bench, installation, source, sink)
    bench.tell()
    return bench.passed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument(
        "ids", nargs="*", help=f"D1 to D4, {' '.join(sorted(set().union(*(ids for ids, _ in GROUPS))))}; none: all"
    )
    parser.add_argument("--rows", type=int, help="events of a throughput run (200000)")
    parser.add_argument("--pairs", type=int, help="pairs of runs of each ratio (5; latencies at least 7)")
    parser.add_argument("--quick", action="store_true", help="a short form, to see that everything works")
    parser.add_argument("--soak", type=float, help="minutes of P16 (2)")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.ERROR)
    asked = Bench(
        frozenset(name.upper() for name in given.ids),
        rows=given.rows or (40_000 if given.quick else 200_000),
        pairs=given.pairs or (2 if given.quick else 5),
        quick=given.quick,
        soak=given.soak or (0.4 if given.quick else 2.0),
    )
    with contextlib.suppress(asyncio.CancelledError):
        raise SystemExit(0 if uvloop.run(main(asked)) else 1)
    say("interrupted; the servers were stopped")
    raise SystemExit(130)
