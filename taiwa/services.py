"""The services of this installation: the one list that the command, the supervisor and the demo go by."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import services
from taiwa.local.mendable import Mendable
from taiwa_contracts.topics import TOPICS

if TYPE_CHECKING:
    from chassis.service import Service
    from chassis.settings import InstallationSettings

SERVICES = ("directory", "leaders", "trainings", "consultations", "notifications", "portal")
"""In the order in which a person would explain them."""


def require_known(name: str) -> None:
    """Refuse a name that is no service.

    Raises:
        Mendable: it names the services there are.
    """
    if name not in SERVICES:
        raise Mendable(f"There is no service {name}.", f"Choose one of: {', '.join(SERVICES)}")


def build(name: str) -> Service:
    """Build a service with its settings from the environment.

    Raises:
        Mendable: there is no such service, or a setting is missing or wrong.
    """
    require_known(name)
    main: Any = importlib.import_module(f"services.{name}.main")
    try:
        service: Service = main.build(main.SETTINGS())
    except ValueError as fault:
        raise Mendable(f"The settings of {name} are not complete: {fault}", "Set the named variables.") from fault
    return service


async def make_topics(installation: InstallationSettings) -> None:
    """Create every topic of the contracts that is missing and verify the others."""
    from chassis.topics import ensure_topics  # noqa: PLC0415 - the Kafka client costs half a second of imports

    await ensure_topics(installation, TOPICS)


def migrations_of(service: str) -> Path:
    """Return the folder of a service's migrations."""
    return Path(next(iter(services.__path__))) / service / "migrations"
