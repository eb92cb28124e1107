"""What no service can keep, or two readers would read as two things, is refused at the door.

PostgreSQL's text takes no NUL. JSON may write one as an escape and a query as ``%00``, and no schema looks for it.
Python reads JSON in UTF-16 and takes the last of two fields of one name; a proxy or a client may see something else.

Proven by ``tests/corpus``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from fastapi import HTTPException, Request

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
    if _bears_json(request):
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


def _bears_json(request: Request) -> bool:
    return request.method not in {"GET", "HEAD"} and "json" in request.headers.get("content-type", "json")


class _TwiceError(Exception):
    """A name stands twice in one object."""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return found


async def refuse_loose_json(request: Request) -> None:
    """A dependency of every route: JSON is UTF-8, and no field stands in it twice.

    Raises:
        HTTPException: 400, it is not UTF-8.
        Invalid: with the field that stands twice.
    """
    body = await request.body() if _bears_json(request) else b""
    if not body:
        return
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise HTTPException(400, "The body is not UTF-8.") from error
    if NUL in text:
        raise HTTPException(400, "The body holds a NUL byte; JSON is UTF-8.")
    try:
        json.loads(text, object_pairs_hook=_once)
    except _TwiceError as error:
        problems = Problems()
        name = str(error).encode(errors="replace").decode()[:100]
        problems.add(name, ja="同じ項目が2つあります。1つにしてから送ってください。", en="stands twice; send it once")
        problems.refuse_any(Invalid)
    except (ValueError, RecursionError):
        return  # not JSON: the route says so


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
