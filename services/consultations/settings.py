"""Settings of ``consultations``."""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class ConsultationsSettings(ServiceSettings):
    """Environment variables ``TAIWA_CONSULTATIONS_*``."""

    model_config = SettingsConfigDict(env_prefix="TAIWA_CONSULTATIONS_", extra="ignore", frozen=True)

    port: int = 8104
