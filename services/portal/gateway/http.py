"""The door to the other services: HTTP in the visitor's name, with short patience; the only place that speaks it.

A read gives up after its patience, so that a page with four living services is shown without the fifth. A command
carries the form's key: repeated by a double click or after a time-out, it has one effect and the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from chassis.clocks import monotonic
from chassis.http.commands import FACTS_HEADER
from chassis.http.problems import IDEMPOTENCY_HEADER, ProblemDetails

T = TypeVar("T")

COMMAND_SECONDS = 5.0
TWIN_PAUSE_SECONDS = 0.15
TWIN_SECONDS = 3.0

NAMES = {
    "directory": "職員名簿",
    "leaders": "選出・配置",
    "trainings": "研修",
    "consultations": "相談",
    "notifications": "お知らせ",
}
"""The services, as the town knows them."""


class ServiceDown(Exception):  # noqa: N818  a state that the page tells, not a defect
    """A service does not answer in time, or not sensibly; a command may have had its effect all the same."""

    def __init__(self, service: str) -> None:
        super().__init__(f"{service} does not answer")
        self.service = service

    @property
    def sentence(self) -> str:
        """What the visitor is told."""
        return f"「{NAMES[self.service]}」は今つながりません。ほかの画面は使えます。少し待ってから開き直してください。"


class Refused(Exception):  # noqa: N818  an answer, not a defect
    """A service refused; ``problem`` says why in Japanese and at which fields."""

    def __init__(self, service: str, problem: ProblemDetails) -> None:
        super().__init__(problem.code)
        self.service = service
        self.problem = problem


@dataclass(frozen=True, slots=True)
class MadeFact:
    """A fact that a command made; others can be asked whether they have applied it."""

    owner: str
    aggregate: str
    version: int


@dataclass(frozen=True, slots=True)
class Done:
    """A command's answer."""

    body: Any
    facts: tuple[MadeFact, ...] = ()


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """One part of a page: its content, or the sentence that says why it is missing."""

    content: T | None
    missing: str = ""


def _facts(owner: str, header: str) -> tuple[MadeFact, ...]:
    found = []
    for each in filter(None, (part.strip() for part in header.split(","))):
        aggregate, at, version = each.rpartition("@")
        if at and version.isdigit():
            found.append(MadeFact(owner, aggregate, int(version)))
    return tuple(found)


def _problem(answer: httpx.Response) -> ProblemDetails:
    try:
        return ProblemDetails.model_validate_json(answer.content)
    except ValidationError:
        return ProblemDetails(
            type="about:blank",
            title="Refused",
            status=answer.status_code,
            detail="この操作はできませんでした。画面を開き直してください。",
            code="request.refused",
        )


@dataclass(frozen=True, slots=True)
class Gateway:
    """Connections to the services; one per process."""

    urls: Mapping[str, str]
    glance_seconds: float = 0.3
    """Patience for one part of a page that has others."""
    read_seconds: float = 3.0
    """Patience for what a page is about."""
    client: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(headers={"Accept-Language": "ja"}, trust_env=False)
    )

    async def send(
        self,
        service: str,
        method: str,
        path: str,
        *,
        token: str = "",
        patience: float | None = None,
        headers: Mapping[str, str] | None = None,
        **content: Any,
    ) -> httpx.Response:
        """One request.

        Raises:
            ServiceDown: no answer in time, or one that tells of a fault (5xx).
            Refused: 4xx.
        """
        patience = patience or self.read_seconds
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            answer = await asyncio.wait_for(
                self.client.request(
                    method,
                    f"{self.urls[service]}{path}",
                    headers={**bearer, **(headers or {})},
                    timeout=patience,
                    **content,
                ),
                patience,
            )
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise ServiceDown(service) from error
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise ServiceDown(service)
        if answer.status_code >= httpx.codes.BAD_REQUEST:
            raise Refused(service, _problem(answer))
        return answer

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()


@dataclass(frozen=True, slots=True)
class Services:
    """The services, asked in one visitor's name."""

    gateway: Gateway
    token: str

    async def read(
        self,
        service: str,
        path: str,
        shape: type[T],
        query: Mapping[str, object] | None = None,
        *,
        patience: float | None = None,
    ) -> T:
        """What a service answers, read as ``shape`` (a model, or a list of models).

        Raises:
            ServiceDown, Refused: see :meth:`Gateway.send`.
        """
        params = {name: str(value) for name, value in (query or {}).items() if value not in {None, ""}}
        answer = await self.gateway.send(service, "GET", path, token=self.token, patience=patience, params=params)
        try:
            return TypeAdapter(shape).validate_json(answer.content)
        except ValidationError as error:
            raise ServiceDown(service) from error

    async def glance(self, service: str, path: str, shape: type[T], query: Mapping[str, object] | None = None) -> T:
        """Like :meth:`read`, with the short patience of a part that the page can do without."""
        return await self.read(service, path, shape, query, patience=self.gateway.glance_seconds)

    async def command(
        self,
        service: str,
        path: str,
        key: str,
        body: Mapping[str, Any] | None = None,
        *,
        method: str = "POST",
        file: bytes | None = None,
        patience: float = COMMAND_SECONDS,
        query: Mapping[str, str] | None = None,
    ) -> Done:
        """Have a service do something, once per key. A twin that is still running is waited for.

        Raises:
            ServiceDown, Refused: see :meth:`Gateway.send`.
        """
        headers = {IDEMPOTENCY_HEADER: key}
        content: dict[str, Any] = {"json": body or {}}
        if file is not None:
            headers["Content-Type"] = "text/csv"
            content = {"content": file}
        deadline = monotonic() + TWIN_SECONDS
        while True:
            try:
                answer = await self.gateway.send(
                    service,
                    method,
                    path,
                    token=self.token,
                    patience=patience,
                    headers=headers,
                    params=query or {},
                    **content,
                )
            except Refused as refused:
                if refused.problem.code != "request.in_progress" or monotonic() > deadline:
                    raise
                await asyncio.sleep(TWIN_PAUSE_SECONDS)
            else:
                return Done(
                    answer.json() if answer.content else None, _facts(service, answer.headers.get(FACTS_HEADER, ""))
                )

    async def has_applied(self, service: str, fact: MadeFact) -> bool:
        """Whether a service has taken a fact of another one into account; a silent one has not yet."""
        try:
            told = await self.glance(
                service,
                "/applied",
                _Applied,
                {"owner": fact.owner, "aggregate": fact.aggregate, "version": fact.version},
            )
        except (ServiceDown, Refused):
            return False
        return told.applied


class _Applied(BaseModel):
    applied: bool


async def part(asked: Awaitable[T]) -> Part[T]:
    """Make an answer one part of a page, which bears its absence."""
    try:
        return Part(await asked)
    except ServiceDown as down:
        return Part(None, down.sentence)
    except Refused as refused:
        return Part(None, refused.problem.detail)
