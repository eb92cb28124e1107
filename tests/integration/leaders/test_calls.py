"""The yearly call: asked, named, reminded, sent back."""

from __future__ import annotations

from datetime import date

from taiwa_contracts.directory import SectionCreatedV1, SectionHeadAssignedV1, StaffLeftV1
from tests.integration.leaders.town import LONG_AGO, Town


async def test_every_section_is_asked_and_its_head_is_named(town: Town) -> None:
    await town.call()
    asked = await town.facts("nomination-requested")
    heads = {each["value"]["section_id"]: each["value"]["head_person_id"] for each in asked}
    assert heads == {
        str(town.sections["福祉課"]): str(town.people["有馬 静江"]),
        str(town.sections["道路課"]): str(town.people["轟 武"]),
        str(town.sections["議会事務局"]): None,
    }
    assert {each["value"]["closes_on"] for each in asked} == {"2026-04-10"}
    assert {each["version"] for each in asked} == {1}


async def test_a_second_call_for_the_same_year_is_refused(town: Town) -> None:
    await town.call()
    answer = await town.hr.post("/calls", json={"fiscal_year": 2026, "closes_on": "2026-04-20"})
    assert (answer.status_code, answer.json()["code"]) == (409, "leaders.already_called")
    assert len(await town.facts()) == 3


async def test_a_year_that_is_not_open_cannot_be_called(town: Town) -> None:
    answer = await town.hr.post("/calls", json={"fiscal_year": 2027, "closes_on": "2027-04-09"})
    assert (answer.status_code, answer.json()["code"]) == (409, "leaders.fiscal_year_not_open")


async def test_a_closing_date_in_the_past_is_refused(town: Town) -> None:
    answer = await town.hr.post("/calls", json={"fiscal_year": 2026, "closes_on": "2026-03-31"})
    assert (answer.status_code, answer.json()["code"]) == (422, "leaders.closing_date_invalid")


async def test_only_hr_opens_a_call(town: Town) -> None:
    body = {"fiscal_year": 2026, "closes_on": "2026-04-10"}
    answer = await town.head("轟 武").post("/calls", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")


async def test_the_head_names_two_people_main_and_concurrent(town: Town) -> None:
    calls = await town.call()
    answer = await town.name("轟 武", calls["道路課"], "真壁 理人", "髙木 善継")
    assert answer.status_code == 201
    assert answer.json()["state"] == "answered"
    named = await town.facts("leader-nominated")
    assert [each["version"] for each in named] == [2, 3]
    assert {each["value"]["nominated_by"] for each in named} == {str(town.people["轟 武"])}
    seen = (await town.head("轟 武").get(f"/section-calls/{calls['道路課']}")).json()
    assert {each["name"] for each in seen["nominations"]} == {"真壁 理人", "髙木 善継"}
    candidates = {each["name"]: each for each in seen["candidates"]}
    assert candidates["髙木 善継"]["concurrent"]
    assert candidates["真壁 理人"]["nominated"]
    assert not candidates["榊 俊介"]["nominated"]


async def test_hr_names_for_a_section_whose_post_is_vacant(town: Town) -> None:
    calls = await town.call()
    await town.hire("山口 直樹", "議会事務局")
    body = {"person_ids": [str(town.people["山口 直樹"])]}
    answer = await town.hr.post(f"/section-calls/{calls['議会事務局']}/nominations", json=body)
    assert answer.status_code == 201


async def test_a_person_of_another_section_is_refused_and_the_article_is_cited(town: Town) -> None:
    calls = await town.call()
    answer = await town.name("轟 武", calls["道路課"], "真壁 理人", "渡邉 るい")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "leaders.not_of_section")
    assert problem["article"]["name"] == "みどり町DX推進体制要綱 第5条第1項"
    assert problem["article"]["fictional"]
    assert "第5条第1項" in problem["detail"]
    assert [each["field"] for each in problem["errors"]] == ["person_ids.1"]
    assert await town.facts("leader-nominated") == []


async def test_where_the_rule_has_no_article_the_refusal_says_it_is_the_towns_own_setting(town: Town) -> None:
    await town.rule("leaders_per_section", 1)
    calls = await town.call()
    problem = (await town.name("轟 武", calls["道路課"], "渡邉 るい")).json()
    assert "article" not in problem
    assert "（町の設定）" in problem["detail"]


async def test_naming_a_person_twice_is_refused(town: Town) -> None:
    calls = await town.call()
    twice = await town.name("轟 武", calls["道路課"], "真壁 理人", "真壁 理人")
    assert (twice.status_code, twice.json()["code"]) == (409, "leaders.already_nominated")
    assert (await town.name("轟 武", calls["道路課"], "真壁 理人")).status_code == 201
    again = await town.name("轟 武", calls["道路課"], "真壁 理人")
    assert (again.status_code, again.json()["code"]) == (409, "leaders.already_nominated")


async def test_naming_who_has_left_is_refused(town: Town) -> None:
    calls = await town.call()
    await town.tell(StaffLeftV1(person_id=town.people["榊 俊介"], effective_from=date(2026, 4, 1)))
    answer = await town.name("轟 武", calls["道路課"], "榊 俊介")
    assert (answer.status_code, answer.json()["code"]) == (422, "leaders.has_left")


