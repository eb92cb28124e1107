"""The town: its simulated clock, and files for its directory."""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from chassis.calendar import TOKYO
from taiwa.cli.application import JsonOption, MunicipalityOption, StateOption, app, console, print_json
from taiwa.cli.environment import Operated, operated, service_password
from taiwa.local.environment import DEFAULT_PORTS
from taiwa.mendable import Mendable
from taiwa.services import WITH_CLOCK

clock = typer.Typer(help="The simulated civil clock of a demo or test installation.", no_args_is_help=True)
app.add_typer(clock, name="clock")

_SPAN = re.compile(r"^([0-9]+)([dhm])$")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def _told(at: datetime, jumps: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"civil_at": at.isoformat(timespec="seconds"), "jumps": jumps})
    else:
        console.print(f"{at:%Y-%m-%d (%a) %H:%M}", highlight=False)


@clock.command("show")
def clock_show(state: StateOption, *, as_json: JsonOption = False) -> None:
    """Show the town's time."""
    from taiwa.operator import civil_now, directory  # noqa: PLC0415 - a second of imports

    async def read(where: Operated) -> datetime:
        async with directory(where.settings, service_password("directory")) as database:
            return await civil_now(database)

    _told(asyncio.run(read(operated(state))), 0, as_json=as_json)


