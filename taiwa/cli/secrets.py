"""``taiwa secrets``: the secrets of an installation in containers, each made once and readable by those who need it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from taiwa import secret_values
from taiwa.cli.application import app, console
from taiwa.cli.environment import operated
from taiwa.mendable import Mendable
from taiwa.services import SERVICES

OPERATORS = 10100
"""Group of the operator's commands; the account of a service is this plus its place in the list."""

POSTGRES = 999
"""Account of PostgreSQL in its official image."""


@app.command("secrets")
def make_secrets(
    directory: Annotated[Path, typer.Argument(help="Where the secrets stand, for example a volume.")],
) -> None:
    """Make each missing secret once, mode 0440: owner its one service, group the operators. Needs root."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        for name, owner in _owners().items():
            if not (directory / name).exists():
                _make(directory / name, owner)
                console.print(f"made {name}", highlight=False)
    except OSError as fault:
        raise Mendable(
            f"Secrets cannot be made in {directory}: {fault.strerror}.",
            "Run it as root, on a folder that can be written.",
        ) from fault


MODE = {
    "production": {"environment": "production", "simulated_clock": "false"},
    "demo": {"environment": "demo", "simulated_clock": "true"},
}
"""What every service reads beside its secrets: whether this is a demo, whose clock may be simulated."""


@app.command("mode")
def set_mode(
    directory: Annotated[Path, typer.Argument(help="Where the secrets stand.")],
    *,
    demo: Annotated[bool, typer.Option("--demo", help="Make it a demo, if nothing was ever started here.")] = False,
) -> None:
    """Say once whether an installation in containers is a demo; an installation stays what it is. Needs root."""
    known = directory / "environment"
    if demo and known.exists() and known.read_text() != "demo" and asyncio.run(_has_databases()):
        raise Mendable(
            "This installation is in production; a demo would simulate its clock.",
            "Use a project of its own: docker compose -p taiwa-demo --profile demo up",
        )
    if known.exists() and not demo:
        return
    for name, value in MODE["demo" if demo else "production"].items():
        draft = directory / f"{name}.draft"
        draft.write_text(value)
        draft.chmod(0o444)
        draft.replace(directory / name)


async def _has_databases() -> bool:
    """Whether a service's database was made."""
    import asyncpg  # noqa: PLC0415 - only here

    connection = await asyncpg.connect(operated(Path()).require_admin())
    try:
        return bool(await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = ANY ($1)", SERVICES))
    finally:
        await connection.close()


def _owners() -> dict[str, int]:
    """Each secret and the account that reads it beside the operators."""
    services = {name: OPERATORS + place for place, name in enumerate(_accounts(), start=1)}
    return {"postgres": POSTGRES, **services, secret_values.SIGNING_KEY: services["directory"]}


def _accounts() -> list[str]:
    """Services in the order of their accounts; a new service goes to the end, or files change hands."""
    return [*(name for name in SERVICES if name != "portal"), "portal"]


def _make(path: Path, owner: int) -> None:
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as file:
        file.write(secret_values.make(path.name))
        os.fchown(file.fileno(), owner, OPERATORS)
        os.fchmod(file.fileno(), 0o440)
    # Only now under its name: an interrupted start leaves no half secret, and an existing one is never replaced.
    draft.replace(path)
