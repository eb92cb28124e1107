"""Makes requests that must be refused, any number, by breaking the good ones of ``tests/integration/operations``.

Every operation of every service is broken: its token, its headers, its body, its path, its query. The same seed makes
the same ones (ids and signatures of the run apart).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from chassis.http.problems import IDEMPOTENCY_HEADER
from tests.corpus.request import Request
from tests.corpus.request_tables import TOKENS, Forge
from tests.integration.operations import Step, World

BAD_TOKENS = tuple(make for _, status, _, make in TOKENS if status == 401)


@dataclass(frozen=True, slots=True)
class Good:
    """A step's good request and who makes it."""

    step: Step
    forge: Forge
    request: Request
    content: Any
    """The JSON body, where it has one."""
    needs_key: bool
    """Whether the operation's description asks for an Idempotency-Key."""

    def with_text(self, text: str | bytes) -> Request:
        """With another body."""
        return replace(self.request, body=text if isinstance(text, bytes) else text.encode())

    def with_fields(self, **fields: object) -> Request:
        """With other fields in its body, known or not."""
        return self.with_text(json.dumps(self.content | fields))


Mutation = Callable[[Random, Good], Request | None]
"""Gives none where the request has nothing of the kind to break."""


def _a_bad_token(rng: Random, it: Good) -> Request | None:
    if it.step.nobody:
        return None
    token = rng.choice(BAD_TOKENS)(it.forge)
    return it.request.but(authorization=token.encode() if isinstance(token, str) else token)


def _no_key(_: Random, it: Good) -> Request | None:
    return it.request.but(idempotency_key=None) if it.needs_key else None


def _a_bad_key(rng: Random, it: Good) -> Request | None:
    if not it.needs_key:
        return None
    return it.request.but(idempotency_key=rng.choice((b"", b" ", b"k" * 201, b"\xff\xfe", b"a b", "鍵".encode())))


def _another_method(rng: Random, it: Good) -> Request:
    return replace(it.request, method=rng.choice(("DELETE", "PATCH", "TRACE", "BREW", "PROPFIND")))


def _another_path(rng: Random, it: Good) -> Request:
    path = it.request.target.partition(b"?")[0]
    return replace(it.request, target=rng.choice((path + b"/x/y/z", b"/x" + path, path + b"%00/x", b"/%FF" + path)))


def _a_bad_id(rng: Random, it: Good) -> Request | None:
    given = [part for part in it.request.target.decode("ascii").split("/") if part.count("-") == 4]
    if not given:
        return None
    bad = rng.choice(("42", "%00", "%FF", "x" * 300, "'%20OR%201=1", given[0][:-1], f"{given[0]}1", str(UUID(int=7))))
    return replace(it.request, target=it.request.target.replace(given[0].encode(), bad.encode()))


def _nul_in_a_query(rng: Random, it: Good) -> Request:
    mark = b"&" if b"?" in it.request.target else b"?"
    return replace(it.request, target=it.request.target + mark + rng.choice((b"seal=%00", b"se%00al=1", b"x=a%00b")))


def _a_text_cut_short(rng: Random, it: Good) -> Request | None:
    return None if not it.content else it.with_text(it.request.body[: rng.randrange(1, len(it.request.body))])


def _another_encoding(rng: Random, it: Good) -> Request | None:
    text = it.request.body.decode()
    return None if not it.content else it.with_text(text.encode(rng.choice(("utf-16", "utf-16-be", "utf-32"))))


def _a_byte_of_no_utf8(rng: Random, it: Good) -> Request | None:
    if not it.content:
        return None
    at, body = rng.randrange(len(it.request.body)), it.request.body
    return it.with_text(body[:at] + rng.choice((b"\xff", b"\xc0\x80")) + body[at:])


def _a_field_of_another_type(rng: Random, it: Good) -> Request | None:
    return it.with_fields(**{rng.choice(sorted(it.content)): {"a": [1]}}) if it.content else None


def _a_field_nobody_knows(rng: Random, it: Good) -> Request | None:
    if it.content is None:
        return None
    name = rng.choice(("seal", "", "\ud842", "x" * 5000, "__proto__", "<b>", "person_id "))
    return it.with_fields(**{name: rng.choice((1, None, [], {"a": 1}, float("nan")))})


