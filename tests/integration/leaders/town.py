"""みどり町 in small, as leaders knows it: facts told to the service, the service's own facts read back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import httpx

from chassis.calendar import at
from chassis.consumer.effects import Effects
from chassis.service import Received
from chassis.testing import MIDORI, Running, set_civil_clock
from chassis.transaction import Actor, new_id
from taiwa_contracts.directory import (
    CalendarChangedV1,
    FiscalYearOpenedV1,
    PersonStateV1,
    RuleChangedV1,
    SectionCreatedV1,
    SectionHeadAssignedV1,
    StaffJoinedV1,
)
from taiwa_contracts.event import Event, State

LONG_AGO = date(2020, 4, 1)
YOKO = "みどり町DX推進体制要綱"
ARTICLES: dict[str, tuple[bool | int | str, str, str]] = {
    "leaders_per_section": (
        1,
        f"{YOKO} 第5条第1項",
        "各課の長は、毎年度、所属する職員のうちからDX推進リーダーを1人以上選出するものとする。",
    ),
    "call_closes": ("町長が定める期限", f"{YOKO} 第5条第3項", "前項の選出は、町長が定める期限までに行うものとする。"),
    "deputy_when_absent": (True, f"{YOKO} 第6条第2項", "リーダーが不在の間は、代理を1人決めるものとする。"),
}
HOLIDAYS = [date(2026, 4, 29), date(2026, 5, 4), date(2026, 5, 5), date(2026, 5, 6)]


def received(event: Event | None, version: int, town: str = MIDORI, *, of: Event | None = None) -> Received[Any]:
    """A record as the consumer hands it on; ``event`` ``None``: the state ``of`` was erased."""
    known = event or of
    assert known is not None
    return Received(
        event=event,
        id=new_id(),
        type=known.TYPE,
        municipality=town,
        aggregate=known.aggregate(),
        version=version,
        occurred_at=at(LONG_AGO, "00:00"),
        correlation_id=new_id(),
        causation_id=None,
        traceparent=None,
        topic=known.TOPIC,
        partition=0,
        offset=0,
    )


@dataclass
class Town:
    """One municipality of a running ``leaders`` service."""

    it: Running
    code: str = MIDORI
    sections: dict[str, UUID] = field(default_factory=dict)
    people: dict[str, UUID] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    async def tell(self, *events: Event) -> None:
        """Apply facts of directory as the consumer does: projections first, then reactions."""
        records = []
        for event in events:
            key = f"{event.TOPIC}/{event.aggregate()}"
            self.versions[key] = self.versions.get(key, 0) + 1
            records.append(received(event, self.versions[key], self.code))
        await self.apply(records)

    async def apply(self, records: list[Received[Any]]) -> None:
        """Apply records as one batch."""
        effects = Effects(self.it.service, self.it.worker)
        async with self.it.worker.scoped("*") as connection:
            await effects.apply(connection, records)

    async def erase(self, name: str) -> None:
        """The person's state was erased from the state topic."""
        gone = person_state(self.people[name], name, new_id())
        await self.apply([received(None, 99, self.code, of=gone)])

    async def on(self, day: date, clock: str = "09:00") -> None:
        """Let it be that day in the town."""
        await set_civil_clock(self.it, at(day, clock))

    async def found(self, code: str, name: str, head: str | None = None, order: int = 10) -> UUID:
        """A section with its head, who works there."""
        section = self.sections[name] = new_id()
        await self.tell(
            SectionCreatedV1(
                section_id=section,
                code=code,
                name=name,
                kind="課",
                appointing_authority="町長",
                display_order=order,
                effective_from=LONG_AGO,
            )
        )
        if head is not None:
            await self.hire(head, name, post="課長")
        await self.tell(
            SectionHeadAssignedV1(
                section_id=section,
                head_person_id=self.people[head] if head else None,
                head_post="課長",
                effective_from=LONG_AGO,
            )
        )
        return section

    async def hire(self, name: str, section: str, *, post: str = "主事", also: str | None = None) -> UUID:
        """A person of a section (and, by 兼務, of another)."""
        person = self.people[name] = new_id()
        home = self.sections[section]
        await self.tell(
            person_state(person, name, home, post),
            StaffJoinedV1(
                person_id=person,
                section_id=home,
                concurrent_section_ids=[self.sections[also]] if also else [],
                post=post,
                full_time=True,
                effective_from=LONG_AGO,
            ),
        )
        return person

    async def rule(self, rule: str, value: bool | int | str, **more: Any) -> None:
        """The town stores a rule."""
        await self.tell(RuleChangedV1(rule=rule, value=value, **{"effective_from": LONG_AGO, **more}))

    async def rules(self) -> None:
        """The town stores its fictional 要綱."""
        for rule, (value, article, text) in ARTICLES.items():
            await self.rule(rule, value, article=article, article_text=text, fictional=True)

    async def year(self, fiscal_year: int) -> None:
        """The town opens a fiscal year, with its calendar."""
        await self.tell(
            FiscalYearOpenedV1(
                fiscal_year=fiscal_year, starts_on=date(fiscal_year, 4, 1), ends_on=date(fiscal_year + 1, 3, 31)
            ),
            CalendarChangedV1(fiscal_year=fiscal_year, closed_days=HOLIDAYS, opens_at="08:30", closes_at="17:15"),
        )

    def client(self, *roles: str, name: str | None = None) -> httpx.AsyncClient:
        """A client of somebody with these roles."""
        person = self.people[name] if name else None
        return self.it.client(self.it.caller(*roles, municipality=self.code, person_id=person))

    @property
    def hr(self) -> httpx.AsyncClient:
        """Somebody of 総務課."""
        return self.client("hr")

    def head(self, name: str) -> httpx.AsyncClient:
        """The head of a section."""
        return self.client("section_head", name=name)

    async def call(self, fiscal_year: int = 2026, closes_on: date = date(2026, 4, 10)) -> dict[str, str]:
        """hr opens the yearly call; gives the section calls by name of the section."""
        answer = await self.hr.post("/calls", json={"fiscal_year": fiscal_year, "closes_on": str(closes_on)})
        assert answer.status_code == 201, answer.text
        listed = (await self.hr.get("/section-calls", params={"fiscal_year": fiscal_year})).json()
        return {each["section_name"]: each["section_call_id"] for each in listed}

    async def name(self, head: str, section_call_id: str, *names: str) -> httpx.Response:
        """The head names people."""
        people = [str(self.people[name]) for name in names]
        path = f"/section-calls/{section_call_id}/nominations"
        return await self.head(head).post(path, json={"person_ids": people})

    async def decide(self, *section_call_ids: str, on: date, **more: Any) -> httpx.Response:
        """hr records a decision."""
        body = {"decided_on": str(on), "decided_by_post": "総務課長", "document_number": "総務第41号", **more}
        return await self.hr.post("/decisions", json={"section_call_ids": list(section_call_ids), **body})

    async def board(self, fiscal_year: int = 2026) -> dict[str, Any]:
        """The coverage board, its rows by name of the section."""
        answer = await self.hr.get("/coverage", params={"fiscal_year": fiscal_year})
        assert answer.status_code == 200, answer.text
        board: dict[str, Any] = answer.json()
        return board | {"rows": {row["section_name"]: row for row in board["rows"]}}

    async def facts(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What the service has published, in order; ``kind`` keeps one type (``leader-appointed``)."""
        sql = """SELECT type, aggregate, version, actor_kind, actor_id, payload FROM event_log
        WHERE municipality = $1 AND ($2::text IS NULL OR type = 'taiwa.leaders.' || $2 || '.v1') ORDER BY position"""
        async with self.it.worker.scoped("*") as connection:
            rows = await connection.fetch(sql, self.code, kind)
        return [dict(row) | {"value": json.loads(row["payload"])} for row in rows]

    async def kinds(self) -> list[str]:
        """The types of all that was published, short."""
        return [each["type"].split(".")[2] for each in await self.facts()]

    async def run_timers(self) -> int:
        """Run what is due, as the timers role does."""
        handlers = {handler.name: handler for handler in self.it.service.timers}
        ran = 0
        while row := await self._due():
            actor = Actor("timer", row["name"])
            async with self.it.worker.transaction(self.code, actor) as tx:
                await tx.connection.execute(
                    "DELETE FROM timers WHERE municipality = $1 AND aggregate = $2 AND name = $3",
                    self.code,
                    row["aggregate"],
                    row["name"],
                )
                await handlers[row["name"]].run(tx, row["aggregate"])
            ran += 1
        return ran

    async def _due(self) -> Any:
        async with self.it.worker.scoped("*") as connection:
            now: datetime = (await self.it.worker.civil_clock(connection)).now()
            sql = "SELECT name, aggregate FROM timers WHERE municipality = $1 AND due_at <= $2 ORDER BY due_at LIMIT 1"
            return await connection.fetchrow(sql, self.code, now)


def person_state(person: UUID, name: str, section: UUID, post: str = "主事") -> State:
    """The state of a person on the topic of names."""
    return PersonStateV1(
        person_id=person, name=name, kana=name, mail=None, section_id=section, post=post, state_version=1
    )
