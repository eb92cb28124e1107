"""Settings of ``notifications``."""

from __future__ import annotations

import ipaddress
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class NotificationsSettings(ServiceSettings):
    """Environment variables ``TAIWA_NOTIFICATIONS_*``."""

    model_config = SettingsConfigDict(env_prefix="TAIWA_NOTIFICATIONS_", extra="ignore", frozen=True)

    port: int = 8105
    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(default=1025, ge=1, le=65535)
    smtp_starttls: Literal["auto", "required", "never"] = Field(
        default="auto", description="auto: when the server offers it"
    )
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_timeout: float = Field(default=10, gt=0, le=30, description="seconds a step with the server may take")
    mail_from: str = Field(default="taiwa@localhost", pattern=r"^[!-?A-~]+@[!-?A-~]+$", description="sender's address")

    @model_validator(mode="after")
    def _password_travels_hidden(self) -> Self:
        """A password never travels readable over a network.

        Raises:
            ValueError: with the setting that mends it.
        """
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError("set TAIWA_NOTIFICATIONS_SMTP_USER and TAIWA_NOTIFICATIONS_SMTP_PASSWORD together")
        if self.smtp_user is not None and self.smtp_starttls != "required" and not _is_loopback(self.smtp_host):
            raise ValueError("with TAIWA_NOTIFICATIONS_SMTP_USER set TAIWA_NOTIFICATIONS_SMTP_STARTTLS=required")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
