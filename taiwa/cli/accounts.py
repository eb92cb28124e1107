"""``taiwa accounts``: the first account of a town, which nobody inside can make."""

from __future__ import annotations

import asyncio
import os
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from taiwa.cli.application import JsonOption, MunicipalityOption, StateOption, app, console, print_json
from taiwa.cli.environment import Operated, operated, service_password

if TYPE_CHECKING:
    from services.directory.commands.administrators import AdminCreated, CreateAdmin

accounts = typer.Typer(help="Accounts that the operator makes.", no_args_is_help=True)
app.add_typer(accounts, name="accounts")


@accounts.callback()
def _group() -> None:
    """Keep ``create-admin`` a command of its own although it is the only one."""


@accounts.command("create-admin")
def create_admin(
    state: StateOption,
    *,
    municipality: MunicipalityOption,
    town: Annotated[str, typer.Option("--town", help="The town's name, for example みどり町.")],
    kana: Annotated[str, typer.Option("--kana", help="The same in カタカナ.")],
    login: Annotated[str, typer.Option("--login", help="Name of the account.")] = "admin",
    section_code: Annotated[str, typer.Option("--section-code", help="所属コード of the admin's section.")] = "0000",
    section_name: Annotated[str, typer.Option("--section-name", help="Its name.")] = "情報システム担当",
    number: Annotated[str, typer.Option("--number", help="職員番号 of the admin.")] = "admin",
    name: Annotated[str, typer.Option("--name", help="氏名 of the admin.")] = "管理者",
    name_kana: Annotated[str, typer.Option("--name-kana", help="フリガナ of the admin.")] = "カンリシャ",
    mail: Annotated[str | None, typer.Option("--mail", help="Mail address of the admin.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="First day of section and person, YYYY-MM-DD.")] = None,
    fictional: Annotated[bool, typer.Option("--fictional", help="The town does not exist.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Enter a town with its first administrator and print the one-time link for the password; run again for a new one.

    Code and number should be those of the files that will be imported, so that the import finds them.
    """
    from services.directory.commands.administrators import CreateAdmin  # noqa: PLC0415 - a second of imports

    command = CreateAdmin(
        municipality=municipality,
        name=town,
        kana=kana,
        login=login,
        fictional=fictional,
        section_code=section_code,
        section_name=section_name,
        number=number,
        person_name=name,
        person_kana=name_kana,
        mail=mail,
        effective_from=date.fromisoformat(since) if since else None,
    )
    made = asyncio.run(_make(operated(state), command))
    portal = os.environ.get("TAIWA_PORTAL_PUBLIC_URL", "http://127.0.0.1:8100")
    link = f"{portal}/first-password?token={made.link_token}"
    if as_json:
        print_json({**made.model_dump(mode="json"), "link": link})
        return
    console.print(f"Login of the administrator of {town} ({municipality}): [bold]{made.login}[/]", highlight=False)
    console.print("Open this link once to choose the password:", highlight=False)
    console.print(link, highlight=False, soft_wrap=True, markup=False)
    console.print(f"It works until {made.expires_at:%Y-%m-%d %H:%M %Z}.", highlight=False)


async def _make(where: Operated, command: CreateAdmin) -> AdminCreated:
    from taiwa.operator import directory, make_admin  # noqa: PLC0415 - a second of imports

    async with directory(where.settings, service_password("directory")) as database:
        return await make_admin(database, command)
