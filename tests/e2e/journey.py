"""The first journey through the public API, from an empty product with its first administrator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from chassis.calendar import fiscal_year_of
from chassis.clocks import CivilClock
from chassis.testing import eventually
from taiwa.api import Person

ROSTER = Path(__file__).parents[2] / "taiwa" / "demo" / "town"
PASSWORD = "Midori-machi-journey"
ROAD_SECTION = "1110"
HEAD, LEADER, SECOND_LEADER, HR, IT_POLICY = "11037", "11040", "11052", "10126", "10221"
"""職員番号 of the roster: 道路課's head, two of its people, 総務課, 総合政策課."""
LEADERS_ADDRESS = "r.makabe@town.midori.example"
WELCOME = "道路課のDX推進リーダーに選任されました"
"""What the new leader's notice and mail are headed; the section head's say who was appointed."""


async def is_mailed(http: httpx.AsyncClient, inbox: str, address: str, subject: str) -> bool:
    """Whether the mail inbox at ``inbox`` holds a mail to an address with exactly this subject."""
    shown = (await http.get(f"{inbox}/api/v1/messages")).json()
    return any(
        mail["Subject"] == subject and [to["Address"] for to in mail["To"]] == [address] for mail in shown["messages"]
    )


@dataclass
class Journey:
    """One town's first days. ``services``: name → base URL."""

    services: Mapping[str, str]
    municipality: str
    http: httpx.AsyncClient
    people: dict[str, str] = field(default_factory=dict)
    voices: dict[str, Person] = field(default_factory=dict)

    async def begin(self, login: str, link_token: str) -> None:
        """The administrator chooses a password, imports the roster, opens the year and makes accounts."""
        admin = self._person(login)
        await self._choose_password(link_token)
        await admin.log_in(PASSWORD)
        for kind in ("sections", "people"):
            await admin.upload(f"/{kind}/imports", _key(), (ROSTER / f"{kind}.csv").read_bytes())
        for person in await admin.read_all("directory", "/people", limit=100):
            self.people |= dict.fromkeys(person["numbers"] or (), person["person_id"])
        for role, number in (("hr", HR), ("it_policy", IT_POLICY)):
            await admin.send("directory", "/roles", _key(), {"person_id": self.people[number], "role": role})
        await admin.send("directory", "/fiscal-years", _key(), {"fiscal_year": self.fiscal_year})
        for number in (HEAD, LEADER, HR, IT_POLICY):
            body = {"person_id": self.people[number], "login": number}
            made = await admin.send("directory", "/accounts", _key(), body)
            await self._choose_password(made["link_token"])
            self.voices[number] = self._person(number)
            await self.voices[number].log_in(PASSWORD)

    @property
    def fiscal_year(self) -> int:
        """The present one."""
        return fiscal_year_of(CivilClock().today())

    async def name_and_decide(self) -> None:
        """総務課 asks, the head names two, 総務課 records the decision; the leader is welcomed and known elsewhere."""
        today = CivilClock().today()
        call = {"fiscal_year": self.fiscal_year, "closes_on": (today + timedelta(days=10)).isoformat()}
        await eventually(lambda: self._sends(HR, "leaders", "/calls", call), timeout=30)
        section = next(
            each["section_id"]
            for each in await self.voices[HR].read_all("directory", "/sections")
            if each["code"] == ROAD_SECTION
        )
        [asked] = await self.voices[HR].read(
            "leaders", "/section-calls", fiscal_year=self.fiscal_year, section_id=section
        )
        path = f"/section-calls/{asked['section_call_id']}/nominations"
        named = {"person_ids": [self.people[LEADER], self.people[SECOND_LEADER]]}
        await self.voices[HEAD].send("leaders", path, _key(), named)
        decision = {
            "section_call_ids": [asked["section_call_id"]],
            "decided_on": today.isoformat(),
            "decided_by_post": "総務課長",
            "document_number": "総務第57号",
        }
        await self.voices[HR].send("leaders", "/decisions", _key(), decision)
        await eventually(lambda: self._has_notice(LEADER, WELCOME), timeout=30)
        await eventually(lambda: self._reads(LEADER, "consultations", "/leaders", self.people[LEADER]), timeout=30)

    async def learn(self) -> None:
        """A completed training is recorded, and the leader is told."""
        programme = await self.voices[HR].send("trainings", "/programmes", _key(), {"title": "DX基礎研修"})
        completion = {
            "programme_id": programme["programme_id"],
            "person_ids": [self.people[LEADER]],
            "completed_on": CivilClock().today().isoformat(),
            "source": "attendance",
        }
        await eventually(lambda: self._sends(HR, "trainings", "/completions", completion), timeout=30)
        await eventually(lambda: self._has_notice(LEADER, "DX基礎研修"), timeout=30)

    async def ask_and_resolve(self) -> None:
        """The leader asks, 総合政策課 finds it among its work and answers, the leader is told and resolves."""
        question = {"title": "写真の送り方", "body": "現場の写真を、庁舎に戻らずに送れますか。"}
        case = await self.voices[LEADER].send("consultations", "/consultations", _key(), question)
        path = f"/consultations/{case['consultation_id']}"
        await eventually(lambda: self._reads(IT_POLICY, "consultations", "/work-items", "写真の送り方"), timeout=30)
        answer = {"kind": "answer", "body": "町の端末から送れます。"}
        await eventually(lambda: self._sends(IT_POLICY, "consultations", f"{path}/entries", answer), timeout=30)
        await eventually(lambda: self._has_notice(LEADER, "町の端末から送れます"), timeout=30)
        resolved = await self.voices[LEADER].send("consultations", f"{path}/resolution", _key(), {})
        assert resolved["state"] == "resolved"

    def _person(self, login: str) -> Person:
        return Person(self.services, self.municipality, login, self.http)

    async def _choose_password(self, link_token: str) -> None:
        body = {"link_token": link_token, "password": PASSWORD}
        await self._person("").send("directory", "/passwords", _key(), body)

    async def _sends(self, number: str, service: str, path: str, body: Any) -> bool:
        """Send a command that may have to wait for facts to arrive in the service."""
        try:
            await self.voices[number].send(service, path, _key(), body)
        except Exception as refused:
            raise AssertionError(str(refused)) from refused
        return True

    async def _reads(self, number: str, service: str, path: str, wanted: str) -> bool:
        return wanted in json.dumps(await self.voices[number].read(service, path), ensure_ascii=False)

    async def _has_notice(self, number: str, words: str) -> bool:
        return await self._reads(number, "notifications", "/inbox", words)


def _key() -> str:
    return str(uuid4())
