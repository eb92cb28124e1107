"""``python -m tests.chaos``: load and faults for so many minutes, then the verdict; 1 where anything is not zero."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
from pathlib import Path

import uvloop

from tests.chaos.disks import not_permitted
from tests.chaos.ground import ground
from tests.chaos.mutants import AIMS
from tests.chaos.nemesis import FAULTS, Summary, chaos, progress, table

REST_OF_A_MUTANT = 10.0
"""A program that loses events never comes to rest."""

A_MINUTE = 60.0
"""From the first fault until the checker has spoken, coming to rest included."""

RESULTS = Path("build/chaos.jsonl")


def _options() -> argparse.Namespace:
    known = "\n".join(f"  {it.name:<18} {it.about}" for it in FAULTS.values())
    parser = argparse.ArgumentParser(
        prog="make chaos ARGS=…",
        description=__doc__,
        epilog=f"faults:\n{known}\n\nA run with the same seed plans the same faults; the parts decide when they hit.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="how long faults are done (default 5)")
    parser.add_argument("--seed", type=int, default=None, help="of faults and load (default: a new one, printed)")
    parser.add_argument(
        "--faults", default="all", help="comma separated, or all; a leading - leaves out: -disk,-restored"
    )
    parser.add_argument("--clients", type=int, default=8, help="clients that command at once (default 8)")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"JSON lines, appended (default {RESULTS})")
    parser.add_argument("--mutants", default="", help=f"run wrong programs instead: all, or of {', '.join(AIMS)}")
    parser.add_argument("--keep", type=Path, default=None, help="folder for history, logs and data; kept afterwards")
    return parser.parse_args()


def chosen(text: str) -> list[str]:
    """The faults that ``--faults`` names.

    Raises:
        SystemExit: one of them is not known.
    """
    given = [name.strip() for name in text.split(",") if name.strip()]
    out = {name.removeprefix("-") for name in given if name.startswith("-")}
    wanted = [name for name in given if not name.startswith("-") and name != "all"] or list(FAULTS)
    if unknown := [name for name in [*wanted, *out] if name not in FAULTS]:
        raise SystemExit(f"There is no fault {', '.join(unknown)}. Known: {', '.join(FAULTS)}")
    return [name for name in wanted if name not in out]


def _end_in_order() -> None:
    """SIGTERM ends servers, disks and members too, as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _run(folder: Path, options: argparse.Namespace, seed: int, names: list[str]) -> Summary:
    _end_in_order()
    async with ground(folder, small_disks="disk" in names) as it:
        return await chaos(
            it,
            seed=seed,
            seconds=options.minutes * 60,
            names=names,
            results=options.results,
            say=progress,
            clients=options.clients,
        )


async def _caught(mutant: str, folder: Path, options: argparse.Namespace, seed: int) -> bool:
    """Whether the nemesis shows what is wrong with a program within a minute from the first fault."""
    _end_in_order()
    async with ground(folder, mutant=mutant) as it:
        summary = await chaos(
            it,
            seed=seed,
            seconds=AIMS[mutant].seconds,
            names=AIMS[mutant].faults,
            results=options.results,
            say=progress,
            rest=REST_OF_A_MUTANT,
        )
    caught = [anomaly for anomaly in summary.anomalies if anomaly.kind != "unexplained" or "letter" in anomaly.what]
    in_time = bool(caught) and summary.seconds <= A_MINUTE
    verdict = "caught" if in_time else "CAUGHT LATE" if caught else "NOT CAUGHT"
    shown = f"{caught[0].kind} in {caught[0].where}: {caught[0].what[:160]}" if caught else ""
    sys.stdout.write(f"{mutant:<30} {verdict} in {summary.seconds:.0f} s  {summary.counts} {shown}\n")
    return in_time


def run_mutants(options: argparse.Namespace, seed: int) -> int:
    """Each wrong program on servers of its own; 1 where one is not caught."""
    names = list(AIMS) if options.mutants == "all" else options.mutants.split(",")
    caught = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="taiwa-mutant-") as folder:
            caught.append(uvloop.run(_caught(name, Path(folder), options, seed)))
    return 0 if all(caught) else 1


def main() -> int:
    """Run and print; the exit code says whether all four counts are zero."""
    options = _options()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    if options.mutants:
        return run_mutants(options, seed)
    names = chosen(options.faults)
    if "disk" in names and (why := not_permitted()):
        sys.stderr.write(f"Left out: disk ({why}).\n")
        names.remove("disk")
    sys.stderr.write(f"seed {seed}, {options.minutes:g} minutes of {', '.join(names)}\n")
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        summary = uvloop.run(_run(options.keep, options, seed, names))
    else:
        with tempfile.TemporaryDirectory(prefix="taiwa-chaos-") as folder:
            summary = uvloop.run(_run(Path(folder), options, seed, names))
    sys.stderr.write("\n")
    sys.stdout.write(table(summary) + "\n")
    sys.stdout.write(f"Results: {options.results} {json.dumps(summary.counts)}\n")
    return 0 if summary.good else 1


if __name__ == "__main__":
    raise SystemExit(main())
