"""``python -m tests.architecture``: every house rule over the repository it is started in; 1 when one is broken."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tests.architecture.clock import no_sleep_in_tests, one_clock
from tests.architecture.purity import pure_domain
from tests.architecture.service_readmes import readmes_say_what_is_wired
from tests.architecture.shape import one_shape, one_use_case_a_file, telling_names
from tests.architecture.sql import bound_values
from tests.architecture.texts import finished_and_unmuted, of_no_machine

RULES: tuple[Callable[[Path], list[str]], ...] = (
    one_shape,
    one_use_case_a_file,
    telling_names,
    pure_domain,
    one_clock,
    no_sleep_in_tests,
    bound_values,
    of_no_machine,
    finished_and_unmuted,
    readmes_say_what_is_wired,
)


def main(root: Path) -> int:
    """Print every problem; 0 when there is none."""
    problems = [problem for rule in RULES for problem in rule(root)]
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
