"""Hand-picked requests: what a broken client, an old page, a curious reader or somebody hostile may send.

A row is: what it is, the status and code it must get, what is different from a good request. 2xx are the controls.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey

from chassis.auth import ALGORITHM
from chassis.clocks import machine_now
from chassis.testing import MIDORI, OTHER_TOWN, Installation
from tests.corpus.request import Request

INVALID, UNREADABLE, KEY = "request.invalid", "request.unreadable", "request.idempotency_key_missing"
NOBODY, FORBIDDEN, NOT_FOUND = "auth.not_authenticated", "auth.forbidden", "request.not_found"
TOO_LARGE, CURSOR, NO_PATH = "request.too_large", "request.cursor_invalid", "request.no_such_path"


@dataclass(frozen=True, slots=True)
class RequestCase:
    """A request that somebody might send, and the answer it must get. ``code`` is empty for a good one."""

    name: str
    status: int
    code: str
    request: Request


QUESTION = '{"title":"図面の送り方","body":"庁内チャットで送れますか。"}'.encode()
OPEN = QUESTION[:-1]


def but(old: str, new: str | bytes) -> bytes:
    """The good question with one piece of it replaced."""
    assert QUESTION.count(old.encode()) == 1, old
    return QUESTION.replace(old.encode(), new if isinstance(new, bytes) else new.encode())


BODIES: tuple[tuple[str, int, str, bytes], ...] = (
    ("a good question", 201, "", QUESTION),
    ("a question with its optional field null", 201, "", OPEN + b',"category":null}'),
    ("spaces and line breaks in a body", 201, "", b" \r\n" + QUESTION.replace(b",", b" ,\n\t") + b"\n"),
    ("a byte order mark before a body", 201, "", b"\xef\xbb\xbf" + QUESTION),
    ("a question in escapes", 201, "", json.dumps(json.loads(QUESTION)).encode()),
    ("a question of four-byte characters", 201, "", but("図面", "𠮷🏯")),
    ("a title that looks like SQL", 201, "", but("図面", "'; DROP TABLE consultations; --")),
    ("a title that looks like HTML", 201, "", but("図面", "<script>alert(1)</script>")),
    ("a title of 200 characters", 201, "", but("図面の送り方", "図" * 200)),
    ("no body", 422, INVALID, b""),
    ("half a body", 422, INVALID, QUESTION[:30]),
    ("a body without its last byte", 422, INVALID, OPEN),
    ("two bodies in a row", 422, INVALID, QUESTION + QUESTION),
    ("a body of words", 422, INVALID, "図面はどう送りますか".encode()),
    ("a body of a form", 422, INVALID, b"title=x&body=y"),
    ("a body of XML", 422, INVALID, b"<question/>"),
    ("a body of NUL", 422, INVALID, b"\x00"),
    ("a body of null", 422, INVALID, b"null"),
    ("a body of a number", 422, INVALID, b"1"),
    ("a body of a text", 422, INVALID, b'"x"'),
    ("a body of a list", 422, INVALID, b"[]"),
    ("a list of a body", 422, INVALID, b"[" + QUESTION + b"]"),
    ("an empty object", 422, INVALID, b"{}"),
    ("a comma at the end of a body", 422, INVALID, OPEN + b",}"),
    ("single quotes in a body", 422, INVALID, QUESTION.replace(b'"', b"'")),
    ("a comment in a body", 422, INVALID, but('"title"', '/* x */"title"')),
    ("a bare line break in a text of a body", 422, INVALID, but("図面", "図\n面")),
    ("an unknown escape in a body", 422, INVALID, but("図面", r"\x")),
    ("a field that is NaN", 422, INVALID, OPEN + b',"category":NaN}'),
    ("an unknown field that is NaN", 422, INVALID, OPEN + b',"seal":NaN}'),
    ("an unknown field that is infinite", 422, INVALID, OPEN + b',"seal":-Infinity}'),
    ("a field nobody knows", 422, INVALID, OPEN + b',"seal":1}'),
    ("a field whose name is no character", 422, INVALID, OPEN + rb',"\ud842":1}'),
    ("a field whose name is NUL", 422, INVALID, OPEN + rb',"\u0000":1}'),
    ("a field whose name is empty", 422, INVALID, OPEN + b',"":1}'),
    ("a field whose name has 100,000 characters", 422, INVALID, OPEN + b',"' + b"x" * 100_000 + b'":1}'),
    ("10,000 fields nobody knows", 422, INVALID, OPEN + b"".join(b',"f%d":0' % it for it in range(10_000)) + b"}"),
    ("no title", 422, INVALID, b'{"body":"x"}'),
    ("no title and no body", 422, INVALID, b'{"category":"network"}'),
    ("names in capitals in a body", 422, INVALID, but('"title"', '"TITLE"')),
    ("a title twice", 422, INVALID, OPEN + b',"title":"x"}'),
    ("the same title twice", 422, INVALID, OPEN + ',"title":"図面の送り方"}'.encode()),
    ("a title twice, once in escapes", 422, INVALID, OPEN + rb',"titl\u0065":"x"}'),
    ("a title that is a number", 422, INVALID, but('"図面の送り方"', "1")),
    ("a title that is true", 422, INVALID, but('"図面の送り方"', "true")),
    ("a title that is null", 422, INVALID, but('"図面の送り方"', "null")),
    ("a title that is a list", 422, INVALID, but('"図面の送り方"', "[]")),
    ("a title that is an object", 422, INVALID, but('"図面の送り方"', "{}")),
    ("an empty title", 422, INVALID, but("図面の送り方", "")),
    ("a title of spaces", 422, INVALID, but("図面の送り方", "   ")),
    ("a title of ideographic spaces", 422, INVALID, but("図面の送り方", "\u3000\u3000")),
    ("a title of two lines", 422, INVALID, but("図面の送り方", r"図面\nの送り方")),
    ("a title with a control character", 422, INVALID, but("図面の送り方", r"図面\u001b[31m")),
    ("a title with NUL", 422, INVALID, but("図面の送り方", r"図面\u0000")),
    ("a title with half a character", 422, INVALID, but("図面の送り方", r"\ud842")),
    ("a title with the second half of a character", 422, INVALID, but("図面の送り方", r"\udfb7")),
    ("a title of 201 characters", 422, INVALID, but("図面の送り方", "図" * 201)),
    ("a text of 20,001 characters", 422, INVALID, but("庁内チャットで送れますか。", "庁" * 20_001)),
    ("a text with NUL", 422, INVALID, but("庁内", r"\u0000")),
    ("a category that is none", 422, INVALID, OPEN + ',"category":"道路"}'.encode()),
    ("a category that is SQL", 422, INVALID, OPEN + b',"category":"\' OR 1=1"}'),
    ("a category of 51 characters", 422, INVALID, OPEN + b',"category":"' + b"a" * 51 + b'"}'),
    ("UTF-16 in a body", 400, UNREADABLE, QUESTION.decode().encode("utf-16")),
    ("UTF-16 without a mark in a body", 400, UNREADABLE, QUESTION.decode().encode("utf-16-le")),
    ("UTF-32 in a body", 400, UNREADABLE, QUESTION.decode().encode("utf-32")),
    ("CP932 in a body", 400, UNREADABLE, QUESTION.decode().encode("cp932")),
    ("EUC-JP in a body", 400, UNREADABLE, QUESTION.decode().encode("euc-jp")),
    ("a byte that is no UTF-8 in a body", 400, UNREADABLE, but("図面", b"\xff")),
    ("half a character in bytes in a body", 400, UNREADABLE, but("図面", b"\xed\xa1\x82")),
    ("a NUL of two bytes in a body", 400, UNREADABLE, but("図面", b"\xc0\x80")),
    ("gzip in a body", 400, UNREADABLE, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"),
    ("lists 10,000 deep", 400, UNREADABLE, b"[" * 10_000 + b"]" * 10_000),
    ("lists 400,000 deep that never close", 400, UNREADABLE, b"[" * 400_000),
    ("objects 100,000 deep that never close", 400, UNREADABLE, b'{"a":' * 100_000),
    ("a title 100,000 deep", 400, UNREADABLE, but('"図面の送り方"', b"[" * 100_000 + b"]" * 100_000)),
    ("a title 500 deep", 422, INVALID, but('"図面の送り方"', b"[" * 500 + b"]" * 500)),
    ("a number of 5,000 digits", 400, UNREADABLE, but('"図面の送り方"', "9" * 5000)),
    ("a number of 4,000 digits", 422, INVALID, but('"図面の送り方"', "9" * 4000)),
    ("a body over 1 MiB", 413, TOO_LARGE, but("図面", "x" * 1024 * 1024)),
    ("1 MiB and a byte of spaces", 413, TOO_LARGE, b" " * (1024 * 1024 + 1)),
)
"""Bodies of a new consultation, by a leader."""

JSON_HEADERS: tuple[tuple[str, int, str, dict[str, bytes | None]], ...] = (
    ("JSON with a charset", 201, "", {"content_type": b"application/json; charset=utf-8"}),
    ("JSON under a vendor's name", 201, "", {"content_type": b"application/vnd.taiwa+json"}),
    ("JSON as text", 422, INVALID, {"content_type": b"text/plain"}),
    ("JSON as a form", 422, INVALID, {"content_type": b"application/x-www-form-urlencoded"}),
    ("JSON as a file", 422, INVALID, {"content_type": b"multipart/form-data; boundary=x"}),
    ("JSON as nothing", 422, INVALID, {"content_type": None}),
    ("JSON as garbage", 422, INVALID, {"content_type": b"\xff;;;=,"}),
    ("no idempotency key", 400, KEY, {"idempotency_key": None}),
    ("an empty idempotency key", 400, KEY, {"idempotency_key": b""}),
    ("a space as idempotency key", 422, INVALID, {"idempotency_key": b" "}),
    ("an idempotency key of 201 characters", 422, INVALID, {"idempotency_key": b"k" * 201}),
    ("an idempotency key in Japanese", 422, INVALID, {"idempotency_key": "鍵".encode()}),
    ("an idempotency key with NUL", 422, INVALID, {"idempotency_key": b"k\x00"}),
    ("an idempotency key with a tab", 422, INVALID, {"idempotency_key": b"a\tb"}),
    ("a length of two million", 413, TOO_LARGE, {"content_length": b"2000000"}),
    ("a negative length", 413, TOO_LARGE, {"content_length": b"-1"}),
    ("a length that is no number", 413, TOO_LARGE, {"content_length": b"many"}),
    ("a length of full width", 413, TOO_LARGE, {"content_length": "５".encode()}),
    ("a correlation id that is none", 201, "", {"taiwa_correlation_id": b"request 7"}),
    ("a correlation id that is no text", 201, "", {"taiwa_correlation_id": b"\xff\xfe"}),
    ("a trace that is garbage", 201, "", {"traceparent": b"\xff-garbage"}),
    ("a language nobody speaks", 201, "", {"accept_language": b"tlh;q=x, \xff"}),
    ("languages of 100 KB", 201, "", {"accept_language": b"de," * 30_000}),
    ("a header nobody knows, with NUL", 422, INVALID, {"x_note": b"\x00"}),
)
"""Headers of a new consultation."""

TARGETS: tuple[tuple[str, int, str, str, bytes], ...] = (
    ("a good list", 200, "", "GET", b"/consultations?limit=10"),
    ("a query nobody knows", 200, "", "GET", b"/consultations?seal=red"),
    ("a limit of 0", 422, INVALID, "GET", b"/consultations?limit=0"),
    ("a limit of -1", 422, INVALID, "GET", b"/consultations?limit=-1"),
    ("a limit of 201", 422, INVALID, "GET", b"/consultations?limit=201"),
    ("a limit of fifty digits", 422, INVALID, "GET", b"/consultations?limit=" + b"9" * 50),
    ("a limit of 5,000 digits", 422, INVALID, "GET", b"/consultations?limit=" + b"9" * 5000),
    ("a limit that is a word", 422, INVALID, "GET", b"/consultations?limit=all"),
    ("a limit that is a float", 422, INVALID, "GET", b"/consultations?limit=1.5"),
    ("a limit that is NaN", 422, INVALID, "GET", b"/consultations?limit=NaN"),
    ("an empty limit", 422, INVALID, "GET", b"/consultations?limit="),
    ("a state that is none", 422, INVALID, "GET", b"/consultations?state=lost"),
    ("a desk that is none", 422, INVALID, "GET", b"/consultations?desk=%E9%81%93%E8%B7%AF"),
    ("a flag that is none", 422, INVALID, "GET", b"/consultations?mine=perhaps"),
    ("a cursor that is none", 422, CURSOR, "GET", b"/consultations?cursor=x"),
    ("a cursor of another alphabet", 422, CURSOR, "GET", b"/consultations?cursor=%E5%8D%B0"),
    ("a cursor of no UTF-8", 422, CURSOR, "GET", b"/consultations?cursor=%FF%FE"),
    ("a cursor of bytes", 422, CURSOR, "GET", b"/consultations?cursor=" + base64.urlsafe_b64encode(b"\xff\xfe\x00")),
    ("a cursor of too few values", 422, CURSOR, "GET", b"/consultations?cursor=" + base64.b64encode(b'["a"]')),
    ("a cursor of numbers", 422, CURSOR, "GET", b"/consultations?cursor=" + base64.b64encode(b"[1,2]")),
    ("a cursor of NUL", 422, CURSOR, "GET", b"/consultations?cursor=" + base64.b64encode(rb'["\u0000","x"]')),
    (
        "a cursor of half a character",
        422,
        CURSOR,
        "GET",
        b"/consultations?cursor=" + base64.b64encode(rb'["\ud842","x"]'),
    ),
    ("a cursor of a deep list", 422, CURSOR, "GET", b"/consultations?cursor=" + base64.b64encode(b"[" * 360)),
    ("a cursor of 501 characters", 422, INVALID, "GET", b"/consultations?cursor=" + b"x" * 501),
    ("NUL in a query", 422, INVALID, "GET", b"/consultations?state=%00"),
    ("NUL in a query nobody knows", 422, INVALID, "GET", b"/consultations?seal=%00"),
    ("NUL in the name of a query", 422, INVALID, "GET", b"/consultations?se%00al=1"),
    ("2,000 queries", 200, "", "GET", b"/consultations?" + b"&".join(b"q%d=1" % it for it in range(2000))),
    ("a broken escape in a query", 200, "", "GET", b"/consultations?seal=%zz%"),
    ("an id of nothing there", 404, NOT_FOUND, "GET", b"/consultations/019d89bc-1ce0-793f-a0ae-25c0883e39a9"),
    ("an id that is none in a path", 422, INVALID, "GET", b"/consultations/42"),
    ("an id of a digit too much", 422, INVALID, "GET", b"/consultations/019d89bc-1ce0-793f-a0ae-25c0883e39a91"),
    ("an id of full width in a path", 422, INVALID, "GET", b"/consultations/%EF%BC%91"),
    ("an id of no UTF-8", 422, INVALID, "GET", b"/consultations/%FF"),
    ("NUL in a path", 422, INVALID, "GET", b"/consultations/%00"),
    ("SQL in a path", 422, INVALID, "GET", b"/consultations/1'%20OR%20'1'='1"),
    ("a path of 10,000 characters", 422, INVALID, "GET", b"/consultations/" + b"x" * 10_000),
    ("a path that goes up", 404, NO_PATH, "GET", b"/consultations/../../etc/passwd"),
    ("a path that goes up in escapes", 404, NO_PATH, "GET", b"/consultations/%2e%2e%2f%2e%2e%2fetc"),
    ("a path nobody knows", 404, NO_PATH, "GET", b"/seals"),
    ("a path in Japanese", 404, NO_PATH, "GET", b"/%E7%9B%B8%E8%AB%87"),
    ("a path of NUL", 404, NO_PATH, "GET", b"/%00"),
    ("two slashes", 404, NO_PATH, "GET", b"//consultations"),
    ("a method that a path does not take", 405, "request.method_not_allowed", "DELETE", b"/consultations"),
    ("a method nobody knows", 405, "request.method_not_allowed", "BREW", b"/consultations"),
    ("TRACE", 405, "request.method_not_allowed", "TRACE", b"/consultations"),
    ("a code of capitals in a path", 403, FORBIDDEN, "PUT", b"/categories/NETWORK"),
    (
        "whether a fact of a version beyond bigint came",
        422,
        INVALID,
        "GET",
        b"/applied?owner=a&aggregate=b&version=9223372036854775808",
    ),
    ("whether a fact of no version came", 422, INVALID, "GET", b"/applied?owner=a&aggregate=b&version=0"),
    ("whether a fact of NUL came", 422, INVALID, "GET", b"/applied?owner=a%00&aggregate=b&version=1"),
    ("whether nothing came", 422, INVALID, "GET", b"/applied"),
)
"""Targets, as a leader. A route's own role is looked at before its path is."""


