"""Dead letters: what could not be applied, why, and letting it go on, one or many at once."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from chassis.calendar import TOKYO
from taiwa.cli.application import JsonOption, StateOption, app, console, print_json
from taiwa.cli.environment import at_terminal, operated, worker_connection
from taiwa.cli.messages import name_of
from taiwa.cli.status import mend
from taiwa.mendable import Mendable
from taiwa.services import SERVICES, WITH_CLOCK, build, require_known
from taiwa_contracts.catalogue import BY_TYPE

if TYPE_CHECKING:
    from chassis.operations.acts import Operator
    from chassis.operations.difference import Difference
    from chassis.operations.selection import Selection
    from chassis.settings import InstallationSettings
    from chassis.transaction import Connection

dead_letters = typer.Typer(help="Events and timers that could not be applied.", no_args_is_help=True)
app.add_typer(dead_letters, name="dead-letters")

MOST = 500
"""Letters that one command lists or acts on."""

SEE_THEM = "See them with: taiwa dead-letters list"

LettersArgument = Annotated[list[UUID] | None, typer.Argument(metavar="[LETTER]…", help="Ids of letters.")]
ServiceOption = Annotated[str | None, typer.Option("--service", help="Only of this service.")]
TypeOption = Annotated[str | None, typer.Option("--type", help="Only this type: LeaderAppointed, or in full.")]
CodeOption = Annotated[str | None, typer.Option("--code", help="Only with this reason, for example event.failed.")]
KeyOption = Annotated[str | None, typer.Option("--key", help="Only of this key: 999997/appointment/<id>.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it stands in the record of what operators did.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Tell which, change nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

_ONE = "SELECT * FROM dead_letters WHERE id = $1"


def _services(service: str | None) -> tuple[str, ...]:
    if service is None:
        return SERVICES
    require_known(service)
    return (service,)


def _selection(ids: Sequence[UUID] | None, cloud_type: str | None, code: str | None, key: str | None) -> Selection:
    from chassis.operations.selection import Selection  # noqa: PLC0415 - other commands spare these imports

    municipality, _, aggregate = (key or "").partition("/")
    known = {name_of(it): it for it in BY_TYPE}
    return Selection(
        tuple(ids) if ids else None,
        known.get(cloud_type, cloud_type) if cloud_type else None,
        code,
        aggregate or None,
        municipality or None,
    )


async def _found(
    settings: InstallationSettings, services: Sequence[str], which: Selection
) -> dict[str, list[dict[str, Any]]]:
    from chassis.operations.selection import selected  # noqa: PLC0415 - see above

    found = {}
    for name in services:
        async with worker_connection(settings, name) as connection:
            rows = await selected(connection, which, MOST)
        found[name] = [{"service": name, **dict(row)} for row in rows]
    return found


@dead_letters.command("list")
def dead_letters_list(
    state: StateOption,
    *,
    service: ServiceOption = None,
    cloud_type: TypeOption = None,
    code: CodeOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List open dead letters, how many wait behind each, and consumers that have stopped, with the reason."""
    settings = operated(state).settings
    names = _services(service)

    async def read() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        from chassis.operations.stops import every  # noqa: PLC0415 - see above

        stops = []
        for name in names:
            async with worker_connection(settings, name) as connection:
                stops += [{"service": name, **asdict(it), "mend": mend(name, it)} for it in await every(connection)]
        found = await _found(settings, names, _selection(None, cloud_type, code, key))
        return [letter for letters in found.values() for letter in letters], stops

    letters, stops = asyncio.run(read())
    if as_json:
        print_json({"dead_letters": letters, "stops": stops})
        return
    for stop in stops:
        place = f"{stop['topic']}/{stop['partition']}" if stop["topic"] else stop["consumer"]
        console.print(f"[red]{stop['scope']}[/] {place}: {escape(stop['reason'])}", highlight=False, soft_wrap=True)
        console.print(f"  [bold]Mend:[/] {escape(stop['mend'])}", highlight=False, soft_wrap=True)
    if not letters:
        console.print("No dead letters.")
        return
    _show(letters)


