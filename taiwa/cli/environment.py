"""Where a command finds the installation it works on: the variables of its environment, or a running embedded one."""

from __future__ import annotations

import getpass
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from chassis.operations.acts import Operator
from chassis.settings import InstallationSettings, Settings
from taiwa.local.environment import Kind, variables
from taiwa.local.state import State
from taiwa.mendable import Mendable

if TYPE_CHECKING:
    from chassis.transaction import Connection


class OperatorSettings(Settings):
    """What the operator's commands need beside the installation's settings (prefix ``TAIWA_``)."""

    model_config = SettingsConfigDict(env_prefix="TAIWA_", extra="ignore", frozen=True)

    postgres_admin_user: str = "postgres"
    postgres_admin_password: SecretStr | None = Field(default=None, description="of a role that may create databases")


@dataclass(frozen=True, slots=True)
class Operated:
    """The installation a command works on. ``admin_url`` is a superuser's, ``None`` where no password was given.

    ``data``: the folder of an embedded installation.
    """

    settings: InstallationSettings
    admin_url: str | None
    data: Path | None = None

    def require_admin(self) -> str:
        """Return the superuser's URL.

        Raises:
            Mendable: none is known.
        """
        if self.admin_url is None:
            raise Mendable(
                "This command needs PostgreSQL's administrator.",
                "Set TAIWA_POSTGRES_ADMIN_PASSWORD_FILE (and TAIWA_POSTGRES_ADMIN_USER where it is not postgres).",
            )
        return self.admin_url


def operated(state: Path) -> Operated:
    """Find the installation.

    The environment wins where it names Kafka or PostgreSQL (containers, servers); otherwise it is the embedded
    installation that runs in ``state``, whose variables are put into this process's environment.

    Raises:
        Mendable: neither is there.
    """
    # Each command says in its own words what does not answer.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    data = None
    if not {"TAIWA_KAFKA", "TAIWA_POSTGRES_HOST", "TAIWA_POSTGRES_PORT"} & os.environ.keys():
        folder = State(state)
        run = folder.run()
        if run is None or not run.supervisor.alive():
            raise Mendable(
                f"Nothing runs in {folder.root}, and TAIWA_KAFKA and TAIWA_POSTGRES_HOST are not set.",
                "Start it with `taiwa demo` or `taiwa up`, name its folder with --state, or set those variables.",
            )
        data = folder.root
        kind: Kind = "demo" if folder.notes().get("kind") == "demo" else "production"
        os.environ.update(variables(folder, run.ports, kind))
    installation = InstallationSettings()
    operator = OperatorSettings()
    password = operator.postgres_admin_password
    admin_url = None
    if password is not None:
        credentials = f"{quote(operator.postgres_admin_user)}:{quote(password.get_secret_value(), safe='')}"
        admin_url = f"postgresql://{credentials}@{installation.postgres_host}:{installation.postgres_port}/postgres"
    return Operated(installation, admin_url, data)


class ServicePassword(Settings):
    """A service's database password, for operators (prefix ``TAIWA_<SERVICE>_``)."""

    database_password: SecretStr


def service_password(service: str) -> str:
    """Return the password of a service's database roles.

    Raises:
        Mendable: it is not set.
    """
    prefix = f"TAIWA_{service.upper()}_"

    class Own(ServicePassword):
        model_config = SettingsConfigDict(env_prefix=prefix, extra="ignore", frozen=True)

    try:
        return Own().database_password.get_secret_value()
    except ValueError as fault:
        raise Mendable(
            f"The database password of {service} is not known.", f"Set {prefix}DATABASE_PASSWORD_FILE."
        ) from fault


def at_terminal() -> Operator:
    """Tell who acts, for the record: ``TAIWA_OPERATOR``, or the account and the machine."""
    name = os.environ.get("TAIWA_OPERATOR")
    if not name:
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # a container's user may have no name
            name = str(os.geteuid())
        name = f"{name}@{socket.gethostname()}"
    return Operator("operator", name)


@asynccontextmanager
async def worker_connection(settings: InstallationSettings, service: str) -> AsyncIterator[Connection]:
    """Give a service's worker, in one transaction over all municipalities; committed at the end.

    Raises:
        Mendable: its password is not set.
    """
    from chassis.database import ALL_MUNICIPALITIES, Database  # noqa: PLC0415 - other commands spare these imports

    database = await Database.connect(settings, service, "worker", service_password(service), 1)
    try:
        async with database.scoped(ALL_MUNICIPALITIES) as connection:
            yield connection
    finally:
        await database.close()