async def test_naming_after_the_closing_date_is_refused_by_the_stored_article(town: Town) -> None:
    calls = await town.call()
    await town.on(date(2026, 4, 11))
    answer = await town.name("轟 武", calls["道路課"], "真壁 理人")
    assert (answer.status_code, answer.json()["code"]) == (409, "leaders.call_closed")
    assert answer.json()["article"]["text"] == "前項の選出は、町長が定める期限までに行うものとする。"
    assert "4月10日（金）" in answer.json()["detail"]


async def test_the_head_of_another_section_may_neither_name_nor_look(town: Town) -> None:
    calls = await town.call()
    answer = await town.name("有馬 静江", calls["道路課"], "真壁 理人")
    assert (answer.status_code, answer.json()["code"]) == (403, "leaders.not_the_head")
    seen = await town.head("有馬 静江").get(f"/section-calls/{calls['道路課']}")
    assert seen.status_code == 404
    own = (await town.head("有馬 静江").get("/section-calls")).json()
    assert [each["section_name"] for each in own] == ["福祉課"]


async def test_a_former_head_may_not_name_any_more(town: Town) -> None:
    calls = await town.call()
    await town.tell(
        SectionHeadAssignedV1(
            section_id=town.sections["道路課"],
            head_person_id=town.people["榊 俊介"],
            head_post="課長",
            effective_from=date(2026, 4, 1),
        )
    )
    assert (await town.name("轟 武", calls["道路課"], "真壁 理人")).status_code == 403
    assert (await town.name("榊 俊介", calls["道路課"], "真壁 理人")).status_code == 201


async def test_an_answer_sent_back_is_asked_again_with_its_reason(town: Town) -> None:
    calls = await town.call()
    await town.name("轟 武", calls["道路課"], "真壁 理人")
    path = f"/section-calls/{calls['道路課']}/rejections"
    answer = await town.hr.post(path, json={"reason": "もう1人選んでください"})
    assert answer.status_code == 201
    [rejected] = await town.facts("nomination-rejected")
    assert rejected["version"] == 3
    assert "もう1人" not in rejected["payload"]
    seen = (await town.head("轟 武").get(f"/section-calls/{calls['道路課']}")).json()
    assert seen["state"] == "asked"
    assert seen["requests"][-1]["reason"] == "もう1人選んでください"
    assert [each["state"] for each in seen["nominations"]] == ["sent_back"]
    assert (await town.name("轟 武", calls["道路課"], "真壁 理人", "榊 俊介")).status_code == 201


async def test_what_is_not_answered_cannot_be_sent_back(town: Town) -> None:
    calls = await town.call()
    answer = await town.hr.post(f"/section-calls/{calls['道路課']}/rejections", json={"reason": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "leaders.not_awaiting_decision")


async def test_a_late_section_may_answer_once_it_is_asked_again(town: Town) -> None:
    calls = await town.call()
    await town.on(date(2026, 4, 13))
    assert (await town.board())["rows"]["道路課"]["late_working_days"] == 1
    answer = await town.hr.post(f"/section-calls/{calls['道路課']}/reminders")
    assert answer.status_code == 201
    assert answer.json()["open_until"] == "2026-04-20"
    assert [each["version"] for each in await town.facts("nomination-requested")][-1] == 2
    assert (await town.board())["rows"]["道路課"]["status"] == "late"
    assert (await town.name("轟 武", calls["道路課"], "真壁 理人")).status_code == 201


async def test_a_section_that_has_answered_is_not_reminded(town: Town) -> None:
    calls = await town.call()
    await town.name("轟 武", calls["道路課"], "真壁 理人")
    answer = await town.hr.post(f"/section-calls/{calls['道路課']}/reminders")
    assert (answer.status_code, answer.json()["code"]) == (409, "leaders.already_answered")


async def test_a_section_founded_while_the_call_stands_is_asked_too(town: Town) -> None:
    await town.call()
    await town.tell(
        SectionCreatedV1(
            section_id=town.people["轟 武"],
            code="1140",
            name="未来課",
            kind="課",
            appointing_authority="町長",
            display_order=200,
            effective_from=date(2026, 4, 8),
        )
    )
    assert len(await town.facts("nomination-requested")) == 4
    await town.on(date(2026, 4, 8))
    assert (await town.board())["rows"]["未来課"]["status"] == "asked"


async def test_an_erased_person_has_no_name_on_any_screen(town: Town) -> None:
    calls = await town.call()
    await town.name("轟 武", calls["道路課"], "真壁 理人")
    await town.erase("真壁 理人")
    [leader] = (await town.board())["rows"]["道路課"]["leaders"]
    assert (leader["name"], leader["person_id"]) == (None, str(town.people["真壁 理人"]))


async def test_a_rule_changed_for_a_later_day_holds_from_that_day(town: Town) -> None:
    await town.rule("leaders_per_section", 2, effective_from=date(2026, 4, 6))
    assert (await town.board())["rule"]["leaders_per_section"] == 1
    await town.on(date(2026, 4, 6))
    assert (await town.board())["rule"]["leaders_per_section"] == 2
    assert date(2026, 4, 6) > LONG_AGO
