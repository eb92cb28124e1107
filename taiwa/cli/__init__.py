"""The command ``taiwa``. Text for people by default; ``--json`` where the output is data."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape

from taiwa.cli import accounts, backing, contracts, doctor, local, messages, secrets, serve, town
from taiwa.cli.application import app
from taiwa.mendable import Mendable

__all__ = ["accounts", "app", "backing", "contracts", "doctor", "local", "main", "messages", "secrets", "serve", "town"]


def main() -> None:
    """Run the command; a problem a person can mend is told in two lines, not by a traceback."""
    try:
        app()
    except Mendable as fault:
        errors = Console(stderr=True, highlight=False)
        errors.print(f"[bold red]✗[/] {escape(fault.problem)}", soft_wrap=True)
        errors.print(f"  [bold]Mend:[/] {escape(fault.mend)}", soft_wrap=True)
        sys.exit(1)
