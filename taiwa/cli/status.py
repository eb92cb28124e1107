"""``taiwa status``: one screen that tells what stands still, and what to run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from taiwa.cli.application import JsonOption, StateOption, app, print_json
from taiwa.cli.environment import Operated, operated, worker_connection
from taiwa.cli.fitting import relay_fits, topics_fit
from taiwa.mendable import Mendable
from taiwa.services import WITH_CLOCK
from taiwa_contracts.topics import TOPICS

if TYPE_CHECKING:
    from chassis.operations.condition import Condition, Ends, Waiting
    from chassis.operations.stops import Standing
    from chassis.settings import InstallationSettings
    from chassis.transaction import Connection

PATIENCE = 15.0
"""Seconds for each server to answer."""


@dataclass(frozen=True, slots=True)
class Told:
    """How a service is, or why nothing is known of it."""

    service: str
    condition: Condition | None
    fault: str = ""
    unfit: Mendable | None = None
    """Why its relay stands still, where its log and Kafka's topics do not belong together."""

    @property
    def late(self) -> list[str]:
        """What stands still or waits too long."""
        if self.condition is None:
            return [self.fault]
        return [*([f"its relay stands still: {self.unfit.problem}"] if self.unfit else []), *self.condition.late]


@app.command()
def status(state: StateOption, *, as_json: JsonOption = False) -> None:
    """Show what stands still, lag, dead letters and overdue timers of every service; exit code 1 where anything is."""
    kafka, told = asyncio.run(_ask(operated(state)))
    well = not kafka and not any(it.late for it in told)
    if as_json:
        print_json({"well": well, "kafka": kafka or None, "services": [_as_json(it) for it in told]})
    else:
        _show(kafka, told)
    if not well:
        raise typer.Exit(1)


async def _ask(where: Operated) -> tuple[str, list[Told]]:
    fault, ends = await _ends(where)
    return fault, [await _told(where, name, ends) for name in WITH_CLOCK]


async def _ends(where: Operated) -> tuple[str, Ends | None]:
    from chassis.tail import log_ends  # noqa: PLC0415 - the Kafka client costs half a second of imports

    try:
        async with asyncio.timeout(PATIENCE), log_ends(where.settings) as ask:
            ends = await ask([topic.name for topic in TOPICS])
        await topics_fit(where)
    except (OSError, RuntimeError, TimeoutError):  # every fault of the Kafka client is a RuntimeError
        return f"Kafka at {where.settings.kafka} does not answer; events wait in the event logs", None
    except Mendable as lack:
        return f"Kafka's topics are not as declared: {lack.problem}", ends
    return "", ends


async def _told(where: Operated, name: str, ends: Ends | None) -> Told:
    import asyncpg  # noqa: PLC0415 - as above

    from chassis.operations.condition import condition  # noqa: PLC0415 - as above

    try:
        async with asyncio.timeout(PATIENCE), worker_connection(where.settings, name) as connection:
            now = await civil_now(connection, where.settings)
            found = await condition(connection, name, civil_now=now, ends=ends)
            return Told(name, found, unfit=await _unfit(where, name) if ends else None)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        return Told(name, None, f"its database does not answer: {fault!r}")


async def _unfit(where: Operated, name: str) -> Mendable | None:
    try:
        await relay_fits(where, name)
    except Mendable as lack:
        return lack
    return None


async def civil_now(connection: Connection, settings: InstallationSettings) -> datetime:
    """The town's time as a service knows it."""
    from chassis.clocks import CivilClock, SimulatedTime  # noqa: PLC0415 - as above

    row = None
    if settings.simulated_clock:
        row = await connection.fetchrow("SELECT civil_at, machine_at FROM civil_clock")
    return CivilClock(SimulatedTime(row["civil_at"], row["machine_at"]) if row else None).now()


def _as_json(it: Told) -> dict[str, Any]:
    from chassis.operations.condition import as_json  # noqa: PLC0415 - as above

    if it.condition is None:
        return {"service": it.service, "well": False, "late": it.late}
    return {**as_json(it.condition), "well": not it.late, "late": it.late}


def _show(kafka: str, told: Sequence[Told]) -> None:
    console = Console(highlight=False)
    name = Column("Service", no_wrap=True, min_width=max(map(len, WITH_CLOCK)))
    table = Table("", name, "Unsent", "Lag", "Dead", "Held", "Retry", "Overdue", "Stops")
    for it in told:
        mark = "[red]✗[/]" if it.late else "[green]✓[/]"
        table.add_row(mark, it.service, *(_cells(it.condition) if it.condition else ["?"] * 7))
    console.print(table)
    said = [kafka, *(f"{it.service}: {late}" for it in told for late in it.late)]
    for sentence in filter(None, said):
        console.print(f"[red]✗[/] {escape(sentence)}", soft_wrap=True)
    for command in _mends(kafka, told):
        console.print(f"  [bold]Mend:[/] {escape(command)}", soft_wrap=True)
    if not any(said):
        console.print("Nothing stands still.")


def _mends(kafka: str, told: Sequence[Told]) -> list[str]:
    """The commands to run, each once. Where no service's log fits any more, Kafka itself was lost: one for all."""
    if all(_says_another(it) for it in told):
        return ["taiwa republish --all"]
    commands = ["taiwa doctor"] if kafka else []
    return list(dict.fromkeys([*commands, *(command for it in told for command in _commands(it))]))


def _says_another(it: Told) -> bool:
    """Whether the service's relay or consumer was given a log that it does not know."""
    relay = it.unfit is not None and it.unfit.mend.startswith("taiwa republish")
    return relay or (it.condition is not None and any(stop.cause == "other_log" for stop in it.condition.stops))


def _cells(it: Condition) -> list[str]:
    return [
        _many(it.unpublished, it.asked_at),
        "?" if it.lag is None else str(sum(it.lag.values())),
        *(_many(it.letters.get(kind), it.asked_at) for kind in ("dead", "held", "deferred")),
        str(it.overdue.many),
        str(len(it.stops)),
    ]


def _many(it: Waiting | None, now: datetime) -> str:
    if it is None or it.since is None or not it.many:
        return "0"
    return f"{it.many} ({max(0, round((now - it.since).total_seconds()))} s)"


def mend(service: str, stop: Standing) -> str:
    """What lets it go on; a consumer that stopped because most events failed waits for a person's word."""
    if stop.cause == "most_fail":
        see, go_on = f"taiwa dead-letters list --service {service}", f"taiwa dead-letters resume {service}"
        return f"{see} says what fails; once its cause is mended: {go_on}"
    return stop.command


def _commands(it: Told) -> list[str]:
    if it.condition is None:
        return ["taiwa doctor"]
    commands = [it.unfit.mend] if it.unfit else []
    commands += [mend(it.service, stop) for stop in it.condition.stops]
    if it.condition.letters.get("dead") and not any("dead-letters" in each for each in commands):
        commands.append(f"taiwa dead-letters list --service {it.service}")
    return commands or (["taiwa doctor"] if it.late else [])
