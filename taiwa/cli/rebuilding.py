"""Projections: building one anew beside the old one, and comparing copies by their checksum."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from taiwa.cli.application import JsonOption, StateOption, app, console, print_json
from taiwa.cli.environment import Operated, at_terminal, operated, worker_connection
from taiwa.mendable import Mendable
from taiwa.services import WITH_CLOCK, build, require_known

if TYPE_CHECKING:
    from collections.abc import Callable

    from chassis.rebuild import Rebuilt
    from chassis.service import Service

ProjectionArgument = Annotated[
    str | None, typer.Argument(metavar="SERVICE.PROJECTION", help="For example consultations.leader_terms.")
]


def _service_of(name: str | None) -> Service:
    service, dot, _ = (name or "").partition(".")
    if not dot:
        raise Mendable(f"{name or 'Nothing'} names no projection.", "See them with: taiwa rebuild --list")
    require_known(service)
    return build(service)


@app.command()
def rebuild(
    state: StateOption,
    projection: ProjectionArgument = None,
    *,
    list_all: Annotated[bool, typer.Option("--list", help="List the projections there are.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Build and compare, change nothing.")] = False,
    afresh: Annotated[bool, typer.Option("--afresh", help="Do not go on where an earlier one ended.")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Forget one that was ended in the middle.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build a projection anew from its topics while everything runs, then put the rows that differ right at once.

    Readers see all old rows or all new ones; nobody is notified again. Interrupted, it goes on with the same command.
    """
    where = operated(state)
    if list_all:
        _list(where, as_json=as_json)
        return
    service = _service_of(projection)
    name = projection or ""
    if abandon:
        there = _abandoned(where, service, name)
        console.print(f"The rebuild of {name} is forgotten." if there else f"No rebuild of {name} had begun.")
        return
    with _bar(name, quiet=as_json) as told:
        found = _rebuilt(where, service, name, told, change=not dry_run, afresh=afresh)
    if as_json:
        print_json(_as_json(found))
        return
    _tell(found)


def _rebuilt(
    where: Operated, service: Service, name: str, told: Callable[[int, int], None], *, change: bool, afresh: bool
) -> Rebuilt:
    from chassis import rebuild as rebuilding  # noqa: PLC0415 - the Kafka client costs half a second of imports

    work = rebuilding.rebuild(
        where.require_admin(),
        service,
        name,
        change=change,
        afresh=afresh,
        progress=told,
        by=at_terminal(),
        reason="taiwa rebuild",
    )
    try:
        return asyncio.run(work)
    except rebuilding.RebuildError as fault:
        raise Mendable(
            f"{name} was not rebuilt: {fault}.", "The old rows are as they were; look with: taiwa doctor"
        ) from fault


def _abandoned(where: Operated, service: Service, name: str) -> bool:
    from chassis import rebuild as rebuilding  # noqa: PLC0415 - as above

    try:
        first = rebuilding.together_with(service, name)[0].name
        return asyncio.run(rebuilding.abandon(where.require_admin(), where.settings, service.name, first))
    except rebuilding.RebuildError as fault:
        raise Mendable(f"It cannot be abandoned: {fault}.", "See them with: taiwa rebuild --list") from fault


def _as_json(found: Rebuilt) -> dict[str, object]:
    return {
        "projections": list(found.projections),
        "records": found.records,
        "changed": found.changed,
        "resumed": found.resumed,
        "seconds": found.seconds,
        "tables": {
            it.table: {"missing": it.missing, "wrong": it.wrong, "surplus": it.surplus} for it in found.differences
        },
    }


def _tell(found: Rebuilt) -> None:
    console.print(
        f"{', '.join(found.projections)}: {found.records} records in {found.seconds:.1f} s"
        f"{', resumed' if found.resumed else ''}.",
        highlight=False,
    )
    for it in found.differences:
        done = "put right" if found.changed else "would be put right"
        wrong = it.missing + it.wrong + it.surplus
        console.print(
            f"  {it.table}: {wrong} rows {done} ({it.missing} missing, {it.wrong} wrong, {it.surplus} surplus)."
            if wrong
            else f"  {it.table}: every row was right.",
            highlight=False,
        )


@contextmanager
def _bar(name: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=max(total, 1))


def _list(where: Operated, *, as_json: bool) -> None:
    rows = asyncio.run(_projections(where))
    if as_json:
        print_json(rows)
        return
    # Names are copied into the next command: they are never cut, however narrow the terminal.
    name = Column("Projection", no_wrap=True, min_width=max(len(row["projection"]) for row in rows))
    table = Table(name, "Rows", "Checksum", "Rebuild")
    for row in rows:
        table.add_row(row["projection"], str(row["rows"]), " ".join(row["checksum"].values()), row["rebuild"])
    console.print(table)


async def _projections(where: Operated) -> list[dict[str, Any]]:
    from chassis.rebuild import checksums, unfinished  # noqa: PLC0415 - as above

    found: list[dict[str, Any]] = []
    for name in WITH_CLOCK:
        service = build(name)
        async with worker_connection(where.settings, name) as connection:
            tables = list(dict.fromkeys(table for it in service.projections for table in it.written))
            held = await checksums(connection, tables)
            began = {str(row["projection"]) for row in await unfinished(connection)}
        found += [
            {
                "projection": it.name,
                "tables": list(it.written),
                "topics": sorted({event.TOPIC for event in it.events}),
                "rows": sum(held[table][0] for table in it.written),
                "checksum": {table: held[table][1] for table in it.written},
                "rebuild": "began, not ended" if it.name in began else "",
            }
            for it in service.projections
        ]
    return found
