"""Characters that no service can keep are refused at the door, with the field that holds them.

PostgreSQL's text takes no NUL. JSON may write one as an escape and a query as ``%00``, and no schema looks for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from fastapi import Request

from chassis.refusals import Invalid, Problems

NUL = "\x00"
_ESCAPED = (b"\\u0000", b"%00", b"\x00")


async def refuse_nul(request: Request) -> None:
    """A dependency of every route: no NUL character in path, query, headers or JSON.

    Raises:
        Invalid: with every field that holds one.
    """
    found = [name for name, value in request.path_params.items() if NUL in str(value)]
    found += [name for name, value in request.query_params.multi_items() if NUL in value or NUL in name]
    found += [name for name, value in request.headers.items() if NUL in value]
    if request.method not in {"GET", "HEAD"} and "json" in request.headers.get("content-type", "json"):
        body = await request.body()
        if any(mark in body for mark in _ESCAPED):
            found += _fields_with_nul(body)
    if found:
        problems = Problems()
        for name in dict.fromkeys(found):
            problems.add(
                name.replace(NUL, ""),
                ja="使えない文字（NUL）が入っています。消してから送ってください。",
                en="holds a NUL character; take it out",
            )
        problems.refuse_any(Invalid)


def _fields_with_nul(body: bytes) -> list[str]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return []  # not JSON: the route says so
    return [".".join(place) or "body" for place in _places(content, ())]


def _places(value: object, place: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, str):
        if NUL in value:
            yield place
    elif isinstance(value, dict):
        for name, each in value.items():
            if NUL in name:
                yield (*place, name)
            yield from _places(each, (*place, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _places(each, (*place, str(index)))
