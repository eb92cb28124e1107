"""The services of this installation: the one list that the command, the supervisor and the demo go by."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import services
from taiwa.mendable import Mendable
from taiwa_contracts.topics import TOPICS

if TYPE_CHECKING:
    from chassis.service import Service
    from chassis.settings import InstallationSettings

SERVICES = ("directory", "leaders", "trainings", "consultations", "notifications", "portal")
"""In the order in which a person would explain them."""

WITH_CLOCK = tuple(name for name in SERVICES if name != "portal")
"""Those that live by the town's clock and hear of it; the portal holds no facts."""


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


async def make_topics(installation: InstallationSettings) -> list[str]:
    """Create every topic of the contracts that is missing, verify the others, and give the names of those made.

    Raises:
        Mendable: Kafka does not answer, or a topic is not as declared.
    """
    from chassis.topics import TopicSpec, ensure_topics, verify_topics  # noqa: PLC0415 - half a second of imports

    specs = [TopicSpec(topic.name, topic.compacted) for topic in TOPICS]
    try:
        made = await ensure_topics(installation, specs)
        problems = await verify_topics(installation, specs)
    except (OSError, RuntimeError) as fault:  # every fault of the Kafka client is a RuntimeError
        raise Mendable(
            f"Kafka at {installation.kafka} does not answer: {fault}", "Start it, or correct TAIWA_KAFKA."
        ) from fault
    if problems:
        raise Mendable(f"Kafka's topics are not as declared: {'; '.join(problems)}", "Set what is named, then go on.")
    return made


def migrations_of(service: str) -> Path:
    """Return the folder of a service's migrations."""
    return Path(next(iter(services.__path__))) / service / "migrations"
