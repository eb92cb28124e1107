"""Messages: events live from Kafka, and dead letters."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import typer
from rich.table import Table

from chassis.calendar import TOKYO
from taiwa.cli.application import JsonOption, StateOption, app, console, print_json
from taiwa.cli.environment import operated, service_password
from taiwa.mendable import Mendable
from taiwa.services import SERVICES, require_known
from taiwa_contracts.catalogue import BY_TYPE
from taiwa_contracts.topics import TOPICS

if TYPE_CHECKING:
    from chassis.settings import InstallationSettings
    from chassis.tail import Seen

events = typer.Typer(help="Look on at events in Kafka.", no_args_is_help=True)
app.add_typer(events, name="events")


def name_of(cloud_type: str) -> str:
    """The name people use for a CloudEvents type: ``LeaderAppointed``; an unknown type names itself."""
    known = BY_TYPE.get(cloud_type)
    return known.__name__.rstrip("0123456789").removesuffix("V") if known else cloud_type


def wanted(seen: Seen, types: list[str], municipality: str | None) -> bool:
    """Tell whether a record passes the filters; a type may be given as ``LeaderAppointed`` or in full."""
    cloud_type = seen.headers.get("ce_type", "")
    if types and not {cloud_type, name_of(cloud_type)} & set(types):
        return False
    return municipality is None or seen.headers.get("ce_municipality") == municipality


def structured(seen: Seen) -> dict[str, Any]:
    """One record as CloudEvents structured JSON; bytes that are no JSON stand as ``data_base64``."""
    event: dict[str, Any] = seen.structured()
    if seen.value is None:
        return event | {"data": None}
    try:
        return event | {"data": json.loads(seen.value)}
    except ValueError:
        return event | {"data_base64": base64.b64encode(seen.value).decode()}


def _show(seen: Seen) -> None:
    headers = seen.headers
    try:
        civil = f"{datetime.fromisoformat(headers['ce_time']).astimezone(TOKYO):%m-%d %H:%M:%S}"
    except (KeyError, ValueError):
        civil = "?"
    text = (seen.value or b"(erased)").decode(errors="replace")
    console.print(
        f"[dim]{civil}[/] [bold cyan]{name_of(headers.get('ce_type', '?'))}[/] "
        f"[green]{headers.get('ce_municipality', '?')}[/] {headers.get('ce_subject', seen.key)}"
        f"[dim]@{headers.get('ce_sequence', '?')}[/]",
        end=" ",
        highlight=False,
        soft_wrap=True,
    )
    console.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)


@events.command("tail")
def events_tail(
    state: StateOption,
    event_type: Annotated[
        list[str], typer.Option("--type", help="Only this type: LeaderAppointed or the full CloudEvents type. Repeat.")
    ] = [],  # noqa: B006 - typer copies it
    municipality: Annotated[str | None, typer.Option("--municipality", help="Only this town.")] = None,
    *,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the oldest event.")] = False,
    count: Annotated[int, typer.Option("--count", min=0, help="End after so many events; 0: never.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Show events live from Kafka; with --json one CloudEvents structured JSON a line."""
    settings = operated(state).settings
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_tail(settings, event_type, municipality, from_start=from_start, count=count, as_json=as_json))


async def _tail(
    settings: InstallationSettings,
    types: list[str],
    municipality: str | None,
    *,
    from_start: bool,
    count: int,
    as_json: bool,
) -> None:
    from chassis.tail import tail  # noqa: PLC0415 - the Kafka client costs half a second of imports

    topics = [f"{settings.prefix}{topic.name}" for topic in TOPICS if not topic.internal]
    shown = 0
    try:
        async for seen in tail(settings, topics, from_start=from_start):
            if not wanted(seen, types, municipality):
                continue
            if as_json:
                print_json(structured(seen))
            else:
                _show(seen)
            shown += 1
            if shown == count:
                return
    except LookupError as fault:
        raise Mendable(f"There are no topics yet: {fault}", "Create them with: taiwa topics") from fault


dead_letters = typer.Typer(help="Events and timers that could not be applied.", no_args_is_help=True)
app.add_typer(dead_letters, name="dead-letters")

_OPEN = """
SELECT id, consumer, source, kind, municipality, event_id, type, aggregate, topic, partition, "offset", code, error,
       attempts, written_at, retry_at
FROM dead_letters WHERE closed_at IS NULL ORDER BY written_at, id LIMIT 500
"""
_STOPS = "SELECT consumer, scope, topic, partition, reason, command, stopped_at FROM stops ORDER BY stopped_at"
_ONE = "SELECT * FROM dead_letters WHERE id = $1"


