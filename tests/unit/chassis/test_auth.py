from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey, RSAKey

from chassis import auth
from chassis.auth import ALGORITHM, KeysUnavailable, NotAuthenticated, TokenVerifier
from chassis.clocks import machine_now


def new_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": str(uuid4()), "use": "sig", "alg": ALGORITHM})


KEY = new_key()


def claims(**changed: object) -> dict[str, object]:
    now = int(time.time())
    return {
        "iss": "taiwa",
        "aud": "taiwa",
        "sub": str(uuid4()),
        "municipality": "999997",
        "roles": ["hr"],
        "section": None,
        "nbf": now,
        "exp": now + 600,
        **changed,
    }


def sign(content: Mapping[str, object], key: OKPKey = KEY) -> str:
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, dict(content), key, algorithms=[ALGORITHM])


class Directory:
    """Gives its public keys while it is up."""

    def __init__(self, *keys: OKPKey) -> None:
        self.keys = list(keys)
        self.up = True
        self.asked = 0

    async def fetch(self) -> dict[str, object]:
        self.asked += 1
        if not self.up:
            raise httpx.ConnectError("refused")
        return {"keys": [key.as_dict(private=False) for key in self.keys]}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Monotonic seconds of the verifier; move them by changing the one element."""
    now = [1000.0]
    monkeypatch.setattr(auth, "monotonic", lambda: now[0])
    return now


async def test_a_valid_token_names_its_caller() -> None:
    person, section = uuid4(), uuid4()
    token = sign(claims(sub=str(person), section=str(section), roles=["hr", "staff"]))
    caller = await TokenVerifier(Directory(KEY).fetch).verify(token)
    assert (caller.municipality, caller.person_id, caller.section_id) == ("999997", person, section)
    assert caller.has("hr")
    assert not caller.has("admin")


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": int(time.time()) - 31},
        {"nbf": int(time.time()) + 86_400},
        {"iss": "somebody"},
        {"aud": "something"},
        {"aud": ["taiwa"]},
        {"municipality": "999998"},
        {"municipality": "000000"},
        {"municipality": None},
        {"municipality": 999997},
        {"sub": "nobody"},
        {"sub": None},
        {"sub": 5},
        {"roles": None},
        {"exp": None},
        {"exp": "tomorrow"},
        {"section": "here"},
    ],
)
async def test_a_token_with_a_wrong_claim_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(NotAuthenticated):
        await TokenVerifier(Directory(KEY).fetch).verify(sign(claims(**changed)))


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "municipality", "roles", "nbf", "exp"])
async def test_a_token_without_a_claim_is_refused(missing: str) -> None:
    content = claims()
    del content[missing]
    with pytest.raises(NotAuthenticated):
        await TokenVerifier(Directory(KEY).fetch).verify(sign(content))


def unsigned(header: Mapping[str, object]) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims())]
    return ".".join([*parts, ""])


def signed_with_the_public_key() -> str:
    public = OctKey.import_key(json.dumps(KEY.as_dict(private=False)).encode())
    return jwt.encode({"alg": "HS256", "kid": KEY.kid}, claims(), public)


def signed_by_rsa() -> str:
    return jwt.encode({"alg": "RS256", "kid": KEY.kid}, claims(), RSAKey.generate_key(2048))


def with_changed_claims() -> str:
    head, _, signature = sign(claims()).split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(roles=["admin"])).encode()).decode().rstrip("=")
    return f"{head}.{body}.{signature}"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        "a.b.c",
        "\ud83d\ude00",
        unsigned({"alg": "none"}),
        unsigned({"alg": "none", "kid": KEY.kid}),
        unsigned({"alg": ALGORITHM, "kid": KEY.kid}),
        unsigned({}),
        signed_with_the_public_key(),
        signed_by_rsa(),
        with_changed_claims(),
        sign(claims(), new_key()),
    ],
)
async def test_a_forged_or_foreign_token_is_refused(token: str) -> None:
    with pytest.raises(NotAuthenticated):
        await TokenVerifier(Directory(KEY).fetch).verify(token)


async def test_a_token_ends_though_it_was_verified_before(monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = TokenVerifier(Directory(KEY).fetch)
    token = sign(claims(exp=int(time.time()) + 5))
    await verifier.verify(token)
    monkeypatch.setattr(auth, "machine_now", lambda: machine_now() + timedelta(minutes=1))
    with pytest.raises(NotAuthenticated):
        await verifier.verify(token)


async def test_sessions_outlive_a_directory_that_is_down(clock: list[float]) -> None:
    directory = Directory(KEY)
    verifier = TokenVerifier(directory.fetch)
    await verifier.verify(sign(claims()))
    directory.up = False
    clock[0] += 100_000
    assert (await verifier.verify(sign(claims()))).has("hr")


async def test_without_any_keys_the_answer_is_unavailable_until_directory_is_there(clock: list[float]) -> None:
    directory = Directory(KEY)
    directory.up = False
    verifier = TokenVerifier(directory.fetch)
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            await verifier.verify(sign(claims()))
    assert directory.asked == 1
    directory.up = True
    clock[0] += 1
    assert (await verifier.verify(sign(claims()))).has("hr")


async def test_a_new_key_is_looked_for_once_in_a_few_seconds(clock: list[float]) -> None:
    old, new = new_key(), new_key()
    directory = Directory(old)
    verifier = TokenVerifier(directory.fetch)
    await verifier.verify(sign(claims(), old))
    directory.keys = [old, new]
    clock[0] += 6
    assert (await verifier.verify(sign(claims(), new))).has("hr")
    for _ in range(10):
        with pytest.raises(NotAuthenticated):
            await verifier.verify(sign(claims(), new_key()))
    assert directory.asked == 2


async def test_a_key_that_was_withdrawn_is_worth_nothing(clock: list[float]) -> None:
    old, new = new_key(), new_key()
    directory = Directory(old)
    verifier = TokenVerifier(directory.fetch)
    token = sign(claims(), old)
    await verifier.verify(token)
    directory.keys = [new]
    clock[0] += 6
    await verifier.verify(sign(claims(), new))
    with pytest.raises(NotAuthenticated):
        await verifier.verify(token)


@pytest.mark.parametrize("answer", [{}, {"keys": "none"}, {"keys": [{"kty": "???"}]}, [], {"keys": [5]}])
async def test_a_key_set_that_is_none_counts_as_down(answer: object) -> None:
    async def fetch() -> dict[str, object]:
        return answer  # type: ignore[return-value]  # what a broken directory may send

    with pytest.raises((KeysUnavailable, NotAuthenticated)):
        await TokenVerifier(fetch).verify(sign(claims()))
