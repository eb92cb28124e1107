"""Databases and topics: migrate, topics, relay rebase, republish."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Annotated

import typer

from taiwa.cli.application import JsonOption, StateOption, app, console, print_json
from taiwa.cli.environment import Operated, operated, service_password
from taiwa.mendable import Mendable
from taiwa.services import SERVICES, WITH_CLOCK, make_topics, migrations_of, require_known
from taiwa_contracts.topics import TOPICS, Topic

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


relay = typer.Typer(help="The relay of a service: from its event log to Kafka.", no_args_is_help=True)
app.add_typer(relay, name="relay")


@relay.callback()
def _group() -> None:
    """Keep ``rebase`` a command of its own although it is the only one."""


def _of_service(topic: Topic, service: str) -> bool:
    return topic.name.startswith(f"{service}.")


@relay.command("rebase")
def relay_rebase(service: str, state: StateOption, *, as_json: JsonOption = False) -> None:
    """Make a relay go on after PostgreSQL was restored from a dump, or Kafka's topics were carried to another cluster.

    It publishes again what may be unpublished; consumers drop repeats.
    """
    require_known(service)
    where = operated(state)

    async def work() -> int:
        from chassis.repair import relay_rebase as rebase  # noqa: PLC0415 - other commands spare these imports

        return await rebase(where.require_admin(), where.settings, service)

    again = _repaired(work())
    if as_json:
        print_json({"service": service, "published_again": again})
        return
    console.print(f"The relay of {service} goes on; {again} events are published again.", highlight=False)


@app.command()
def republish(
    service: str,
    state: StateOption,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a service's topics anew and publish its whole event log again, after Kafka was lost. Asks first."""
    require_known(service)
    where = operated(state)
    from chassis.topics import TopicSpec  # noqa: PLC0415 - see above

    topics = [TopicSpec(topic.name, topic.compacted) for topic in TOPICS if _of_service(topic, service)]
    if not topics:
        raise Mendable(f"{service} publishes nothing.", "Choose a service with topics: see `taiwa contracts --help`")
    names = ", ".join(topic.name for topic in topics)
    if not yes and not typer.confirm(f"Delete {names} in Kafka and publish them again from the event log?"):
        console.print("Nothing was changed.")
        raise typer.Exit(1)

    async def work() -> int:
        from chassis.repair import republish as publish_again  # noqa: PLC0415 - see above

        return await publish_again(where.require_admin(), where.settings, service, topics, WITH_CLOCK)

    count = _repaired(work())
    if as_json:
        print_json({"service": service, "topics": [topic.name for topic in topics], "events": count})
        return
    console.print(f"{names}: {count} events are published again.", highlight=False)


def _repaired(work: Coroutine[None, None, int]) -> int:
    from chassis.repair import RepairError  # noqa: PLC0415 - see above

    try:
        return asyncio.run(work)
    except RepairError as fault:
        raise Mendable(f"It cannot be done: {fault}.", "Look with: taiwa doctor") from fault
