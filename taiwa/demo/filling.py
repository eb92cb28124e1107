"""Fills the demo town through the public API, or finds it filled; gives one login per role.

Only two things do not go through HTTP: the first administrator, whom nobody inside could make, and the clock, which
belongs to the installation. Every command carries a key made from its place in the story: a filling that was
interrupted goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import csv
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

import httpx

from chassis.database import Database
from chassis.municipality import INSTALLATION
from chassis.settings import InstallationSettings
from services.directory.commands.administrators import CreateAdmin
from taiwa.api import Person, Refused
from taiwa.civil_time import Town, looked_at
from taiwa.demo import story
from taiwa.operator import civil_now, directory, make_admin, put_clock

ROSTER = Path(__file__).with_name("town")
_KEYS = uuid.UUID("6d69646f-7269-4000-8000-000000999997")
Happening = Callable[[], Awaitable[object]]


def _silently(_: str) -> None:
    """Say nothing."""


async def fill(
    settings: InstallationSettings,
    urls: Mapping[str, str],
    passwords: Mapping[str, str],
    say: Callable[[str], None] = _silently,
) -> dict[str, dict[str, str]]:
    """Fill the town unless it is filled, and give municipality, login, password and name by role.

    Args:
        settings: of the installation.
        urls: service → base URL.
        passwords: service → password of its database roles.
        say: is told what is being done, a line each.

    Raises:
        taiwa.mendable.Mendable: a service refuses or does not answer; what was done stays.
    """
    async with (
        httpx.AsyncClient(trust_env=False) as http,
        directory(settings, passwords["directory"]) as database,
        looked_at(settings, passwords) as town,
    ):
        author = Author(urls, http, database, town, say)
        if not await author.has_told():
            await author.tell()
    return {
        login.role: {
            "municipality": story.MUNICIPALITY,
            "login": login.login,
            "password": login.password,
            "name": login.name,
        }
        for login in story.LOGINS
    }


class Author:
    """Tells the story to the services, in the order of its time.

    Args:
        urls: service → base URL.
        http: shared connections.
        database: directory's, for what no account may do.
        town: looks whether all services have come to rest.
        say: is told what is being done.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        http: httpx.AsyncClient,
        database: Database,
        town: Town,
        say: Callable[[str], None] = _silently,
    ) -> None:
        self._urls = urls
        self._http = http
        self._database = database
        self._town = town
        self._say = say
        self._people: dict[str, str] = {}
        self._heads: dict[str, str] = {}
        self._accounts: dict[str, Person] = {}
        self._calls: dict[str, str] = {}

    async def tell(self) -> None:
        """Tell all of it.

        Raises:
            taiwa.mendable.Mendable: a service refuses or does not answer.
        """
        await self._until(story.BEGINS_AT)
        admin = await self._first_admin()
        self._say("sections, people, rules")
        await self._found_town(admin)
        self._say("accounts")
        await self._open_accounts(admin)
        await self._rest()
        self._say("the call for leaders")
        await self._call_sections()
        for at, happen in sorted(self._happenings(), key=lambda happening: happening[0]):
            self._say(f"{at:%Y-%m-%d} in the town")
            await self._until(at)
            await happen()
        await self._rest()

    async def has_told(self) -> bool:
        """Tell whether the story stands in the town to its end."""
        head = next(login for login in story.LOGINS if login.role == "section_head")
        person = self._person(head.login)
        try:
            await person.log_in(head.password)
        except Refused:
            return False
        calls = await person.read("leaders", "/section-calls", fiscal_year=story.FISCAL_YEAR)
        return any(call["open_until"] >= story.ASKED_AGAIN_UNTIL.isoformat() for call in calls)

    def _happenings(self) -> Iterator[tuple[datetime, Happening]]:
        for answer in story.ANSWERS:
            yield answer.at, partial(self._answer, answer)
        yield story.DECIDED_AT, self._decide
        yield story.COMPLETED_AT, self._complete_training
        for number, question in enumerate(story.QUESTIONS):
            asked = partial(self._ask, number, question)
            yield question.asked_at, asked
            if question.answered_at:
                yield question.answered_at, partial(self._reply, number, question)
        yield story.ENDS_AT, self._ask_again

    async def _until(self, at: datetime) -> None:
        """Move to an instant of the story; one that has passed (an interrupted filling) is passed over."""
        async with self._database.reading(INSTALLATION) as connection:
            runs = await connection.fetchval("SELECT true FROM civil_clock")
        if not runs:
            await self._set_clock(at)
            await self._town.drained(at)
            return
        now = await civil_now(self._database)
        if at > now:
            await self._town.advance(now, at, self._set_clock)

    async def _set_clock(self, at: datetime) -> None:
        await put_clock(self._database, at, simulated=True)

    async def _rest(self) -> None:
        await self._town.drained(await civil_now(self._database))

    async def _first_admin(self) -> Person:
        admin = story.ADMIN
        person = self._person(admin.login)
        try:
            await person.log_in(admin.password)
        except Refused:
            created = await make_admin(
                self._database,
                CreateAdmin(
                    municipality=story.MUNICIPALITY,
                    name=story.NAME,
                    kana=story.KANA,
                    login=admin.login,
                    fictional=True,
                    section_code="1020",
                    section_name="総合政策課",
                    section_order=20,
                    number=admin.number,
                    person_name=admin.name,
                    person_kana="ヤマト チカゲ",
                    effective_from=story.BEGINS_AT.date(),
                ),
            )
            await self._choose_password(created.link_token, admin.password)
            await person.log_in(admin.password)
        return person

    async def _found_town(self, admin: Person) -> None:
        for kind in ("sections", "people"):
            content = (ROSTER / f"{kind}.csv").read_bytes()
            await admin.upload(f"/{kind}/imports", _key("import", kind), content)
        for person in await admin.read_all("directory", "/people", limit=100):
            self._people |= dict.fromkeys(person["numbers"] or (), person["person_id"])
        for role, number in story.GRANTED:
            body = {"person_id": self._people[number], "role": role}
            await admin.send("directory", "/roles", _key("role", role, number), body)
        await admin.send("directory", "/fiscal-years", _key("year"), {"fiscal_year": story.FISCAL_YEAR})
        for rule in story.RULES:
            said: dict[str, object] = {
                "value": rule.value,
                "article": rule.article,
                "article_text": rule.text,
                "fictional": rule.article is not None,
            }
            await admin.send("directory", f"/rules/{rule.rule}", _key("rule", rule.rule), said, method="PUT")

    async def _open_accounts(self, admin: Person) -> None:
        """Open an account for each demo login, and for the heads who answer in the portal themselves."""
        wanted = {login.number: (login.login, login.password) for login in story.LOGINS if login != story.ADMIN}
        with (ROSTER / "sections.csv").open(encoding="utf-8-sig", newline="") as file:
            heads = {row["所属コード"]: row["長の職員番号"] for row in csv.DictReader(file)}
        self._heads = {code: heads[code] for code in story.ANSWERING_HEADS}
        wanted |= {number: (number, story.password_of("section_head")) for number in self._heads.values()}
        opened = await asyncio.gather(
            *(self._account(admin, number, login, password) for number, (login, password) in wanted.items())
        )
        self._accounts = dict(zip(wanted, opened, strict=True)) | {story.ADMIN.number: admin}

    async def _account(self, admin: Person, number: str, login: str, password: str) -> Person:
        body = {"person_id": self._people[number], "login": login}
        link = await admin.send("directory", "/accounts", _key("account", number), body)
        try:
            await self._choose_password(link["link_token"], password)
        except Refused as refused:
            # An interrupted filling: the link was used, so the password is set.
            if refused.code != "directory.link_invalid":
                raise
        person = self._person(login)
        await person.log_in(password)
        return person

    async def _choose_password(self, link_token: str, password: str) -> None:
        await self._person("").send(
            "directory", "/passwords", _key("password", link_token), {"link_token": link_token, "password": password}
        )

    def _person(self, login: str) -> Person:
        return Person(self._urls, story.MUNICIPALITY, login, self._http)

    @property
    def _hr(self) -> Person:
        return self._accounts["10126"]

    async def _call_sections(self) -> None:
        body = {"fiscal_year": story.FISCAL_YEAR, "closes_on": story.CALL_CLOSES_ON.isoformat()}
        await self._hr.send("leaders", "/calls", _key("call"), body)
        codes = {
            section["section_id"]: section["code"] for section in await self._hr.read_all("directory", "/sections")
        }
        for call in await self._hr.read("leaders", "/section-calls", fiscal_year=story.FISCAL_YEAR):
            self._calls[codes[call["section_id"]]] = call["section_call_id"]

    async def _answer(self, answer: story.Answer) -> None:
        number = self._heads.get(answer.section)
        answering = self._accounts[number] if number else self._hr
        path = f"/section-calls/{self._calls[answer.section]}/nominations"
        body = {"person_ids": [self._people[number] for number in answer.leaders]}
        await answering.send("leaders", path, _key("answer", answer.section), body)

    async def _decide(self) -> None:
        body = {**story.DECISION, "section_call_ids": [self._calls[code] for code in story.DECIDED]}
        await self._hr.send("leaders", "/decisions", _key("decision"), body)

    async def _ask_again(self) -> None:
        for code in story.ASKED_AGAIN:
            path = f"/section-calls/{self._calls[code]}/reminders"
            body = {"answer_by": story.ASKED_AGAIN_UNTIL.isoformat()}
            await self._hr.send("leaders", path, _key("reminder", code), body)
        number, from_on = story.ABSENT
        absence = {"person_id": self._people[number], "from_on": from_on}
        await self._hr.send("directory", "/absences", _key("absence", number), absence)

    async def _complete_training(self) -> None:
        programmes = []
        for title, summary in story.PROGRAMMES:
            body = {"title": title, "summary": summary}
            programmes.append(await self._hr.send("trainings", "/programmes", _key("programme", title), body))
        completion = {
            "programme_id": programmes[0]["programme_id"],
            "person_ids": [self._people[number] for number in story.COMPLETED],
            "completed_on": story.COMPLETED_AT.date().isoformat(),
            "source": "attendance",
        }
        await self._hr.send("trainings", "/completions", _key("completion"), completion)

    async def _ask(self, number: int, question: story.Question) -> str:
        body = {"title": question.title, "body": question.body, "category": question.category}
        asker = self._accounts[question.by]
        opened = await asker.send("consultations", "/consultations", _key("question", str(number)), body)
        return str(opened["consultation_id"])

    async def _reply(self, number: int, question: story.Question) -> None:
        # The same key gives the same case again.
        consultation = await self._ask(number, question)
        path = f"/consultations/{consultation}/entries"
        body = {"kind": "answer", "body": question.answer}
        await self._accounts["10221"].send("consultations", path, _key("answer", str(number)), body)


def _key(*place: str) -> str:
    return str(uuid.uuid5(_KEYS, "/".join(place)))