def _part(content: object) -> str:
    return (
        base64.urlsafe_b64encode(content if isinstance(content, bytes) else json.dumps(content).encode())
        .decode()
        .rstrip("=")
    )


@dataclass(frozen=True)
class Forge:
    """Makes tokens: the good one of a person, and what others would make of it."""

    installation: Installation
    person_id: UUID
    section_id: UUID | None
    roles: tuple[str, ...]

    @property
    def claims(self) -> dict[str, Any]:
        """What directory would put into the person's token."""
        token = self.installation.token(self.person_id, self.roles, MIDORI, self.section_id)
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        return claims

    @property
    def good(self) -> str:
        """A token as directory would give it."""
        return self.signed(self.claims)

    def with_claims(self, **claims: object) -> str:
        """Signed by the right key; ``claims`` override some."""
        return self.signed(self.claims | claims)

    def without(self, claim: str) -> str:
        """Signed by the right key, one claim left out."""
        return self.signed({name: value for name, value in self.claims.items() if name != claim})

    def signed(self, claims: Any, **header: object) -> str:
        """Signed by the right key, whatever the claims and the header are."""
        key = self.installation.key
        text = f"{_part({'alg': ALGORITHM, 'kid': key.kid} | header)}.{_part(claims)}"
        assert isinstance(key.private_key, Ed25519PrivateKey)
        return f"{text}.{_part(key.private_key.sign(text.encode()))}"

    def of_another(self) -> str:
        """The same claims, signed by a key of somebody else under the right key's name."""
        other = OKPKey.generate_key("Ed25519")
        return jwt.encode(
            {"alg": ALGORITHM, "kid": self.installation.key.kid}, self.claims, other, algorithms=[ALGORITHM]
        )

    def by_a_secret(self) -> str:
        """Signed by HS256 with the public key as the secret, the classic confusion."""
        public = json.dumps(self.installation.key.as_dict(private=False)).encode()
        secret = OctKey.import_key(public)
        return jwt.encode({"alg": "HS256", "kid": self.installation.key.kid}, self.claims, secret, algorithms=["HS256"])

    def with_part(self, place: int, text: str) -> str:
        """The good token with another first, second or third part."""
        parts = self.good.split(".")
        parts[place] = text
        return ".".join(parts)