def _show(letters: Sequence[dict[str, Any]]) -> None:
    """A paragraph each; ids and keys stand whole on a line, to be copied into the next command."""
    for letter in letters:
        place = f"{letter['topic']}/{letter['partition']}@{letter['offset']}" if letter["topic"] else letter["source"]
        written_at = f"{letter['written_at'].astimezone(TOKYO):%Y-%m-%d %H:%M:%S}"
        lines = {
            "key": f"{letter['municipality'] or '?'}/{letter['aggregate'] or '?'}",
            "place": f"{letter['service']}, {letter['kind']} since {written_at}, {place}",
            "held": f"{letter['held_behind']} behind it",
            "reason": f"{letter['code']}: {letter['error']}",
        }
        console.print(f"[bold]{letter['id']}[/]  {escape(name_of(letter['type'] or '?'))}", highlight=False)
        for name, text in lines.items():
            console.print(f"  [dim]{name:<7}[/] {escape(text)}", highlight=False, soft_wrap=True)


@dead_letters.command("show")
def dead_letters_show(letter: UUID, state: StateOption, *, as_json: JsonOption = False) -> None:
    """Show one dead letter: its headers, its bytes, and its payload against the schema, differences marked.

    That it was seen is on record: a payload may hold personal data.
    """
    settings = operated(state).settings

    async def read() -> dict[str, Any] | None:
        from chassis.operations import acts, letters  # noqa: PLC0415 - see above

        for name in SERVICES:
            async with worker_connection(settings, name) as connection:
                row = await connection.fetchrow(_ONE, letter)
                if row is not None:
                    await acts.note(connection, at_terminal(), "seen", [letters.subject(row)])
                    return {"service": name, **dict(row)}
        return None

    found = asyncio.run(read())
    if found is None:
        raise Mendable(f"There is no dead letter {letter}.", SEE_THEM)
    compared = _compared(found)
    shown = {name: _readable(value) for name, value in found.items()}
    shown["headers"] = None if found["headers"] is None else _headers(found["headers"])
    if as_json:
        print_json({**shown, "difference": None if compared is None else asdict(compared)})
        return
    for name, value in shown.items():
        console.print(f"[bold]{name:>14}[/]  ", end="")
        console.print(str(value), highlight=False, soft_wrap=True, markup=False)
    if compared is not None and compared.fields:
        console.print(_difference(compared))


def _compared(found: dict[str, Any]) -> Difference | None:
    """The payload beside what the service wants; none of a timer."""
    from chassis.operations.difference import difference  # noqa: PLC0415 - see above

    if found["source"] != "record" or found["service"] not in WITH_CLOCK:
        return None
    return difference(found["type"], found["value"], build(found["service"]).consumes)


_MARKS = {
    "fits": "[green]✓[/]",
    "missing": "[red]✗ missing[/]",
    "wrong": "[red]✗ wrong[/]",
    "unknown": "[dim]· unknown[/]",
}


def _difference(compared: Difference) -> Table:
    table = Table("", "Field", "Expected", "Given", "Problem", title=f"Against {compared.type}")
    for it in compared.fields:
        table.add_row(_MARKS[it.state], it.name, it.expected, escape(it.given or ""), escape(it.problem))
    return table


