"""What every request leaves behind: one span, one log line, one measurement; and a defect becomes a 500."""

from __future__ import annotations

from uuid import UUID

import structlog
from opentelemetry import propagate, trace
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import metrics
from chassis.clocks import monotonic
from chassis.http.problems import UnexpectedFault, language_of, problem
from chassis.transaction import new_id

CORRELATION_HEADER = "Taiwa-Correlation-Id"
"""A caller may send one (a UUID) so that its logs and ours join; every answer bears it."""

_QUIET = {"/health/live", "/health/ready", "/metrics"}
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_SERVER_ERROR = 500

_access = structlog.get_logger("taiwa.http")
_tracer = trace.get_tracer("taiwa.http")


class Observation:
    """ASGI middleware, the outermost: one span, one log line, one measurement per request; a defect becomes a 500.

    ``scope["state"]`` bears ``correlation_id`` for the command and, once the caller is known, ``municipality``.
    """

    def __init__(self, app: ASGIApp, service: str) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and tell what became of it."""
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        state["correlation_id"] = correlation = _correlation_id(headers)
        bound = structlog.contextvars.bind_contextvars(
            service=self.service, correlation_id=str(correlation), municipality=None
        )
        started = monotonic()
        status = 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[CORRELATION_HEADER] = str(correlation)
            await send(message)

        parent = propagate.extract(dict(headers))
        with _tracer.start_as_current_span(
            scope["method"], parent, trace.SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                await self.app(scope, receive, sent)
            except Exception as error:
                _access.error("http.fault", exc_info=error)
                if not status:
                    await problem(UnexpectedFault(), language_of(Request(scope)))(scope, receive, sent)
                raise
            finally:
                self._tell(scope, span, status or _SERVER_ERROR, monotonic() - started)
                structlog.contextvars.reset_contextvars(**bound)

    def _tell(self, scope: Scope, span: trace.Span, status: int, seconds: float) -> None:
        # A label must not take whatever a caller sends: the series would grow without end.
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = getattr(scope.get("route"), "path", "unmatched")
        metrics.HTTP_REQUESTS.labels(self.service, method, route, status).inc()
        metrics.HTTP_SECONDS.labels(self.service, method, route).observe(seconds)
        span.update_name(f"{method} {route}")
        span.set_attribute("http.request.method", method)
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("taiwa.service", self.service)
        if status >= _SERVER_ERROR:
            span.set_status(trace.StatusCode.ERROR)
        municipality = scope["state"].get("municipality")
        if municipality:
            span.set_attribute("taiwa.municipality", municipality)
        _access.info(
            "http.request",
            method=method,
            route=route,
            status=status,
            milliseconds=round(seconds * 1000, 1),
        )


def _correlation_id(headers: Headers) -> UUID:
    given = headers.get(CORRELATION_HEADER)
    if given is not None:
        try:
            return UUID(given)
        except ValueError:
            pass
    return new_id()