def _now() -> int:
    return int(machine_now().timestamp())


TOKENS: tuple[tuple[str, int, str, Callable[[Forge], str | bytes | None]], ...] = (
    ("a good token", 200, "", lambda forge: f"Bearer {forge.good}"),
    ("bearer in small letters", 200, "", lambda forge: f"bearer {forge.good}"),
    ("a claim nobody knows", 200, "", lambda forge: f"Bearer {forge.with_claims(seal='red')}"),
    ("no token", 401, NOBODY, lambda _: None),
    ("an empty header for the token", 401, NOBODY, lambda _: ""),
    ("bearer and nothing", 401, NOBODY, lambda _: "Bearer"),
    ("bearer and a space", 401, NOBODY, lambda _: "Bearer "),
    ("another scheme", 401, NOBODY, lambda _: "Basic aGFuYTpoYW5h"),
    ("a token without its scheme", 401, NOBODY, lambda forge: forge.good),
    ("a word as token", 401, NOBODY, lambda _: "Bearer secret"),
    ("dots as token", 401, NOBODY, lambda _: "Bearer .."),
    ("a token in Japanese", 401, NOBODY, lambda _: "Bearer 鍵".encode()),
    ("a token of no UTF-8", 401, NOBODY, lambda _: b"Bearer \xff\xfe\xfd"),
    ("a token of 60 KB", 401, NOBODY, lambda _: "Bearer " + "x" * 60_000),
    ("a token of a thousand dots", 401, NOBODY, lambda _: "Bearer " + "." * 1000),
    ("a token cut short", 401, NOBODY, lambda forge: f"Bearer {forge.good[:-10]}"),
    ("a token with a byte more", 401, NOBODY, lambda forge: f"Bearer {forge.good}A"),
    ("a token without its signature", 401, NOBODY, lambda forge: f"Bearer {forge.with_part(2, '')}"),
    ("a token of another's signature", 401, NOBODY, lambda forge: f"Bearer {forge.with_part(2, _part(b'x' * 64))}"),
    ("a token of another key", 401, NOBODY, lambda forge: f"Bearer {forge.of_another()}"),
    ("a token of HS256 with the public key", 401, NOBODY, lambda forge: f"Bearer {forge.by_a_secret()}"),
    ("a token of alg none", 401, NOBODY, lambda forge: f"Bearer {forge.with_part(0, _part({'alg': 'none'}))}"),
    (
        "a token of alg None without a signature",
        401,
        NOBODY,
        lambda forge: "Bearer " + ".".join([_part({"alg": "None"}), *forge.good.split(".")[1:2], ""]),
    ),
    ("a token whose alg is a list", 401, NOBODY, lambda forge: f"Bearer {forge.with_part(0, _part({'alg': []}))}"),
    ("a token whose alg is null", 401, NOBODY, lambda forge: f"Bearer {forge.with_part(0, _part({'alg': None}))}"),
    ("a token whose header is a list", 401, NOBODY, lambda forge: f"Bearer {forge.with_part(0, _part([]))}"),
    ("a token whose header is null", 401, NOBODY, lambda forge: f"Bearer {forge.with_part(0, _part(None))}"),
    ("a token whose header is a number", 401, NOBODY, lambda forge: f"Bearer {forge.with_part(0, _part(7))}"),
    (
        "a token whose header is no UTF-8",
        401,
        NOBODY,
        lambda forge: f"Bearer {forge.with_part(0, _part(bytes([255, 254])))}",
    ),
    ("a token whose header is no JSON", 401, NOBODY, lambda forge: f"Bearer {forge.with_part(0, _part(b'{'))}"),
    (
        "a token whose header is 30,000 deep",
        401,
        NOBODY,
        lambda forge: f"Bearer {forge.with_part(0, _part(b'[' * 30_000))}",
    ),
    ("a token whose key id is an object", 401, NOBODY, lambda forge: f"Bearer {forge.signed({}, kid={})}"),
    ("a token whose key id is unknown", 401, NOBODY, lambda forge: f"Bearer {forge.signed({}, kid='other')}"),
    ("a token whose key id is a path", 401, NOBODY, lambda forge: f"Bearer {forge.signed({}, kid='../../etc/passwd')}"),
    (
        "a token with a critical extension",
        401,
        NOBODY,
        lambda forge: f"Bearer {forge.signed({}, crit=['b64'], b64=False)}",
    ),
    ("a token that brings its key along", 401, NOBODY, lambda forge: f"Bearer {forge.signed({}, jwk={'kty': 'OKP'})}"),
    (
        "claims that another wrote into it",
        401,
        NOBODY,
        lambda forge: f"Bearer {forge.with_part(1, _part({'roles': ['admin']}))}",
    ),
    ("claims that are none", 401, NOBODY, lambda forge: f"Bearer {forge.signed({})}"),
    ("claims that are a list", 401, NOBODY, lambda forge: f"Bearer {forge.signed([])}"),
    ("claims that are null", 401, NOBODY, lambda forge: f"Bearer {forge.signed(None)}"),
    ("claims that are a text", 401, NOBODY, lambda forge: f"Bearer {forge.signed('admin')}"),
    ("claims that are no JSON", 401, NOBODY, lambda forge: f"Bearer {forge.signed(b'{')}"),
    ("claims that are no UTF-8", 401, NOBODY, lambda forge: f"Bearer {forge.signed(bytes([255, 254]))}"),
    ("claims 30,000 deep", 401, NOBODY, lambda forge: f"Bearer {forge.signed(b'[' * 30_000)}"),
    ("an expired token", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(exp=_now() - 31)}"),
    ("a token of the future", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(nbf=_now() + 3600)}"),
    ("an end that is a text", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(exp='never')}"),
    ("an end that is null", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(exp=None)}"),
    ("an end that is NaN", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(exp=float('nan'))}"),
    ("a beginning that is infinite", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(nbf=float('inf'))}"),
    ("a beginning that is a list", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(nbf=[])}"),
    ("another issuer", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(iss='https://login.example')}"),
    ("another audience", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(aud='payroll')}"),
    ("a list of audiences", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(aud=['taiwa'])}"),
    ("a subject that is no id", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(sub='hana')}"),
    ("a subject that is a number", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(sub=1)}"),
    ("a subject with NUL", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(sub=chr(0))}"),
    ("a municipality that is none", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(municipality='123456')}"),
    ("every municipality", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(municipality='*')}"),
    ("a municipality that is a number", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(municipality=999997)}"),
    ("a list of municipalities", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(municipality=['999997'])}"),
    ("roles that are a number", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(roles=1)}"),
    ("roles that are null", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(roles=None)}"),
    ("roles that are lists", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(roles=[['admin']])}"),
    ("a section that is no id", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(section='1110')}"),
    ("a section that is a list", 401, NOBODY, lambda forge: f"Bearer {forge.with_claims(section=['x'])}"),
    *(
        (f"a token without {claim}", 401, NOBODY, lambda forge, claim=claim: f"Bearer {forge.without(claim)}")
        for claim in ("iss", "aud", "sub", "municipality", "roles", "nbf", "exp")
    ),
)
"""Authorization headers of a list of one's own consultations."""

