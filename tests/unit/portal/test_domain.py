"""Sessions: how long they live, whose forms and cookies count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.portal import domain
from services.portal.repository import seal, unseal

NOW = datetime(2026, 6, 10, 1, 0, tzinfo=UTC)
SECRET = "s" * 43
GRANT: dict[str, Any] = {
    "access_token": "a",
    "refresh_token": "r",
    "expires_in": 300,
    "roles": ["staff", "hr"],
    "person": {"person_id": "1", "name": "齋藤 ことね", "section_id": "2", "section_name": "総務課", "post": "主査"},
    "municipality": {"code": "999997", "name": "みどり町", "fictional": True},
}


def session(*, opened: timedelta = timedelta(0), seen: timedelta = timedelta(0)) -> domain.Session:
    return domain.Session("999997", SECRET, domain.Identity.from_grant(GRANT, NOW), NOW - opened, NOW - seen)


def test_a_session_ends_after_eight_idle_hours() -> None:
    assert not session(opened=timedelta(hours=9), seen=timedelta(hours=7, minutes=59)).is_over(NOW)
    assert session(opened=timedelta(hours=9), seen=timedelta(hours=8)).is_over(NOW)


def test_a_session_ends_after_twelve_hours_whatever_happens() -> None:
    assert session(opened=timedelta(hours=12)).is_over(NOW)


def test_tokens_are_renewed_after_a_minute_and_valid_until_they_expire() -> None:
    tokens = session().identity.tokens
    assert tokens.is_fresh(NOW + timedelta(seconds=59))
    assert not tokens.is_fresh(NOW + timedelta(seconds=60))
    assert tokens.is_valid(NOW + timedelta(seconds=290))
    assert not tokens.is_valid(NOW + timedelta(seconds=296))


def test_a_form_belongs_to_its_session() -> None:
    assert domain.is_own_form(SECRET, domain.form_token(SECRET))
    assert not domain.is_own_form(SECRET, domain.form_token("t" * 43))
    assert not domain.is_own_form(SECRET, "")
    assert not domain.is_own_form(SECRET, "あ")


def test_a_cookie_names_a_real_municipality() -> None:
    assert domain.read_cookie(session().cookie) == ("999997", SECRET)
    for foreign in ("", "999997", f"999998.{SECRET}", "999997.short", f"*.{SECRET}", f"999997.{'あ' * 43}"):
        assert domain.read_cookie(foreign) is None


def test_what_is_stored_cannot_be_read_without_the_cookie() -> None:
    sealed = seal(SECRET, b"refresh token")
    assert unseal(SECRET, sealed) == b"refresh token"
    with pytest.raises(ValueError, match="another secret"):
        unseal("t" * 43, sealed)


def test_hash_key_and_form_token_of_a_secret_tell_nothing_of_each_other() -> None:
    told = {domain.session_hash(SECRET).hex(), domain.sealing_key(SECRET).hex(), domain.form_token(SECRET)}
    assert len(told) == 3


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "/\\evil.example", "https://evil.example", "", "/logout", "/login"]
)
def test_after_login_nobody_is_led_elsewhere(wanted: str) -> None:
    assert domain.own_path(wanted) == "/"


def test_after_login_one_comes_back() -> None:
    assert domain.own_path("/coverage?year=2026") == "/coverage?year=2026"
