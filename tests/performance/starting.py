"""The demo as a person meets it: when it is ready, what its services take, and how soon a decision is told."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from uuid import uuid4

import httpx
import psutil

from taiwa.api import Person
from taiwa.demo import story
from tests.e2e.journey import is_mailed
from tests.installation.demo import Demo, Start

SERVERS = ("postgres", "kafka")
PASSWORD = "Midori-machi-bench"
PATIENCE = 30.0
PAUSE = 0.002

Told = tuple[float, float, float]
"""Milliseconds from a decision to the leader's inbox, to the mail inbox, and to what consultations knows."""


async def measured() -> tuple[float, float, float, list[Told]]:
    """Start twice; gives both starts' seconds without the network, MiB of all but the servers, and each decision."""
    with tempfile.TemporaryDirectory(prefix="taiwa-bench-") as folder:
        with Start(Path(folder)) as first:
            await asyncio.to_thread(first.wait_ready)
            seconds = first.demo.ready["seconds"]["total"]
            await asyncio.to_thread(first.interrupt)
        with Start(Path(folder)) as second:
            await asyncio.to_thread(second.wait_ready)
            told = await decisions(second.demo)
            run = second.noted()
            assert run is not None
            servers = {child.pid for child in run.children if child.name in SERVERS}
            return seconds, second.demo.ready["seconds"]["total"], megabytes(second.process.pid, servers), told


def megabytes(root: int, without: set[int]) -> float:
    """MiB (PSS: a shared page counts once) of a process and all it started, leaving out some with all they started."""
    process = psutil.Process(root)
    own: float = process.memory_full_info().pss / 2**20
    return own + sum(megabytes(child.pid, without) for child in process.children() if child.pid not in without)


async def decisions(demo: Demo) -> list[Told]:
    """Decide on every section that waits for it, one after another."""
    async with httpx.AsyncClient(trust_env=False) as http:

        async def person(login: str, password: str) -> Person:
            it = Person(demo.services, story.MUNICIPALITY, login, http)
            await it.log_in(password)
            return it

        hr, admin = [await person(demo.login(role)["login"], demo.login(role)["password"]) for role in ("hr", "admin")]
        people = {
            number: each
            for each in await admin.read_all("directory", "/people", limit=100)
            for number in each["numbers"] or ()
        }
        sections = {each["code"]: each for each in await hr.read_all("directory", "/sections")}
        calls = {
            each["section_id"]: each["section_call_id"]
            for each in await hr.read("leaders", "/section-calls", fiscal_year=story.FISCAL_YEAR)
        }
        told = []
        for answer in story.ANSWERS:
            if answer.section in story.DECIDED:
                continue
            number, section = answer.leaders[0], sections[answer.section]
            made = await admin.send(
                "directory", "/accounts", str(uuid4()), {"person_id": people[number]["person_id"], "login": number}
            )
            chosen = {"link_token": made["link_token"], "password": PASSWORD}
            await admin.send("directory", "/passwords", str(uuid4()), chosen)
            leader = await person(number, PASSWORD)
            subject = f"{section['name']}のDX推進リーダーに選任されました"
            address = people[number]["mail"]
            decided = {"decided_on": story.ENDS_AT.date().isoformat(), "document_number": "総務第57号"}
            body = {**story.DECISION, **decided, "section_call_ids": [calls[section["section_id"]]]}
            began = perf_counter()
            await hr.send("leaders", "/decisions", str(uuid4()), body)
            places = Places(demo.mail, hr, leader, address, subject)
            told.append(await places.milliseconds(began))
        return told


@dataclass(frozen=True, slots=True)
class Places:
    """Where a decision becomes known: the leader's inbox, the mail inbox at ``mail``, consultations for ``hr``."""

    mail: str
    hr: Person
    leader: Person
    address: str
    subject: str

    async def milliseconds(self, began: float) -> Told:
        """Look at all three at once, each until it stands there.

        Raises:
            TimeoutError: it does not.
        """

        async def until(stands: Callable[[], Awaitable[bool]]) -> float:
            while not await stands():
                if perf_counter() - began > PATIENCE:
                    raise TimeoutError(self.subject)
                await asyncio.sleep(PAUSE)
            return (perf_counter() - began) * 1000

        inbox, mail, known = await asyncio.gather(until(self._noticed), until(self._mailed), until(self._known))
        return inbox, mail, known

    async def _noticed(self) -> bool:
        return self.subject in str(await self.leader.read("notifications", "/inbox"))

    async def _mailed(self) -> bool:
        return await is_mailed(self.hr.http, self.mail, self.address, self.subject)

    async def _known(self) -> bool:
        return self.leader.person_id in str(await self.hr.read("consultations", "/leaders"))
