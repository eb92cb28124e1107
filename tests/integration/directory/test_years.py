"""Fiscal years, calendars, rules, the clock, sections by hand, what waits."""

from __future__ import annotations

import base64
import json
from datetime import date, datetime, timedelta

from chassis.calendar import TOKYO
from tests.integration.directory.town import Town, refused


async def test_opening_a_fiscal_year_brings_the_usual_calendar(town: Town) -> None:
    hr = town.client("hr")
    assert (await hr.post("/fiscal-years", json={"fiscal_year": 2026})).status_code == 204
    refused(await hr.post("/fiscal-years", json={"fiscal_year": 2026}), 409, "directory.fiscal_year_open")
    facts = await town.facts("fiscal-year-opened", "calendar-changed")
    assert [(fact.type, fact.aggregate, fact.version) for fact in facts] == [
        ("fiscal-year-opened", "fiscal-year/2026", 1),
        ("calendar-changed", "calendar/2026", 1),
    ]
    (year,) = (await town.client().get("/fiscal-years")).json()["items"]
    assert (year["label"], year["starts_on"], year["ends_on"]) == ("令和8年度（2026年度）", "2026-04-01", "2027-03-31")
    calendar = (await town.client().get("/calendars/2026")).json()
    closed = set(calendar["closed_days"])
    assert {"2026-04-04", "2026-04-29", "2026-05-06", "2026-12-29", "2027-01-03", "2027-03-22"} <= closed
    assert "2026-04-13" not in closed
    assert {"day": "2026-04-29", "name": "昭和の日"} in calendar["holidays"]


async def test_a_town_closes_on_days_of_its_own(town: Town) -> None:
    it_policy = town.client("it_policy")
    body = {"closed_days": ["2026-08-14"], "opens_at": "08:30", "closes_at": "17:15"}
    assert (await it_policy.put("/calendars/2026", json=body)).status_code == 204
    assert (await it_policy.put("/calendars/2026", json=body)).status_code == 204
    calendar = (await town.client().get("/calendars/2026")).json()
    assert (calendar["version"], calendar["extra_closed_days"]) == (1, ["2026-08-14"])
    assert "2026-08-14" in calendar["closed_days"]


async def test_a_calendar_that_cannot_be_is_refused(town: Town) -> None:
    for body, field in (
        ({"closed_days": ["2027-04-01"]}, "closed_days"),
        ({"opens_at": "17:15", "closes_at": "08:30"}, "closes_at"),
        ({"opens_at": "25:00"}, "opens_at"),
    ):
        problem = refused(await town.client("hr").put("/calendars/2026", json=body), 422, "request.invalid")
        assert field in [error["field"] for error in problem["errors"]]


async def test_a_rule_is_dated_and_carries_its_article(town: Town) -> None:
    hr = town.client("hr")
    body = {
        "value": 1,
        "article": "みどり町DX推進体制要綱 第5条第1項",
        "article_text": "各課の長は、毎年度、\n1人以上選出するものとする。",
        "fictional": True,
        "effective_from": "2026-04-01",
    }
    assert (await hr.put("/rules/leaders_per_section", json=body)).status_code == 204
    assert (await hr.put("/rules/leaders_per_section", json=body)).status_code == 204
    later = {**body, "value": 2, "effective_from": "2027-04-01"}
    assert (await hr.put("/rules/leaders_per_section", json=later)).status_code == 204
    facts = await town.facts("rule-changed")
    assert [(fact.version, (fact.payload or {})["value"]) for fact in facts] == [(1, 1), (2, 2)]
    rules = (await town.client().get("/rules")).json()["items"]
    assert [(rule["value"], rule["in_force"]) for rule in rules] == [(2, False), (1, True)]


async def test_a_rule_nobody_follows_is_refused(town: Town) -> None:
    for rule, value, code in (
        ("leaders_per_section", "one", "request.invalid"),
        ("leaders_per_section", True, "request.invalid"),
        ("decision_required", 1, "request.invalid"),
        ("no_such_rule", 1, "directory.rule_unknown"),
        ("UPPER", 1, "request.invalid"),
    ):
        refused(await town.client("hr").put(f"/rules/{rule}", json={"value": value}), 422, code)


async def test_the_clock_goes_forward_for_the_whole_installation(town: Town) -> None:
    admin = town.client("admin")
    body = {"civil_at": "2026-05-01T00:00:00+09:00"}
    answer = await admin.post("/civil-clock", json=body)
    assert answer.status_code == 200, answer.text
    now = datetime.fromisoformat((await town.client().get("/civil-clock")).json()["civil_at"])
    assert now - datetime(2026, 5, 1, tzinfo=TOKYO) < timedelta(minutes=1)
    refused(
        await admin.post("/civil-clock", json={"civil_at": "2026-04-30T00:00:00+09:00"}),
        409,
        "directory.time_goes_forward",
    )
    refused(
        await admin.post("/civil-clock", json={"civil_at": "2201-01-01T00:00:00Z"}), 422, "directory.year_out_of_range"
    )
    (fact,) = await town.facts("civil-clock-set")
    assert (fact.municipality, fact.aggregate, fact.version) == ("000000", "civil-clock/only", 1)
    refused(await town.client("hr").post("/civil-clock", json=body), 403, "auth.forbidden")


