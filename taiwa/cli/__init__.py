"""The command ``taiwa``. Text for people by default; ``--json`` where the output is data."""

from __future__ import annotations

import sys
from typing import NoReturn

from rich.console import Console
from rich.markup import escape

from taiwa.cli import (
    accounts,
    backing,
    contracts,
    doctor,
    letters,
    local,
    messages,
    rebuilding,
    replaying,
    secrets,
    serve,
    status,
    town,
)
from taiwa.cli.application import app
from taiwa.mendable import Mendable

__all__ = [
    "accounts",
    "app",
    "backing",
    "contracts",
    "doctor",
    "letters",
    "local",
    "main",
    "messages",
    "rebuilding",
    "replaying",
    "secrets",
    "serve",
    "status",
    "town",
]


def main() -> None:
    """Run the command; a problem a person can mend is told in two lines, not by a traceback."""
    try:
        app()
    except Mendable as fault:
        _tell(fault.problem, fault.mend)
    except Exception as fault:
        # A server that does not answer is no defect of the command; anything else is, and keeps its traceback.
        if not isinstance(fault, ConnectionError) and type(fault).__module__.partition(".")[0] not in _CLIENTS:
            raise
        _tell(f"The installation does not answer: {fault!r}", "Look with: taiwa doctor")


_CLIENTS = ("asyncpg", "aiokafka")


def _tell(problem: str, mend: str) -> NoReturn:
    errors = Console(stderr=True, highlight=False)
    errors.print(f"[bold red]✗[/] {escape(problem)}", soft_wrap=True)
    errors.print(f"  [bold]Mend:[/] {escape(mend)}", soft_wrap=True)
    sys.exit(1)
