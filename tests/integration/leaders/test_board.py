"""The coverage board and 今日の仕事."""

from __future__ import annotations

from datetime import date
from typing import Any

from chassis.transaction import new_id
from taiwa_contracts.directory import AbsenceRecordedV1, SectionChangedV1, StaffLeftV1
from tests.integration.leaders.town import Town


async def absent(town: Town, name: str, from_on: date, until_on: date | None = None) -> None:
    await town.tell(
        AbsenceRecordedV1(absence_id=new_id(), person_id=town.people[name], from_on=from_on, until_on=until_on)
    )


async def work(town: Town, *roles: str, name: str | None = None) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await town.client(*roles, name=name).get("/work-items")).json()
    return items


async def test_the_board_puts_late_first_then_decisions_then_what_is_done(town: Town) -> None:
    calls = await town.call()
    await town.name("轟 武", calls["道路課"], "真壁 理人")
    await town.name("有馬 静江", calls["福祉課"], "渡邉 るい")
    await town.decide(calls["福祉課"], on=date(2026, 4, 1))
    await town.on(date(2026, 4, 14))
    board = await town.board()
    assert [(name, row["status"]) for name, row in board["rows"].items()] == [
        ("議会事務局", "late"),
        ("道路課", "awaiting_decision"),
        ("福祉課", "appointed"),
    ]
    assert {name: board["counts"][name] for name in ("late", "awaiting_decision", "appointed", "sections")} == {
        "late": 1,
        "awaiting_decision": 1,
        "appointed": 1,
        "sections": 3,
    }
    assert board["fiscal_year_label"] == "令和8年度（2026年度）"
    assert board["closes_on"] == "2026-04-10"
    assert board["rule"]["article"] == "みどり町DX推進体制要綱 第5条第1項"
    done = board["rows"]["福祉課"]
    assert done["decision"] == {
        "decided_on": "2026-04-01",
        "decided_by_post": "総務課長",
        "document_number": "総務第41号",
    }
    assert (done["answered_on"], done["head"]["name"]) == ("2026-04-01", "有馬 静江")
    assert board["rows"]["議会事務局"]["head"] is None
    assert "宛先" in board["rows"]["議会事務局"]["warning"]["text"]


async def test_who_entered_a_decision_stands_apart_from_who_made_it(town: Town) -> None:
    calls = await town.call()
    await town.name("有馬 静江", calls["福祉課"], "渡邉 るい")
    typist = town.client("hr", name="榊 俊介")
    body = {"section_call_ids": [calls["福祉課"]], "decided_on": "2026-04-01", "decided_by_post": "総務課長"}
    assert (await typist.post("/decisions", json=body)).status_code == 201
    row = (await town.board())["rows"]["福祉課"]
    assert (row["entered_by"], row["decision"]["decided_by_post"]) == ("榊 俊介", "総務課長")
    assert row["entered_at"].startswith("2026-04-01")


async def test_lateness_is_counted_in_open_days(town: Town) -> None:
    await town.call(closes_on=date(2026, 4, 28))
    await town.on(date(2026, 5, 3))
    row = (await town.board())["rows"]["道路課"]
    assert (row["status"], row["late_working_days"]) == ("late", 2)
    await town.on(date(2026, 5, 7))
    assert (await town.board())["rows"]["道路課"]["late_working_days"] == 3


async def test_a_weekend_makes_nobody_late(town: Town) -> None:
    await town.call()
    await town.on(date(2026, 4, 12))
    assert (await town.board())["rows"]["道路課"]["status"] == "asked"


async def test_an_absent_candidate_needs_a_deputy_by_the_stored_article(town: Town) -> None:
    calls = await town.call()
    await absent(town, "真壁 理人", date(2026, 7, 1))
    await town.name("轟 武", calls["道路課"], "真壁 理人")
    warning = (await town.board())["rows"]["道路課"]["warning"]
    assert warning["text"] == "7月1日から不在です。代理を1人決めてください（みどり町DX推進体制要綱 第6条第2項）。"
    assert warning["article"]["text"] == "リーダーが不在の間は、代理を1人決めるものとする。"


async def test_without_a_stored_rule_an_absence_is_told_and_no_article_is_invented(town: Town) -> None:
    await town.rule("deputy_when_absent", value=False)
    calls = await town.call()
    await absent(town, "真壁 理人", date(2026, 7, 1), date(2026, 7, 31))
    await town.name("轟 武", calls["道路課"], "真壁 理人")
    assert (await town.board())["rows"]["道路課"]["warning"] == {
        "text": "7月1日から7月31日まで不在です。",
        "article": None,
    }


