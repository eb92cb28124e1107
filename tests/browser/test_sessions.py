"""Who gets in, whose forms count, what the answers forbid a browser to do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from chassis.clocks import machine_now
from chassis.testing import eventually
from services.portal import repository
from services.portal.domain import Session, session_hash
from tests.browser.town import LOGINS, TOGETHER, MidoriTown
from tests.browser.visitor import Visitor, told, visitor

pytestmark = TOGETHER


async def test_without_a_login_every_page_leads_to_it_and_back(town: MidoriTown) -> None:
    async with visitor(town.address) as it:
        answer = await it.http.get("/coverage?year=2026")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/coverage%3Fyear%3D2026")


async def test_a_wrong_password_is_refused_without_saying_what_was_wrong(town: MidoriTown) -> None:
    async with visitor(town.address) as it:
        answer = await it.log_in("staff", "something else")
        assert answer.status_code == 401
        assert "ログインIDとパスワードを確かめてください" in answer.text
        assert "taiwa_session" not in it.http.cookies


async def test_a_malformed_municipality_code_is_refused(town: MidoriTown) -> None:
    async with visitor(town.address) as it:
        fields = await it.form("/login", "/login")
        answer = await it.http.post("/login", data={**fields, "municipality": "999998", "login": "a", "password": "b"})
        assert answer.status_code == 422
        assert "団体コード" in answer.text


async def test_the_cookie_is_for_this_site_and_no_script(town: MidoriTown) -> None:
    async with visitor(town.address) as it:
        cookie = (await it.log_in("staff")).headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie


async def test_every_answer_walls_the_page_in(town: MidoriTown) -> None:
    async with visitor(town.address, "staff") as it:
        for path in ("/", "/login", "/static/app.css", "/nowhere"):
            headers = (await it.http.get(path)).headers
            assert headers["content-security-policy"].startswith("default-src 'none'"), path
            assert headers["x-content-type-options"] == "nosniff", path
        assert (await it.http.get("/")).headers["cache-control"] == "no-store"


async def test_nothing_is_loaded_from_outside(town: MidoriTown) -> None:
    async with visitor(town.address, "staff") as it:
        for asset in ("app.css", "app.js", "htmx.js", "icon.svg"):
            answer = await it.http.get(f"/static/{asset}")
            assert answer.status_code == 200
            assert "http://" not in answer.text.replace("http://www.w3.org/", "")
        assert (await it.http.get("/static/other.js")).status_code == 404


async def test_a_form_of_another_session_is_refused(town: MidoriTown) -> None:
    async with visitor(town.address, "staff") as it, visitor(town.address, "leader") as other:
        fields = await other.form("/consultations/new", "/consultations")
        answer = await it.http.post("/consultations", data={**fields, "title": "x", "body": "y"})
        assert answer.status_code == 403
        assert "開き直して" in answer.text


async def test_a_form_that_another_site_sends_is_refused(town: MidoriTown) -> None:
    async with visitor(town.address, "staff") as it:
        fields = await it.form("/consultations/new", "/consultations")
        answer = await it.http.post(
            "/consultations", data={**fields, "title": "x", "body": "y"}, headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert answer.status_code == 403


async def test_after_logout_the_cookie_opens_nothing(town: MidoriTown) -> None:
    async with visitor(town.address, "staff") as it:
        cookie = it.http.cookies["taiwa_session"]
        await it.http.post("/logout", data=await it.form("/", "/logout"))
        it.http.cookies.set("taiwa_session", cookie)
        assert (await it.http.get("/")).status_code == 303


async def test_a_session_ends_by_itself(town: MidoriTown) -> None:
    async with visitor(town.address, "staff") as it:
        secret = it.http.cookies["taiwa_session"].partition(".")[2]
        async with town.services["portal"].worker.scoped("*") as connection:
            await connection.execute(
                "UPDATE sessions SET ends_at = ends_at - $2::interval WHERE session_hash = $1",
                session_hash(secret),
                timedelta(hours=8),
            )
        assert (await it.http.get("/")).headers["location"] == "/login"


async def test_the_database_knows_no_secret(town: MidoriTown) -> None:
    async with visitor(town.address, "staff") as it:
        secret = it.http.cookies["taiwa_session"].partition(".")[2]
        async with town.services["portal"].worker.scoped("*") as connection:
            rows = await connection.fetch("SELECT sessions::text AS row FROM sessions")
        stored = "".join(row["row"] for row in rows)
        assert secret not in stored
        assert LOGINS["staff"].name not in stored


@pytest.mark.parametrize("path", ["/admin", "/admin/accounts", "/admin/sections", "/admin/deliveries"])
async def test_administration_is_closed_to_others(town: MidoriTown, path: str) -> None:
    async with visitor(town.address, "staff") as it:
        answer = await it.http.get(path)
        assert answer.status_code == 403
        assert "権限がありません" in answer.text


async def test_what_is_not_there_is_told_in_japanese(town: MidoriTown) -> None:
    async with visitor(town.address, "staff") as it:
        for path in ("/nowhere", "/consultations/not-a-number", f"/consultations/{uuid4()}", f"/leaders/{uuid4()}"):
            answer = await it.http.get(path, headers={"Accept-Language": "en"})
            assert 400 <= answer.status_code < 500, path
            assert "<h1>" in answer.text, path
            assert "ください" in answer.text, path


async def test_a_part_that_renews_itself_leads_to_the_login_when_the_session_is_over(town: MidoriTown) -> None:
    async with visitor(town.address) as it:
        answer = await it.http.get("/live/unread", headers={"HX-Request": "true"})
        assert (answer.status_code, answer.headers["hx-redirect"]) == (204, "/login")


async def test_a_first_password_is_set_once_by_its_link(town: MidoriTown) -> None:
    async with visitor(town.address, "admin") as admin, visitor(town.address) as newcomer:
        page = await admin.http.get("/admin/accounts", params={"q": "畑中 彩"})
        person = page.text.partition('name="person_id" value="')[2].partition('"')[0]
        fields = await admin.form("/admin/accounts?q=畑中", "/admin/accounts/roles")
        made = await admin.http.post(
            "/admin/accounts",
            data={
                "form_token": fields["form_token"],
                "key": str(uuid4()),
                "person_id": person,
                "login": f"hatanaka{uuid4().hex[:6]}",
            },
        )
        assert made.status_code == 200, told(made)
        token = made.text.partition(f"{town.address}/first-password?token=")[2].partition("<")[0]
        page_of_link = f"/first-password?token={token}"
        for expected in (303, 422):
            form = await newcomer.form(page_of_link, "/first-password")
            answer = await newcomer.http.post(
                "/first-password", data={**form, "password": "naga-i-aikotoba-1", "again": "naga-i-aikotoba-1"}
            )
            assert answer.status_code == expected, told(answer)
        assert "使用済み" in answer.text


async def _stored(town: MidoriTown, it: Visitor, *, older: timedelta = timedelta(0)) -> Session:
    """The visitor's session as it is stored; its tokens are made ``older`` first."""
    municipality, _, secret = it.http.cookies["taiwa_session"].partition(".")
    async with town.services["portal"].worker.scoped("*") as connection:
        found = await repository.find_session(connection, municipality, secret, machine_now())
        assert found is not None
        session = found[0]
        tokens = session.identity.tokens
        aged = replace(tokens, issued_at=tokens.issued_at - older, expires_at=tokens.expires_at - older)
        session = session.renewed(replace(session.identity, tokens=aged))
        await repository.renew_session(connection, session)
        return session


async def test_requests_at_once_renew_old_tokens_once(town: MidoriTown) -> None:
    async with visitor(town.address, "staff") as it:
        before = await _stored(town, it, older=timedelta(minutes=2))
        answers = await asyncio.gather(*(it.http.get(path) for path in ("/", "/leaders", "/inbox", "/trainings")))
        assert {answer.status_code for answer in answers} == {200}
        after = await _stored(town, it)
        assert after.identity.tokens.refresh != before.identity.tokens.refresh
        assert (await it.http.get("/")).status_code == 200


async def test_a_session_outlives_a_restart_of_directory_while_its_token_lives(town: MidoriTown) -> None:
    async with visitor(town.address, "staff") as it:
        await _stored(town, it, older=timedelta(minutes=2))
        async with town.without("directory"):
            answer = await it.http.get("/leaders")
            assert answer.status_code == 200
            await _stored(town, it, older=timedelta(minutes=10))
            answer = await it.http.get("/leaders")
            assert answer.status_code == 503
            assert "「職員名簿」は今つながりません" in answer.text
        await eventually(lambda: _is_open(it))


async def _is_open(it: Visitor) -> bool:
    return (await it.http.get("/leaders")).status_code == httpx.codes.OK
