"""Settings of the portal."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from chassis.settings import ServiceSettings


class PortalSettings(ServiceSettings):
    """Environment variables ``TAIWA_PORTAL_…``."""

    model_config = SettingsConfigDict(env_prefix="TAIWA_PORTAL_", extra="ignore", frozen=True)

    port: int = 8100
    directory_url: str = "http://127.0.0.1:8101"
    leaders_url: str = "http://127.0.0.1:8102"
    trainings_url: str = "http://127.0.0.1:8103"
    consultations_url: str = "http://127.0.0.1:8104"
    notifications_url: str = "http://127.0.0.1:8105"
    glance_seconds: float = Field(
        default=0.3, gt=0, le=10, description="patience with a service that gives one part of a page"
    )
    read_seconds: float = Field(default=3, gt=0, le=60, description="patience with the service a page is about")
    cookie_secure: bool = Field(default=False, description="true where the portal is reached by https")
    municipality: str = Field(default="", description="code put into the login page; empty: the visitor types it")
    contact: str = Field(default="", max_length=200, description="who helps, shown in every page's footer")
