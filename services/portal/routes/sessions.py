"""Logging in, setting the first password, logging out."""

from __future__ import annotations

import secrets
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from chassis.clocks import machine_now
from chassis.municipality import municipality
from services.portal import commands
from services.portal.domain import FormForeign, own_path
from services.portal.gateway import Refused, ServiceDown
from services.portal.pages.desk import SESSION_COOKIE, VISIT_COOKIE, Visitor, bare_page, portal_of
from services.portal.pages.forms import Form, Submission, read_submission, refused_at

router = APIRouter(include_in_schema=False)


def _visit(request: Request) -> str:
    """The secret that ties a form to a browser before login."""
    known = request.cookies.get(VISIT_COOKIE, "")
    return known if 20 <= len(known) <= 100 else secrets.token_urlsafe(32)  # noqa: PLR2004  43 as made


def _keep(request: Request, response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, httponly=True, samesite="lax", secure=portal_of(request).cookie_secure, path="/")


def _bare(request: Request, template: str, status: int = 200, **content: object) -> HTMLResponse:
    visit = _visit(request)
    page = bare_page(request, template, status=status, secret=visit, **content)
    _keep(request, page, VISIT_COOKIE, visit)
    return page


async def _sent(request: Request) -> Submission | None:
    """The form; nothing where it was opened without cookies or too long ago."""
    try:
        return await read_submission(request, request.cookies.get(VISIT_COOKIE, ""))
    except FormForeign:
        return None


@router.get("/login")
async def login_page(
    request: Request,
    wanted: Annotated[str, Query(alias="next", max_length=500)] = "/",
    told: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Who are you?"""
    return _login(request, Form(), own_path(wanted), told=told)


def _login(request: Request, form: Form, wanted: str, status: int = 200, told: str = "") -> HTMLResponse:
    preset = portal_of(request).municipality
    return _bare(request, "login.html", status, form=form, wanted=wanted, preset=preset, told=told)


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Open a session."""
    submission = await _sent(request)
    if submission is None:
        return _login(request, Form(message=FormForeign.ja), "/", 403)
    form, wanted = submission.form(), own_path(submission.text("next"))
    code = submission.text("municipality") or portal_of(request).municipality
    try:
        municipality(code)
    except ValueError:
        form.errors["municipality"] = (
            "団体コードは6けたの数字です。番号を確かめてください（最後のけたは検査数字です）。"
        )
    for name, sentence in (("login", "ログインIDを入れてください。"), ("password", "パスワードを入れてください。")):
        if not submission.text(name):
            form.errors[name] = sentence
    if form.errors:
        return _login(request, form, wanted, 422)
    try:
        session = await commands.open_session(
            request.app.state.database,
            portal_of(request).gateway,
            code,
            login=submission.text("login"),
            password=str(submission.content.get("password", "")),
            now=machine_now(),
        )
    except Refused as refused:
        form.message = refused.problem.detail
        return _login(request, form, wanted, refused.problem.status)
    except ServiceDown:
        form.message = "今はログインを確かめられません。少し待ってから、もう一度送ってください。"
        return _login(request, form, wanted, 503)
    answer = RedirectResponse(wanted, 303)
    _keep(request, answer, SESSION_COOKIE, session.cookie)
    return answer


@router.post("/logout")
async def log_out(desk: Visitor) -> Response:
    """End the session."""
    await desk.submission()
    await commands.end_session(desk.request.app.state.database, desk.portal.gateway, desk.session)
    answer = RedirectResponse("/login?told=bye", 303)
    answer.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax", secure=desk.portal.cookie_secure)
    return answer


@router.get("/first-password")
async def first_password_page(request: Request, token: Annotated[str, Query(max_length=500)] = "") -> Response:
    """The page behind a one-time link. Opening it does nothing: mail scanners open every link."""
    return _bare(request, "first_password.html", form=Form(), token=token)


@router.post("/first-password")
async def set_first_password(request: Request) -> Response:
    """Set the first password."""
    submission = await _sent(request)
    if submission is None:
        return _bare(request, "first_password.html", 403, form=Form(message=FormForeign.ja), token="")
    form, token = submission.form(), submission.text("token")
    password, again = (str(submission.content.get(name, "")) for name in ("password", "again"))
    if not token:
        form.errors["token"] = "リンクの文字列を入れてください。"  # noqa: S105  a sentence, no password
    if not password:
        form.errors["password"] = "新しいパスワードを入れてください。"  # noqa: S105  a sentence, no password
    elif password != again:
        form.errors["again"] = "二つの欄に同じパスワードを入れてください。"
    if not form.errors:
        try:
            await portal_of(request).gateway.send(
                "directory",
                "POST",
                "/passwords",
                patience=commands.PASSWORD_SECONDS,
                json={"link_token": token, "password": password},
            )
        except (Refused, ServiceDown) as error:
            status = refused_at(form, error, {"link_token": "token"})
            return _bare(request, "first_password.html", status, form=form, token=token)
        return RedirectResponse("/login?told=password", 303)
    return _bare(request, "first_password.html", 422, form=form, token=token)