async def test_a_section_all_of_whose_leaders_are_away_shows_as_absent_until_a_deputy_stands_in(town: Town) -> None:
    calls = await town.call()
    await town.name("轟 武", calls["道路課"], "真壁 理人")
    [appointment] = (await town.decide(calls["道路課"], on=date(2026, 4, 1))).json()["appointments"]
    await absent(town, "真壁 理人", date(2026, 4, 6))
    await town.on(date(2026, 4, 7))
    assert (await town.board())["rows"]["道路課"]["status"] == "absent"
    for who in ({"name": "轟 武"}, {"name": "真壁 理人"}):
        items = await work(town, "staff", **who)
        assert [each["title"] for each in items if each["kind"] == "mend"] == ["道路課のリーダーの代理を決める"]
    body = {"person_id": str(town.people["榊 俊介"]), "from_on": "2026-04-07"}
    named = await town.head("轟 武").post(f"/appointments/{appointment['appointment_id']}/deputy", json=body)
    assert named.status_code == 201
    row = (await town.board())["rows"]["道路課"]
    assert (row["status"], row["leaders"][0]["deputy"]["name"]) == ("appointed", "榊 俊介")
    assert [each for each in await work(town, "staff", name="轟 武") if each["kind"] == "mend"] == []


async def test_the_head_is_asked_to_nominate_and_hr_to_decide(town: Town) -> None:
    calls = await town.call()
    [item] = await work(town, "section_head", name="轟 武")
    assert (item["kind"], item["title"]) == ("nominate", "道路課のリーダーを選ぶ")
    assert item["due_at"] == "2026-04-10T17:15:00+09:00"
    assert "第5条第1項" in item["note"]
    assert item["target"] == {"kind": "section-call", "id": calls["道路課"]}
    await town.name("轟 武", calls["道路課"], "真壁 理人")
    assert await work(town, "section_head", name="轟 武") == []
    [decide] = await work(town, "hr")
    assert (decide["kind"], decide["title"]) == ("decide", "決裁待ちの選出 1課")
    assert await work(town, "staff") == []


async def test_hr_is_told_of_late_sections(town: Town) -> None:
    await town.call()
    await town.on(date(2026, 4, 14))
    titles = [each["title"] for each in await work(town, "hr")]
    assert "道路課にお願いを再送する" in titles


async def test_times_served_counts_fiscal_years(town: Town) -> None:
    calls = await town.call()
    await town.name("轟 武", calls["道路課"], "真壁 理人")
    await town.decide(calls["道路課"], on=date(2026, 4, 1))
    await town.on(date(2027, 4, 1), "00:01")
    await town.run_timers()
    await town.year(2027)
    again = await town.call(2027, date(2027, 4, 9))
    await town.name("轟 武", again["道路課"], "真壁 理人", "榊 俊介")
    leaders = {each["name"]: each for each in (await town.board(2027))["rows"]["道路課"]["leaders"]}
    assert (leaders["真壁 理人"]["times_served"], leaders["真壁 理人"]["note"]) == (2, "2回目")
    assert (leaders["榊 俊介"]["times_served"], leaders["榊 俊介"]["note"]) == (1, "新任")


async def test_the_board_follows_the_order_that_holds_on_the_day(town: Town) -> None:
    await town.tell(
        SectionChangedV1(
            section_id=town.sections["議会事務局"],
            kind="議会事務局",
            appointing_authority="議長",
            display_order=1,
            effective_from=date(2026, 4, 10),
        )
    )
    assert list((await town.board())["rows"]) == ["福祉課", "道路課", "議会事務局"]
    await town.on(date(2026, 4, 10))
    assert list((await town.board())["rows"]) == ["議会事務局", "福祉課", "道路課"]
    await town.call()
    listed = (await town.hr.get("/section-calls", params={"fiscal_year": 2026})).json()
    assert [each["section_name"] for each in listed] == ["議会事務局", "福祉課", "道路課"]


async def test_a_section_that_never_had_a_leader_stands_apart_from_one_that_lost_its_leader(town: Town) -> None:
    calls = await town.call()
    await town.name("轟 武", calls["道路課"], "真壁 理人")
    await town.decide(calls["道路課"], on=date(2026, 4, 1))
    board = await town.board()
    assert {name: row["standing"] for name, row in board["rows"].items()} == {
        "道路課": "covered",
        "福祉課": "never",
        "議会事務局": "never",
    }
    await town.on(date(2026, 4, 6))
    await town.tell(StaffLeftV1(person_id=town.people["真壁 理人"], effective_from=date(2026, 4, 6)))
    board = await town.board()
    assert board["rows"]["道路課"]["standing"] == "lost"
    assert (board["counts"]["uncovered"], board["counts"]["never"]) == (3, 2)
    assert await town.kinds() == [*["nomination-requested"] * 3, *TOLD]


TOLD = ["leader-nominated", "leader-appointed", "coverage-restored", "leader-term-ended", "coverage-lost"]
"""Of the one section that had a leader; of those that never had one nothing is said."""
