"""Bodies are bounded before anything reads them: 1 MiB, and 10 MiB where a file is taken (paths ending in /imports)."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.http.problems import language_of, problem
from chassis.refusals import Refusal

BODY_LIMIT = 1024 * 1024
FILE_LIMIT = 10 * 1024 * 1024


class BodyTooLarge(Refusal):
    """The request's body is over the limit."""

    code = "request.too_large"
    status = 413
    ja = "送られた内容が大きすぎます（上限{limit}MB）。分けて送ってください。"
    en = "The body is over {limit} MiB; split it."


class BodyLimit:
    """ASGI middleware: refuses a declared or actual body over the limit."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a bounded request on, answer the others 413."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = FILE_LIMIT if scope["path"].endswith("/imports") else BODY_LIMIT

        async def refuse() -> None:  # made when it is needed: it costs a twelfth of a whole command
            refusal = problem(BodyTooLarge(limit=limit // 1024 // 1024), language_of(Request(scope)))
            await refusal(scope, receive, send)

        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdigit() or int(declared) > limit:
            await refuse()
            return
        seen, refused = 0, False

        async def counted() -> Message:
            nonlocal seen, refused
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit and not refused:
                    refused = True
                    # Answered here: whoever reads the body takes any exception for an unreadable one.
                    await refuse()
                if refused:
                    return {"type": "http.disconnect"}
            return message

        async def unless_refused(message: Message) -> None:
            if not refused:
                await send(message)

        await self.app(scope, counted, unless_refused)
