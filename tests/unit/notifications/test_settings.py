from __future__ import annotations

import pytest

from services.notifications.settings import NotificationsSettings


def settings(**given: object) -> NotificationsSettings:
    return NotificationsSettings(database_password="x", **given)  # type: ignore[arg-type]  # what pydantic takes


def test_a_password_is_not_sent_readable_over_a_network() -> None:
    with pytest.raises(ValueError, match="STARTTLS=required"):
        settings(smtp_host="mail.town.example", smtp_user="taiwa", smtp_password="secret")
    assert settings(
        smtp_host="mail.town.example", smtp_user="taiwa", smtp_password="secret", smtp_starttls="required"
    ).smtp_user
    assert settings(smtp_host="127.0.0.1", smtp_user="taiwa", smtp_password="secret").smtp_user


def test_user_and_password_come_together() -> None:
    with pytest.raises(ValueError, match="together"):
        settings(smtp_user="taiwa")


def test_a_sender_is_one_address() -> None:
    with pytest.raises(ValueError, match="mail_from"):
        settings(mail_from="taiwa@town.example\r\nBcc: everybody@town.example")
