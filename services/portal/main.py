"""Wires the portal."""

from __future__ import annotations

from pathlib import Path

from chassis.service import Service
from services.portal.gateway import Gateway
from services.portal.pages.portal import Portal
from services.portal.pages.web import extend
from services.portal.routes import routers
from services.portal.settings import PortalSettings

SETTINGS = PortalSettings


def build(settings: PortalSettings | None = None) -> Service:
    """The portal as a service: pages instead of an API, sessions instead of facts."""
    settings = settings or PortalSettings()
    portal = Portal(
        Gateway(
            {
                "directory": settings.directory_url,
                "leaders": settings.leaders_url,
                "trainings": settings.trainings_url,
                "consultations": settings.consultations_url,
                "notifications": settings.notifications_url,
            },
            settings.glance_seconds,
            settings.read_seconds,
        ),
        simulated_clock=settings.installation.simulated_clock,
        cookie_secure=settings.cookie_secure,
        municipality=settings.municipality,
        contact=settings.contact,
    )
    return Service(
        name="portal",
        title="The pages for a town's staff",
        settings=settings,
        migrations=Path(__file__).parent / "migrations",
        routers=routers,
        resources={"portal": portal},
        extend=extend,
    )
