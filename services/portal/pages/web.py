"""What makes the portal's application a web site: headers that wall it in, and refusals told as pages."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.http.problems import MEDIA_TYPE, ProblemDetails
from services.portal.domain import LoginNeeded
from services.portal.gateway import Refused, ServiceDown
from services.portal.pages.desk import SESSION_COOKIE, bare_page, login_address, portal_of

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_TITLES = {
    403: "この画面は開けません",
    404: "見つかりませんでした",
    405: "この操作はできません",
    422: "入力を読み取れません",
    500: "処理できませんでした",
    503: "今はつながりません",
}
_SENTENCES = {"request.no_such_path": "このページはありません。今日の仕事から選び直してください。"}
"""Said otherwise than to a program."""
_UNAUTHORIZED = 401


def extend(app: FastAPI) -> None:
    """Turn a service's application into a web site."""
    app.add_exception_handler(LoginNeeded, _to_login)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(ServiceDown, _down)
    app.add_middleware(ProblemsAsPages, site=app)
    app.add_middleware(WalledIn, https=app.state.resources["portal"].cookie_secure)


class WalledIn:
    """ASGI middleware: every answer bears the security headers; pages are kept by no cache."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        self.headers = {**HEADERS, **({"Strict-Transport-Security": "max-age=31536000"} if https else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to what the application answers."""

        async def walled(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, walled if scope["type"] == "http" else send)


class ProblemsAsPages:
    """ASGI middleware: the problem details that chassis answers (a refusal, a fault, too long a body) become pages."""

    def __init__(self, app: ASGIApp, *, site: FastAPI) -> None:
        self.app = app
        self.site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass pages on, replace problem details."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # Whatever the browser prefers: the pages are Japanese.
        scope["headers"] = [*_without(scope["headers"], b"accept-language"), (b"accept-language", b"ja")]
        scope["app"] = self.site
        problem: list[bytes] = []
        is_problem = False

        async def told(message: Message) -> None:
            nonlocal is_problem
            if message["type"] == "http.response.start":
                is_problem = Headers(raw=message["headers"]).get("content-type", "").startswith(MEDIA_TYPE)
            if not is_problem:
                await send(message)
            elif message["type"] == "http.response.body":
                problem.append(message.get("body", b""))
                if not message.get("more_body", False):
                    await _page(Request(scope), b"".join(problem))(scope, receive, send)

        await self.app(scope, receive, told)


def _without(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[tuple[bytes, bytes]]:
    return [each for each in headers if each[0] != name]


def _page(request: Request, content: bytes) -> Response:
    problem = ProblemDetails.model_validate_json(content)
    title = _TITLES.get(problem.status, "できませんでした")
    sentence = _SENTENCES.get(problem.code, problem.detail)
    return bare_page(request, "fault.html", status=problem.status, title=title, sentence=sentence)


def _go_to_login(request: Request) -> Response:
    address = login_address(request)
    if "hx-request" in request.headers:
        # A renewed part finds the session over: the page as a whole goes to the login.
        return Response(status_code=204, headers={"HX-Redirect": address})
    answer = RedirectResponse(address, 303)
    answer.delete_cookie(
        SESSION_COOKIE, path="/", httponly=True, samesite="lax", secure=portal_of(request).cookie_secure
    )
    return answer


async def _to_login(request: Request, error: Exception) -> Response:
    del error
    return _go_to_login(request)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101  registered for this class only
    if error.problem.status == _UNAUTHORIZED:
        return _go_to_login(request)
    title = _TITLES.get(error.problem.status, "できませんでした")
    return bare_page(request, "fault.html", status=error.problem.status, title=title, sentence=error.problem.detail)


async def _down(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceDown)  # noqa: S101  registered for this class only
    return bare_page(request, "fault.html", status=503, title=_TITLES[503], sentence=error.sentence)
