"""What the tests of directory ask of a town."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx

import taiwa.demo
from chassis.testing import Running
from services.directory.commands.administrators import AdminCreated, CreateAdmin

FIRST_DAY = date(2026, 4, 1)
FILES = Path(taiwa.demo.__file__).parent / "town"
PASSWORD = "しずかな湖のほとり 2026"
PEOPLE_HEADING = "職員番号,氏名,フリガナ,所属コード,職,職員の種類,常勤,メール,兼務所属コード,採用日"
SECTION_HEADING = "所属コード,所属名,種別,任命権者,長の職員番号,長の職名,並び順"
SECTIONS = [
    "1020,総合政策課,課,町長,,課長,20",
    "1110,道路課,課,町長,,課長,110",
    "1120,上下水道課,課,町長,,課長,120",
]
PEOPLE = [
    "1,髙橋 一郎,タカハシ イチロウ,1110,課長,正規,常勤,t@midori.example,,1990-04-01",
    "2,山﨑 花,ヤマザキ ハナ,1110,主任,正規,常勤,,1120,2010-04-01",
    "3,𠮷田 悟,ヨシダ サトル,1120,課長,会計年度任用,非常勤,,,2020-04-01",
]


def csv(heading: str, rows: list[str]) -> str:
    """A file's text."""
    return "\r\n".join([heading, *rows]) + "\r\n"


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of the event log."""

    type: str
    aggregate: str
    version: int
    payload: dict[str, Any] | None
    actor: str
    municipality: str


@dataclass(frozen=True, slots=True)
class Town:
    """A running directory and its first administrator's link."""

    it: Running
    admin: CreateAdmin
    link: AdminCreated

    def client(self, *roles: str, language: str = "ja") -> httpx.AsyncClient:
        """Somebody with these roles."""
        return self.it.client(self.it.caller(*roles), language=language)

    async def import_file(
        self, what: str, content: str | bytes, *roles: str, effective_from: date | None = FIRST_DAY, **query: Any
    ) -> httpx.Response:
        """POST a CSV file to ``/<what>/imports`` as 総務課."""
        body = content if isinstance(content, bytes) else content.encode()
        params = {**query, **({"effective_from": effective_from.isoformat()} if effective_from else {})}
        return await self.client(*(roles or ("hr",))).post(
            f"/{what}/imports", content=body, params=params, headers={"Content-Type": "text/csv"}
        )

    async def settle(self) -> None:
        """Three sections and three people."""
        for what, heading, rows in (("sections", SECTION_HEADING, SECTIONS), ("people", PEOPLE_HEADING, PEOPLE)):
            answer = await self.import_file(what, csv(heading, rows))
            assert answer.status_code == 200, answer.text

    async def person(self, number: str) -> dict[str, Any]:
        """Somebody by staff number, as 総務課 sees them."""
        found = (await self.client("hr").get("/people", params={"q": number, "left": True})).json()["items"]
        return next(each for each in found if number in each["numbers"])

    async def section(self, code: str) -> dict[str, Any]:
        """A section by code."""
        found = (await self.client().get("/sections")).json()["items"]
        section: dict[str, Any] = next(each for each in found if each["code"] == code)
        return section

    async def facts(self, *kinds: str) -> list[Fact]:
        """Rows of the event log in order; ``kinds``: only those types, without prefix and version."""
        async with self.it.worker.scoped("*") as connection:
            await connection.execute("RESET ROLE")
            rows = await connection.fetch(
                "SELECT type, aggregate, version, payload, actor_kind, municipality FROM event_log ORDER BY position"
            )
        facts = [
            Fact(
                row["type"].removeprefix("taiwa.directory.").rpartition(".v")[0],
                row["aggregate"],
                row["version"],
                json.loads(row["payload"]) if row["payload"] else None,
                row["actor_kind"],
                row["municipality"],
            )
            for row in rows
        ]
        return [fact for fact in facts if not kinds or fact.type in kinds]


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem details of a refusal."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    problem: dict[str, Any] = answer.json()
    return problem
