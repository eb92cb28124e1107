"""A visitor without a browser: cookies, forms and redirects, as a browser sends them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape

import httpx

from tests.browser.town import LOGINS

_INPUT = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')


def told(answer: httpx.Response) -> str:
    """The words of a page's main part."""
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    return re.sub(r"\s*<[^>]*>\s*", " ", f"<main{main}")


@dataclass
class Visitor:
    """Somebody at the portal."""

    http: httpx.AsyncClient

    async def form(self, path: str, action: str) -> dict[str, str | list[str]]:
        """Open a page and give the hidden and preset fields of its form for ``action``."""
        page = await self.http.get(path)
        assert page.status_code == httpx.codes.OK, told(page)
        found = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', page.text, re.DOTALL)
        assert found is not None, (action, told(page))
        fields: dict[str, str | list[str]] = {}
        for each in _INPUT.findall(found.group()):
            attributes = dict(_ATTRIBUTE.findall(each))
            if attributes.get("type") not in {"checkbox", "radio"} or " checked" in each:
                fields[attributes["name"]] = unescape(attributes.get("value", ""))
        return fields

    async def log_in(self, role: str, password: str | None = None) -> httpx.Response:
        """Log in as the demo's person of a role."""
        login = LOGINS[role]
        fields = await self.form("/login", "/login")
        return await self.http.post(
            "/login", data={**fields, "login": login.login, "password": password or login.password}
        )


@asynccontextmanager
async def visitor(address: str, role: str | None = None) -> AsyncIterator[Visitor]:
    """Come to the portal, logged in as a role's person if one is named."""
    async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as http:
        it = Visitor(http)
        if role is not None:
            answer = await it.log_in(role)
            assert answer.status_code == httpx.codes.SEE_OTHER, told(answer)
        yield it