DAYS: tuple[tuple[str, int, bytes], ...] = (
    ("a good day", 201, b'"2026-07-01"'),
    ("no day at all", 422, b"null"),
    ("a day that is empty", 422, b'""'),
    ("a day that is a word", 422, '"来週"'.encode()),
    ("30 February in a request", 422, b'"2026-02-30"'),
    ("month 13 in a request", 422, b'"2026-13-01"'),
    ("the year 0 in a request", 422, b'"0000-01-01"'),
    ("the first year there is", 422, b'"0001-01-01"'),
    ("the last day there is", 422, b'"9999-12-31"'),
    ("a year of five digits in a request", 422, b'"10000-01-01"'),
    ("a day with slashes", 422, b'"2026/07/01"'),
    ("a day of 令和", 422, '"令和8年7月1日"'.encode()),
    ("a day as a moment", 422, b'"2026-07-01T09:00:00Z"'),
    ("a day as seconds in a request", 422, b"1782831600"),
    ("a day as a float", 422, b"1.5"),
    ("a day as a huge number", 422, b"1e300"),
    ("a day as a list", 422, b"[2026,7,1]"),
    ("a day with NUL", 422, rb'"2026-07-01\u0000"'),
    ("a day of full width", 422, '"２０２６-０７-０１"'.encode()),
)
"""The first day of an absence, by 総務課; all are refused as ``request.invalid`` or by the rule on days."""


