"""``make simulate``: any number of schedules, or one of them step by step."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Iterator
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.mutants import MUTANTS, apply
from tests.simulation.many import lived_through
from tests.simulation.schedule import KINDS, Outcome, run
from tests.simulation.world import replaced

CHUNK = 50


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed (default: %(default)s)")
    parser.add_argument("--kind", choices=sorted(set(KINDS)), help="what they are about (default: the seed decides)")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="make this mistake, to see it found")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="(default: one per core)")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first that fails")
    parser.add_argument("--trace", type=int, metavar="SEED", help="tell this one step by step")
    return parser.parse_args()


def trace(seed: int, kind: str | None, mutant: str | None) -> int:
    """Tell one schedule; 1 if it breaks a promise."""
    with replaced():
        undo = apply(mutant) if mutant else lambda: None
        outcome = run(seed, kind=kind, traced=True)
        undo()
    sys.stdout.write("".join(f"{line}\n" for line in outcome.trace))
    sys.stdout.write(f"seed {seed} ({outcome.kind}): {outcome.problem or 'every promise was kept'}\n")
    return int(outcome.problem is not None)


def outcomes(given: argparse.Namespace) -> Iterator[list[Outcome]]:
    """Chunks of outcomes, in any order."""
    chunks = [
        (given.seed + done, min(CHUNK, given.schedules - done), given.kind, given.mutant)
        for done in range(0, given.schedules, CHUNK)
    ]
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        yield from pool.imap_unordered(lived_through, chunks)


def main() -> int:
    """Run; 1 if any schedule breaks a promise."""
    given = _arguments()
    if given.trace is not None:
        return trace(given.trace, given.kind, given.mutant)
    console = Console(stderr=True)
    began, done, events, failed = perf_counter(), 0, 0, 0
    columns = (TextColumn("schedules"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=given.schedules)
        for chunk in outcomes(given):
            done, events = done + len(chunk), events + sum(it.events for it in chunk)
            progress.update(bar, completed=done)
            for it in (it for it in chunk if it.problem):
                failed += 1
                console.print(f"seed {it.seed} ({it.kind}): {it.problem}", markup=False)
                console.print(f"  faults: {'; '.join(it.faults) or 'none'}", markup=False)
                console.print(f"  make simulate ARGS='--trace {it.seed}'", markup=False)
            if failed and not given.keep_going:
                break
    seconds = perf_counter() - began
    sys.stdout.write(
        f"{done} schedules with {events} events in {seconds:.0f} s ({done / seconds:.0f} a second): {failed} failed\n"
    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
