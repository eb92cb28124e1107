from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from chassis.auth import Caller
from chassis.calendar import TOKYO
from chassis.testing import OTHER_TOWN, Running, set_civil_clock
from chassis.transaction import new_id

MONDAY = datetime(2026, 6, 8, 9, 5, tzinfo=TOKYO)
QUESTION = {"title": "家屋調査の写真を庁舎の外から安全に送る方法", "body": "現場から安全に送る方法はありますか。"}


def leader(api: Running) -> Caller:
    return api.caller("leader", section_id=new_id())


async def asked(api: Running, by: Caller, **changes: object) -> dict[str, Any]:
    answer = await api.client(by).post("/consultations", json={**QUESTION, **changes})
    assert answer.status_code == 201, answer.text
    case: dict[str, Any] = answer.json()
    return case


async def written(api: Running, by: Caller, case: dict[str, Any], kind: str, **more: object) -> httpx.Response:
    return await api.client(by).post(
        f"/consultations/{case['consultation_id']}/entries", json={"kind": kind, "body": f"{kind}の本文", **more}
    )


async def test_a_question_gets_a_number_a_desk_and_a_due_time(api: Running) -> None:
    await set_civil_clock(api, MONDAY)
    case = await asked(api, leader(api), category="security")
    assert case["number"] == "R8-0001"
    assert (case["desk"], case["desk_label"], case["state"]) == ("it_policy", "総合政策課", "open")
    assert datetime.fromisoformat(case["clock"]["answer_due_at"]) == datetime(2026, 6, 9, 17, 15, tzinfo=TOKYO)
    assert case["clock"]["running"]
    assert not case["clock"]["overdue"]
    assert [(entry["kind"], entry["body"]) for entry in case["entries"]] == [("opening", QUESTION["body"])]
    assert case["entries"][0]["entry_id"] == case["consultation_id"]


async def test_numbers_are_unique_under_concurrency_and_begin_anew_each_year_and_town(api: Running) -> None:
    await set_civil_clock(api, MONDAY)
    by = leader(api)
    cases = await asyncio.gather(*(asked(api, by) for _ in range(8)))
    assert sorted(case["number"] for case in cases) == [f"R8-{ordinal:04d}" for ordinal in range(1, 9)]
    elsewhere = api.caller("leader", municipality=OTHER_TOWN, section_id=new_id())
    assert (await asked(api, elsewhere))["number"] == "R8-0001"
    await set_civil_clock(api, datetime(2027, 4, 1, 9, 0, tzinfo=TOKYO))
    assert (await asked(api, by))["number"] == "R9-0001"


async def test_a_category_of_hr_goes_to_hr_and_none_goes_to_it_policy(api: Running) -> None:
    assert (await asked(api, leader(api), category="trainings"))["desk"] == "hr"
    assert (await asked(api, leader(api)))["desk"] == "it_policy"


