"""The time is read in ``chassis/clocks.py`` only, and tests wait for facts, not for time.

A ``datetime.now()`` somewhere else ignores the simulated clock of the town: a year in the demo then ends on the wrong
day. A sleep in a test is too short on a loaded machine and too long on every other.
"""

from __future__ import annotations

import ast
from pathlib import Path

from tests.architecture.source import PRODUCT, Source, calls, python_files

CLOCKS = Path("chassis/clocks.py")
READS_TIME = {
    *("datetime.datetime.now", "datetime.datetime.today", "datetime.datetime.utcnow", "datetime.date.today"),
}
PACED = Path("tests/performance")
"""A load generator sends at a set pace; that is not waiting for anything."""


def one_clock(root: Path) -> list[str]:
    """Reads of the time outside ``chassis/clocks.py``."""
    return [
        source.problem(
            line, f"{name}() ignores the town's clock. Use transaction.now or the clock given; chassis.clocks has both."
        )
        for source in python_files(root, *PRODUCT)
        if source.path != CLOCKS
        for line, name, _ in calls(source.tree)
        if name in READS_TIME
    ]


def no_sleep_in_tests(root: Path) -> list[str]:
    """Sleeps in tests; ``sleep(0)`` only lets others run; ``# paced: why`` says that it waits for nothing."""
    return [
        source.problem(
            line,
            f"{name}() in a test. Wait for the fact: `await eventually(...)` of chassis.testing; a load that is only "
            "spread over time says `# paced: why` on the line.",
        )
        for source in python_files(root, "tests")
        if PACED not in source.path.parents
        for line, name, call in calls(source.tree)
        if name in {"time.sleep", "asyncio.sleep"} and not _yields_only(call) and not _paced(source, line)
    ]


def _paced(source: Source, line: int) -> bool:
    return "# paced: " in source.text.splitlines()[line - 1]


def _yields_only(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