async def test_a_section_is_made_renamed_headed_and_closed_by_hand(town: Town) -> None:
    hr = town.client("hr")
    body = {"code": "5010", "name": "脱炭素推進室", "kind": "室", "head_post": "室長"}
    section_id = (await hr.post("/sections", json=body)).json()["section_id"]
    refused(await hr.post("/sections", json=body), 409, "directory.section_code_taken")
    assert (await hr.put(f"/sections/{section_id}/name", json={"name": "ゼロカーボン推進室"})).status_code == 204
    person = (await hr.get("/people")).json()["items"][0]
    assert (await hr.put(f"/sections/{section_id}/head", json={"person_id": person["person_id"]})).status_code == 204
    section = (await hr.get(f"/sections/{section_id}")).json()
    assert (section["name"], section["head_name"], section["head_post"]) == ("ゼロカーボン推進室", "髙木 桜", "室長")
    assert (await hr.post(f"/sections/{section_id}/closure", json={})).status_code == 204
    facts = [(fact.type, fact.version) for fact in await town.facts() if fact.aggregate == f"section/{section_id}"]
    assert facts == [
        ("section-created", 1),
        ("section-renamed", 2),
        ("section-head-assigned", 3),
        ("section-head-assigned", 4),
        ("section-closed", 5),
    ]
    refused(await hr.put(f"/sections/{section_id}/name", json={"name": "x"}), 404, "directory.section_unknown")


async def test_a_section_with_people_is_not_closed(town: Town) -> None:
    section = await town.section("1020")
    answer = await town.client("hr").post(f"/sections/{section['section_id']}/closure", json={})
    assert "1人" in refused(answer, 409, "directory.section_not_empty")["detail"]


async def test_a_name_that_is_none_is_refused(town: Town) -> None:
    section = await town.section("1020")
    for name in ("", "   ", "a\x00b", "改\n行", "x" * 101):
        answer = await town.client("hr").put(f"/sections/{section['section_id']}/name", json={"name": name})
        refused(answer, 422, "request.invalid")


async def test_sections_without_a_head_wait_for_personnel(town: Town) -> None:
    await town.settle()
    items = (await town.client("hr").get("/work-items")).json()
    assert [(item["kind"], item["title"]) for item in items] == [
        ("mend", "総合政策課の長が決まっていません"),
        ("mend", "道路課の長が決まっていません"),
        ("mend", "上下水道課の長が決まっていません"),
    ]
    assert (await town.client("it_policy").get("/work-items")).json() == []


async def test_lists_are_read_page_by_page(town: Town) -> None:
    await town.settle()
    for path, role in (("/people", "staff"), ("/sections", "staff")):
        seen, cursor = [], None
        while True:
            params = {"limit": 1, **({"cursor": cursor} if cursor else {})}
            page = (await town.client(role).get(path, params=params)).json()
            seen += [json_item.get("person_id") or json_item["section_id"] for json_item in page["items"]]
            if (cursor := page["next_cursor"]) is None:
                break
        assert len(seen) == len(set(seen))
        assert len(seen) == len((await town.client(role).get(path)).json()["items"])
        refused(await town.client(role).get(path, params={"cursor": "xx"}), 422, "request.cursor_invalid")


async def test_people_are_found_by_section_and_by_name_without_its_space(town: Town) -> None:
    await town.settle()
    water = (await town.section("1120"))["section_id"]
    by_section = (await town.client().get("/people", params={"section_id": water})).json()["items"]
    assert {each["name"] for each in by_section} == {"山﨑 花", "𠮷田 悟"}
    by_name = (await town.client().get("/people", params={"q": "髙橋一郎"})).json()["items"]
    assert [each["name"] for each in by_name] == ["髙橋 一郎"]
    refused(await town.client().get("/people", params={"q": "a\x00"}), 422, "request.invalid")
    assert (await town.client().get("/people", params={"q": "1"})).json()["items"] == []


async def test_a_head_of_a_later_day_is_not_shown_before(town: Town) -> None:
    await town.settle()
    person, road = await town.person("1"), await town.section("1110")
    hr = town.client("hr")
    before = len(await town.facts())
    seat = {"person_id": person["person_id"], "effective_from": date(2026, 6, 1).isoformat()}
    assert (await hr.put(f"/sections/{road['section_id']}/head", json=seat)).status_code == 204
    assert len(await town.facts()) == before
    assert (await town.section("1110"))["head_person_id"] is None


async def test_a_cursor_that_is_none_is_refused(town: Town) -> None:
    for values in (["1"], ["9999999999", "x"], ["1", "a\x00"], ["1", "\ud800"], ["x", "y"], [1, 2]):
        cursor = base64.urlsafe_b64encode(json.dumps(values).encode()).decode()
        refused(await town.client().get("/sections", params={"cursor": cursor}), 422, "request.cursor_invalid")
