"""How terms end, go on, are corrected, and what that does to coverage."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from chassis.transaction import new_id
from taiwa_contracts.directory import (
    SectionClosedV1,
    StaffChangedV1,
    StaffLeftV1,
    StaffTransferredV1,
    TransferRevertedV1,
)
from tests.integration.leaders.town import Town


@pytest.fixture
async def appointment(town: Town) -> str:
    """真壁 leads 道路課 from 1 April 2026."""
    calls = await town.call()
    await town.name("轟 武", calls["道路課"], "真壁 理人")
    answer = await town.decide(calls["道路課"], on=date(2026, 4, 1))
    appointment_id: str = answer.json()["appointments"][0]["appointment_id"]
    return appointment_id


def transferred(town: Town, name: str, day: date, transfer: UUID, *concurrent: str) -> StaffTransferredV1:
    return StaffTransferredV1(
        person_id=town.people[name],
        transfer_id=transfer,
        from_section_id=town.sections["道路課"],
        to_section_id=town.sections["福祉課"],
        concurrent_section_ids=[town.sections[each] for each in concurrent],
        post="主任",
        full_time=True,
        effective_from=day,
    )


async def seen(town: Town, appointment_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = (await town.client("staff").get(f"/appointments/{appointment_id}")).json()
    return shown


async def test_a_term_ends_by_the_clock_when_the_fiscal_year_does(town: Town, appointment: str) -> None:
    await town.on(date(2027, 3, 31), "23:59")
    assert await town.run_timers() == 0
    await town.on(date(2027, 4, 1), "00:01")
    await town.run_timers()
    [ended] = await town.facts("leader-term-ended")
    assert (ended["value"]["reason"], ended["value"]["effective_from"]) == ("term", "2027-04-01")
    assert (ended["actor_kind"], ended["actor_id"]) == ("timer", "end_term")
    [lost] = await town.facts("coverage-lost")
    assert lost["value"]["effective_from"] == "2027-04-01"


async def test_the_predecessor_serves_on_by_rule_until_the_successor_is_appointed(town: Town, appointment: str) -> None:
    await town.rule("predecessor_serves_on", value=True)
    await town.year(2027)
    await town.on(date(2027, 4, 1), "00:01")
    await town.run_timers()
    [extended] = await town.facts("leader-term-extended")
    assert (extended["aggregate"], extended["value"]["effective_from"]) == (f"appointment/{appointment}", "2027-04-01")
    assert await town.facts("coverage-lost") == []
    assert (await seen(town, appointment))["in_office"]
    calls = await town.call(2027, date(2027, 4, 9))
    [leader] = (await town.board(2027))["rows"]["道路課"]["leaders"]
    assert leader["note"] == "新任・後任が決まるまで続けます"
    await town.on(date(2027, 4, 12))
    await town.hr.post(f"/section-calls/{calls['道路課']}/reminders")
    await town.name("轟 武", calls["道路課"], "榊 俊介")
    await town.decide(calls["道路課"], on=date(2027, 4, 12))
    [ended] = await town.facts("leader-term-ended")
    assert (ended["value"]["reason"], ended["value"]["effective_from"]) == ("successor", "2027-04-12")
    assert await town.facts("coverage-lost") == []


async def test_two_who_serve_on_together_lose_no_coverage_between_them(town: Town) -> None:
    await town.rule("predecessor_serves_on", value=True)
    await town.rule("leaders_per_section", 2)
    calls = await town.call()
    await town.name("轟 武", calls["道路課"], "真壁 理人", "榊 俊介")
    await town.decide(calls["道路課"], on=date(2026, 4, 1))
    await town.on(date(2027, 4, 1), "00:01")
    await town.run_timers()
    assert len(await town.facts("leader-term-extended")) == 2
    assert await town.facts("coverage-lost") == []


async def test_a_successor_chosen_before_the_year_ends_lets_the_term_run_out(town: Town, appointment: str) -> None:
    await town.rule("predecessor_serves_on", value=True)
    await town.year(2027)
    await town.on(date(2027, 3, 15))
    calls = await town.call(2027, date(2027, 3, 26))
    await town.name("轟 武", calls["道路課"], "榊 俊介")
    answer = await town.decide(calls["道路課"], on=date(2027, 3, 15))
    assert answer.json()["appointments"][0]["starts_on"] == "2027-04-01"
    await town.on(date(2027, 4, 1), "00:01")
    await town.run_timers()
    [ended] = await town.facts("leader-term-ended")
    assert ended["value"]["reason"] == "term"
    assert await town.facts("leader-term-extended") == []
    assert await town.facts("coverage-lost") == []


async def test_who_leaves_the_town_is_no_leader_and_no_deputy_any_more(town: Town, appointment: str) -> None:
    body = {"person_id": str(town.people["榊 俊介"]), "from_on": "2026-04-01"}
    await town.head("轟 武").post(f"/appointments/{appointment}/deputy", json=body)
    await town.on(date(2026, 6, 1))
    await town.tell(StaffLeftV1(person_id=town.people["真壁 理人"], effective_from=date(2026, 6, 1)))
    assert (await town.kinds())[-3:] == ["leader-term-ended", "deputy-ended", "coverage-lost"]
    [ended] = await town.facts("leader-term-ended")
    assert (ended["value"]["reason"], ended["actor_kind"]) == ("left", "reaction")
    versions = [each["version"] for each in await town.facts() if each["aggregate"] == f"appointment/{appointment}"]
    assert versions == [1, 2, 3, 4]


async def test_a_transfer_ends_the_term_on_its_day_not_before(town: Town, appointment: str) -> None:
    await town.tell(transferred(town, "真壁 理人", date(2026, 7, 1), new_id()))
    assert await town.facts("leader-term-ended") == []
    assert (await seen(town, appointment))["planned_end_from"] == "2026-07-01"
    await town.on(date(2026, 7, 1), "00:01")
    await town.run_timers()
    [ended] = await town.facts("leader-term-ended")
    assert (ended["value"]["reason"], ended["value"]["effective_from"]) == ("transfer", "2026-07-01")
    row = (await town.board())["rows"]["道路課"]
    assert row["status"] == "none"
    assert row["warning"]["text"] == "リーダーがあと1人必要です（みどり町DX推進体制要綱 第5条第1項）。"


async def test_a_transfer_taken_back_before_its_day_ends_nothing(town: Town, appointment: str) -> None:
    transfer = new_id()
    moved = transferred(town, "真壁 理人", date(2026, 7, 1), transfer)
    back = {
        **moved.model_dump(exclude={"from_section_id", "to_section_id"}),
        "section_id": town.sections["道路課"],
    }
    await town.tell(moved)
    await town.tell(TransferRevertedV1.model_validate(back))
    await town.on(date(2026, 7, 1), "00:01")
    await town.run_timers()
    assert (await town.kinds())[-1] == "coverage-restored"
    assert (await seen(town, appointment))["in_office"]


async def test_a_transfer_taken_back_later_restores_the_term_as_a_visible_correction(
    town: Town, appointment: str
) -> None:
    transfer = new_id()
    await town.on(date(2026, 7, 1))
    moved = transferred(town, "真壁 理人", date(2026, 7, 1), transfer)
    await town.tell(moved)
    await town.on(date(2026, 7, 8))
    back = {
        **moved.model_dump(exclude={"from_section_id", "to_section_id"}),
        "section_id": town.sections["道路課"],
    }
    await town.tell(TransferRevertedV1.model_validate(back))
    [corrected] = await town.facts("appointment-corrected")
    assert (corrected["version"], corrected["value"]["ends_on"]) == (3, "2027-03-31")
    shown = await seen(town, appointment)
    assert shown["in_office"]
    assert [each["what"] for each in shown["records"]] == ["appointed", "ended", "corrected"]
    assert [each["value"]["effective_from"] for each in await town.facts("coverage-restored")] == [
        "2026-04-01",
        "2026-04-01",
    ]
    await town.on(date(2027, 4, 1), "00:01")
    await town.run_timers()
    assert len(await town.facts("leader-term-ended")) == 2


async def test_who_keeps_the_section_by_concurrent_post_stays_its_leader(town: Town, appointment: str) -> None:
    await town.on(date(2026, 7, 1))
    await town.tell(transferred(town, "真壁 理人", date(2026, 7, 1), new_id(), "道路課"))
    assert await town.facts("leader-term-ended") == []


async def test_a_town_may_let_the_term_go_on_after_a_transfer(town: Town, appointment: str) -> None:
    await town.rule("on_transfer", "continues")
    await town.on(date(2026, 7, 1))
    await town.tell(transferred(town, "真壁 理人", date(2026, 7, 1), new_id()))
    assert await town.facts("leader-term-ended") == []


async def test_a_concurrent_post_that_ends_ends_the_term_there(town: Town) -> None:
    calls = await town.call()
    await town.name("轟 武", calls["道路課"], "髙木 善継")
    await town.decide(calls["道路課"], on=date(2026, 4, 1))
    await town.tell(
        StaffChangedV1(
            person_id=town.people["髙木 善継"],
            section_id=town.sections["福祉課"],
            post="係長",
            full_time=True,
            effective_from=date(2026, 4, 1),
        )
    )
    [ended] = await town.facts("leader-term-ended")
    assert ended["value"]["reason"] == "transfer"


async def test_a_section_that_is_closed_has_no_leaders_and_owes_nothing(town: Town, appointment: str) -> None:
    await town.on(date(2026, 10, 1))
    await town.tell(SectionClosedV1(section_id=town.sections["道路課"], effective_from=date(2026, 10, 1)))
    [ended] = await town.facts("leader-term-ended")
    assert ended["value"]["reason"] == "section_closed"
    assert await town.facts("coverage-lost") == []
    assert "道路課" not in (await town.board())["rows"]


async def test_hr_ends_a_term_and_the_section_is_asked_to_fill_the_gap(town: Town, appointment: str) -> None:
    await town.on(date(2026, 6, 1))
    answer = await town.hr.post(
        f"/appointments/{appointment}/ends", json={"ended_on": "2026-05-31", "reason": "resigned"}
    )
    assert (answer.status_code, answer.json()["planned"]) == (201, False)
    again = await town.hr.post(
        f"/appointments/{appointment}/ends", json={"ended_on": "2026-05-31", "reason": "resigned"}
    )
    assert (again.status_code, again.json()["code"]) == (409, "leaders.not_in_office")
    row = (await town.board())["rows"]["道路課"]
    assert (row["status"], row["covered"]) == ("none", False)
    titles = [each["title"] for each in (await town.hr.get("/work-items")).json()]
    assert "道路課にリーダーがいません" in titles
    asked = await town.hr.post(f"/section-calls/{row['section_call_id']}/reminders")
    assert asked.status_code == 201
    assert (await town.board())["rows"]["道路課"]["status"] == "asked"
    assert (await town.name("轟 武", row["section_call_id"], "榊 俊介")).status_code == 201
    assert (await town.decide(row["section_call_id"], on=date(2026, 6, 1))).status_code == 201
    assert (await town.kinds())[-2:] == ["leader-appointed", "coverage-restored"]


async def test_a_section_with_enough_leaders_is_not_asked_again(town: Town, appointment: str) -> None:
    call = (await town.board())["rows"]["道路課"]["section_call_id"]
    answer = await town.hr.post(f"/section-calls/{call}/reminders")
    assert (answer.status_code, answer.json()["code"]) == (409, "leaders.enough_leaders")


async def test_a_correction_leaves_the_wrong_reading_visible(town: Town, appointment: str) -> None:
    path = f"/appointments/{appointment}/corrections"
    answer = await town.hr.post(path, json={"document_number": "総務第42号", "starts_on": "2026-04-02"})
    assert answer.status_code == 201
    [corrected] = await town.facts("appointment-corrected")
    assert (corrected["version"], corrected["value"]["document_number"]) == (2, "総務第42号")
    records = (await seen(town, appointment))["records"]
    assert [each["decision"]["document_number"] for each in records] == ["総務第41号", "総務第42号"]
    nothing = await town.hr.post(path, json={"document_number": "総務第42号"})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "leaders.nothing_corrected")


async def test_an_appointment_that_never_was_is_withdrawn(town: Town, appointment: str) -> None:
    answer = await town.hr.post(f"/appointments/{appointment}/corrections", json={"withdrawn": True})
    assert answer.json()["withdrawn"]
    assert (await town.kinds())[-2:] == ["appointment-corrected", "coverage-lost"]
    page = (await town.client("staff").get("/appointments", params={"current": True})).json()
    assert page["items"] == []


async def test_more_leaders_needed_by_a_new_rule_loses_coverage_on_its_day(town: Town, appointment: str) -> None:
    await town.rule("leaders_per_section", 2, effective_from=date(2026, 5, 1))
    assert await town.facts("coverage-lost") == []
    await town.on(date(2026, 5, 1), "00:01")
    await town.run_timers()
    [lost] = await town.facts("coverage-lost")
    assert lost["value"]["section_id"] == str(town.sections["道路課"])


async def test_one_deputy_per_leader_and_it_ends_by_the_clock(town: Town, appointment: str) -> None:
    path = f"/appointments/{appointment}/deputy"
    body = {"person_id": str(town.people["榊 俊介"]), "from_on": "2026-04-01", "until_on": "2026-04-30"}
    head = town.head("轟 武")
    assert (await head.post(path, json=body)).status_code == 201
    other = await head.post(path, json={**body, "person_id": str(town.people["髙木 善継"])})
    assert (other.status_code, other.json()["code"]) == (409, "leaders.already_has_deputy")
    assert "第6条第2項" in other.json()["detail"]
    await town.on(date(2026, 5, 1), "00:01")
    await town.run_timers()
    [ended] = await town.facts("deputy-ended")
    assert (ended["value"]["effective_from"], ended["version"]) == ("2026-05-01", 3)
    assert (await head.post(f"{path}/end")).json()["code"] == "leaders.no_deputy"


@pytest.mark.parametrize(
    ("name", "period", "code"),
    [
        ("真壁 理人", ("2026-04-01", None), "leaders.own_deputy"),
        ("渡邉 るい", ("2026-04-01", None), "leaders.not_of_section"),
        ("榊 俊介", ("2026-05-01", "2026-04-01"), "leaders.period_invalid"),
        ("榊 俊介", ("2027-03-01", "2027-04-01"), "leaders.period_invalid"),
    ],
)
async def test_deputies_that_cannot_be_are_refused(
    town: Town, appointment: str, name: str, period: tuple[str, str | None], code: str
) -> None:
    body = {"person_id": str(town.people[name]), "from_on": period[0], "until_on": period[1]}
    answer = await town.head("轟 武").post(f"/appointments/{appointment}/deputy", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_deputy_who_moves_away_stands_in_no_more(town: Town, appointment: str) -> None:
    body = {"person_id": str(town.people["榊 俊介"]), "from_on": "2026-04-01"}
    await town.head("轟 武").post(f"/appointments/{appointment}/deputy", json=body)
    await town.tell(transferred(town, "榊 俊介", date(2026, 7, 1), new_id()))
    assert await town.facts("deputy-ended") == []
    await town.on(date(2026, 7, 1), "00:01")
    await town.run_timers()
    assert len(await town.facts("deputy-ended")) == 1


async def test_the_list_of_appointments_pages_through_all(town: Town, appointment: str) -> None:
    calls = {name: row["section_call_id"] for name, row in (await town.board())["rows"].items()}
    await town.name("有馬 静江", calls["福祉課"], "渡邉 るい")
    await town.decide(calls["福祉課"], on=date(2026, 4, 1))
    staff = town.client("staff")
    first = (await staff.get("/appointments", params={"limit": 1})).json()
    second = (await staff.get("/appointments", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert {each["name"] for each in first["items"] + second["items"]} == {"真壁 理人", "渡邉 るい"}
    assert second["next_cursor"] is None
    own = (await staff.get("/appointments", params={"person_id": str(town.people["渡邉 るい"])})).json()
    assert [each["section_name"] for each in own["items"]] == ["福祉課"]
    assert (await staff.get("/appointments", params={"cursor": "x"})).status_code == 422
