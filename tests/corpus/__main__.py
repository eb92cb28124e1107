"""``python -m tests.corpus --records 100000 --requests 10000``: the long form of what ``make test`` tries a slice of.

Records go through a real Kafka and PostgreSQL in installations of their own, 2,500 each; requests to every service in
turn. The same ``--seed`` makes the same ones. One line of figures each; the services' own log goes to standard error.
Exit code 1, and the first problems, where a single fate was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from chassis.clocks import monotonic
from chassis.testing import fresh_installation, running
from tests.corpus.record_mutations import made
from tests.corpus.request_trial import try_requests, walked
from tests.corpus.trial import try_records
from tests.installation import backing
from tests.integration.operations import WALKS

SLICE = 2500
FIGURES = sys.stdout


def _say(what: str, counts: Counter[str], problems: list[str], seconds: float, **more: int) -> int:
    figures = {
        "what": what,
        **more,
        "seconds": round(seconds),
        "problems": len(problems),
        **dict(sorted(counts.items())),
    }
    FIGURES.write(json.dumps(figures, ensure_ascii=False) + "\n")
    FIGURES.writelines(f"  {problem}\n" for problem in problems[:20])
    FIGURES.flush()
    return len(problems)


async def _records(postgres: str, kafka: str, seed: int, wanted: int) -> int:
    problems = 0
    for begin in range(0, wanted, SLICE):
        own_seed, began = seed + begin // SLICE, monotonic()
        async with fresh_installation(postgres, kafka) as installation:
            records = list(made(own_seed, min(SLICE, wanted - begin)))
            tally = await try_records(installation, records, own_seed, patience=900)
        more = {"seed": own_seed, "records": len(records), "bystanders": tally.bystanders}
        problems += _say("records", tally.fates, tally.problems, monotonic() - began, **more)
    return problems


async def _requests(postgres: str, kafka: str, seed: int, wanted: int) -> int:
    problems = 0
    for walk in WALKS:
        answers: Counter[str] = Counter()
        began, each = monotonic(), wanted // len(WALKS)
        async with (
            fresh_installation(postgres, kafka) as installation,
            running(walk.main.build, installation, roles=("api",), settings=walk.settings) as it,
        ):
            found = await try_requests(await walked(it, walk), walk, seed, each, answers)
        problems += _say(f"requests to {walk.service}", answers, found, monotonic() - began, seed=seed, requests=each)
    return problems


async def _main(postgres: str, kafka: str, seed: int, records: int, requests: int) -> int:
    problems = await _records(postgres, kafka, seed, records) if records else 0
    problems += await _requests(postgres, kafka, seed, requests) if requests else 0
    return problems


def main() -> int:
    """Parse the arguments, start what is missing, try everything; 1 where anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000, help="on topics (default 100000)")
    parser.add_argument("--requests", type=int, default=10_000, help="over HTTP (default 10000)")
    parser.add_argument("--seed", type=int, default=1, help="the first one; each slice of records has the next")
    given = parser.parse_args()
    run = Path(tempfile.mkdtemp(prefix="taiwa-corpus-"))
    try:
        postgres, kafka = backing.postgres(run), backing.kafka(run)
        with contextlib.redirect_stdout(sys.stderr):
            return 1 if asyncio.run(_main(postgres, kafka, given.seed, given.records, given.requests)) else 0
    finally:
        backing.stop_all(run)
        shutil.rmtree(run, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
