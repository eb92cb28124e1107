"""The pages, one module each."""

from __future__ import annotations

from fastapi import APIRouter

from services.portal.routes import (
    accounts,
    consultations,
    coverage,
    deliveries,
    home,
    imports,
    inbox,
    integrations,
    leaders,
    live,
    nominations,
    sections,
    sessions,
    standing,
    static,
    trainings,
)

routers: tuple[APIRouter, ...] = tuple(
    module.router
    for module in (
        home,
        inbox,
        consultations,
        coverage,
        nominations,
        trainings,
        leaders,
        imports,
        accounts,
        sections,
        deliveries,
        standing,
        integrations,
        sessions,
        live,
        static,
    )
)

__all__ = ["routers"]
