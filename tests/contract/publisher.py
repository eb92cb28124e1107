"""The smallest service that publishes facts of ``leaders``: the real event log and relay, without the real commands."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic_settings import SettingsConfigDict

from chassis.service import Service
from chassis.settings import ServiceSettings
from taiwa_contracts.leaders import AppointmentCorrectedV1, LeaderAppointedV1


class PublisherSettings(ServiceSettings):
    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_prefix="TAIWA_PUBLISHER_")
    port: int = 0


SETTINGS = PublisherSettings


def build(settings: PublisherSettings) -> Service:
    """A service without routes and tables of its own."""
    return Service(
        name="leaders",
        title="contract test",
        settings=settings,
        migrations=Path(__file__).parent / "migrations",
        emits=(LeaderAppointedV1, AppointmentCorrectedV1),
    )
