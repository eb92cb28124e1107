"""The town's decision: all or nothing, once, its day apart from the first day of the term."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import pytest

from chassis.testing import OTHER_TOWN
from taiwa_contracts.directory import StaffLeftV1
from tests.integration.leaders.town import Town


@pytest.fixture
async def calls(town: Town) -> dict[str, str]:
    """Both sections with a head have answered: two people of 道路課, one of 福祉課."""
    calls = await town.call()
    await town.name("轟 武", calls["道路課"], "真壁 理人", "髙木 善継")
    await town.name("有馬 静江", calls["福祉課"], "渡邉 るい")
    return calls


async def test_a_decision_appoints_everybody_named_and_covers_the_sections(town: Town, calls: dict[str, str]) -> None:
    await town.on(date(2026, 4, 14))
    answer = await town.decide(calls["道路課"], calls["福祉課"], on=date(2026, 4, 13))
    assert answer.status_code == 201
    assert len(answer.json()["appointments"]) == 3
    appointed = await town.facts("leader-appointed")
    assert {each["value"]["person_id"] for each in appointed} == {
        str(town.people[name]) for name in ("真壁 理人", "髙木 善継", "渡邉 るい")
    }
    value = appointed[0]["value"]
    assert (value["decided_on"], value["effective_from"], value["ends_on"]) == (
        "2026-04-13",
        "2026-04-13",
        "2027-03-31",
    )
    assert (value["decided_by_post"], value["document_number"], value["word"]) == ("総務課長", "総務第41号", "選任")
    assert {each["actor_kind"] for each in appointed} == {"staff"}
    restored = {each["value"]["section_id"] for each in await town.facts("coverage-restored")}
    assert restored == {str(town.sections["道路課"]), str(town.sections["福祉課"])}


async def test_the_answer_names_the_facts_it_made(town: Town, calls: dict[str, str]) -> None:
    answer = await town.decide(calls["福祉課"], on=date(2026, 4, 1))
    [appointment] = answer.json()["appointments"]
    assert f"appointment/{appointment['appointment_id']}@1" in answer.headers["Taiwa-Facts"]


async def test_deciding_twice_is_refused(town: Town, calls: dict[str, str]) -> None:
    assert (await town.decide(calls["道路課"], on=date(2026, 4, 1))).status_code == 201
    again = await town.decide(calls["道路課"], on=date(2026, 4, 1))
    assert (again.status_code, again.json()["code"]) == (409, "leaders.not_awaiting_decision")
    assert len(await town.facts("leader-appointed")) == 2


async def test_of_two_who_decide_at_once_one_is_refused(town: Town, calls: dict[str, str]) -> None:
    both = [calls["道路課"], calls["福祉課"]]
    answers = await asyncio.gather(
        *(town.decide(*order, on=date(2026, 4, 1)) for order in (both, both[::-1], both, both[::-1]))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert len(await town.facts("leader-appointed")) == 3


async def test_one_section_that_is_not_waiting_refuses_all(town: Town, calls: dict[str, str]) -> None:
    answer = await town.decide(calls["道路課"], calls["議会事務局"], on=date(2026, 4, 1))
    assert (answer.status_code, answer.json()["code"]) == (409, "leaders.not_awaiting_decision")
    assert await town.facts("leader-appointed") == []
    assert (await town.board())["rows"]["道路課"]["status"] == "awaiting_decision"


async def test_a_nominee_who_has_left_since_refuses_the_decision(town: Town, calls: dict[str, str]) -> None:
    await town.tell(StaffLeftV1(person_id=town.people["真壁 理人"], effective_from=date(2026, 4, 2)))
    await town.on(date(2026, 4, 3))
    answer = await town.decide(calls["道路課"], on=date(2026, 4, 3))
    assert (answer.status_code, answer.json()["code"]) == (422, "leaders.has_left")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"on": date(2026, 4, 2)}, "leaders.decided_in_future"),
        ({"on": date(2026, 4, 1), "starts_on": "2026-03-31"}, "leaders.starts_outside_term"),
        ({"on": date(2026, 4, 1), "starts_on": "2027-04-01"}, "leaders.starts_outside_term"),
    ],
)
async def test_days_that_cannot_be_right_are_refused(
    town: Town, calls: dict[str, str], body: dict[str, Any], code: str
) -> None:
    answer = await town.decide(calls["道路課"], **body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_term_begins_before_its_decision_only_when_said_so_and_the_board_shows_it(
    town: Town, calls: dict[str, str]
) -> None:
    await town.on(date(2026, 4, 13))
    await town.decide(calls["福祉課"], on=date(2026, 4, 13), starts_on="2026-04-01")
    [appointed] = await town.facts("leader-appointed")
    assert (appointed["value"]["effective_from"], appointed["value"]["decided_on"]) == ("2026-04-01", "2026-04-13")
    [restored] = await town.facts("coverage-restored")
    assert restored["value"]["effective_from"] == "2026-04-01"
    [leader] = (await town.board())["rows"]["福祉課"]["leaders"]
    assert "任期の始めは決裁日より前の4月1日" in leader["note"]


async def test_a_term_that_begins_later_covers_the_section_on_its_first_day(town: Town, calls: dict[str, str]) -> None:
    await town.decide(calls["福祉課"], on=date(2026, 4, 1), starts_on="2026-04-20")
    assert await town.facts("coverage-restored") == []
    await town.on(date(2026, 4, 20), "00:01")
    await town.run_timers()
    [restored] = await town.facts("coverage-restored")
    assert restored["value"]["effective_from"] == "2026-04-20"


async def test_a_document_number_is_never_made_up(town: Town, calls: dict[str, str]) -> None:
    await town.decide(calls["福祉課"], on=date(2026, 4, 1), document_number=None)
    [appointed] = await town.facts("leader-appointed")
    assert appointed["value"]["document_number"] is None


async def test_the_head_does_not_decide(town: Town, calls: dict[str, str]) -> None:
    body = {"section_call_ids": [calls["道路課"]], "decided_on": "2026-04-01", "decided_by_post": "課長"}
    answer = await town.head("轟 武").post("/decisions", json=body)
    assert answer.status_code == 403


async def test_another_towns_hr_finds_nothing_to_decide(town: Town, calls: dict[str, str]) -> None:
    foreign = Town(town.it, OTHER_TOWN)
    answer = await foreign.decide(calls["道路課"], on=date(2026, 4, 1))
    assert (answer.status_code, answer.json()["code"]) == (404, "request.not_found")
    assert (await foreign.board())["rows"] == {}


async def test_where_the_town_asks_for_no_decision_the_sections_choice_appoints(town: Town) -> None:
    await town.rule("decision_required", value=False)
    await town.rule("appointment_word", "選出")
    calls = await town.call()
    answer = await town.name("有馬 静江", calls["福祉課"], "渡邉 るい")
    assert answer.json()["state"] == "decided"
    [appointed] = await town.facts("leader-appointed")
    assert (appointed["value"]["decided_on"], appointed["value"]["word"]) == (None, "選出")
