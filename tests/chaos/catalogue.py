"""Every service that a run may host: the two made for it, and the real ones."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from chassis.service import Service
from chassis.settings import InstallationSettings
from chassis.testing import PASSWORD
from tests.chaos import papers


def make(
    name: str, installation: InstallationSettings, port: int, given: Mapping[str, object] | None = None, *, api: bool
) -> Service:
    """A service by its name; ``port`` is that of its API or, without one, of its health; ``given``: own settings."""
    if name in {"clerk", "archive"}:
        return papers.build(name, installation, port, api=api)
    main: Any = importlib.import_module(f"services.{name}.main")
    where = {"port": port} if api else {"health_port": port}
    settings = main.SETTINGS(installation=installation, database_password=PASSWORD, **where, **(given or {}))
    service: Service = main.build(settings)
    return service