@clock.command("advance")
def clock_advance(
    state: StateOption,
    to: Annotated[
        str | None, typer.Option("--to", help="Until then, for example 2026-04-14T09:00 (Asia/Tokyo).")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="So far: 3d, 12h, 30m.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Jump from due timer to due timer, each time until all is published and applied; without an option: to the next.

    What is due on the way happens on the way: reminders, ends of terms, closings.
    """
    at, jumps = asyncio.run(_advance(operated(state), to, by))
    _told(at, jumps, as_json=as_json)


async def _advance(where: Operated, to: str | None, by: str | None) -> tuple[datetime, int]:
    from taiwa.civil_time import looked_at  # noqa: PLC0415 - a second of imports
    from taiwa.operator import civil_now, directory, put_clock  # noqa: PLC0415 - a second of imports

    passwords = {name: service_password(name) for name in WITH_CLOCK}
    async with (
        directory(where.settings, passwords["directory"]) as database,
        looked_at(where.settings, passwords) as town,
    ):
        now = await civil_now(database)
        until = _until(now, to, by)
        if until is None:
            seen = await town.look(now)
            dues = [look.next_due for look in seen.values() if look.next_due is not None]
            if not dues:
                raise Mendable("No timer waits in any service.", "Say how far: --by 1d or --to 2026-04-14T09:00")
            until = min(dues)

        async def set_clock(at: datetime) -> None:
            await put_clock(database, at, simulated=where.settings.simulated_clock)

        jumps = await town.advance(now, until, set_clock)
        return await civil_now(database), jumps


def _until(now: datetime, to: str | None, by: str | None) -> datetime | None:
    if to and by:
        raise Mendable("--to and --by are both given.", "Keep one.")
    if by:
        span = _SPAN.match(by)
        if span is None:
            raise Mendable(f"--by {by} is no span.", "Write it like 3d, 12h or 30m.")
        return now + timedelta(**{_UNITS[span[2]]: int(span[1])})
    if to:
        try:
            at = datetime.fromisoformat(to)
        except ValueError as fault:
            raise Mendable(f"--to {to} is no time.", "Write it like 2026-04-14T09:00") from fault
        at = at if at.tzinfo else at.replace(tzinfo=TOKYO)
        if at <= now:
            raise Mendable(f"Time does not go back; it is {now:%Y-%m-%d %H:%M}.", "Give a later --to.")
        return at
    return None


@app.command("fill")
def fill_town(state: StateOption, *, as_json: JsonOption = False) -> None:
    """Fill a running demo installation with みどり町 and print its logins; what is there already stays.

    `taiwa demo` does it by itself; this is for an installation in containers.
    """
    from taiwa.demo.filling import fill  # noqa: PLC0415 - a second of imports

    where = operated(state)
    if not where.settings.simulated_clock:
        raise Mendable("The clock of this installation is not simulated.", "Set TAIWA_SIMULATED_CLOCK=true everywhere.")
    urls = {name: _url(name) for name in WITH_CLOCK}
    passwords = {name: service_password(name) for name in WITH_CLOCK}
    logins = asyncio.run(fill(where.settings, urls, passwords, say=partial(typer.echo, err=True)))
    if as_json:
        print_json(logins)
        return
    console.print(f"Log in at {_portal()} as", highlight=False)
    for role, login in logins.items():
        console.print(f"{role:<13} {login['login']:<10} {login['password']:<28} {login['name']}", highlight=False)


def _portal() -> str:
    return os.environ.get("TAIWA_PORTAL_PUBLIC_URL") or f"http://127.0.0.1:{DEFAULT_PORTS['portal']}"


def _url(service: str) -> str:
    return os.environ.get(f"TAIWA_PORTAL_{service.upper()}_URL") or f"http://127.0.0.1:{DEFAULT_PORTS[service]}"


importing = typer.Typer(help="Import files into the directory.", no_args_is_help=True)
app.add_typer(importing, name="import")

FileArgument = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV, UTF-8 or CP932.")]
LoginOption = Annotated[str, typer.Option("--login", help="Account of an administrator or of hr.")]
PasswordOption = Annotated[
    str, typer.Option("--password", envvar="TAIWA_PASSWORD", prompt=True, hide_input=True, help="Its password.")
]
FromOption = Annotated[str | None, typer.Option("--effective-from", help="First day it holds, YYYY-MM-DD.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]


@dataclass(frozen=True, slots=True)
class Upload:
    """A file for the directory, and by whom."""

    kind: str
    content: bytes
    municipality: str
    login: str
    password: str
    query: dict[str, str]


def _query(effective_from: str | None, *, dry_run: bool) -> dict[str, str]:
    query = {"dry_run": "true"} if dry_run else {}
    if effective_from:
        query["effective_from"] = date.fromisoformat(effective_from).isoformat()
    return query


@importing.command("people")
def import_people(
    file: FileArgument,
    state: StateOption,
    *,
    municipality: MunicipalityOption,
    password: PasswordOption,
    login: LoginOption = "admin",
    effective_from: FromOption = None,
    dry_run: DryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import people: all rows or none; errors are listed by row and column."""
    query = _query(effective_from, dry_run=dry_run)
    upload = Upload("people", file.read_bytes(), municipality, login, password, query)
    _tell(asyncio.run(_import(operated(state), upload)), as_json=as_json)


@importing.command("sections")
def import_sections(
    file: FileArgument,
    state: StateOption,
    *,
    municipality: MunicipalityOption,
    password: PasswordOption,
    login: LoginOption = "admin",
    effective_from: FromOption = None,
    dry_run: DryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import sections: all rows or none; errors are listed by row and column."""
    query = _query(effective_from, dry_run=dry_run)
    upload = Upload("sections", file.read_bytes(), municipality, login, password, query)
    _tell(asyncio.run(_import(operated(state), upload)), as_json=as_json)


async def _import(where: Operated, upload: Upload) -> dict[str, Any]:
    import httpx  # noqa: PLC0415 - other commands spare these imports

    from taiwa.api import Person  # noqa: PLC0415 - see above

    async with httpx.AsyncClient(trust_env=False) as http:
        person = Person({"directory": where.settings.directory_url}, upload.municipality, upload.login, http)
        await person.log_in(upload.password)
        done: dict[str, Any] = await person.upload(
            f"/{upload.kind}/imports", str(uuid.uuid4()), upload.content, **upload.query
        )
    return done


def _tell(done: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    would = "would be " if done["dry_run"] else ""
    console.print(
        f"{done['created']} {would}created, {done['changed']} {would}changed, {done['unchanged']} as before "
        f"({done['encoding']}).",
        highlight=False,
    )
