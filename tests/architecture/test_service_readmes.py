"""The README of a service is compared with its code, table by table."""

from __future__ import annotations

from typing import ClassVar

import pytest
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings
from tests.architecture.service_readmes import CREATED, Wired, differences, documented, variables

README = """
# badges

## Owns

| table | what |
| --- | --- |
| `badges` | one row a badge |

## Emits

| event | when |
| --- | --- |
| `LeaderAppointedV1` | a badge is decided |
| `taiwa.leaders.leader-term-ended.v1` | a badge goes back |

## Reacts to

Nothing.

## Endpoints

| endpoint | who |
| --- | --- |
| `POST /badges` | hr |
| `GET /work-items` | everybody |

## Settings

| variable | default |
| --- | --- |
| `TAIWA_BADGES_PORT` | 8109 |
"""

WIRED: dict[str, frozenset[str]] = {
    "owns": frozenset({"badges"}),
    "emits": frozenset({"LeaderAppointedV1", "LeaderTermEndedV1"}),
    "reacts_to": frozenset(),
    "endpoints": frozenset({"POST /badges"}),
    "settings": frozenset({"TAIWA_BADGES_PORT"}),
}


def test_a_readme_that_says_what_is_wired_passes() -> None:
    assert differences(README, Wired(**WIRED)) == []


@pytest.mark.parametrize(
    ("part", "heading", "name"),
    [
        ("owns", "Owns", "badge_colours"),
        ("emits", "Emits", "CoverageLostV1"),
        ("reacts_to", "Reacts to", "StaffLeftV1"),
        ("endpoints", "Endpoints", "GET /badges"),
        ("settings", "Settings", "TAIWA_BADGES_COLOUR"),
    ],
)
def test_what_a_readme_leaves_out_is_found(part: str, heading: str, name: str) -> None:
    wired = Wired(**WIRED | {part: WIRED[part] | {name}})
    assert differences(README, wired) == [f"'## {heading}' leaves out `{name}`. Add a row for it."]


@pytest.mark.parametrize(("part", "name"), [("owns", "badges"), ("emits", "LeaderTermEndedV1")])
def test_what_a_readme_invents_is_found(part: str, name: str) -> None:
    problems = differences(README, Wired(**WIRED | {part: WIRED[part] - {name}}))
    assert [problem.partition("`")[2] for problem in problems] == [
        f"{name}`, which the code does not have. Take the row out."
    ]


def test_a_section_that_is_missing_holds_nothing() -> None:
    assert documented("# badges\n", "Owns") == set()


def test_tables_are_found_in_migrations() -> None:
    sql = "CREATE TABLE badges (id uuid);\nCREATE TABLE IF NOT EXISTS colours (id int);\n-- CREATE TABLE no (id int);"
    assert CREATED.findall(sql) == ["badges", "colours"]


def test_the_variables_of_a_service_bear_its_prefix() -> None:
    class BadgesSettings(ServiceSettings):
        model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TAIWA_BADGES_")
        colour: str = "red"

    assert {"TAIWA_BADGES_COLOUR", "TAIWA_BADGES_PORT"} <= variables(BadgesSettings)
    assert "TAIWA_BADGES_INSTALLATION" not in variables(BadgesSettings)
