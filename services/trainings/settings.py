"""Settings of ``trainings``."""

from __future__ import annotations

from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class TrainingsSettings(ServiceSettings):
    """Environment variables ``TAIWA_TRAININGS_*``."""

    model_config = SettingsConfigDict(env_prefix="TAIWA_TRAININGS_", extra="ignore", frozen=True)

    port: int = 8103
