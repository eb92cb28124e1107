"""The typer application and the options that several commands share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from taiwa.local.state import default_state

app = typer.Typer(
    name="taiwa",
    help="対話: a municipality's network of DX推進リーダー, as services around PostgreSQL and Kafka.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
console = Console()

StateOption = Annotated[
    Path,
    typer.Option(
        "--state",
        envvar="TAIWA_STATE",
        help="Folder of the installation: data, secrets, logs.",
        default_factory=default_state,
        show_default="the user's state directory",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
MunicipalityOption = Annotated[
    str, typer.Option("--municipality", envvar="TAIWA_MUNICIPALITY", help="6-digit code of the town.")
]


def print_json(value: Any) -> None:
    """Print one JSON value on a line of its own, unescaped and uncoloured."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))