def _a_field_twice(rng: Random, it: Good) -> Request | None:
    if not it.content:
        return None
    name = rng.choice(sorted(it.content))
    return it.with_text(it.request.body.decode().rstrip()[:-1] + f',"{name}" :{json.dumps(it.content[name])}}}')


def _a_text_no_column_takes(rng: Random, it: Good) -> Request | None:
    texts = sorted(name for name, value in (it.content or {}).items() if isinstance(value, str))
    return it.with_fields(**{rng.choice(texts): rng.choice(("\x00", "x\x00", "\ud842", "\udfb7x"))}) if texts else None


def _no_object(rng: Random, it: Good) -> Request | None:
    return None if not it.content else it.with_text(rng.choice(("", "null", "1", '"x"', "[]", "[1]", "x", "{", "\x00")))


def _a_bomb(rng: Random, it: Good) -> Request | None:
    depth = rng.choice((2000, 50_000))
    return None if not it.content else it.with_text(rng.choice((b"[", b'{"a":')) * depth)


def _too_large(rng: Random, it: Good) -> Request | None:
    return None if not it.content else it.with_text(b" " * (1024 * 1024 + rng.randrange(1, 1000)))


def _a_bad_length(rng: Random, it: Good) -> Request:
    return it.request.but(content_length=rng.choice((b"99999999", b"-1", b"many", "５".encode(), b"1e3", b"")))


def _another_kind_of_content(rng: Random, it: Good) -> Request | None:
    kinds = (b"text/plain", b"multipart/form-data; boundary=x", b"application/xml", b"\xff", b"")
    return None if not it.content else it.request.but(content_type=rng.choice(kinds))


def _a_file_of_noise(rng: Random, it: Good) -> Request | None:
    if it.step.content is None:
        return None
    turned = it.request.body.decode().encode("utf-16")
    return it.with_text(rng.choice((b"", b"\x00" * 50, rng.randbytes(3000), b'"' * 999, b"a,b\n1\n", turned)))


MUTATIONS: tuple[Mutation, ...] = (
    _a_bad_token,
    _a_bad_token,
    _a_bad_token,
    _no_key,
    _a_bad_key,
    _another_method,
    _another_path,
    _a_bad_id,
    _nul_in_a_query,
    _a_text_cut_short,
    _another_encoding,
    _a_byte_of_no_utf8,
    _a_field_of_another_type,
    _a_field_nobody_knows,
    _a_field_twice,
    _a_text_no_column_takes,
    _no_object,
    _a_bomb,
    _too_large,
    _a_bad_length,
    _another_kind_of_content,
    _a_file_of_noise,
)


def good(world: World, step: Step, keys: Iterator[int]) -> Good:
    """The step's request as bytes."""
    caller = world.caller(step, world.it.caller().municipality)
    forge = Forge(world.it.installation, caller.person_id, caller.section_id, tuple(sorted(caller.roles)))
    given = step.request(world)
    content = given.get("json")
    body = given.get("content") or (b"" if content is None else json.dumps(content, ensure_ascii=False).encode())
    query = f"?{urlencode(given['params'])}" if "params" in given else ""
    headers = {
        b"authorization": b"" if step.nobody else f"Bearer {forge.good}".encode(),
        b"content-type": b"text/csv" if "content" in given else b"application/json" if content is not None else b"",
        b"idempotency-key": b"" if step.method == "GET" else f"made-{next(keys)}".encode(),
    }
    kept = tuple((name, value) for name, value in headers.items() if value)
    request = Request(step.method, f"{given['url']}{query}".encode(), kept, body)
    described = world.it.app.openapi()["paths"][step.operation.split(" ")[1]][step.method.lower()]
    asked = {parameter["name"] for parameter in described.get("parameters", ()) if parameter.get("required")}
    return Good(step, forge, request, content, IDEMPOTENCY_HEADER in asked)


def made(world: World, steps: Sequence[Step], seed: int, wanted: int) -> Iterator[tuple[str, Request]]:
    """As many requests as wanted, each with the name of its mutation and operation."""
    rng = Random(seed)  # noqa: S311  the same again for the same seed, which is the point
    keys, given = count(), 0
    while given < wanted:
        it, mutation = good(world, rng.choice(steps), keys), rng.choice(MUTATIONS)
        request = mutation(rng, it)
        if request is not None:
            given += 1
            yield f"{mutation.__name__.lstrip('_').replace('_', ' ')}, {it.step.operation}", request
