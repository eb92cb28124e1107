"""Files as a town has them, and as it should not have them."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

from chassis.clocks import monotonic
from tests.integration.directory.town import (
    FILES,
    PEOPLE,
    PEOPLE_HEADING,
    SECTION_HEADING,
    SECTIONS,
    Town,
    csv,
    refused,
)


async def test_the_demo_town_comes_in_and_a_second_time_nothing_changes(town: Town) -> None:
    sections, people = (FILES / "sections.csv").read_bytes(), (FILES / "people.csv").read_bytes()
    answer = await town.import_file("sections", sections)
    assert answer.json() == {"created": 16, "changed": 1, "unchanged": 0, "dry_run": False, "encoding": "utf-8"}
    began = monotonic()
    answer = await town.import_file("people", people)
    assert monotonic() - began < 3
    assert answer.json() == {"created": 217, "changed": 0, "unchanged": 0, "dry_run": False, "encoding": "utf-8"}
    heads = [each["head_name"] for each in (await town.client().get("/sections")).json()["items"]]
    assert sum(head is not None for head in heads) == 16
    before = len(await town.facts())
    assert (await town.import_file("people", people)).json()["unchanged"] == 217
    assert (await town.import_file("sections", sections)).json()["unchanged"] == 17
    assert len(await town.facts()) == before


async def test_names_keep_their_characters(town: Town) -> None:
    await town.settle()
    found = (await town.client().get("/people")).json()["items"]
    assert {"髙橋 一郎", "山﨑 花", "𠮷田 悟"} <= {each["name"] for each in found}


async def test_a_file_as_excel_saves_it_is_read(town: Town) -> None:
    await town.import_file("sections", (FILES / "sections.csv").read_bytes())
    answer = await town.import_file("people", (FILES / "people-excel.csv").read_bytes())
    assert (answer.json()["created"], answer.json()["encoding"]) == (217, "cp932")


async def test_columns_may_come_in_any_order_and_more_of_them(town: Town) -> None:
    await town.import_file("sections", csv(SECTION_HEADING, SECTIONS))
    heading = "備考,採用日,兼務所属コード,メール,常勤,職員の種類,職,所属コード,フリガナ,氏名,職員番号"
    answer = await town.import_file("people", csv(heading, ["x,2010/4/1,,,常勤,正規,主任,1110,ヤマザキ,山﨑 花,7"]))
    assert answer.json()["created"] == 1


async def test_a_dry_run_changes_nothing(town: Town) -> None:
    await town.import_file("sections", csv(SECTION_HEADING, SECTIONS))
    before = len(await town.facts())
    answer = await town.import_file("people", csv(PEOPLE_HEADING, PEOPLE), dry_run=True)
    assert (answer.json()["created"], answer.json()["dry_run"]) == (3, True)
    assert len(await town.facts()) == before


async def test_only_what_differs_is_published(town: Town) -> None:
    await town.settle()
    before = len(await town.facts())
    rows = [
        "1,髙橋 一郎,タカハシ イチロウ,1110,課長,正規,常勤,new@midori.example,,1990-04-01",  # only the address
        "2,山﨑 花,ヤマザキ ハナ,1120,主任,正規,常勤,,,2010-04-01",  # another section
        "3,𠮷田 悟,ヨシダ サトル,1120,課長,任期付,非常勤,,,2020-04-01",  # only the kind of employment
    ]
    answer = await town.import_file("people", csv(PEOPLE_HEADING, rows), effective_from=date(2026, 4, 8))
    assert answer.json()["changed"] == 3
    facts = (await town.facts())[before:]
    assert [fact.type for fact in facts] == ["person-state", "staff-transferred", "person-state"]
    assert facts[1].payload is not None
    assert facts[1].payload["effective_from"] == "2026-04-08"
    transfers = (await town.client("hr").get("/transfers")).json()["items"]
    assert [each["state"] for each in transfers] == ["effective"]


async def test_everything_wrong_is_said_at_once_and_nothing_is_taken(town: Town) -> None:
    await town.import_file("sections", csv(SECTION_HEADING, SECTIONS))
    rows = [f"{n},名 前,ナマエ,1110,主任,正規,常勤,,,2020-04-01" for n in range(1, 60)]
    rows[55] = "56,名 前,ナマエ,1110"  # row 57 of the file
    rows[56] = "57,,ナマエ,9999,主任,正社員,毎日,no-mail,1110;8888,令和2年"
    rows[57] = "1,名 前,ナマエ,1110,主任,正規,常勤,,1110,2020-04-01"
    before = len(await town.facts())
    problem = refused(await town.import_file("people", csv(PEOPLE_HEADING, rows)), 422, "directory.import_refused")
    assert {(error["row"], error["field"]) for error in problem["errors"]} == {
        (2, "職員番号"),
        (57, "ファイル"),
        (58, "氏名"),
        (58, "所属コード"),
        (58, "職員の種類"),
        (58, "常勤"),
        (58, "メール"),
        (58, "兼務所属コード"),
        (58, "採用日"),
        (59, "職員番号"),
        (59, "兼務所属コード"),
    }
    assert len(await town.facts()) == before
    assert (await town.client().get("/people")).json()["items"][1:] == []


NO_FILES = [
    (b"", "ファイル"),
    (b"\xef\xbb\xbf", "ファイル"),
    (PEOPLE_HEADING.encode(), "ファイル"),
    (csv(PEOPLE_HEADING, PEOPLE).encode("utf-16"), "ファイル"),
    (csv(PEOPLE_HEADING, PEOPLE).encode("utf-16-le"), "ファイル"),
    (bytes(range(128, 256)) * 3, "ファイル"),
    (csv(PEOPLE_HEADING, ['1,"名,ナマエ']).encode(), "ファイル"),
    (csv(PEOPLE_HEADING, ["1,名\0前,ナマエ,1110,主任,正規,常勤,,,2020-04-01"]).encode(), "ファイル"),
    (csv(PEOPLE_HEADING.replace(",メール", ""), []).encode(), "メール"),
    (csv(PEOPLE_HEADING + ",氏名", []).encode(), "氏名"),
]


async def test_a_file_that_is_none_is_refused(town: Town) -> None:
    for content, field in NO_FILES:
        problem = refused(await town.import_file("people", content), 422, "directory.import_refused")
        assert problem["errors"][0]["field"] == field, content


async def test_a_file_over_ten_mebibytes_is_refused(town: Town) -> None:
    refused(await town.import_file("people", b"x" * (10 * 1024 * 1024 + 1)), 413, "request.too_large")


async def test_an_import_that_is_still_to_come_is_refused(town: Town) -> None:
    answer = await town.import_file("people", csv(PEOPLE_HEADING, PEOPLE), effective_from=date(2026, 5, 1))
    refused(answer, 409, "directory.not_in_future")


async def test_three_thousand_rows_come_in_quickly(town: Town) -> None:
    await town.import_file("sections", csv(SECTION_HEADING, SECTIONS))
    rows = [f"N{n},名 前{n},ナマエ,1110,主任,正規,常勤,,1120,2020-04-01" for n in range(3000)]
    began = monotonic()
    assert (await town.import_file("people", csv(PEOPLE_HEADING, rows))).json()["created"] == 3000
    assert monotonic() - began < 20


async def test_a_head_named_before_the_people_are_known_takes_the_seat_with_their_import(town: Town) -> None:
    rows = ["1110,道路課,課,町長,1,道路課長,110", "1120,上下水道課,課,町長,99,課長,120", *SECTIONS[:1]]
    answer = await town.import_file("sections", csv(SECTION_HEADING, rows))
    assert answer.status_code == 200
    await town.import_file("people", csv(PEOPLE_HEADING, PEOPLE))
    road, water = await town.section("1110"), await town.section("1120")
    assert (road["head_name"], road["head_post"]) == ("髙橋 一郎", "道路課長")
    assert (water["head_name"], water["head_awaited"]) == (None, True)
    problem = refused(await town.import_file("sections", csv(SECTION_HEADING, rows)), 422, "directory.import_refused")
    assert [(error["row"], error["field"]) for error in problem["errors"]] == [(3, "長の職員番号")]


async def test_a_section_is_renamed_and_its_head_changed_by_a_file(town: Town) -> None:
    await town.settle()
    rows = ["1110,道路河川課,課,町長,1,課長,110"]
    answer = await town.import_file("sections", csv(SECTION_HEADING, rows), effective_from=date(2026, 4, 10))
    assert answer.json()["changed"] == 1
    section = await town.section("1110")
    assert (section["name"], section["head_name"]) == ("道路河川課", "髙橋 一郎")
    details = (await town.client().get(f"/sections/{section['section_id']}")).json()
    assert [each["name"] for each in details["names"]] == ["道路課", "道路河川課"]
    versions = [fact.version for fact in await town.facts() if fact.aggregate == f"section/{section['section_id']}"]
    assert versions == [1, 2, 3]


async def test_a_name_put_right_from_an_earlier_day_takes_the_place_of_the_wrong_one(town: Town) -> None:
    await town.settle()
    for name, kind, day in (("道路かせん課", "室", 10), ("道路河川課", "課", 5)):
        rows = [f"1110,{name},{kind},町長,1,課長,110"]
        await town.import_file("sections", csv(SECTION_HEADING, rows), effective_from=date(2026, 4, day))
    details = (await town.client().get(f"/sections/{(await town.section('1110'))['section_id']}")).json()
    assert [(each["from_on"], each["name"]) for each in details["names"]] == [
        ("2026-04-01", "道路課"),
        ("2026-04-05", "道路河川課"),
    ]
    assert [each["from_on"] for each in details["attributes"]] == ["2026-04-01", "2026-04-05"]


async def test_a_file_that_gives_a_section_another_kind_authority_or_order_is_told_as_a_fact(town: Town) -> None:
    await town.settle()
    before = len(await town.facts())
    rows = [
        "1020,総合政策課,課,町長,,課長,10",
        "1110,道路河川室,室,町長,,課長,110",
        "1120,上下水道課,課,企業管理者,,課長,120",
    ]
    answer = await town.import_file("sections", csv(SECTION_HEADING, rows), effective_from=date(2026, 4, 10))
    assert (answer.json()["changed"], answer.json()["unchanged"]) == (3, 0)
    road = await town.section("1110")
    facts: dict[str, list[tuple[str, int]]] = {}
    for fact in (await town.facts())[before:]:
        facts.setdefault(fact.aggregate, []).append((fact.type, fact.version))
    assert facts[f"section/{road['section_id']}"] == [("section-renamed", 2), ("section-changed", 3)]
    assert sorted(tuple(kind for kind, _ in told) for told in facts.values()) == [
        ("section-changed",),
        ("section-changed",),
        ("section-renamed", "section-changed"),
    ]
    changed = next(each for each in await town.facts("section-changed") if road["section_id"] in each.aggregate)
    assert changed.payload == {
        "section_id": road["section_id"],
        "effective_from": "2026-04-10",
        "kind": "室",
        "appointing_authority": "町長",
        "display_order": 110,
    }
    details = (await town.client().get(f"/sections/{road['section_id']}")).json()
    assert [(each["from_on"], each["kind"]) for each in details["attributes"]] == [
        ("2026-04-01", "課"),
        ("2026-04-10", "室"),
    ]
    again = await town.import_file("sections", csv(SECTION_HEADING, rows), effective_from=date(2026, 4, 10))
    assert again.json()["unchanged"] == 3
    assert len(await town.facts()) == before + 4


async def test_versions_are_dense_for_every_person(town: Town) -> None:
    await town.settle()
    rows = [PEOPLE[1].replace("主任", "主査"), PEOPLE[0].replace("1110", "1120")]
    await town.import_file("people", csv(PEOPLE_HEADING, rows), effective_from=date(2026, 4, 6))
    by_person: dict[str, list[int]] = {}
    for fact in await town.facts():
        if fact.aggregate.startswith("person/") and fact.payload is not None:
            by_person.setdefault(fact.aggregate, []).append(fact.version)
    assert all(versions == list(range(1, len(versions) + 1)) for versions in by_person.values())


async def test_staff_may_not_import(town: Town) -> None:
    refused(await town.import_file("people", csv(PEOPLE_HEADING, PEOPLE), "it_policy"), 403, "auth.forbidden")


async def test_who_left_and_comes_back_with_a_new_number_is_the_same_person(town: Town) -> None:
    await town.settle()
    person: dict[str, Any] = await town.person("2")
    hr = town.client("hr")
    leaving = {"person_id": person["person_id"], "effective_from": "2026-04-05"}
    assert (await hr.post("/departures", json=leaving)).status_code == 201
    number = {"number": "B-2", "effective_from": "2026-04-10"}
    assert (await hr.post(f"/people/{person['person_id']}/numbers", json=number)).status_code == 204
    row = "B-2,山﨑 花,ヤマザキ ハナ,1120,主任,会計年度任用,非常勤,,,2026-04-10"
    assert (await town.import_file("people", csv(PEOPLE_HEADING, [row]))).json()["changed"] == 1
    again = await town.person("B-2")
    assert (again["person_id"], again["left"]) == (person["person_id"], False)


async def test_the_same_file_twice_at_once_comes_in_once(town: Town) -> None:
    await town.import_file("sections", csv(SECTION_HEADING, SECTIONS))
    answers = await asyncio.gather(*(town.import_file("people", csv(PEOPLE_HEADING, PEOPLE)) for _ in range(3)))
    assert sorted(answer.json()["created"] for answer in answers) == [0, 0, 3]
