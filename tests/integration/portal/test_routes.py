"""Every page of the portal: closed before login, closed to other roles, and asking only in its visitor's name.

The routes come from the application itself, so a new one that nobody thought of fails here: it belongs into ``OPEN``
with its reason, or into ``PAGES`` with the roles that may open it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from starlette.routing import BaseRoute, Route

from chassis.clocks import machine_now
from chassis.testing import MIDORI, OTHER_TOWN, Installation, Running, running
from chassis.transaction import new_id
from services.portal import repository
from services.portal.domain import Identity, Person, Session, Tokens, Town, form_token
from services.portal.gateway import NAMES, Gateway
from services.portal.main import build
from services.portal.pages.desk import SESSION_COOKIE

OPEN = {
    "GET /login": "who is not logged in begins here",
    "POST /login": "and logs in",
    "GET /first-password": "the page behind a one-time link",
    "POST /first-password": "which proves itself by its token",
    "GET /static/{name}": "style and script; no town's",
    "GET /openapi.json": "describes no page",
    "GET /health/live": "for the operator's supervisor",
    "GET /health/ready": "the same",
    "GET /metrics": "numbers without personal data, for the operator",
}
"""What needs no session, and why."""

ANYBODY: frozenset[str] = frozenset()
ADMIN = frozenset({"admin"})
BOARD = frozenset({"hr", "it_policy"})

PAGES: dict[str, frozenset[str]] = {
    "GET /": ANYBODY,
    "GET /inbox": ANYBODY,
    "POST /inbox/read-all": ANYBODY,
    "POST /inbox/{notice_id}/read": ANYBODY,
    "GET /consultations": ANYBODY,
    "GET /consultations/new": ANYBODY,
    "POST /consultations": ANYBODY,
    "GET /consultations/{consultation_id}": ANYBODY,
    "POST /consultations/{consultation_id}/entries": ANYBODY,
    "POST /consultations/{consultation_id}/assignment": ANYBODY,
    "POST /consultations/{consultation_id}/resolution": ANYBODY,
    "POST /consultations/{consultation_id}/reopening": ANYBODY,
    "GET /coverage": BOARD,
    "POST /coverage/decisions": BOARD,
    "POST /coverage/reminders": ANYBODY,
    "POST /coverage/calls": BOARD,
    "POST /coverage/years": ANYBODY,
    "GET /coverage/board.csv": BOARD,
    "GET /nominations": ANYBODY,
    "GET /nominations/{section_call_id}": ANYBODY,
    "POST /nominations/{section_call_id}": ANYBODY,
    "GET /trainings": ANYBODY,
    "POST /trainings/programmes": ANYBODY,
    "GET /trainings/{programme_id}": ANYBODY,
    "POST /trainings/{programme_id}/completions": ANYBODY,
    "POST /trainings/{programme_id}/completions/{completion_id}/revocation": ANYBODY,
    "GET /leaders": ANYBODY,
    "GET /leaders/{appointment_id}": ANYBODY,
    "POST /leaders/{appointment_id}/deputy": ANYBODY,
    "POST /leaders/{appointment_id}/deputy/end": ANYBODY,
    "GET /admin": ADMIN,
    "POST /admin/imports": ADMIN,
    "POST /admin/imports/{upload_id}": ADMIN,
    "GET /admin/accounts": ADMIN,
    "POST /admin/accounts": ADMIN,
    "POST /admin/accounts/{account_id}/links": ADMIN,
    "POST /admin/accounts/{account_id}/lock": ADMIN,
    "POST /admin/accounts/{account_id}/unlock": ADMIN,
    "POST /admin/accounts/roles": ADMIN,
    "GET /admin/sections": ADMIN | {"hr"},
    "GET /admin/sections/{section_id}": ADMIN | {"hr"},
    "POST /admin/sections/{section_id}/head": ADMIN | {"hr"},
    "GET /admin/deliveries": ADMIN | BOARD,
    "POST /admin/deliveries/{delivery_id}/retry": ANYBODY,
    "POST /admin/deliveries/{delivery_id}/acknowledgement": ANYBODY,
    "GET /standing": ADMIN,
    "GET /late": ADMIN,
    "GET /integrations": ADMIN,
    "POST /integrations/resume": ADMIN,
    "GET /integrations/replay": ADMIN,
    "POST /integrations/replay": ADMIN,
    "GET /integrations/{service}/{letter_id}": ADMIN,
    "POST /integrations/{service}/{letter_id}/replay": ADMIN,
    "GET /integrations/{service}/{letter_id}/discard": ADMIN,
    "POST /integrations/{service}/{letter_id}/discard": ADMIN,
    "POST /logout": ANYBODY,
    "GET /live/unread": ANYBODY,
    "GET /live/work": ANYBODY,
    "GET /live/delivery": ANYBODY,
}
"""Who may open a page or send its form: everybody who is logged in, or the holders of one of the roles. Where
everybody may, the service that is asked decides: it is told who the visitor is and nothing else."""

QUERY = {"GET /integrations/replay": {"service": "leaders"}, "GET /live/delivery": {"audience": "x", "fact": "x"}}
EVERY_ROLE = ("staff", "leader", "section_head", "hr", "it_policy", "finance", "adviser", "executive", "admin")
SECRET = "何町の秘密のファイル"


@dataclass
class Outside:
    """The services, as the portal meets them: they note by whom they were asked, and find nothing."""

    asked_by: list[str] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Refuse with problem details."""
        self.asked_by.append(request.headers.get("Authorization", ""))
        problem = {"type": "x", "title": "NotFound", "status": 404, "detail": "見つかりません。", "code": "not_found"}
        return httpx.Response(404, json=problem)


