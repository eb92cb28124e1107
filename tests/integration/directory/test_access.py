"""Accounts, passwords, tokens, roles, keys."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from chassis.auth import NotAuthenticated, TokenVerifier
from chassis.testing import MIDORI, Installation, running
from services.directory.commands.administrators import CreateAdmin, create_admin
from services.directory.commands.signing import RETIRED_AFTER, Signer, SigningKeyMissing, new_key, read_key
from services.directory.domain.access import FAILURES_ALLOWED
from services.directory.main import build
from tests.integration.directory.town import PASSWORD, Town, refused

X25519 = '{"kty":"OKP","crv":"X25519","x":"t5G3qFG7oVZCR9_m0acAcDXudvbn55zM1-bVv2HEMDw"}'


async def _log_in(town: Town, login: str = "admin", password: str = PASSWORD, **more: str) -> Any:
    body = {"municipality": MIDORI, "login": login, "password": password, **more}
    return await town.it.client().post("/tokens", json=body)


@pytest.fixture
async def admitted(town: Town) -> Town:
    """The administrator has chosen a password."""
    answer = await town.it.client().post("/passwords", json={"link_token": town.link.link_token, "password": PASSWORD})
    assert answer.status_code == 204, answer.text
    return town


async def test_a_token_opens_every_door_that_trusts_the_key_set(admitted: Town) -> None:
    answer = await _log_in(admitted, " ＡＤＭＩＮ ")
    assert answer.status_code == 200, answer.text
    tokens = answer.json()
    assert (tokens["token_type"], tokens["expires_in"], tokens["roles"]) == ("Bearer", 300, ["admin", "staff"])
    assert tokens["person"]["name"] == "髙木 桜"
    assert tokens["municipality"] == {"code": MIDORI, "name": "みどり町", "fictional": True}
    assert answer.headers["Cache-Control"] == "no-store"

    async def fetch() -> dict[str, object]:
        keys: dict[str, object] = (await admitted.it.client().get("/.well-known/jwks.json")).json()
        return keys

    caller = await TokenVerifier(fetch).verify(tokens["access_token"])
    assert caller.person_id == UUID(tokens["person"]["person_id"])
    assert caller.section_id == UUID(tokens["person"]["section_id"])
    me = await admitted.it.client(token=tokens["access_token"]).get("/me")
    assert me.json()["roles"] == ["admin", "staff"]


async def test_the_key_set_shows_no_private_part(admitted: Town) -> None:
    (key,) = (await admitted.it.client().get("/.well-known/jwks.json")).json()["keys"]
    assert {"kid", "x", "crv", "kty"} <= set(key)
    assert "d" not in key


async def test_a_link_works_once(admitted: Town) -> None:
    body = {"link_token": admitted.link.link_token, "password": PASSWORD}
    refused(await admitted.it.client().post("/passwords", json=body), 422, "directory.link_invalid")
    refused(await admitted.it.client().post("/passwords", json={**body, "link_token": "zz"}), 422, "request.invalid")
    refused(
        await admitted.it.client().post("/passwords", json={**body, "link_token": "0.0"}), 422, "directory.link_invalid"
    )


async def test_an_easy_password_is_refused_and_the_link_stays(town: Town) -> None:
    body = {"link_token": town.link.link_token}
    for password in ("short", "xx-ADMIN-xx-1"):
        answer = await town.it.client().post("/passwords", json={**body, "password": password})
        assert [error["field"] for error in refused(answer, 422, "request.invalid")["errors"]] == ["password"]
    answer = await town.it.client().post("/passwords", json={**body, "password": PASSWORD})
    assert answer.status_code == 204


async def test_five_failures_lock_a_login_whether_or_not_it_exists(admitted: Town) -> None:
    for login in ("admin", "nobody"):
        for _ in range(FAILURES_ALLOWED - 1):
            refused(await _log_in(admitted, login, "wrong"), 401, "directory.login_refused")
        refused(await _log_in(admitted, login, "wrong"), 429, "directory.login_locked")
        refused(await _log_in(admitted, login, PASSWORD), 429, "directory.login_locked")


async def test_an_administrator_unlocks_a_login(admitted: Town) -> None:
    for _ in range(FAILURES_ALLOWED):
        await _log_in(admitted, password="wrong")
    admin = admitted.client("admin")
    (account,) = (await admin.get("/accounts")).json()["items"]
    assert account["failures_lock_until"] is not None
    assert (await admin.post(f"/accounts/{account['account_id']}/unlock")).status_code == 204
    assert (await _log_in(admitted)).status_code == 200


async def test_a_malformed_municipality_code_is_refused(admitted: Town) -> None:
    for code in ("99999", "999998", "99999x", ""):
        problem = refused(await _log_in(admitted, municipality=code), 422, "request.invalid")
        assert [error["field"] for error in problem["errors"]] == ["municipality"]


async def test_a_town_with_a_malformed_code_is_not_registered(town: Town) -> None:
    with pytest.raises(ValueError, match="should be 7"):
        await create_admin(town.it.database, CreateAdmin("999998", "まちがい町", "マチガイマチ"))


async def test_a_refresh_token_is_replaced_at_each_use(admitted: Town) -> None:
    first = (await _log_in(admitted)).json()["refresh_token"]
    client = admitted.it.client()
    second = await client.post("/tokens/refresh", json={"refresh_token": first})
    assert second.status_code == 200, second.text
    assert second.json()["refresh_token"] != first
    # Two requests of one browser at once are no theft.
    assert (await client.post("/tokens/refresh", json={"refresh_token": first})).status_code == 200


async def test_a_stolen_refresh_token_ends_the_session(admitted: Town) -> None:
    first = (await _log_in(admitted)).json()["refresh_token"]
    client = admitted.it.client()
    second = (await client.post("/tokens/refresh", json={"refresh_token": first})).json()["refresh_token"]
    async with admitted.it.worker.scoped("*") as connection:
        await connection.execute("UPDATE refresh_tokens SET rotated_at = rotated_at - interval '5 minutes'")
    refused(await client.post("/tokens/refresh", json={"refresh_token": first}), 401, "directory.session_ended")
    refused(await client.post("/tokens/refresh", json={"refresh_token": second}), 401, "directory.session_ended")


async def test_who_logs_out_cannot_go_on(admitted: Town) -> None:
    token = (await _log_in(admitted)).json()["refresh_token"]
    client = admitted.it.client()
    assert (await client.post("/tokens/revocation", json={"refresh_token": token})).status_code == 204
    assert (await client.post("/tokens/revocation", json={"refresh_token": token})).status_code == 204
    refused(await client.post("/tokens/refresh", json={"refresh_token": token}), 401, "directory.session_ended")


async def _open(town: Town, number: str, login: str, key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"person_id": (await town.person(number))["person_id"], "login": login}
    return await town.client("admin").post("/accounts", json=body, headers=headers)


async def test_an_account_is_opened_and_its_link_is_stored_nowhere(admitted: Town) -> None:
    await admitted.settle()
    person_id = (await admitted.person("1"))["person_id"]
    admin = admitted.client("admin")
    first, repeated = [
        await admin.post(
            "/accounts", json={"person_id": person_id, "login": "t.takahashi"}, headers={"Idempotency-Key": "one"}
        )
        for _ in range(2)
    ]
    assert (first.status_code, first.json()) == (201, repeated.json())
    token = first.json()["link_token"]
    async with admitted.it.worker.scoped("*") as connection:
        stored = await connection.fetchval("SELECT string_agg(body, '') FROM idempotency_keys")
        assert token not in stored
        hashes = await connection.fetch("SELECT token_hash FROM one_time_links")
    assert token.encode() not in [row["token_hash"] for row in hashes]
    body = {"link_token": token, "password": PASSWORD}
    assert (await admitted.it.client().post("/passwords", json=body)).status_code == 204
    assert (await _log_in(admitted, "T.Takahashi")).json()["person"]["name"] == "髙橋 一郎"


async def test_a_login_and_a_person_have_one_account(admitted: Town) -> None:
    await admitted.settle()
    assert (await _open(admitted, "1", "taka")).status_code == 201
    refused(await _open(admitted, "1", "other"), 409, "directory.account_exists")
    refused(await _open(admitted, "2", "TAKA"), 409, "directory.login_taken")


async def test_of_two_who_take_a_login_at_once_one_gets_it(admitted: Town) -> None:
    await admitted.settle()
    answers = await asyncio.gather(*(_open(admitted, number, "taka") for number in ("1", "2", "3")))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]


async def test_a_new_link_makes_the_old_one_useless(admitted: Town) -> None:
    await admitted.settle()
    opened = (await _open(admitted, "1", "taka")).json()
    answer = await admitted.client("admin").post(f"/accounts/{opened['account_id']}/links")
    assert answer.status_code == 201
    client = admitted.it.client()
    old = {"link_token": opened["link_token"], "password": PASSWORD}
    refused(await client.post("/passwords", json=old), 422, "directory.link_invalid")
    new = {"link_token": answer.json()["link_token"], "password": PASSWORD}
    assert (await client.post("/passwords", json=new)).status_code == 204


async def test_a_locked_account_gets_no_token(admitted: Town) -> None:
    await admitted.settle()
    opened = (await _open(admitted, "1", "taka")).json()
    await admitted.it.client().post("/passwords", json={"link_token": opened["link_token"], "password": PASSWORD})
    session = (await _log_in(admitted, "taka")).json()["refresh_token"]
    assert (await admitted.client("admin").post(f"/accounts/{opened['account_id']}/lock")).status_code == 204
    refused(await _log_in(admitted, "taka"), 401, "directory.login_refused")
    answer = await admitted.it.client().post("/tokens/refresh", json={"refresh_token": session})
    refused(answer, 401, "directory.session_ended")


async def test_who_has_left_gets_no_token(admitted: Town) -> None:
    await admitted.settle()
    opened = (await _open(admitted, "1", "taka")).json()
    await admitted.it.client().post("/passwords", json={"link_token": opened["link_token"], "password": PASSWORD})
    tokens = (await _log_in(admitted, "taka")).json()
    leaving = {"person_id": tokens["person"]["person_id"], "effective_from": "2026-04-13"}
    assert (await admitted.client("hr").post("/departures", json=leaving)).status_code == 201
    refused(await _log_in(admitted, "taka"), 401, "directory.login_refused")
    session = {"refresh_token": tokens["refresh_token"]}
    refused(await admitted.it.client().post("/tokens/refresh", json=session), 401, "directory.session_ended")
    refused(await admitted.it.client(token=tokens["access_token"]).get("/me"), 401, "auth.not_authenticated")


async def test_roles_follow_grants_and_the_seat(admitted: Town) -> None:
    await admitted.settle()
    opened = (await _open(admitted, "1", "taka")).json()
    await admitted.it.client().post("/passwords", json={"link_token": opened["link_token"], "password": PASSWORD})
    person, road = await admitted.person("1"), await admitted.section("1110")
    admin = admitted.client("admin")
    body = {"person_id": person["person_id"], "role": "hr"}
    assert (await admin.post("/roles", json=body)).status_code == 204
    assert (await admin.post("/roles", json=body)).status_code == 204
    seat = {"person_id": person["person_id"]}
    await admitted.client("hr").put(f"/sections/{road['section_id']}/head", json=seat)
    assert (await _log_in(admitted, "taka")).json()["roles"] == ["hr", "section_head", "staff"]
    assert (await admin.post("/roles/revocations", json=body)).status_code == 204
    await admitted.client("hr").put(f"/sections/{road['section_id']}/head", json={"person_id": None})
    assert (await _log_in(admitted, "taka")).json()["roles"] == ["staff"]
    facts = [(fact.type, fact.version) for fact in await admitted.facts() if fact.aggregate.endswith(":hr")]
    assert facts == [("role-granted", 1), ("role-revoked", 2)]


async def test_roles_that_follow_from_facts_are_not_granted(admitted: Town) -> None:
    person = (await admitted.client().get("/people")).json()["items"][0]
    for role in ("leader", "section_head", "staff", "king"):
        answer = await admitted.client("admin").post("/roles", json={"person_id": person["person_id"], "role": role})
        refused(answer, 422, "directory.role_follows")


async def test_the_last_administrator_stays_one(admitted: Town) -> None:
    admin = admitted.client("admin")
    (account,) = (await admin.get("/accounts")).json()["items"]
    body = {"person_id": account["person_id"], "role": "admin"}
    refused(await admin.post("/roles/revocations", json=body), 409, "directory.last_administrator")
    answer = await admin.post(f"/accounts/{account['account_id']}/lock")
    refused(answer, 409, "directory.last_administrator")


async def test_only_administrators_see_accounts_and_roles(admitted: Town) -> None:
    for path in ("/accounts", "/roles"):
        for role in ("staff", "hr", "it_policy", "section_head", "executive"):
            refused(await admitted.client(role).get(path), 403, "auth.forbidden")
        assert (await admitted.client("admin").get(path)).status_code == 200


async def test_tokens_signed_before_a_rotation_stay_valid_until_the_key_is_retired(admitted: Town) -> None:
    old = (await _log_in(admitted)).json()["access_token"]
    answer = await admitted.it.client(token=old).post("/signing-keys/rotation")
    assert answer.status_code == 200, answer.text
    keys = (await admitted.it.client().get("/.well-known/jwks.json")).json()["keys"]
    assert keys[0]["kid"] == answer.json()["key_id"]
    assert len(keys) == 2
    new = (await _log_in(admitted)).json()["access_token"]

    async def fetch() -> dict[str, object]:
        fetched: dict[str, object] = (await admitted.it.client().get("/.well-known/jwks.json")).json()
        return fetched

    for token in (old, new):
        assert (await TokenVerifier(fetch).verify(token)).municipality == MIDORI
    async with admitted.it.database.scoped("000000") as connection:
        await connection.execute("UPDATE signing_keys SET retired_at = retired_at - $1::interval", RETIRED_AFTER)
    with pytest.raises(NotAuthenticated):
        await TokenVerifier(fetch).verify(old)
    assert (await TokenVerifier(fetch).verify(new)).municipality == MIDORI


async def test_a_rotation_that_is_repeated_makes_one_key(admitted: Town) -> None:
    admin, key = admitted.client("admin"), {"Idempotency-Key": "rotate"}
    first, again = [await admin.post("/signing-keys/rotation", headers=key) for _ in range(2)]
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
    assert len((await admitted.it.client().get("/.well-known/jwks.json")).json()["keys"]) == 2


async def test_the_worker_cannot_read_private_keys(admitted: Town) -> None:
    await admitted.it.client().get("/.well-known/jwks.json")
    async with admitted.it.worker.scoped("*") as connection:
        assert not await connection.fetchval("SELECT has_table_privilege(current_user, 'signing_keys', 'SELECT')")


async def test_the_operators_key_signs_and_is_not_stored(installation: Installation) -> None:
    key = json.dumps(new_key().as_dict(private=True))
    async with running(build, installation, roles=("api",), settings={"signing_key": key}) as it:
        (shown,) = (await it.client().get("/.well-known/jwks.json")).json()["keys"]
        assert shown["x"] == json.loads(key)["x"]
        async with it.database.reading("000000") as connection:
            assert await connection.fetchval("SELECT bool_and(private_key IS NULL) FROM signing_keys")
        refused(await it.client(it.caller("admin")).post("/signing-keys/rotation"), 409, "directory.signing_key_given")


async def test_production_without_a_key_issues_nothing(town: Town) -> None:
    with pytest.raises(SigningKeyMissing):
        await Signer(None, may_generate=False).key(town.it.database)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "no json",
        '{"kty":"oct","k":"eHh4"}',
        X25519,
    ],
)
def test_a_key_that_is_none_is_refused_at_the_start(text: str) -> None:

    with pytest.raises(ValueError, match="TAIWA_DIRECTORY_SIGNING_KEY"):
        read_key(text)


async def test_the_command_line_can_replace_a_lost_first_link(town: Town) -> None:
    before = len(await town.facts())
    again = await create_admin(town.it.database, town.admin)
    assert len(await town.facts()) == before
    body = {"link_token": town.link.link_token, "password": PASSWORD}
    refused(await town.it.client().post("/passwords", json=body), 422, "directory.link_invalid")
    answer = await town.it.client().post("/passwords", json={**body, "link_token": again.link_token})
    assert answer.status_code == 204
