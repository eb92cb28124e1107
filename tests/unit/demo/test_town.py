"""The demo town's roster is what the demo says it is."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import taiwa.demo

TOWN = Path(taiwa.demo.__file__).with_name("town")


def rows(name: str, encoding: str = "utf-8-sig") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((TOWN / name).read_text(encoding=encoding))))


def test_the_town_has_17_sections_and_217_people_of_whom_168_are_full_time() -> None:
    people = rows("people.csv")
    assert len(rows("sections.csv")) == 17
    assert len(people) == len({person["職員番号"] for person in people}) == 217
    assert sum(person["常勤"] == "常勤" for person in people) == 168


def test_the_difficulties_of_real_life_are_in_it() -> None:
    people, sections = rows("people.csv"), rows("sections.csv")
    names = "".join(person["氏名"] for person in people)
    assert all(character in names for character in "髙﨑𠮷齋邉")
    assert any(person["職員の種類"] == "会計年度任用" for person in people)
    assert any(";" in person["兼務所属コード"] for person in people)
    assert any(not person["メール"] for person in people)
    assert [section["所属名"] for section in sections if not section["長の職員番号"]] == ["議会事務局"]


def test_heads_and_concurrent_posts_exist() -> None:
    people, sections = rows("people.csv"), rows("sections.csv")
    codes = {section["所属コード"] for section in sections}
    home = {person["職員番号"]: person["所属コード"] for person in people}
    for section in sections:
        assert home.get(section["長の職員番号"], section["所属コード"]) == section["所属コード"]
    for person in people:
        assert person["所属コード"] in codes
        assert {code for code in person["兼務所属コード"].split(";") if code} <= codes - {person["所属コード"]}


def test_the_excel_copy_is_the_same_roster_in_cp932() -> None:
    excel, people = rows("people-excel.csv", "cp932"), rows("people.csv")
    for ours, theirs in zip(people, excel, strict=True):
        assert ours["氏名"].replace("𠮷", "吉") == theirs["氏名"]
        assert [int(part) for part in ours["採用日"].split("-")] == [int(part) for part in theirs["採用日"].split("/")]
        assert ours | {"氏名": "", "採用日": ""} == theirs | {"氏名": "", "採用日": ""}
