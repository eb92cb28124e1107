"""``taiwa replay``: tells an integrator again what was said."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from chassis.calendar import TOKYO
from taiwa.cli.application import JsonOption, StateOption, app, console, print_json
from taiwa.cli.environment import operated
from taiwa.cli.messages import name_of
from taiwa.mendable import Mendable
from taiwa_contracts.catalogue import BY_TYPE
from taiwa_contracts.topics import TOPICS

if TYPE_CHECKING:
    from collections.abc import Callable

    from chassis.replay import Replayed, Wanted
    from chassis.settings import InstallationSettings

OPEN = tuple(topic.name for topic in TOPICS if not topic.internal)
"""Topics an integrator may read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for at the terminal."""

    to: str
    topics: tuple[str, ...]
    secret: str
    allowed: tuple[str, ...]
    cursor: Path | None
    limit: int
    per_second: float
    dry_run: bool


@app.command()
def replay(
    state: StateOption,
    to: Annotated[str, typer.Option("--to", help="https://… (Standard Webhooks), or the name of a topic in Kafka.")],
    since: Annotated[datetime, typer.Option("--since", help="The oldest fact: 2026-04-01 or 2026-04-01T08:30:00.")],
    *,
    topic: Annotated[list[str], typer.Option("--topic", help="Only of this topic. Repeat.")] = [],  # noqa: B006 - typer copies it
    event_type: Annotated[list[str], typer.Option("--type", help="Only this type: LeaderAppointed. Repeat.")] = [],  # noqa: B006 - as above
    municipality: Annotated[str | None, typer.Option("--municipality", help="Only this town.")] = None,
    secret_file: Annotated[Path | None, typer.Option("--secret-file", help="Holds the webhook's whsec_….")] = None,
    allow: Annotated[list[str], typer.Option("--allow", help="A host in a private network that may be told.")] = [],  # noqa: B006 - as above
    cursor: Annotated[Path | None, typer.Option("--cursor", help="Where it stands; goes on there next time.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="End after so many facts; 0: none.")] = 0,
    per_second: Annotated[float, typer.Option("--per-second", min=0.1, max=1000, help="Most facts a second.")] = 20.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count them, tell nobody.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell an integrator again what was said since an instant, per key in order, at least once.

    Broken off, it goes on where it was with the same --cursor.
    """
    from chassis.replay import ReplayError, Wanted  # noqa: PLC0415 - the Kafka client costs half a second of imports

    if wrong := [name for name in topic if name not in OPEN]:
        raise Mendable(f"{wrong[0]} is no topic for integrators.", f"Choose of: {', '.join(OPEN)}")
    secret = _secret(to, secret_file, dry_run=dry_run)
    known = {name_of(it): it for it in BY_TYPE}
    instant = since if since.tzinfo is not None else since.replace(tzinfo=TOKYO)
    wanted = Wanted(instant, frozenset(known.get(it, it) for it in event_type), municipality)
    asked = Asked(to, tuple(topic) or OPEN, secret, tuple(allow), cursor, limit, per_second, dry_run)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), disable=as_json) as bar:
        task = bar.add_task("records", total=None)
        try:
            done = asyncio.run(
                _replayed(
                    operated(state).settings,
                    wanted,
                    asked,
                    lambda at, total: bar.update(task, completed=at, total=max(total, 1)),
                )
            )
        except ReplayError as fault:
            again = "the same command goes on where it was" if cursor else "with --cursor it would go on where it was"
            raise Mendable(f"It ended: {fault}.", f"Mend what it says; {again}.") from fault
    _tell(done, as_json=as_json, dry_run=dry_run)


def _secret(to: str, file: Path | None, *, dry_run: bool) -> str:
    if dry_run or "://" not in to:
        return ""
    if file is None:
        raise Mendable("A webhook is signed, and no secret is given.", "Name its file: --secret-file")
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as fault:
        raise Mendable(f"{file} cannot be read: {fault.strerror}.", "Name another --secret-file.") from fault


async def _replayed(
    settings: InstallationSettings, wanted: Wanted, asked: Asked, told: Callable[[int, int], None]
) -> Replayed:
    from chassis import replay as replaying  # noqa: PLC0415 - as above

    async with AsyncExitStack() as stack:
        target: replaying.Target | None = None
        if not asked.dry_run and "://" in asked.to:
            webhook = replaying.open_webhook(asked.to, asked.secret, asked.allowed)
            target = await stack.enter_async_context(webhook)
        elif not asked.dry_run:
            ours = [topic.name for topic in TOPICS]
            target = await stack.enter_async_context(replaying.open_topic(settings, asked.to, ours))
        return await replaying.replay(
            settings,
            asked.topics,
            wanted,
            target,
            cursor=None if asked.dry_run else asked.cursor,
            limit=asked.limit,
            per_second=asked.per_second,
            progress=told,
        )


def _tell(done: Replayed, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        told = dict(done.told)
        print_json({"told": told, "looked_at": done.looked_at, "complete": done.complete, "dry_run": dry_run})
        return
    for cloud_type, many in sorted(done.told.items()):
        console.print(f"{many:>8}  {name_of(cloud_type)}", highlight=False)
    are = "would be told" if dry_run else "were told"
    console.print(f"{sum(done.told.values())} facts {are}.", highlight=False)
    if not done.complete:
        console.print("There are more: the limit was reached.")
