"""Databases and topics: migrate, topics, relay rebase, consumer rebase, republish."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.table import Table

from taiwa.cli.application import JsonOption, StateOption, app, console, print_json
from taiwa.cli.environment import Operated, at_terminal, operated, service_password
from taiwa.cli.messages import name_of
from taiwa.mendable import Mendable
from taiwa.services import SERVICES, WITH_CLOCK, make_topics, migrations_of, require_known
from taiwa_contracts.topics import TOPICS, Topic

if TYPE_CHECKING:
    from chassis.repair import Forgotten
    from chassis.restored import Published

T = TypeVar("T")

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

LOST_SHOWN = 30
"""Lost facts that are shown at the terminal; JSON has all."""


@relay.callback()
def _group() -> None:
    """Keep ``rebase`` a command of its own although it is the only one."""


def topics_of(service: str) -> list[Topic]:
    """Return the topics a service publishes to."""
    return [topic for topic in TOPICS if topic.name.startswith(f"{service}.")]


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


consumer = typer.Typer(help="The consumer of a service: from Kafka to its database.", no_args_is_help=True)
app.add_typer(consumer, name="consumer")


@consumer.callback()
def _consumer_group() -> None:
    """Keep ``rebase`` a command of its own although it is the only one."""


@consumer.command("rebase")
def consumer_rebase(
    service: str,
    state: StateOption,
    *,
    act: Annotated[
        bool, typer.Option("--act", help="Act on those records again: mails of that stretch are sent a second time.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, change nothing.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make a consumer go on whose database was restored from an earlier time.

    Records that it dealt with since are copied again, so that its projections are right, and not acted upon a second
    time: what its reactions had written themselves since is not in the restored database, and does not come back.
    """
    require_known(service)
    where = operated(state)

    async def work() -> list[Forgotten]:
        from chassis.repair import consumer_rebase as rebase  # noqa: PLC0415 - see above

        return await rebase(
            where.require_admin(), where.settings, service, act=act, dry_run=dry_run, by=at_terminal(), reason=reason
        )

    forgotten = _repaired(work())
    if as_json:
        print_json({"service": service, "changed": not dry_run, "acts": act, "forgotten": list(map(asdict, forgotten))})
        return
    if not forgotten:
        console.print(f"The database of {service} knows of everything that Kafka was told; nothing to do.")
        return
    for it in forgotten:
        console.print(f"  {it.topic}-{it.partition}: offsets {it.since} to {it.until - 1}", highlight=False)
    are, what = "would be" if dry_run else "are", "acted upon again" if act else "copied and not acted upon"
    many = sum(it.until - it.since for it in forgotten)
    console.print(f"{many} records that {service} dealt with before {are} {what}.", highlight=False)


@app.command()
def republish(
    state: StateOption,
    services: Annotated[list[str] | None, typer.Argument(metavar="SERVICE…", help="Whose topics.")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="The topics of all services.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a service's topics anew and publish its whole event log again. Asks first.

    After Kafka was lost (--all), or the service's database was restored from an earlier time. Nobody is notified twice.
    """
    chosen = [name for name in SERVICES if topics_of(name)] if every else services or []
    for name in chosen:
        require_known(name)
        if not topics_of(name):
            raise Mendable(f"{name} publishes nothing.", "Choose a service with topics: see `taiwa contracts --help`")
    if not chosen:
        raise Mendable("No service is named.", "Name one, or all: taiwa republish --all")
    where = operated(state)
    names = ", ".join(topic.name for name in chosen for topic in topics_of(name))
    sure = dry_run or yes or typer.confirm(f"Delete {names} in Kafka and publish them again from the event logs?")
    if not sure:
        console.print("Nothing was changed.")
        raise typer.Exit(1)
    found = _repaired(_republished(where, chosen, dry_run=dry_run))
    if as_json:
        print_json([_republished_as_json(name, it) for name, it in found.items()])
        return
    for name, it in found.items():
        _tell_republished(name, it, dry_run=dry_run)


async def _republished(where: Operated, services: list[str], *, dry_run: bool) -> dict[str, Published]:
    from chassis import restored  # noqa: PLC0415 - see above
    from chassis.topics import TopicSpec  # noqa: PLC0415 - see above

    done = {}
    for name in services:
        specs = [TopicSpec(topic.name, topic.compacted) for topic in topics_of(name)]
        given = (where.require_admin(), where.settings, name, specs)
        if dry_run:
            done[name] = await restored.would_publish_again(*given)
        else:
            done[name] = await restored.publish_again(*given, WITH_CLOCK, by=at_terminal(), reason="taiwa republish")
    return done


def _republished_as_json(service: str, it: Published) -> dict[str, object]:
    return {
        "service": service,
        "topics": [topic.name for topic in topics_of(service)],
        "events": it.events,
        "lost": [asdict(fact) for fact in it.lost],
        "went_back": dict(it.went_back),
    }


def _tell_republished(service: str, it: Published, *, dry_run: bool) -> None:
    are = "would be" if dry_run else "are"
    names = ", ".join(topic.name for topic in topics_of(service))
    console.print(f"{names}: {it.events} events {are} published again.", highlight=False)
    if not it.lost:
        return
    console.print(
        f"[red]{len(it.lost)} facts were published and are not in the log of {service}[/]: its database was restored "
        "from an earlier time. What follows from them elsewhere stays; tell whom it concerns, and enter them again:",
        highlight=False,
    )
    table = Table("Event", "Municipality", "Aggregate", "Version", "Occurred")
    for fact in it.lost[:LOST_SHOWN]:
        table.add_row(
            name_of(fact.type), fact.municipality, fact.aggregate, str(fact.version), fact.occurred_at.isoformat()
        )
    console.print(table)
    if len(it.lost) > LOST_SHOWN:
        console.print(f"… and {len(it.lost) - LOST_SHOWN} more: --json has all.")
    for consumer in it.went_back:
        console.print(f"Projections of {consumer} hold lost facts: taiwa rebuild --list, then rebuild them.")


def _repaired(work: Coroutine[None, None, T]) -> T:
    from chassis.repair import RepairError  # noqa: PLC0415 - see above

    try:
        return asyncio.run(work)
    except RepairError as fault:
        raise Mendable(f"It cannot be done: {fault}.", "Look with: taiwa doctor") from fault