async def test_an_unknown_category_is_refused_with_what_to_do(api: Running) -> None:
    answer = await api.client(leader(api)).post("/consultations", json={**QUESTION, "category": "weather"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "consultations.unknown_category"
    assert "選び直す" in answer.json()["detail"]


async def test_a_town_changes_where_a_category_goes(api: Running) -> None:
    office = api.caller("it_policy")
    answer = await api.client(office).put("/categories/security", json={"label": "情報セキュリティ", "desk": "hr"})
    assert answer.status_code == 200
    assert {"code": "security", "label": "情報セキュリティ", "desk": "hr", "desk_label": "総務課"} in answer.json()
    assert (await asked(api, leader(api), category="security"))["desk"] == "hr"
    elsewhere = api.caller("leader", municipality=OTHER_TOWN, section_id=new_id())
    assert (await asked(api, elsewhere, category="security"))["desk"] == "it_policy"


async def test_only_it_policy_and_admin_change_categories(api: Running) -> None:
    body = {"label": "情報セキュリティ", "desk": "hr"}
    for role in ("leader", "hr", "section_head"):
        answer = await api.client(api.caller(role)).put("/categories/security", json=body)
        assert answer.status_code == 403


@pytest.mark.parametrize(
    "wrong", [{"title": " 　"}, {"title": "一行\n二行"}, {"body": ""}, {"body": "\n "}, {"body": "a\u0000b"}, {"x": 1}]
)
async def test_a_question_without_words_is_refused_by_field(api: Running, wrong: dict[str, object]) -> None:
    answer = await api.client(leader(api)).post("/consultations", json={**QUESTION, **wrong})
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_somebody_whose_section_is_not_known_is_told_whom_to_ask(api: Running) -> None:
    answer = await api.client(api.caller("leader")).post("/consultations", json=QUESTION)
    assert answer.status_code == 409
    assert answer.json()["code"] == "consultations.no_section"


async def test_a_case_is_there_for_its_requester_and_the_desks_only(api: Running) -> None:
    by = leader(api)
    case = await asked(api, by)
    path = f"/consultations/{case['consultation_id']}"
    for caller in (by, api.caller("hr"), api.caller("it_policy")):
        assert (await api.client(caller).get(path)).status_code == 200
    strangers = [
        *(api.caller(role) for role in ("staff", "leader", "section_head", "executive", "admin", "finance")),
        api.caller("it_policy", municipality=OTHER_TOWN),
        api.caller("leader", municipality=OTHER_TOWN, person_id=by.person_id),
    ]
    for stranger in strangers:
        client = api.client(stranger)
        assert (await client.get(path)).status_code == 404
        assert (await client.post(f"{path}/entries", json={"kind": "answer", "body": "x"})).status_code == 404
        assert (await client.post(f"{path}/assignment", json={})).status_code == 404
        assert (await client.post(f"{path}/resolution", json={})).status_code == 404
        assert (await client.post(f"{path}/reopening", json={})).status_code == 404
        assert (await client.get("/consultations")).json()["items"] == []


async def test_an_unknown_case_is_not_found(api: Running) -> None:
    answer = await api.client(api.caller("hr")).get(f"/consultations/{uuid4()}")
    assert answer.status_code == 404


async def test_a_talk_goes_back_and_forth_until_it_is_resolved(api: Running) -> None:
    by, desk = leader(api), api.caller("it_policy")
    case = await asked(api, by)
    asked_back = (await written(api, desk, case, "question")).json()
    assert (asked_back["state"], asked_back["clock"]["running"]) == ("waiting_requester", False)
    assert asked_back["assignee"]["person_id"] == str(desk.person_id)
    replied = (await written(api, by, case, "reply")).json()
    assert (replied["state"], replied["clock"]["running"]) == ("open", True)
    assert (await written(api, desk, case, "answer")).json()["state"] == "answered"
    resolved = await api.client(by).post(f"/consultations/{case['consultation_id']}/resolution")
    assert resolved.status_code == 200
    assert resolved.json()["state"] == "resolved"
    assert resolved.json()["resolved_by"]["person_id"] == str(by.person_id)
    assert [entry["kind"] for entry in resolved.json()["entries"]] == ["opening", "question", "reply", "answer"]
    assert resolved.json()["may"] == ["reopen"]


async def test_each_step_is_one_version_named_in_the_answer(api: Running) -> None:
    desk = api.caller("it_policy")
    case = await asked(api, leader(api))
    answer = await written(api, desk, case, "answer")
    name = f"consultation/{case['consultation_id']}"
    assert answer.headers["Taiwa-Facts"] == f"{name}@2, {name}@3"
    assert answer.json()["version"] == 3


async def test_a_reply_to_a_resolved_case_is_refused_and_changes_nothing(api: Running) -> None:
    by = leader(api)
    case = await asked(api, by)
    await api.client(by).post(f"/consultations/{case['consultation_id']}/resolution", json={})
    refused = await written(api, by, case, "reply")
    assert refused.status_code == 409
    assert refused.json()["code"] == "consultations.already_resolved"
    assert "もう一度相談する" in refused.json()["detail"]
    shown = (await api.client(by).get(f"/consultations/{case['consultation_id']}")).json()
    assert (shown["version"], len(shown["entries"])) == (2, 1)


async def test_a_resolved_case_is_reopened_and_goes_on(api: Running) -> None:
    by = leader(api)
    case = await asked(api, by)
    path = f"/consultations/{case['consultation_id']}"
    await api.client(by).post(f"{path}/resolution", json={})
    reopened = await api.client(by).post(f"{path}/reopening", json={"version": 2})
    assert (reopened.json()["state"], reopened.json()["resolved_at"]) == ("open", None)
    assert (await written(api, by, case, "reply")).status_code == 201


async def test_notes_are_for_the_desks_only(api: Running) -> None:
    by, desk = leader(api), api.caller("it_policy")
    case = await asked(api, by)
    noted = await written(api, desk, case, "note")
    assert noted.status_code == 201
    assert "Taiwa-Facts" not in noted.headers
    path = f"/consultations/{case['consultation_id']}"
    for_desk = (await api.client(api.caller("hr")).get(path)).json()
    for_requester = (await api.client(by).get(path)).json()
    assert [entry["kind"] for entry in for_desk["entries"]] == ["opening", "note"]
    assert [entry["kind"] for entry in for_requester["entries"]] == ["opening"]
    assert for_desk["version"] == 1


async def test_a_requester_does_not_answer_and_a_desk_does_not_reply(api: Running) -> None:
    by = leader(api)
    case = await asked(api, by)
    assert (await written(api, by, case, "answer")).json()["code"] == "consultations.not_the_desk"
    refused = await written(api, api.caller("hr"), case, "reply")
    assert (refused.status_code, refused.json()["code"]) == (403, "consultations.not_the_requester")


async def test_of_two_who_saw_the_same_case_only_one_answers(api: Running) -> None:
    case = await asked(api, leader(api))
    answers = await asyncio.gather(
        *(written(api, api.caller("it_policy"), case, "answer", version=1) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    refused = next(answer.json() for answer in answers if answer.status_code == 409)
    assert refused["code"] == "request.concurrent_change"
    shown = (await api.client(api.caller("hr")).get(f"/consultations/{case['consultation_id']}")).json()
    assert [entry["kind"] for entry in shown["entries"]] == ["opening", "answer"]


async def test_of_two_who_take_the_same_case_only_one_gets_it(api: Running) -> None:
    case = await asked(api, leader(api))
    path = f"/consultations/{case['consultation_id']}/assignment"
    takers = [api.caller("it_policy") for _ in range(4)]
    answers = await asyncio.gather(*(api.client(taker).post(path, json={"version": 1}) for taker in takers))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


async def test_only_a_member_of_a_desk_is_made_owner(api: Running) -> None:
    case = await asked(api, leader(api))
    path = f"/consultations/{case['consultation_id']}/assignment"
    refused = await api.client(api.caller("hr")).post(path, json={"person_id": str(uuid4())})
    assert (refused.status_code, refused.json()["code"]) == (422, "consultations.not_of_a_desk")


async def test_the_desks_list_by_desk_and_state_page_by_page(api: Running) -> None:
    by, desk = leader(api), api.caller("it_policy")
    cases = [await asked(api, by) for _ in range(3)]
    other = await asked(api, leader(api), category="trainings")
    await written(api, desk, cases[0], "answer")
    client = api.client(desk)
    first = (await client.get("/consultations", params={"desk": "it_policy", "limit": 2})).json()
    rest = (
        await client.get("/consultations", params={"desk": "it_policy", "limit": 2, "cursor": first["next_cursor"]})
    ).json()
    listed = [item["consultation_id"] for item in first["items"] + rest["items"]]
    assert listed == [case["consultation_id"] for case in reversed(cases)]
    assert rest["next_cursor"] is None
    answered = (await client.get("/consultations", params={"state": "answered"})).json()["items"]
    assert [item["consultation_id"] for item in answered] == [cases[0]["consultation_id"]]
    everything = (await client.get("/consultations")).json()["items"]
    assert other["consultation_id"] in {item["consultation_id"] for item in everything}
    assert (await client.get("/consultations", params={"mine": True})).json()["items"] == []
    own = (await api.client(by).get("/consultations")).json()["items"]
    assert {item["consultation_id"] for item in own} == {case["consultation_id"] for case in cases}


async def test_a_cursor_of_another_list_is_refused(api: Running) -> None:
    answer = await api.client(api.caller("hr")).get("/consultations", params={"cursor": "WyJ4Il0"})
    assert (answer.status_code, answer.json()["code"]) == (422, "request.cursor_invalid")


async def work_of(api: Running, caller: Caller) -> list[tuple[str, UUID]]:
    items = (await api.client(caller).get("/work-items")).json()
    return [(item["kind"], UUID(item["target"]["id"])) for item in items]


async def test_work_moves_between_desk_and_requester(api: Running) -> None:
    by, owner, colleague = leader(api), api.caller("it_policy"), api.caller("it_policy")
    case = await asked(api, by)
    it = UUID(case["consultation_id"])
    assert await work_of(api, by) == []
    assert await work_of(api, owner) == [("assign", it)]
    assert await work_of(api, api.caller("hr")) == []
    await api.client(owner).post(f"/consultations/{it}/assignment", json={})
    assert await work_of(api, owner) == [("answer", it)]
    assert await work_of(api, colleague) == []
    await written(api, owner, case, "question")
    assert (await work_of(api, owner), await work_of(api, by)) == ([], [("answer", it)])
    await written(api, by, case, "reply")
    assert (await work_of(api, owner), await work_of(api, by)) == ([("answer", it)], [])
    await written(api, owner, case, "answer")
    assert (await work_of(api, owner), await work_of(api, by)) == ([], [("confirm", it)])
    await api.client(by).post(f"/consultations/{it}/resolution", json={})
    assert (await work_of(api, owner), await work_of(api, by)) == ([], [])


async def test_work_comes_by_due_time_and_a_late_one_says_so(api: Running) -> None:
    by, desk = leader(api), api.caller("it_policy")
    await set_civil_clock(api, MONDAY)
    early = await asked(api, by)
    await set_civil_clock(api, datetime(2026, 6, 10, 9, 0, tzinfo=TOKYO))
    late = await asked(api, by)
    items = (await api.client(desk).get("/work-items")).json()
    assert [item["target"]["id"] for item in items] == [early["consultation_id"], late["consultation_id"]]
    assert "期限を過ぎています" in items[0]["note"]
    assert "期限を過ぎています" not in items[1]["note"]
    assert datetime.fromisoformat(items[0]["due_at"]) == datetime(2026, 6, 9, 17, 15, tzinfo=TOKYO)
    shown = (await api.client(desk).get(f"/consultations/{early['consultation_id']}")).json()
    assert shown["clock"]["overdue"]
