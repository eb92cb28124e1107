"""A person at the services' public HTTP API: logs in, reads, sends commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from taiwa.mendable import Mendable

PATIENCE_SECONDS = 60.0


class Refused(Mendable):
    """A service refused. ``status`` and ``code`` are those of its problem details."""

    def __init__(self, status: int, code: str, problem: str, mend: str) -> None:
        super().__init__(problem, mend)
        self.status = status
        self.code = code


@dataclass
class Person:
    """Somebody who uses the API.

    Args:
        urls: service → base URL.
        municipality: code of the town.
        login: name of the account.
        http: shared connections, closed by whoever opened them.
    """

    urls: Mapping[str, str]
    municipality: str
    login: str
    http: httpx.AsyncClient
    token: str = ""
    person_id: str = ""
    roles: frozenset[str] = field(default_factory=frozenset)

    async def log_in(self, password: str) -> None:
        """Take a token; it lasts minutes and holds the roles of now.

        Raises:
            Refused: login or password is wrong.
        """
        answer = await self._ask(
            "directory",
            "POST",
            "/tokens",
            json={"municipality": self.municipality, "login": self.login, "password": password},
        )
        body = answer.json()
        self.token, self.roles = body["access_token"], frozenset(body["roles"])
        self.person_id = str(body["person"]["person_id"])

    async def read(self, service: str, path: str, **query: str | int) -> Any:
        """Read one resource.

        Raises:
            Refused: the service says no.
        """
        return (await self._ask(service, "GET", path, params=query)).json()

    async def read_all(self, service: str, path: str, **query: str | int) -> list[Any]:
        """Read all pages of a list."""
        items: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self.read(service, path, **query, **cursor)
            items += page["items"]
            if not page.get("next_cursor"):
                return items
            cursor = {"cursor": page["next_cursor"]}

    async def send(self, service: str, path: str, key: str, body: Any = None, *, method: str = "POST") -> Any:
        """Send a command; the same key again has one effect and the same answer.

        Raises:
            Refused: the service says no.
        """
        answer = await self._ask(service, method, path, json=body, headers={"Idempotency-Key": key})
        return answer.json() if answer.content else None

    async def upload(self, path: str, key: str, content: bytes, **query: str) -> Any:
        """Send a CSV file to directory.

        Raises:
            Refused: nothing of it was taken; the problem names rows and columns.
        """
        headers = {"Idempotency-Key": key, "Content-Type": "text/csv"}
        answer = await self._ask("directory", "POST", path, content=content, params=query, headers=headers)
        return answer.json()

    async def _ask(self, service: str, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Accept-Language": "en", **more.pop("headers", {})}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        url = f"{self.urls[service]}{path}"
        try:
            answer = await self.http.request(method, url, headers=headers, timeout=PATIENCE_SECONDS, **more)
        except httpx.HTTPError as fault:
            raise Mendable(f"{url} does not answer: {fault!r}", f"taiwa service start {service}") from fault
        if answer.is_success:
            return answer
        raise _refused(answer, f"{method} {service} {path}")


def _refused(answer: httpx.Response, what: str) -> Refused:
    try:
        problem = answer.json()
    except ValueError:
        return Refused(answer.status_code, "", f"{what}: {answer.status_code} {answer.text[:500]}", "Read its log.")
    lines = [str(problem.get("detail") or problem.get("title") or answer.status_code)]
    for error in problem.get("errors") or []:
        row = f"row {error['row']}, " if error.get("row") else ""
        lines.append(f"  {row}{error.get('field', '')}: {error.get('message') or error.get('detail') or ''}")
    code = str(problem.get("code", ""))
    return Refused(answer.status_code, code, f"{what} is refused ({code}).", "\n".join(lines))
