"""A visit: who it is, what the services say to them, and the page they get."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel

from chassis.clocks import machine_now
from chassis.database import Database
from services.portal import commands, repository
from services.portal.domain import Identity, Session, form_token
from services.portal.gateway import Done, MadeFact, Services, part
from services.portal.pages.forms import Form, Submission, read_submission
from services.portal.pages.portal import Portal

SESSION_COOKIE = "taiwa_session"
VISIT_COOKIE = "taiwa_visit"


class _Told(BaseModel):
    unread: int


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab of the menu."""

    address: str
    word: str


_TABS: Sequence[tuple[Tab, frozenset[str]]] = (
    (Tab("/", "今日の仕事"), frozenset()),
    (Tab("/consultations", "相談"), frozenset()),
    (Tab("/trainings", "研修"), frozenset()),
    (Tab("/leaders", "リーダー名簿"), frozenset()),
    (Tab("/nominations", "選出"), frozenset({"section_head"})),
    (Tab("/coverage", "選出・配置"), frozenset({"hr", "it_policy"})),
    (Tab("/admin", "管理"), frozenset({"admin"})),
    (Tab("/integrations", "連携"), frozenset({"admin"})),
)


def tabs_of(identity: Identity) -> list[Tab]:
    """The tabs a visitor needs."""
    return [tab for tab, roles in _TABS if not roles or identity.has(*roles)]


@dataclass(frozen=True, slots=True)
class Delivery:
    """Facts on their way to another service."""

    audience: str
    facts: tuple[MadeFact, ...]
    arrived: bool
    attempt: int = 0

    @property
    def gives_up(self) -> bool:
        """Whether the page stops asking."""
        return self.attempt >= 30  # noqa: PLR2004  half a minute

    @property
    def address(self) -> str:
        """Where the page asks again."""
        return "/live/delivery?" + urlencode(
            [
                ("audience", self.audience),
                *(("fact", f"{fact.owner} {fact.aggregate} {fact.version}") for fact in self.facts),
                ("attempt", str(self.attempt + 1)),
            ]
        )


async def delivery(services: Services, facts: Sequence[MadeFact], audience: str, attempt: int = 0) -> Delivery:
    """Ask the audience whether it has applied the facts."""
    answers = await asyncio.gather(*(services.has_applied(audience, fact) for fact in facts))
    return Delivery(audience, tuple(facts), all(answers), attempt)


class Desk:
    """One visit of somebody who is logged in."""

    def __init__(self, request: Request, portal: Portal, session: Session, now: datetime, *, has_flash: bool) -> None:
        self.request = request
        self.portal = portal
        self.session = session
        self.now = now
        self.services = Services(portal.gateway, session.identity.tokens.access)
        self._has_flash = has_flash

    @property
    def identity(self) -> Identity:
        """Who it is."""
        return self.session.identity

    @property
    def _database(self) -> Database:
        database: Database = self.request.app.state.database
        return database

    @property
    def site(self) -> str:
        """The portal's own address, as the visitor's browser reached it."""
        url = self.request.base_url
        return str(url.replace(scheme="https") if self.portal.cookie_secure else url).rstrip("/")

    async def submission(self) -> Submission:
        """The form that was sent.

        Raises:
            FormForeign: see :func:`read_submission`.
        """
        return await read_submission(self.request, self.session.secret)

    async def page(
        self, template: str, *, status: int = 200, forms: Mapping[str, Form] | None = None, **content: Any
    ) -> HTMLResponse:
        """Render a page; the unread notices and what the last action left to say come by themselves."""
        unread, flash = await asyncio.gather(self.unread(), self._flash())
        forms = forms or {}
        return self._rendered(
            template,
            status,
            unread=unread,
            flash=flash,
            deliveries=await self._deliveries(flash) if flash else None,
            refused=next((form for form in forms.values() if form.is_refused), None),
            forms=forms,
            new_form=Form,
            **content,
        )

    def fragment(self, template: str, **content: Any) -> HTMLResponse:
        """Render a part of a page, for htmx."""
        return self._rendered(template, 200, **content)

    def _rendered(self, template: str, status: int, **content: Any) -> HTMLResponse:
        address = self.request.url.path
        text = self.portal.templates.get_template(template).render(
            who=self.identity,
            tabs=tabs_of(self.identity),
            address=address,
            full_address=self.request.url.path + (f"?{self.request.url.query}" if self.request.url.query else ""),
            now=self.now,
            contact=self.portal.contact,
            form_token=form_token(self.session.secret),
            **content,
        )
        return HTMLResponse(text, status)

    async def unread(self) -> int | None:
        """How many notices are unread; nothing where notifications is silent."""
        asked = await part(
            self.services.glance("notifications", "/inbox/summary", _Told),
        )
        return asked.content.unread if asked.content is not None else None

    async def _flash(self) -> dict[str, Any] | None:
        if not self._has_flash:
            return None
        async with self._database.scoped(self.session.municipality) as connection:
            return await repository.take_flash(connection, self.session)

    async def _deliveries(self, flash: Mapping[str, Any]) -> Delivery | None:
        facts = [MadeFact(*fact) for fact in flash.get("facts", ())]
        return await delivery(self.services, facts, flash["audience"]) if facts and flash.get("audience") else None

    async def done(self, address: str, sentence: str, done: Done | None = None, *, audience: str = "") -> Response:
        """Go to a page that says what was done.

        ``audience`` names the service that the new facts travel to; the page says whether they have arrived.
        """
        flash: dict[str, Any] = {"sentence": sentence}
        if done is not None and audience and done.facts:
            flash["audience"] = audience
            flash["facts"] = [[fact.owner, fact.aggregate, fact.version] for fact in done.facts[:5]]
        async with self._database.scoped(self.session.municipality) as connection:
            await repository.put_flash(connection, self.session, flash)
        return RedirectResponse(address, 303)


def portal_of(request: Request) -> Portal:
    """The process's portal."""
    portal: Portal = request.app.state.resources["portal"]
    return portal


async def _desk(request: Request) -> Desk:
    portal = portal_of(request)
    session, has_flash = await commands.current_session(
        request.app.state.database,
        portal.gateway,
        request.cookies.get(SESSION_COOKIE, ""),
        machine_now(),
        by_itself=request.url.path.startswith("/live/"),
    )
    now = await portal.now(session.identity.tokens.access)
    return Desk(request, portal, session, now, has_flash=has_flash)


Visitor = Annotated[Desk, Depends(_desk)]
"""What a route asks for: the visit of somebody who is logged in."""


def bare_page(request: Request, template: str, *, status: int = 200, secret: str = "", **content: Any) -> HTMLResponse:
    """Render a page of nobody: login, faults."""
    portal = portal_of(request)
    text = portal.templates.get_template(template).render(
        who=None,
        tabs=[],
        address=request.url.path,
        full_address=request.url.path,
        contact=portal.contact,
        form_token=form_token(secret) if secret else "",
        flash=None,
        deliveries=None,
        refused=next((each for each in content.values() if isinstance(each, Form) and each.is_refused), None),
        unread=None,
        **content,
    )
    return HTMLResponse(text, status)


def login_address(request: Request) -> str:
    """Where somebody goes who is not logged in, and comes back from."""
    if request.method != "GET" or request.url.path == "/" or "hx-request" in request.headers:
        return "/login"
    return f"/login?next={quote(request.url.path + (f'?{request.url.query}' if request.url.query else ''), safe='/')}"
