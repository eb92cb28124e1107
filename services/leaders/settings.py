"""Settings of ``leaders``."""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class LeadersSettings(ServiceSettings):
    """Environment variables ``TAIWA_LEADERS_*``."""

    model_config = SettingsConfigDict(env_prefix="TAIWA_LEADERS_", extra="ignore", frozen=True)

    port: int = 8102