@dataclass
class Portal:
    """A portal whose services note who asks."""

    it: Running
    outside: Outside

    async def session(self, municipality: str, *roles: str) -> Session:
        """Somebody of a town who is logged in."""
        now = machine_now()
        tokens = Tokens(f"token-of-{municipality}-{new_id()}", "refresh", now, now + timedelta(minutes=10))
        person = Person(str(new_id()), "髙橋 みのり")
        identity = Identity(person, Town(municipality, "町"), frozenset({"staff", *roles}), tokens)
        session = Session(municipality, f"secret-{new_id()}", identity, now, now)
        async with self.it.database.scoped(municipality) as connection:
            await repository.add_session(connection, session)
        return session

    async def request(self, route: str, cookie: str = "", secret: str = "", **given: object) -> httpx.Response:
        """Open a page or send its form with that cookie."""
        method, _, path = route.partition(" ")
        known = {"service": "leaders", "name": "app.css", **given}
        path = re.sub(r"\{(\w+)\}", lambda hit: str(known.get(hit[1]) or new_id()), path)
        content = {"data": {"form_token": form_token(secret) if secret else "x"}} if method == "POST" else {}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.it.app), base_url="http://portal.test"
        ) as client:
            headers = {"Cookie": f"{SESSION_COOKIE}={cookie}"} if cookie else {}
            return await client.request(method, path, params=QUERY.get(route), headers=headers, **content)  # type: ignore[arg-type]  # one of two shapes


@pytest.fixture
async def portal(installation: Installation) -> AsyncIterator[Portal]:
    """A portal beside services that know nothing."""
    outside = Outside()
    async with running(build, installation, roles=("api",)) as it:
        client = httpx.AsyncClient(transport=httpx.MockTransport(outside.answer))
        it.app.state.resources["portal"].gateway = Gateway(
            {name: f"http://{name}.test" for name in NAMES}, client=client
        )
        yield Portal(it, outside)


def routes_of(it: Running) -> set[str]:
    """Method and path of everything that the application answers."""
    return {
        f"{method} {route.path}" for route in flat(it.app.routes) for method in route.methods or () if method != "HEAD"
    }


def flat(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    """The routes, those of included routers among them; a kind of route that is not known here must not slip by."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from flat(included.routes)
        else:
            assert isinstance(route, Route), route
            yield route


async def test_every_route_is_listed_with_who_may_open_it(portal: Portal) -> None:
    there, listed = routes_of(portal.it), set(PAGES) | set(OPEN)
    assert there - listed == set(), "say in PAGES who may open it, or in OPEN why it needs no session"
    assert listed - there == set(), "these routes are gone: take them out"


async def test_without_a_session_every_page_leads_to_the_login_and_asks_nobody(portal: Portal) -> None:
    for route in PAGES:
        for cookie in ("", f"{MIDORI}.{'x' * 43}", "rubbish"):
            answer = await portal.request(route, cookie)
            assert answer.status_code == 303, (route, answer.status_code)
            assert answer.headers["location"].startswith("/login"), route
    assert portal.outside.asked_by == []


async def test_a_session_of_one_town_is_none_of_another(portal: Portal) -> None:
    """A cookie whose municipality was changed proves nothing."""
    session = await portal.session(MIDORI, *EVERY_ROLE)
    for route in PAGES:
        answer = await portal.request(route, f"{OTHER_TOWN}.{session.secret}", session.secret)
        assert answer.status_code == 303, route
    assert portal.outside.asked_by == []


async def test_a_page_of_a_role_is_closed_to_the_others(portal: Portal) -> None:
    for route, roles in PAGES.items():
        if not roles:
            continue
        others = set(EVERY_ROLE) - roles
        session = await portal.session(MIDORI, *others)
        answer = await portal.request(route, session.cookie, session.secret)
        assert answer.status_code == 403, (route, answer.status_code)


async def test_the_services_are_asked_in_the_visitors_name_only(portal: Portal) -> None:
    """Each request bears the token of the visit's own session; a form that is foreign to the session is refused."""
    own, other = await portal.session(MIDORI, *EVERY_ROLE), await portal.session(OTHER_TOWN, *EVERY_ROLE)
    for route in PAGES:
        if route == "POST /logout":
            continue
        for session in (own, other):
            portal.outside.asked_by.clear()
            answer = await portal.request(route, session.cookie, session.secret)
            assert answer.status_code < 500 or answer.status_code == 503, (route, answer.status_code)
            assert set(portal.outside.asked_by) <= {f"Bearer {session.identity.tokens.access}"}, route
        if route.startswith("POST"):
            portal.outside.asked_by.clear()
            answer = await portal.request(route, own.cookie, other.secret)
            assert answer.status_code == 403, (route, "took another session's form")


async def test_what_the_portal_keeps_for_one_town_is_shown_to_no_other(portal: Portal) -> None:
    own, other = await portal.session(MIDORI, *EVERY_ROLE), await portal.session(OTHER_TOWN, *EVERY_ROLE)
    upload: UUID = new_id()
    async with portal.it.database.scoped(MIDORI) as connection:
        await repository.add_upload(connection, own, upload, "people", SECRET.encode(), now=machine_now())
        await repository.put_flash(connection, own, {"sentence": SECRET})
    for route in PAGES:
        if route == "POST /logout":
            continue
        answer = await portal.request(route, other.cookie, other.secret, upload_id=upload)
        assert SECRET not in answer.text, route
        if "{upload_id}" in route:
            assert answer.status_code == 404
    shown = await portal.request("GET /", own.cookie, own.secret)
    assert SECRET in shown.text
    async with portal.it.database.scoped(MIDORI) as connection:
        assert await repository.find_upload(connection, own, upload) == ("people", SECRET.encode())
