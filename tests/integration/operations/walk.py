"""What a walk through a service is made of.

A walk settles a town in a service and then makes one request after the other, each of which succeeds for that town; a
later one may need what an earlier one made. Every operation of the service's OpenAPI stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI

from chassis.auth import Caller
from chassis.calendar import at
from chassis.consumer.effects import Effects
from chassis.service import Received
from chassis.testing import MIDORI, Running
from chassis.transaction import new_id
from taiwa_contracts.event import Event

TODAY = date(2026, 4, 13)
LONG_AGO = date(2020, 4, 1)
_PARAMETER = re.compile(r"\{([a-z_]+)\}")


@dataclass
class World:
    """A town of a running service, and the ids that belong to it."""

    it: Running
    ids: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.ids[name]

    def person(self, name: str) -> str:
        """The id of somebody of the town; made when first named."""
        return str(self.ids.setdefault(name, str(new_id())))

    async def tell(self, *events: Event, municipality: str = MIDORI) -> None:
        """Apply foreign facts as the consumer does."""
        records = []
        for event in events:
            key = f"{municipality}/{event.TOPIC}/{event.aggregate()}"
            self.versions[key] = self.versions.get(key, 0) + 1
            records.append(
                Received(
                    event=event,
                    id=new_id(),
                    type=event.TYPE,
                    municipality=municipality,
                    aggregate=event.aggregate(),
                    version=self.versions[key],
                    occurred_at=at(LONG_AGO, "09:00"),
                    correlation_id=new_id(),
                    causation_id=None,
                    traceparent=None,
                    topic=event.TOPIC,
                    partition=0,
                    offset=0,
                )
            )
        effects: Any = Effects(self.it.service, self.it.worker)
        async with self.it.worker.scoped("*") as connection:
            await effects.apply(connection, records)

    def caller(self, step: Step, municipality: str) -> Caller:
        """Who makes the step's request, as one of another town would look who has copied everything else."""
        section = self.ids.get(step.section) if step.section else None
        return Caller(
            municipality,
            UUID(self.person(step.by)),
            frozenset({"staff", *step.roles}),
            UUID(str(section)) if section else None,
        )


Body = Callable[[World], Any]


@dataclass(frozen=True)
class Step:
    """A request that succeeds for its own town.

    ``operation``  method and path of OpenAPI; the path's parameters are filled from the world's ids
    ``roles``      of the caller beside ``staff``; ``by`` names the person, ``section`` their own section's id
    ``keep``       what of the answer is remembered: names of ids, given the answer's JSON
    ``before``     what must have come about beside the API
    ``nobody``     the request bears no token; then it says why a foreign town has no part in it
    """

    operation: str
    roles: tuple[str, ...] = ()
    by: str = "somebody"
    section: str | None = None
    json: Body | None = None
    content: Body | None = None
    params: Body | None = None
    keep: Callable[[Any], Mapping[str, Any]] | None = None
    before: Callable[[World], Awaitable[None]] | None = None
    nobody: str = ""

    @property
    def method(self) -> str:
        """GET, POST …"""
        return self.operation.split(" ")[0]

    def path(self, world: World) -> str:
        """The path with its parameters filled."""
        return _PARAMETER.sub(lambda hit: str(world[hit[1]]), self.operation.split(" ")[1])

    def request(self, world: World) -> dict[str, Any]:
        """The request as httpx takes it."""
        arguments: dict[str, Any] = {"method": self.method, "url": self.path(world)}
        if self.json is not None:
            arguments["json"] = self.json(world)
        if self.content is not None:
            arguments |= {"content": self.content(world), "headers": {"Content-Type": "text/csv"}}
        if self.params is not None:
            arguments["params"] = self.params(world)
        return arguments

    async def make(self, world: World, municipality: str = MIDORI) -> httpx.Response:
        """Make the request as a caller of that town."""
        caller = None if self.nobody else world.caller(self, municipality)
        return await world.it.client(caller).request(**self.request(world))

    async def succeed(self, world: World) -> httpx.Response:
        """Make the request as the town's own caller and remember what it gives.

        Raises:
            AssertionError: it was refused.
        """
        answer = await self.make(world)
        assert answer.is_success, f"{self.operation}: {answer.status_code} {answer.text}"
        if self.keep is not None:
            world.ids |= self.keep(answer.json() if answer.content else None)
        return answer


@dataclass(frozen=True)
class Walk:
    """A service's walk. ``settle`` makes the town; ``settings`` are the service's own beside the installation's."""

    service: str
    main: Any
    settle: Callable[[World], Awaitable[None]]
    steps: tuple[Step, ...]
    settings: Mapping[str, object] = field(default_factory=dict)


def operations_of(app: FastAPI) -> list[str]:
    """Method and path of every operation in an application's OpenAPI."""
    return [f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods]


_SET_ASIDE = """
INSERT INTO dead_letters (id, consumer, source, kind, municipality, event_id, type, aggregate, version, topic,
                          cluster_id, generation, partition, "offset", key, headers, value, holds, code, error)
SELECT it.id, $1, 'record', it.kind, $2, $5, 'taiwa.leaders.leader-appointed.v1', 'appointment/7', it.at,
       'leaders.events', 'kafka', 1, 0, it.at, convert_to($2 || '/appointment/7', 'UTF8'), '[["ce_id", null]]', '{}',
       true, 'event.failed', 'it failed'
FROM (VALUES ($3::uuid, 'dead', 1), ($4::uuid, 'held', 2)) AS it (id, kind, at)
"""


async def set_a_record_aside(world: World) -> None:
    """A record that could not be applied, and one held behind it."""
    world.ids["letter_id"] = str(new_id())
    async with world.it.worker.scoped(MIDORI) as connection:
        await connection.execute(
            _SET_ASIDE, world.it.service.name, MIDORI, UUID(world["letter_id"]), new_id(), new_id()
        )


EVERYWHERE: tuple[Step, ...] = (
    Step("GET /work-items"),
    Step("GET /applied", params=lambda _: {"owner": "directory", "aggregate": "person/x", "version": 1}),
    Step("GET /operations/standing", ("admin",)),
    Step("GET /operations/dead-letters", ("admin",), before=set_a_record_aside),
    Step("GET /operations/dead-letters/{letter_id}", ("admin",)),
    Step("POST /operations/dead-letters/replay", ("admin",), json=lambda _: {"reason": "直しました"}),
    Step("POST /operations/dead-letters/{letter_id}/replay", ("admin",), json=lambda _: {}),
    Step("POST /operations/dead-letters/{letter_id}/discard", ("admin",), json=lambda _: {"reason": "要りません"}),
    Step("POST /operations/stops/resume", ("admin",), json=lambda world: {"consumer": world.it.service.name}),
    Step("GET /operations/late-timers", ("admin",)),
    Step("GET /operations/acts", ("admin",)),
)
"""Operations that the chassis gives every service with messaging."""
