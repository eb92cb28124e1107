"""``taiwa serve``: any set of services and roles in one process."""

from __future__ import annotations

from typing import Annotated

import typer

from taiwa.cli.application import app
from taiwa.mendable import Mendable
from taiwa.services import SERVICES, build


@app.command("serve")
def serve_command(
    services: Annotated[list[str], typer.Argument(metavar="SERVICE[:ROLE]…", help=f"Services: {', '.join(SERVICES)}.")],
) -> None:
    """Run services in this process, each in all its roles or in those named (`leaders:api leaders:relay`)."""
    from chassis.serve import ROLES, ServeError, run  # noqa: PLC0415 - costs a second of imports that no other command needs

    asked: dict[str, set[str]] = {}
    for item in services:
        name, _, role = item.partition(":")
        if role and role not in ROLES:
            raise Mendable(f"There is no role {role}.", f"Choose one of: {', '.join(ROLES)}")
        asked.setdefault(name, set()).update({role} if role else ROLES)
    try:
        run([(build(name), roles) for name, roles in asked.items()])
    except ServeError as error:
        raise Mendable(error.problem, error.mend) from error
