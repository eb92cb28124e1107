"""People move, are away, leave; and what was wrong is taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from chassis.calendar import TOKYO
from chassis.testing import Installation, eventually, running, set_civil_clock
from services.directory.commands.administrators import create_admin
from services.directory.main import build
from tests.integration.directory.town import Fact, Town, refused


@pytest.fixture
async def settled(town: Town) -> Town:
    await town.settle()
    return town


async def _transfer(town: Town, number: str, to: str, on: str, **more: Any) -> httpx.Response:
    person, section = await town.person(number), await town.section(to)
    body = {"person_id": person["person_id"], "to_section_id": section["section_id"], "post": "主査"}
    return await town.client("hr").post("/transfers", json={**body, "effective_from": on, **more})


async def test_a_transfer_of_a_past_day_holds_at_once(settled: Town) -> None:
    answer = await _transfer(settled, "2", "1020", "2026-04-08")
    assert answer.status_code == 201, answer.text
    person = await settled.person("2")
    assert (person["section_name"], person["post"]) == ("総合政策課", "主査")
    (fact,) = await settled.facts("staff-transferred")
    assert fact.payload is not None
    assert (fact.version, fact.payload["effective_from"], fact.actor) == (2, "2026-04-08", "staff")
    postings = (await settled.client("hr").get(f"/people/{person['person_id']}")).json()["postings"]
    assert [(each["section_name"], each["from_on"], each["until_on"]) for each in postings] == [
        ("道路課", "2026-04-01", "2026-04-07"),
        ("総合政策課", "2026-04-08", None),
    ]


async def test_a_transfer_to_come_is_known_to_personnel_only(settled: Town) -> None:
    before = len(await settled.facts())
    assert (await _transfer(settled, "2", "1020", "2026-05-01")).status_code == 201
    assert len(await settled.facts()) == before
    assert (await settled.person("2"))["section_name"] == "道路課"
    planned = (await settled.client("hr").get("/transfers", params={"state": "planned"})).json()["items"]
    assert [each["to_section_name"] for each in planned] == ["総合政策課"]
    for role in ("staff", "it_policy", "section_head", "admin", "executive"):
        refused(await settled.client(role).get("/transfers"), 403, "auth.forbidden")


async def test_a_planned_transfer_called_off_leaves_no_trace(settled: Town) -> None:
    transfer_id = (await _transfer(settled, "2", "1020", "2026-05-01")).json()["transfer_id"]
    before = len(await settled.facts())
    answer = await settled.client("hr").post(f"/transfers/{transfer_id}/reversal")
    assert answer.status_code == 204, answer.text
    assert len(await settled.facts()) == before
    async with settled.it.worker.scoped("*") as connection:
        assert not await connection.fetchval("SELECT count(*) FROM timers")
    again = await settled.client("hr").post(f"/transfers/{transfer_id}/reversal")
    refused(again, 409, "directory.transfer_closed")


@pytest.mark.parametrize("on", ["2026-04-01", "2026-04-08"])
async def test_a_reversal_makes_it_as_if_the_transfer_had_not_been(settled: Town, on: str) -> None:
    before = await settled.person("2")
    transfer_id = (await _transfer(settled, "2", "1020", on)).json()["transfer_id"]
    answer = await settled.client("hr").post(f"/transfers/{transfer_id}/reversal")
    assert answer.status_code == 204, answer.text
    assert await settled.person("2") == before
    (fact,) = await settled.facts("transfer-reverted")
    assert fact.payload is not None
    assert (fact.version, fact.payload["section_id"], fact.payload["transfer_id"]) == (
        3,
        before["section_id"],
        transfer_id,
    )
    postings = (await settled.client("hr").get(f"/people/{before['person_id']}")).json()["postings"]
    assert [(each["section_name"], each["until_on"]) for each in postings] == [("道路課", None)]


async def test_transfers_are_taken_back_newest_first(settled: Town) -> None:
    before = await settled.person("2")
    first = (await _transfer(settled, "2", "1020", "2026-04-01")).json()["transfer_id"]
    second = (await _transfer(settled, "2", "1120", "2026-04-01")).json()["transfer_id"]
    hr = settled.client("hr")
    refused(await hr.post(f"/transfers/{first}/reversal"), 409, "directory.not_the_last_transfer")
    assert (await hr.post(f"/transfers/{second}/reversal")).status_code == 204
    assert (await settled.person("2"))["section_name"] == "総合政策課"
    assert (await hr.post(f"/transfers/{first}/reversal")).status_code == 204
    assert await settled.person("2") == before


async def test_a_head_who_is_transferred_leaves_the_seat_and_gets_it_back_with_the_reversal(settled: Town) -> None:
    head, road = await settled.person("1"), await settled.section("1110")
    seat = {"person_id": head["person_id"], "effective_from": "2026-04-01"}
    assert (await settled.client("hr").put(f"/sections/{road['section_id']}/head", json=seat)).status_code == 204
    transfer_id = (await _transfer(settled, "1", "1120", "2026-04-10")).json()["transfer_id"]
    assert (await settled.section("1110"))["head_person_id"] is None
    assert (await settled.client("hr").post(f"/transfers/{transfer_id}/reversal")).status_code == 204
    assert (await settled.section("1110"))["head_person_id"] == head["person_id"]
    facts = [fact for fact in await settled.facts() if fact.aggregate == f"section/{road['section_id']}"]
    assert [(fact.version, (fact.payload or {}).get("head_person_id")) for fact in facts[1:]] == [
        (2, head["person_id"]),
        (3, None),
        (4, head["person_id"]),
    ]


async def test_a_transfer_that_cannot_be_is_refused(settled: Town) -> None:
    refused(await _transfer(settled, "2", "1110", "2026-04-08"), 422, "directory.same_section")
    refused(await _transfer(settled, "2", "1020", "2026-03-31"), 404, "directory.section_unknown")
    await _transfer(settled, "2", "1020", "2026-04-08")
    refused(await _transfer(settled, "2", "1120", "2026-04-07"), 409, "directory.before_present_posting")


async def test_an_absence_travels_without_a_reason_and_is_seen_by_personnel_only(settled: Town) -> None:
    person = await settled.person("2")
    hr = settled.client("hr")
    body = {"person_id": person["person_id"], "from_on": "2026-07-01", "until_on": None}
    refused(await hr.post("/absences", json={**body, "reason": "育休"}), 422, "request.invalid")
    absence_id = (await hr.post("/absences", json=body)).json()["absence_id"]
    assert (await hr.post(f"/absences/{absence_id}/withdrawal")).status_code == 204
    refused(await hr.post(f"/absences/{absence_id}/withdrawal"), 409, "directory.absence_withdrawn")
    facts = await settled.facts("absence-recorded")
    assert [(fact.version, (fact.payload or {})["withdrawn"]) for fact in facts] == [(2, False), (3, True)]
    refused(await settled.client("it_policy").get("/absences"), 403, "auth.forbidden")
    backwards = {**body, "until_on": "2026-06-30"}
    refused(await hr.post("/absences", json=backwards), 422, "directory.period_reversed")


async def test_colleagues_see_from_when_somebody_is_away_and_never_why(settled: Town) -> None:
    away, here = await settled.person("2"), await settled.person("3")
    hr, colleague = settled.client("hr"), settled.client("staff")

    async def seen() -> dict[str, str | None]:
        listed = (await colleague.get("/people")).json()["items"]
        [one] = [each for each in listed if each["person_id"] == away["person_id"]]
        details = (await colleague.get(f"/people/{away['person_id']}")).json()
        assert (details["absence"], details["absences"]) == (one["absence"], None)
        return {each["name"]: each["absence"] for each in listed}

    async def record(from_on: str, until_on: str | None = None) -> str:
        body = {"person_id": away["person_id"], "from_on": from_on, "until_on": until_on}
        absence_id: str = (await hr.post("/absences", json=body)).json()["absence_id"]
        return absence_id

    await record("2026-07-01")
    assert await seen() == {**dict.fromkeys(await seen()), away["name"]: "7月1日から不在"}
    sooner = await record("2026-04-20", "2026-04-24")
    assert (await seen())[away["name"]] == "4月20日から4月24日まで不在"
    assert (await hr.post(f"/absences/{sooner}/withdrawal")).status_code == 204
    await record("2026-04-02", "2026-04-03")
    assert (await seen())[away["name"]] == "7月1日から不在"
    assert (await seen())[here["name"]] is None
    absent = (await colleague.get("/people", params={"away": "true"})).json()["items"]
    assert [each["person_id"] for each in absent] == [away["person_id"]]


async def test_kinds_of_employment_and_history_are_shown_to_personnel_only(settled: Town) -> None:
    person_id = (await settled.person("3"))["person_id"]
    for role, shown in (("hr", True), ("staff", False), ("it_policy", False), ("executive", False), ("admin", False)):
        person = (await settled.client(role).get(f"/people/{person_id}")).json()
        assert (person["employment_kind"] is not None) == shown, role
        assert (person["postings"] is not None) == shown, role
        assert (person["full_time"] is not None) == shown, role
        listed = (await settled.client(role).get("/people")).json()["items"]
        assert any(each["employment_kind"] for each in listed) == shown, role


async def test_an_adviser_from_outside_is_not_shown_the_towns_people(settled: Town) -> None:
    person_id = (await settled.person("3"))["person_id"]
    for path in ("/people", f"/people/{person_id}"):
        refused(await settled.client("adviser").get(path), 403, "auth.forbidden")
        assert (await settled.client("adviser", "leader").get(path)).status_code == 200


async def test_who_leaves_loses_seat_roles_and_number(settled: Town) -> None:
    head, road = await settled.person("1"), await settled.section("1110")
    hr, admin = settled.client("hr"), settled.client("admin")
    await hr.put(f"/sections/{road['section_id']}/head", json={"person_id": head["person_id"]})
    await admin.post("/roles", json={"person_id": head["person_id"], "role": "executive"})
    await _transfer(settled, "1", "1120", "2026-06-01")
    before = len(await settled.facts())
    body = {"person_id": head["person_id"], "effective_from": "2026-04-13"}
    assert (await hr.post("/departures", json=body)).status_code == 201
    facts = [fact.type for fact in (await settled.facts())[before:]]
    assert facts == ["staff-left", "person-state", "section-head-assigned", "role-revoked"]
    refused(await hr.post("/departures", json=body), 409, "directory.person_has_left")
    (transfer,) = (await hr.get("/transfers")).json()["items"]
    assert transfer["state"] == "cancelled"
    assert head["person_id"] not in [each["person_id"] for each in (await hr.get("/people")).json()["items"]]


async def test_the_last_administrator_stays(settled: Town) -> None:
    person = await settled.person("10999")
    body = {"person_id": person["person_id"], "effective_from": "2026-04-13"}
    refused(await settled.client("hr").post("/departures", json=body), 409, "directory.last_administrator")


async def test_a_departure_to_come_can_be_withdrawn(settled: Town) -> None:
    person = await settled.person("2")
    hr = settled.client("hr")
    body = {"person_id": person["person_id"], "effective_from": "2026-06-01"}
    departure_id = (await hr.post("/departures", json=body)).json()["departure_id"]
    refused(await hr.post("/departures", json=body), 409, "directory.departure_recorded")
    assert (await hr.post(f"/departures/{departure_id}/withdrawal")).status_code == 204
    refused(await hr.post(f"/departures/{departure_id}/withdrawal"), 409, "directory.departure_closed")
    assert await settled.facts("staff-left") == []


async def test_somebody_of_another_town_does_not_exist_here(settled: Town) -> None:
    person = await settled.person("2")
    other = settled.it.client(settled.it.caller("hr", municipality="999989"))
    refused(await other.get(f"/people/{person['person_id']}"), 404, "directory.person_unknown")
    body = {"person_id": person["person_id"], "from_on": "2026-07-01"}
    refused(await other.post("/absences", json=body), 404, "directory.person_unknown")
    assert (await other.get("/people")).json()["items"] == []
    assert (await settled.client("hr").post("/absences", json=body)).status_code == 201


@pytest.fixture
async def whole(installation: Installation, town: Town) -> AsyncIterator[Town]:
    """The town with its timers running."""
    await town.it.database.close()
    async with running(build, installation, roles=("timers",)) as it:
        await set_civil_clock(it, datetime(2026, 4, 13, 10, tzinfo=TOKYO))
        yield Town(it, town.admin, await create_admin(it.database, town.admin))


async def test_a_transfer_a_head_and_a_departure_to_come_hold_from_the_night_of_their_day(whole: Town) -> None:
    await whole.settle()
    first, second, third = [await whole.person(number) for number in ("1", "2", "3")]
    road = await whole.section("1110")
    hr = whole.client("hr")
    seat = {"person_id": first["person_id"], "effective_from": "2026-05-01"}
    assert (await hr.put(f"/sections/{road['section_id']}/head", json=seat)).status_code == 204
    assert (await _transfer(whole, "2", "1020", "2026-05-01")).status_code == 201
    leaving = {"person_id": third["person_id"], "effective_from": "2026-05-01"}
    assert (await hr.post("/departures", json=leaving)).status_code == 201
    published = len(await whole.facts())
    assert (await whole.section("1110"))["head_person_id"] is None

    await set_civil_clock(whole.it, datetime(2026, 4, 30, 23, 50, tzinfo=TOKYO))
    assert len(await whole.facts()) == published
    await set_civil_clock(whole.it, datetime(2026, 5, 1, tzinfo=TOKYO))

    async def all_three() -> list[Fact]:
        facts = (await whole.facts("staff-transferred", "section-head-assigned", "staff-left"))[-3:]
        return facts if {fact.actor for fact in facts} == {"timer"} and len(facts) == 3 else []

    facts = await eventually(all_three)
    assert {(fact.payload or {})["effective_from"] for fact in facts} == {"2026-05-01"}
    assert (await whole.person("2"))["section_name"] == "総合政策課"
    assert (await whole.section("1110"))["head_person_id"] == first["person_id"]
    assert (await hr.get(f"/people/{third['person_id']}")).json()["left"] is True
    assert second["section_name"] == "道路課"
