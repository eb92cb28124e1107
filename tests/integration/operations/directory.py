"""A walk through directory."""

from __future__ import annotations

from datetime import date
from typing import Any

from chassis.calendar import at
from chassis.testing import MIDORI, OTHER_TOWN, set_civil_clock
from services.directory import main
from services.directory.commands.administrators import CreateAdmin, create_admin
from tests.integration.operations.walk import EVERYWHERE, TODAY, Step, Walk, World

HR, ADMIN = ("hr",), ("admin",)
PASSWORD = "しずかな湖のほとり 2026"
SECTIONS = """所属コード,所属名,種別,任命権者,長の職員番号,長の職名,並び順
1020,総合政策課,課,町長,,課長,20
1110,道路課,課,町長,,課長,110
"""
PEOPLE = """職員番号,氏名,フリガナ,所属コード,職,職員の種類,常勤,メール,兼務所属コード,採用日
1,髙橋 一郎,タカハシ イチロウ,1110,課長,正規,常勤,t@midori.example,,1990-04-01
2,山﨑 花,ヤマザキ ハナ,1110,主任,正規,常勤,,,2010-04-01
"""
SINCE = {"effective_from": "2026-04-01"}


async def settle(world: World) -> None:
    """Two towns, each with its administrator; only the first is walked through."""
    await set_civil_clock(world.it, at(TODAY, "10:00"))
    for town, name in ((MIDORI, "みどり町"), (OTHER_TOWN, "あおい町")):
        await create_admin(
            world.it.database,
            CreateAdmin(
                municipality=town,
                name=name,
                kana="カナ",
                fictional=True,
                section_code="1020",
                section_name="総合政策課",
                number="10999",
                person_name=f"{name}の管理者",
                effective_from=date(2026, 4, 1),
            ),
        )


def people(body: dict[str, Any]) -> dict[str, str]:
    """髙橋 and 山﨑."""
    found = {each["name"]: each["person_id"] for each in body["items"]}
    return {"person_id": found["山﨑 花"], "髙橋 一郎": found["髙橋 一郎"]}


def sections(body: dict[str, Any]) -> dict[str, str]:
    """道路課 and 総合政策課."""
    found = {each["name"]: each["section_id"] for each in body["items"]}
    return {"section_id": found["道路課"], "総合政策課": found["総合政策課"]}


def one_person(world: World) -> dict[str, str]:
    """山﨑."""
    return {"person_id": world["person_id"]}


def a_later_time(world: World) -> dict[str, str]:
    """The clock is the whole installation's and goes forward only, whichever town's administrator puts it."""
    world.ids["minute"] = world.ids.get("minute", 0) + 1
    return {"civil_at": f"2026-04-14T09:{world['minute']:02}:00+09:00"}


NO_TOWN = "the secret alone says whose it is"

WALK = Walk(
    "directory",
    main,
    settle,
    (
        Step("POST /sections/imports", HR, content=lambda _: SECTIONS.encode(), params=lambda _: SINCE),
        Step("POST /people/imports", HR, content=lambda _: PEOPLE.encode(), params=lambda _: SINCE),
        Step("GET /sections", keep=sections),
        Step("GET /sections/{section_id}"),
        Step("GET /people", keep=people),
        Step("GET /people/{person_id}", HR),
        Step("GET /me", by="person_id"),
        Step("POST /people/{person_id}/numbers", HR, json=lambda _: {"number": "20002"}),
        Step(
            "PUT /sections/{section_id}/head",
            HR,
            json=lambda world: {"person_id": world["髙橋 一郎"], "post": "課長"},
        ),
        Step("PUT /sections/{section_id}/name", HR, json=lambda _: {"name": "道路河川課"}),
        Step(
            "POST /transfers",
            HR,
            json=lambda world: {
                "person_id": world["person_id"],
                "to_section_id": world["総合政策課"],
                "post": "係長",
                "effective_from": "2026-05-01",
            },
            keep=lambda body: {"transfer_id": body["transfer_id"]},
        ),
        Step("GET /transfers", HR),
        Step("POST /transfers/{transfer_id}/reversal", HR),
        Step(
            "POST /absences",
            HR,
            json=lambda world: {**one_person(world), "from_on": "2026-07-01", "until_on": "2026-07-31"},
            keep=lambda body: {"absence_id": body["absence_id"]},
        ),
        Step("GET /absences", HR),
        Step("POST /absences/{absence_id}/withdrawal", HR),
        Step(
            "POST /departures",
            HR,
            json=lambda world: {**one_person(world), "effective_from": "2026-10-01"},
            keep=lambda body: {"departure_id": body["departure_id"]},
        ),
        Step("GET /departures", HR),
        Step("POST /departures/{departure_id}/withdrawal", HR),
        Step("POST /fiscal-years", HR, json=lambda _: {"fiscal_year": 2026}),
        Step("GET /fiscal-years", keep=lambda _: {"fiscal_year": 2026, "rule": "leaders_per_section"}),
        Step("PUT /calendars/{fiscal_year}", HR, json=lambda _: {"closed_days": ["2026-08-14"]}),
        Step("GET /calendars/{fiscal_year}"),
        Step(
            "PUT /rules/{rule}",
            HR,
            json=lambda _: {"value": 1, "article": "要綱第5条", "article_text": "1人以上とする。"},
        ),
        Step("GET /rules"),
        Step(
            "POST /accounts",
            ADMIN,
            json=lambda world: {**one_person(world), "login": "hana"},
            keep=lambda body: {"account_id": body["account_id"]},
        ),
        Step("GET /accounts", ADMIN),
        Step("POST /accounts/{account_id}/links", ADMIN, keep=lambda body: {"link_token": body["link_token"]}),
        Step(
            "POST /passwords",
            nobody=NO_TOWN,
            json=lambda world: {"link_token": world["link_token"], "password": PASSWORD},
        ),
        Step(
            "POST /tokens",
            nobody="the municipality is part of what one logs in with",
            json=lambda _: {"municipality": MIDORI, "login": "hana", "password": PASSWORD},
            keep=lambda body: {"refresh_token": body["refresh_token"]},
        ),
        Step(
            "POST /tokens/refresh",
            nobody=NO_TOWN,
            json=lambda world: {"refresh_token": world["refresh_token"]},
            keep=lambda body: {"refresh_token": body["refresh_token"]},
        ),
        Step("POST /tokens/revocation", nobody=NO_TOWN, json=lambda world: {"refresh_token": world["refresh_token"]}),
        Step("POST /accounts/{account_id}/lock", ADMIN),
        Step("POST /accounts/{account_id}/unlock", ADMIN),
        Step("POST /roles", ADMIN, json=lambda world: {**one_person(world), "role": "finance"}),
        Step("GET /roles", ADMIN),
        Step("POST /roles/revocations", ADMIN, json=lambda world: {**one_person(world), "role": "finance"}),
        Step("POST /signing-keys/rotation", ADMIN),
        Step("GET /.well-known/jwks.json", nobody="public keys are everybody's"),
        Step("GET /civil-clock"),
        Step("POST /civil-clock", ADMIN, json=a_later_time),
        Step(
            "POST /sections",
            HR,
            json=lambda _: {"code": "1999", "name": "臨時対策室", "kind": "室"},
            keep=lambda body: {"section_id": body["section_id"]},
        ),
        Step("POST /sections/{section_id}/closure", HR, json=lambda _: {}),
        *EVERYWHERE,
    ),
)
