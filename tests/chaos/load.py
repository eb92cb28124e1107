"""Clients that command, are told, or are left in the dark; each repeats what it does not know with the same key."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from uuid import uuid4

import httpx

from chassis.clocks import monotonic
from chassis.http.problems import IDEMPOTENCY_HEADER
from chassis.transaction import new_id
from tests.chaos.ground import Ground
from tests.chaos.history import History

PAPERS = 40
HOT = 4
"""Papers that every pair is made of, so that commands meet and deadlock."""

ANSWER_SECONDS = 4.0
TOKEN_SECONDS = 300.0
PATIENCE_SECONDS = 90.0
"""After that a client gives up, and what became of its command is not known to it."""

KNOWN, REFUSED, IN_PROGRESS = 201, range(400, 500), 409


@dataclass
class Load:
    """Several clients until told to stop."""

    ground: Ground
    history: History
    seed: int
    clients: int = 8
    pause: float = 0.03
    running: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledged: int = 0
    unknown: int = 0
    surprises: list[str] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        self.running.set()
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self.clients)]

    async def stop(self) -> None:
        """Let every client finish what it began."""
        self.stopping.set()
        self.running.set()
        await asyncio.gather(*self._tasks)

    async def _client(self, number: int) -> None:
        chance = random.Random(f"{self.seed}/{number}")  # noqa: S311  a load, no secret
        person, since, token = new_id(), float("-inf"), ""
        async with httpx.AsyncClient(base_url=self.ground.api.url, timeout=ANSWER_SECONDS) as client:
            count = 0
            while not self.stopping.is_set():
                await self.running.wait()
                count += 1
                if monotonic() - since > TOKEN_SECONDS:
                    since, token = monotonic(), self.ground.installation.token(person)
                await self._command(client, token, chance, f"c{number}-{count}")
                await asyncio.sleep(chance.random() * 2 * self.pause)  # paced: the load's own speed

    async def _command(self, client: httpx.AsyncClient, token: str, chance: random.Random, mark: str) -> None:
        pair = chance.random() < 0.2
        papers = chance.sample(range(HOT), 2) if pair else [chance.randrange(PAPERS)]
        body = {"papers": [f"p{each}" for each in papers], "mark": mark, "remind": chance.random() < 0.1}
        headers = {"Authorization": f"Bearer {token}", IDEMPOTENCY_HEADER: str(uuid4())}
        note = self.history.note
        note(self.ground.seconds(), mark, "invoke", papers=body["papers"], remind=body["remind"])
        deadline, pause = monotonic() + PATIENCE_SECONDS, 0.05
        gives_up_early = chance.random() < 0.02
        while True:
            try:
                answer = await client.post("/marks", json=body, headers=headers)
            except httpx.HTTPError as error:
                note(self.ground.seconds(), mark, "unknown", why=type(error).__name__)
            else:
                if answer.status_code == KNOWN:
                    self.acknowledged += 1
                    note(self.ground.seconds(), mark, "ok", versions=answer.json()["versions"])
                    return
                if answer.status_code in REFUSED and answer.status_code != IN_PROGRESS:
                    self.surprises.append(f"{mark} was answered {answer.status_code}: {answer.text[:200]}")
                    note(self.ground.seconds(), mark, "fail", status=answer.status_code)
                    return
                if answer.status_code == 500:
                    self.surprises.append(f"{mark} was answered 500: {answer.text[:200]}")
                note(self.ground.seconds(), mark, "unknown", status=answer.status_code)
            if monotonic() > deadline or gives_up_early:
                self.unknown += 1
                return
            await asyncio.sleep(pause)  # paced: as a person tries again
            pause = min(pause * 2, 1.0)