_PEOPLE = "職員番号,氏名,フリガナ,所属コード,職,職員の種類,常勤,メール,兼務所属コード,採用日\n"
_ROW = "3,松永 澪,マツナガ ミオ,1110,主事,正規,常勤,m@midori.example,,2020-04-01\n"
FILE = "directory.import_refused"

FILES: tuple[tuple[str, int, str, bytes], ...] = (
    ("an empty file", 422, FILE, b""),
    ("a file of its heading", 422, FILE, _PEOPLE.encode()),
    ("a file of spaces", 422, FILE, b"  \n \n"),
    ("a file without its heading", 422, FILE, _ROW.encode()),
    ("a file of another heading", 422, FILE, b"a,b,c\n1,2,3\n"),
    ("a file with a row too short", 422, FILE, (_PEOPLE + "3,松永 澪\n").encode()),
    ("a file with a row too long", 422, FILE, (_PEOPLE + _ROW.strip() + ",x,y,z\n").encode()),
    ("a file with one person twice", 422, FILE, (_PEOPLE + _ROW + _ROW).encode()),
    ("a file with a section nobody knows", 422, FILE, (_PEOPLE + _ROW.replace("1110", "9999")).encode()),
    ("a file with a day that is none", 422, FILE, (_PEOPLE + _ROW.replace("2020-04-01", "2020-02-30")).encode()),
    ("a file with NUL", 422, FILE, (_PEOPLE + _ROW.replace("松永", "\x00")).encode()),
    ("a file with an escape character", 422, FILE, (_PEOPLE + _ROW.replace("松永", "\x1b[31m")).encode()),
    ("a file with a quote that never ends", 422, FILE, (_PEOPLE + _ROW.replace("松永", '"松永')).encode()),
    ("a file with a field of 200 KB", 422, FILE, (_PEOPLE + _ROW.replace("松永", "松" * 70_000)).encode()),
    ("a file of UTF-16", 422, FILE, (_PEOPLE + _ROW).encode("utf-16")),
    ("a file of EUC-JP", 422, FILE, (_PEOPLE + _ROW).encode("euc-jp")),
    ("a file of half a character", 422, FILE, (_PEOPLE + _ROW).encode()[:-50] + b"\xe6\x9d"),
    ("a file of a spreadsheet", 422, FILE, b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00"),
    ("a file of random bytes", 422, FILE, bytes(range(256)) * 40),
    ("a file of JSON", 422, FILE, b'{"people":[]}'),
    ("a file over 10 MiB", 413, TOO_LARGE, b"x" * (10 * 1024 * 1024 + 1)),
)
"""Imports of people, by 総務課."""

LOGINS: tuple[tuple[str, int, str, bytes], ...] = (
    ("a login of nobody", 401, "directory.login_refused", b'{"municipality":"999997","login":"nobody","password":"x"}'),
    (
        "a login of a wrong town",
        422,
        INVALID,
        b'{"municipality":"123456","login":"hana","password":"x"}',
    ),
    ("a login of every town", 422, INVALID, b'{"municipality":"*","login":"hana","password":"x"}'),
    ("a login with NUL", 422, INVALID, rb'{"municipality":"999997","login":"\u0000","password":"x"}'),
    ("a login with half a character", 422, INVALID, rb'{"municipality":"999997","login":"\ud842","password":"x"}'),
    (
        "a password with half a character",
        422,
        INVALID,
        rb'{"municipality":"999997","login":"hana","password":"\udfb7"}',
    ),
    (
        "a password of 900 KB",
        422,
        INVALID,
        b'{"municipality":"999997","login":"hana","password":"' + b"x" * 900_000 + b'"}',
    ),
    ("a password that is a list", 422, INVALID, b'{"municipality":"999997","login":"hana","password":["x"]}'),
    ("a login twice", 422, INVALID, b'{"municipality":"999997","login":"hana","login":"ichiro","password":"x"}'),
    ("a login without a password", 422, INVALID, b'{"municipality":"999997","login":"hana"}'),
)
"""Attempts to log in."""

ABSENCE = b'{"person_id":"%s","from_on":%s,"until_on":"2026-07-31"}'


@dataclass(frozen=True, slots=True)
class Ground:
    """What the requests of the tables stand on: who asks."""

    forge: Forge
    idempotency_keys: Iterator[str]

    def request(
        self, method: str, target: bytes, body: bytes = b"", *, token: str | bytes | None = b"its own"
    ) -> Request:
        """A good request of the person, with a key of its own."""
        authorization = f"Bearer {self.forge.good}" if token == b"its own" else token
        given = {
            b"authorization": authorization.encode() if isinstance(authorization, str) else authorization,
            b"content-type": b"application/json" if body else None,
            b"idempotency-key": None if method == "GET" else next(self.idempotency_keys).encode(),
        }
        return Request(method, target, tuple((name, value) for name, value in given.items() if value is not None), body)


def consultation_cases(ground: Ground) -> Iterator[RequestCase]:
    """Every hand-picked request to consultations."""
    for name, status, code, body in BODIES:
        it = ground.request("POST", b"/consultations", body)
        yield RequestCase(name, status, code, it.but(content_type=b"application/json"))
    for name, status, code, headers in JSON_HEADERS:
        yield RequestCase(name, status, code, ground.request("POST", b"/consultations", QUESTION).but(**headers))
    for name, status, code, method, target in TARGETS:
        body = b'{"label":"x","desk":"hr"}' if method == "PUT" else b""
        yield RequestCase(name, status, code, ground.request(method, target, body))
    for name, status, code, make in TOKENS:
        yield RequestCase(name, status, code, ground.request("GET", b"/consultations", token=make(ground.forge)))
    foreign = f"Bearer {ground.forge.with_claims(municipality=OTHER_TOWN)}"
    for name, target in (("a list of another town", b"/consultations"), ("the desks of another town", b"/leaders")):
        yield RequestCase(name, 200, "", ground.request("GET", target, token=foreign))


def directory_cases(ground: Ground, person_id: str) -> Iterator[RequestCase]:
    """Every hand-picked request to directory; ``ground`` is 総務課's."""
    for name, status, day in DAYS:
        body = ABSENCE % (person_id.encode(), day)
        yield RequestCase(name, status, INVALID if status > 299 else "", ground.request("POST", b"/absences", body))
    for name, status, code, content in FILES:
        it = ground.request("POST", b"/people/imports?effective_from=2026-04-01", content)
        yield RequestCase(name, status, code, it.but(content_type=b"text/csv"))
    for name, status, code, body in LOGINS:
        yield RequestCase(name, status, code, ground.request("POST", b"/tokens", body, token=None))