@dead_letters.command("replay")
def dead_letters_replay(
    state: StateOption,
    letters: LettersArgument = None,
    *,
    service: ServiceOption = None,
    cloud_type: TypeOption = None,
    code: CodeOption = None,
    key: KeyOption = None,
    reason: ReasonOption = "",
    every: Annotated[bool, typer.Option("--all", help="All that are open.")] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let dead letters be tried again by the running service: one, those of a key, or all that fit.

    What is held behind each follows in order. Asks first where it is more than one.
    """
    from chassis.operations import selection  # noqa: PLC0415 - see above

    which = _selection(letters, cloud_type, code, key)
    _require_choice(which, every=every)
    chosen = _chosen(state, service, which)
    if not dry_run and not yes and sum(map(len, chosen.values())) > 1:
        _ask(chosen, "Try all of these again?")
    if not dry_run:
        _act(state, chosen, selection.replay, reason)
    _told(chosen, "tried again", dry_run=dry_run, as_json=as_json)


@dead_letters.command("discard")
def dead_letters_discard(
    state: StateOption,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the record of what operators did.")],
    letters: LettersArgument = None,
    *,
    service: ServiceOption = None,
    cloud_type: TypeOption = None,
    code: CodeOption = None,
    key: KeyOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give dead letters up for ever, with a reason; what is held behind each goes on. Asks first."""
    from chassis.operations import selection  # noqa: PLC0415 - see above

    if not reason.strip():
        raise Mendable("A letter is not given up without a reason.", "Say why: --reason '…'")
    which = _selection(letters, cloud_type, code, key)
    _require_choice(which, every=False)
    chosen = _chosen(state, service, which)
    if not dry_run and not yes:
        _ask(chosen, "Give these up for ever?")
    if not dry_run:
        _act(state, chosen, selection.discard, reason)
    _told(chosen, "given up", dry_run=dry_run, as_json=as_json)


@dead_letters.command("resume")
def dead_letters_resume(service: str, state: StateOption, reason: ReasonOption = "") -> None:
    """Let a consumer that has stopped, and its paused and blocked partitions, go on."""
    require_known(service)
    where = operated(state)

    async def work() -> int:
        from chassis.repair import clear_stop  # noqa: PLC0415 - see above

        return await clear_stop(where.require_admin(), where.settings, service, by=at_terminal(), reason=reason)

    console.print(f"{asyncio.run(work())} stops of {service} are cleared.", highlight=False)


def _require_choice(which: Selection, *, every: bool) -> None:
    if which.everything and not every:
        raise Mendable("No letter is chosen.", "Name ids, --key, --type or --code; or all: --all")


def _chosen(state: Path, service: str | None, which: Selection) -> dict[str, list[dict[str, Any]]]:
    """The open letters that fit, by service.

    Raises:
        Mendable: there are none, or one that was named is not open.
    """
    found = asyncio.run(_found(operated(state).settings, _services(service), which))
    chosen = {name: letters for name, letters in found.items() if letters}
    there = {letter["id"] for letters in chosen.values() for letter in letters}
    if absent := [str(it) for it in which.ids or () if it not in there]:
        raise Mendable(f"There is no open dead letter {', '.join(absent)}.", SEE_THEM)
    if not chosen:
        raise Mendable("No open dead letter fits.", SEE_THEM)
    return chosen


def _ask(chosen: dict[str, list[dict[str, Any]]], question: str) -> None:
    _show([letter for letters in chosen.values() for letter in letters])
    if not typer.confirm(question):
        console.print("Nothing was changed.")
        raise typer.Exit(1)


Acts = Callable[["Connection", Sequence[UUID], "Operator", str], Coroutine[None, None, None]]


def _act(state: Path, chosen: dict[str, list[dict[str, Any]]], act: Acts, reason: str) -> None:
    settings = operated(state).settings

    async def work() -> None:
        from chassis.operations.letters import LetterClosed  # noqa: PLC0415 - see above

        for name, letters in chosen.items():
            try:
                async with worker_connection(settings, name) as connection:
                    await act(connection, [letter["id"] for letter in letters], at_terminal(), reason)
            except LetterClosed as closed:
                raise Mendable(f"Nothing of {name} was changed: {closed.sentence('en')}", SEE_THEM) from closed

    asyncio.run(work())


def _told(chosen: dict[str, list[dict[str, Any]]], what: str, *, dry_run: bool, as_json: bool) -> None:
    letters = [letter for each in chosen.values() for letter in each]
    if as_json:
        print_json({"changed": not dry_run, "dead_letters": letters})
        return
    if dry_run:
        _show(letters)
    held = sum(letter["held_behind"] for letter in letters)
    are = "would be" if dry_run else "are"
    console.print(f"{len(letters)} {are} {what}; {held} held behind them follow in order.", highlight=False)
    if not dry_run:
        console.print("See the outcome with: taiwa dead-letters list")


def _headers(text: str) -> list[list[str | None]]:
    """Headers as they came; a value that is no text in base64, with its mark."""
    return [
        [name, None if value is None else str(_readable(base64.b64decode(value)))] for name, value in json.loads(text)
    ]


def _readable(value: Any) -> Any:
    """Bytes as text where they are text, else as base64 with its mark."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(value).decode()}"
