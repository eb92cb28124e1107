"""A service's README says what its code does: five tables, compared with what ``main.build`` wires.

``## Owns`` tables, ``## Emits`` and ``## Reacts to`` events (class name or CloudEvents type), ``## Endpoints``
(``GET /path``), ``## Settings`` (environment variables). The first column of each table holds the name in backticks. A
table that is not checked is wrong after the second change.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings
from starlette.routing import Route

from chassis.service import Service
from taiwa_contracts.catalogue import BY_TYPE
from tests.architecture.shape import service_folders

GIVEN_BY_CHASSIS = {"GET /work-items", "GET /health", "GET /health/live", "GET /health/ready", "GET /metrics"}
"""Every service has them; a README may list them."""

CREATED = re.compile(r"^\s*CREATE TABLE (?:IF NOT EXISTS )?(\w+)(?! PARTITION OF)", re.MULTILINE | re.IGNORECASE)
ROW = re.compile(r"^\|\s*`([^`]+)`", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Wired:
    """What a service really has, by the headings of its README."""

    owns: frozenset[str]
    emits: frozenset[str]
    reacts_to: frozenset[str]
    endpoints: frozenset[str]
    settings: frozenset[str]


def readmes_say_what_is_wired(root: Path) -> list[str]:
    """Differences between the README and the code of every service below ``root``, the repository itself."""
    found = []
    for folder in service_folders(root):
        readme = folder / "README.md"
        if readme.exists() and (folder / "main.py").exists():
            text = readme.read_text(encoding="utf-8")
            found += [f"{readme.relative_to(root)}: {each}" for each in differences(text, wired(folder))]
    return found


def differences(readme: str, it: Wired) -> list[str]:
    """What the README leaves out, and what it says that is not so."""
    comparisons = [
        ("Owns", it.owns, frozenset[str]()),
        ("Emits", it.emits, frozenset[str]()),
        ("Reacts to", it.reacts_to, frozenset[str]()),
        ("Endpoints", it.endpoints, frozenset(GIVEN_BY_CHASSIS)),
        ("Settings", it.settings, frozenset[str]()),
    ]
    found = []
    for heading, real, optional in comparisons:
        said = documented(readme, heading)
        found += [f"'## {heading}' leaves out `{name}`. Add a row for it." for name in sorted(real - said)]
        found += [
            f"'## {heading}' lists `{name}`, which the code does not have. Take the row out."
            for name in sorted(said - real - optional)
        ]
    return found


def documented(readme: str, heading: str) -> set[str]:
    """The names in backticks that begin the rows of the table under a heading; events by their class name."""
    _, _, rest = f"\n{readme}".partition(f"\n## {heading}\n")
    section = rest.partition("\n## ")[0]
    return {BY_TYPE[name].__name__ if name in BY_TYPE else name for name in ROW.findall(section)}


def wired(folder: Path) -> Wired:
    """What ``services.<name>.main.build`` constructs, and what the migrations create."""
    main = importlib.import_module(f"services.{folder.name}.main")
    build: Callable[[BaseSettings], Service] = main.build
    settings: type[BaseSettings] = main.SETTINGS
    service = build(settings.model_validate(_placeholders(settings)))
    migrations = "\n".join(path.read_text(encoding="utf-8") for path in sorted((folder / "migrations").glob("*.sql")))
    return Wired(
        owns=frozenset(CREATED.findall(migrations)),
        emits=_names(service.emits),
        reacts_to=_names(service.consumes),
        endpoints=frozenset(
            f"{method} {route.path}"
            for router in service.routers
            for route in router.routes
            if isinstance(route, Route)
            for method in route.methods or ()
            if method != "HEAD"
        ),
        settings=frozenset(variables(settings)),
    )


def _names(events: Iterable[type[Any]]) -> frozenset[str]:
    return frozenset(event.__name__ for event in events)


def variables(settings: type[BaseSettings]) -> set[str]:
    """The environment variables a service reads of its own; what the installation shares is documented once."""
    prefix = settings.model_config.get("env_prefix", "")
    return {f"{prefix}{name}".upper() for name in settings.model_fields if name != "installation"}


def _placeholders(settings: type[BaseSettings]) -> dict[str, object]:
    """A value for every setting that has no default: building opens no connection, so any will do."""
    values: dict[object, object] = {int: 1, SecretStr: SecretStr("x" * 32), str: "x" * 32}
    return {
        name: values.get(field.annotation, "x" * 32)
        for name, field in settings.model_fields.items()
        if field.is_required()
    }
