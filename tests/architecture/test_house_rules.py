"""The repository keeps every house rule, and each rule can fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture.__main__ import RULES
from tests.architecture.clock import no_sleep_in_tests, one_clock
from tests.architecture.purity import pure_domain
from tests.architecture.shape import LONGEST, one_shape, one_use_case_a_file, telling_names
from tests.architecture.sql import bound_values
from tests.architecture.texts import finished_and_unmuted, of_no_machine
from tests.architecture.trees import write

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_repository_keeps_the_rule(rule: Callable[[Path], list[str]]) -> None:
    assert rule(ROOT) == []


def service(root: Path, name: str = "leaders") -> Path:
    """A service that has what every service needs."""
    for file in ("__init__.py", "main.py", "README.md"):
        write(root, f"services/{name}/{file}")
    return root / "services" / name


def test_a_file_of_another_shape_is_found(tmp_path: Path) -> None:
    service(tmp_path)
    write(tmp_path, "services/leaders/handlers.py")
    write(tmp_path, "services/leaders/notes.txt")
    assert [problem.partition(":")[0] for problem in one_shape(tmp_path)] == [
        "services/leaders/handlers.py",
        "services/leaders/notes.txt",
    ]


def test_a_long_file_may_become_a_package(tmp_path: Path) -> None:
    service(tmp_path)
    write(tmp_path, "services/leaders/commands/decide_nomination.py")
    assert one_shape(tmp_path) == []


@pytest.mark.parametrize("path", ["services/leaders/queries.py", "services/leaders/queries/board.py"])
def test_a_file_with_too_many_use_cases_is_found(tmp_path: Path, path: str) -> None:
    write(tmp_path, path, "SHOWN = 1\n" * LONGEST)
    assert one_use_case_a_file(tmp_path) == []
    write(tmp_path, path, "SHOWN = 1\n" * (LONGEST + 1))
    (problem,) = one_use_case_a_file(tmp_path)
    assert problem.startswith(f"{path}: 301 lines, more than 300. Make it a package of the same name")


def test_only_the_portal_has_templates_and_pages(tmp_path: Path) -> None:
    for name in ("portal", "leaders"):
        service(tmp_path, name)
        write(tmp_path, f"services/{name}/templates/page.html")
    assert [problem.partition(":")[0] for problem in one_shape(tmp_path)] == ["services/leaders/templates"]


def test_a_service_without_its_readme_is_found(tmp_path: Path) -> None:
    (service(tmp_path) / "README.md").unlink()
    assert one_shape(tmp_path) == ["services/leaders/README.md is missing: every service has one."]


def test_a_migration_without_a_number_is_found(tmp_path: Path) -> None:
    service(tmp_path)
    write(tmp_path, "services/leaders/migrations/0001_appointments.sql")
    write(tmp_path, "services/leaders/migrations/appointments.sql")
    assert one_shape(tmp_path) == [
        "services/leaders/migrations/appointments.sql: call it NNNN_what_it_does.sql.",
    ]


@pytest.mark.parametrize("path", ["chassis/utils.py", "services/leaders/helpers/text.py", "tests/common.py"])
def test_a_name_that_says_nothing_is_found(tmp_path: Path, path: str) -> None:
    assert "says nothing" in telling_names(write(tmp_path, path))[0]


@pytest.mark.parametrize(
    "statement",
    [
        "import asyncpg",
        "import time",
        "from os import environ",
        "from chassis.transaction import Transaction",
        "from chassis import database",
        "from services.leaders.repository import load",
        "from pydantic import BaseModel",
    ],
)
def test_a_domain_that_reaches_outside_is_found(tmp_path: Path, statement: str) -> None:
    write(tmp_path, "services/leaders/domain.py", statement)
    assert "Take what it gives as an argument" in pure_domain(tmp_path)[0]


@pytest.mark.parametrize(
    "statement",
    [
        "from dataclasses import dataclass",
        "from datetime import date",
        "from chassis.refusals import Refusal",
        "from chassis import calendar",
        "from taiwa_contracts.leaders import LeaderAppointedV1",
        "from services.leaders.domain.terms import term_ends_on",
    ],
)
def test_a_domain_may_use_what_is_pure(tmp_path: Path, statement: str) -> None:
    write(tmp_path, "services/leaders/domain/decisions.py", statement)
    assert pure_domain(tmp_path) == []


@pytest.mark.parametrize(
    "code",
    [
        "from datetime import datetime\nat = datetime.now()",
        "from datetime import UTC, datetime as instant\nat = instant.now(UTC)",
        "import datetime as dt\non = dt.date.today()",
        "import datetime\nat = datetime.datetime.utcnow()",
    ],
)
def test_a_second_clock_is_found(tmp_path: Path, code: str) -> None:
    write(tmp_path, "services/leaders/commands.py", code)
    assert "ignores the town's clock" in one_clock(tmp_path)[0]


def test_the_clocks_themselves_and_a_given_clock_may_be_read(tmp_path: Path) -> None:
    write(tmp_path, "chassis/clocks.py", "from datetime import UTC, datetime\nat = datetime.now(UTC)")
    write(tmp_path, "services/leaders/commands.py", "def due(clock):\n    return clock.now()")
    assert one_clock(tmp_path) == []


@pytest.mark.parametrize(
    "code", ["import time\ntime.sleep(1)", "from asyncio import sleep\nasync def wait():\n    await sleep(0.1)"]
)
def test_a_sleeping_test_is_found(tmp_path: Path, code: str) -> None:
    write(tmp_path, "tests/unit/test_terms.py", code)
    assert "Wait for the fact" in no_sleep_in_tests(tmp_path)[0]


def test_letting_others_run_and_pacing_a_load_is_no_sleep(tmp_path: Path) -> None:
    write(tmp_path, "tests/unit/test_terms.py", "import asyncio\nasync def go():\n    await asyncio.sleep(0)")
    write(tmp_path, "tests/performance/bench_relay.py", "import time\ntime.sleep(0.002)")
    write(tmp_path, "tests/test_overlap.py", "import time\ntime.sleep(0.002)  # paced: transactions shall overlap")
    assert no_sleep_in_tests(tmp_path) == []


@pytest.mark.parametrize(
    "code",
    [
        "rows = fetch(f\"SELECT * FROM people WHERE name = '{name}'\")",
        'rows = fetch(f"""\n    UPDATE people SET name = {new_name}""")',
        'rows = fetch("DELETE FROM people WHERE id = %s" % person_id)',
        'rows = fetch("SELECT * FROM people WHERE id = {}".format(person_id))',
        'rows = fetch("SELECT * FROM people WHERE id = " + person_id)',
    ],
)
def test_a_value_inside_sql_is_found(tmp_path: Path, code: str) -> None:
    write(tmp_path, "services/leaders/queries.py", code)
    assert "Bind the value" in bound_values(tmp_path)[0]


@pytest.mark.parametrize(
    "code",
    [
        'rows = fetch("SELECT * FROM people WHERE id = $1", person_id)',
        'rows = fetch(f"SELECT {COLUMNS} FROM people WHERE id = $1", person_id)',
        'rows = fetch(f"SELECT * FROM people WHERE id = ${len(arguments)}", *arguments)',
        'changed = answer == f"UPDATE {count}"',
    ],
)
def test_bound_values_and_constants_pass(tmp_path: Path, code: str) -> None:
    write(tmp_path, "services/leaders/queries.py", code)
    assert bound_values(tmp_path) == []


@pytest.mark.parametrize(
    "line",
    [
        "state = '/{}/taiwa'".format("root"),
        "see /{}/main/README.md".format("work"),
        "/{}/hanako/taiwa".format("home"),
        "--log /{}/kafka.log".format("tmp"),
        "index-url = https://{}/simple".format("pypi" + ".org"),
        "image: {}/town/taiwa".format("ghcr" + ".io"),
    ],
)
def test_a_text_of_one_machine_is_found(tmp_path: Path, line: str) -> None:
    write(tmp_path, "docs/notes.md", line)
    assert len(of_no_machine(tmp_path, [Path("docs/notes.md")])) == 1


@pytest.mark.parametrize(
    "line", ["GET /work-items", "`services/portal/home/page.html`", "tmpfs: /tmp", "apt-get install docker.io"]
)
def test_what_only_looks_like_a_machine_passes(tmp_path: Path, line: str) -> None:
    write(tmp_path, "docs/notes.md", line)
    assert of_no_machine(tmp_path, [Path("docs/notes.md")]) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("chassis/relay.py", "# {}: later".format("TODO")),
        ("chassis/relay.py", "import os  # {}".format("noqa")),
        ("chassis/relay.py", "import os  # {}: F401".format("noqa")),
        ("chassis/relay.py", "x = 1  # {}: ignore[assignment]".format("type")),
        ("tests/test_relay.py", "@pytest.mark.{}".format("skip")),
        ("tests/test_relay.py", "pytest.{}('kafka')".format("importorskip")),
    ],
)
def test_unfinished_muted_and_left_out_things_are_found(tmp_path: Path, path: str, line: str) -> None:
    text = line if not line.startswith("@") else f"{line}\ndef test_it(): ..."
    assert len(finished_and_unmuted(write(tmp_path, path, text))) == 1


def test_a_muted_check_with_its_reason_passes(tmp_path: Path) -> None:
    write(tmp_path, "chassis/relay.py", "import os  # {}: F401  re-exported for the command line".format("noqa"))
    assert finished_and_unmuted(tmp_path) == []
