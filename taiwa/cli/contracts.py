"""``taiwa contracts``: what the repository publishes beside the models of the events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taiwa.cli.application import JsonOption, app, console, print_json

contracts = typer.Typer(help="Schemas, AsyncAPI and samples of the events.", no_args_is_help=True)
app.add_typer(contracts, name="contracts")

RootOption = Annotated[
    Path, typer.Option("--root", help="The repository.", exists=True, file_okay=False, resolve_path=True)
]


@contracts.command("check")
def contracts_check(root: RootOption = Path(), *, as_json: JsonOption = False) -> None:
    """Check that what is generated is fresh, and that no published version was broken."""
    from taiwa.contracts import check  # noqa: PLC0415 - loads every event

    problems = check(root)
    if as_json:
        print_json(problems)
    else:
        for problem in problems:
            console.print(f"[red]✗[/] {problem}", highlight=False, soft_wrap=True)
        if not problems:
            console.print("[green]✓[/] The contracts are fresh and break no published version.", highlight=False)
    if problems:
        raise typer.Exit(1)


@contracts.command("export")
def contracts_export(root: RootOption = Path(), *, as_json: JsonOption = False) -> None:
    """Write JSON Schemas, AsyncAPI and the catalogue of the README anew."""
    from taiwa.contracts import export  # noqa: PLC0415 - loads every event

    changed = [str(path) for path in export(root)]
    if as_json:
        print_json(changed)
        return
    for path in changed:
        console.print(path, highlight=False, soft_wrap=True)
    console.print(f"{len(changed)} files changed.", highlight=False)