async def _rows(settings: InstallationSettings, service: str, statement: str, *given: object) -> list[dict[str, Any]]:
    from chassis.database import ALL_MUNICIPALITIES, Database  # noqa: PLC0415 - see events tail

    database = await Database.connect(settings, service, "worker", service_password(service), 1)
    try:
        async with database.scoped(ALL_MUNICIPALITIES, read_only=True) as connection:
            return [{"service": service, **dict(row)} for row in await connection.fetch(statement, *given)]
    finally:
        await database.close()


def _services(service: str | None) -> tuple[str, ...]:
    if service is None:
        return SERVICES
    require_known(service)
    return (service,)


@dead_letters.command("list")
def dead_letters_list(
    state: StateOption,
    service: Annotated[str | None, typer.Argument(help="Only of this service.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List open dead letters with what is held behind them, and consumers that have stopped, with the reason."""
    settings = operated(state).settings

    async def read() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        letters, stops = [], []
        for name in _services(service):
            letters += await _rows(settings, name, _OPEN)
            stops += await _rows(settings, name, _STOPS)
        return letters, stops

    letters, stops = asyncio.run(read())
    if as_json:
        print_json({"dead_letters": letters, "stops": stops})
        return
    for stop in stops:
        console.print(
            f"[red]{stop['scope']}[/] {stop['consumer']} {stop['topic']}: {stop['reason']}  → {stop['command']}",
            highlight=False,
        )
    if not letters:
        console.print("No dead letters.")
        return
    table = Table("Id", "Service", "Kind", "Type", "Aggregate", "Place", "Reason")
    for letter in letters:
        place = f"{letter['topic']}/{letter['partition']}@{letter['offset']}" if letter["topic"] else letter["source"]
        reason = f"{letter['code']}: {letter['error']}"
        table.add_row(
            str(letter["id"]), letter["service"], letter["kind"], name_of(letter["type"] or "?"),
            letter["aggregate"] or "?", place, reason,
        )  # fmt: skip
    console.print(table)


@dead_letters.command("show")
def dead_letters_show(letter: UUID, state: StateOption, *, as_json: JsonOption = False) -> None:
    """Show one dead letter with its headers and bytes."""
    settings = operated(state).settings

    async def read() -> list[dict[str, Any]]:
        return [row for name in SERVICES for row in await _rows(settings, name, _ONE, letter)]

    found = asyncio.run(read())
    if not found:
        raise Mendable(f"There is no dead letter {letter}.", "See them with: taiwa dead-letters list")
    shown = {name: _readable(value) for name, value in found[0].items()}
    if as_json:
        print_json(shown)
        return
    for name, value in shown.items():
        console.print(f"[bold]{name:>14}[/]  {value}", highlight=False, soft_wrap=True)


@dead_letters.command("replay")
def dead_letters_replay(letter: UUID, state: StateOption) -> None:
    """Let a dead letter be tried again by the running service, and what is held behind it after it."""
    _act(state, letter, "replay")
    console.print("It is tried again. See the outcome with: taiwa dead-letters list")


@dead_letters.command("discard")
def dead_letters_discard(
    letter: UUID, state: StateOption, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Give a dead letter up for ever; what is held behind it goes on. Asks first."""
    if not yes and not typer.confirm(f"Give up {letter} for ever?"):
        console.print("Nothing was changed.")
        raise typer.Exit(1)
    _act(state, letter, "discard")
    console.print("It is given up; what was held behind it goes on.")


@dead_letters.command("resume")
def dead_letters_resume(service: str, state: StateOption) -> None:
    """Let a consumer that has stopped, and its paused and blocked partitions, go on."""
    require_known(service)
    where = operated(state)

    async def work() -> int:
        from chassis.repair import clear_stop  # noqa: PLC0415 - see events tail

        return await clear_stop(where.require_admin(), where.settings, service)

    console.print(f"{asyncio.run(work())} stops of {service} are cleared.", highlight=False)


def _act(state: Path, letter: UUID, verb: Literal["replay", "discard"]) -> None:
    where = operated(state)

    async def work() -> None:
        from chassis import repair  # noqa: PLC0415 - see events tail

        holders = [name for name in SERVICES if await _rows(where.settings, name, _ONE, letter)]
        if not holders:
            raise Mendable(f"There is no dead letter {letter}.", "See them with: taiwa dead-letters list")
        act = repair.replay if verb == "replay" else repair.discard
        try:
            await act(where.require_admin(), where.settings, holders[0], letter)
        except repair.RepairError as fault:
            raise Mendable(f"It cannot be done: {fault}.", "See them with: taiwa dead-letters list") from fault

    asyncio.run(work())


def _readable(value: Any) -> Any:
    """Bytes as text where they are text, else as base64 with its mark."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(value).decode()}"
