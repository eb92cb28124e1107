"""One HTTP request as it travels, and the application's answer to exactly these bytes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from fastapi import FastAPI

Header = tuple[bytes, bytes]

INSIDE = (b"Traceback", b"asyncpg", b"pydantic", b"site-packages", b'.py"', b"Error:")
"""What a client has no business to read."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends. ``target`` is path and query as they stand in the request line; header names are lower."""

    method: str
    target: bytes
    headers: tuple[Header, ...] = ()
    body: bytes = b""

    def but(self, **changes: bytes | None) -> Request:
        """With other headers, named with ``_`` for ``-``; ``None`` leaves one out."""
        given = {name.replace("_", "-").encode(): value for name, value in changes.items()}
        kept = [(name, value) for name, value in self.headers if name not in given]
        return replace(self, headers=(*kept, *((name, value) for name, value in given.items() if value is not None)))


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``raised``: what left the application, where something did."""

    status: int
    headers: dict[str, str]
    body: bytes
    raised: str = ""

    @property
    def code(self) -> str:
        """The stable code of a problem; empty where it is none."""
        try:
            return str(json.loads(self.body)["code"])
        except (ValueError, KeyError, TypeError):
            return ""

    def problems(self) -> list[str]:
        """What is wrong with it as a refusal (RFC 9457); empty: nothing."""
        found = []
        if not 400 <= self.status < 500:
            found.append(f"status {self.status}{self.raised and f', raised {self.raised}'}")
        if self.headers.get("content-type") != "application/problem+json":
            found.append(f"content type {self.headers.get('content-type')}")
        found += [f"tells {word.decode()}" for word in INSIDE if word in self.body]
        try:
            content = json.loads(self.body)
        except ValueError:
            return [*found, "the body is no JSON"]
        if not {"type", "title", "status", "detail", "code"} <= set(content):
            found.append(f"is no problem: {content}")
        elif content["status"] != self.status or content["type"] != f"urn:taiwa:problem:{content['code']}":
            found.append(f"contradicts itself: {content}")
        return found


async def send(app: FastAPI, request: Request) -> Answer:
    """Hand the request over as an HTTP server does, byte for byte, and read the answer."""
    path, _, query = request.target.partition(b"?")
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"service.test"), *request.headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    chunks = [request.body[at : at + 65_536] for at in range(0, len(request.body), 65_536)] or [b""]
    incoming = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
        for number, chunk in enumerate(chunks, 1)
    ]
    status, headers, body = 0, {}, b""

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def sent(message: Any) -> None:
        nonlocal status, headers, body
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            body += message.get("body", b"")

    raised = ""
    try:
        await app(scope, receive, sent)
    except Exception as error:  # noqa: BLE001  it is the answer that is looked at
        raised = repr(error)[:300]
    return Answer(status, headers, body, raised)
