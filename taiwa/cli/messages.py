"""Messages: events live from Kafka."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chassis.calendar import TOKYO
from taiwa.cli.application import JsonOption, StateOption, app, console, print_json
from taiwa.cli.environment import operated
from taiwa.mendable import Mendable
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
