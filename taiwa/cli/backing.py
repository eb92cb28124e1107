"""Databases and topics: migrate, topics, relay rebase, republish."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from taiwa.cli.application import JsonOption, StateOption, app, console, print_json
from taiwa.cli.environment import Operated, operated, service_password
from taiwa.mendable import Mendable
from taiwa.services import SERVICES, make_topics, migrations_of, require_known

ServicesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[SERVICE]…", help="Only these; without one, all services.")
]


def _named(services: list[str] | None) -> list[str]:
    for name in services or ():
        require_known(name)
    return services or list(SERVICES)


@app.command()
def migrate(state: StateOption, services: ServicesArgument = None, *, as_json: JsonOption = False) -> None:
    """Create each service's database and roles and run its migrations; safe to run again."""
    where = operated(state)
    ran = asyncio.run(_migrate(where, _named(services)))
    if as_json:
        print_json(ran)
        return
    for name, migrations in ran.items():
        console.print(f"{name:>14}  {', '.join(migrations) or 'nothing to do'}", highlight=False)


async def _migrate(where: Operated, services: list[str]) -> dict[str, list[str]]:
    import asyncpg  # noqa: PLC0415 - other commands spare these imports

    from chassis.installation import Tenancy, install  # noqa: PLC0415 - see above
    from chassis.migrations import MigrationError  # noqa: PLC0415 - as above

    ran = {}
    for name in services:
        tenancy = Tenancy(name, service_password(name), migrations_of(name))
        try:
            ran[name] = await install(where.require_admin(), where.settings, tenancy)
        except MigrationError as fault:
            raise Mendable(f"{name}: {fault}", "Nothing of that migration stays; mend it and run again.") from fault
        except (OSError, asyncpg.PostgresError) as fault:
            place = f"{where.settings.postgres_host}:{where.settings.postgres_port}"
            raise Mendable(
                f"PostgreSQL at {place} refuses: {fault}", "Check TAIWA_POSTGRES_HOST, _PORT and the admin's password."
            ) from fault
    return ran


@app.command()
def topics(state: StateOption, *, as_json: JsonOption = False) -> None:
    """Create the topics that are missing and verify the others; safe to run again."""
    made = asyncio.run(make_topics(operated(state).settings))
    if as_json:
        print_json(made)
        return
    console.print(f"Made: {', '.join(made)}" if made else "All topics are there, as declared.", highlight=False)
