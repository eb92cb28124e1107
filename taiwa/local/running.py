"""``taiwa up`` and ``taiwa demo``: start, fill, tell where everything is, stay, stop cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chassis.settings import InstallationSettings
from taiwa.local.environment import Kind
from taiwa.local.installation import Installation, choose_ports
from taiwa.local.state import State
from taiwa.progress import Progress
from taiwa.services import SERVICES, WITH_CLOCK

Logins = dict[str, dict[str, str]]
Fill = Callable[[InstallationSettings, Mapping[str, str], Mapping[str, str]], Awaitable[Logins]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person at the terminal asked for."""

    ports: dict[str, int]
    free_ports: bool
    ready_file: Path | None
    exit_when_ready: bool


async def run(state: State, kind: Kind, wishes: Wishes, progress: Progress, fill: Fill | None = None) -> None:
    """Run an installation until Ctrl-C or SIGTERM; a second one ends everything at once.

    ``fill`` puts a town in once the services are up, or finds it there, and gives the logins by role.

    Raises:
        Mendable: something on this machine stands in the way; everything started is stopped again.
    """
    began = time.monotonic()
    if wishes.ready_file:
        wishes.ready_file.unlink(missing_ok=True)
    installation = Installation(state, choose_ports(state, wishes.ports, free=wishes.free_ports), kind, progress)
    work = asyncio.ensure_future(_work(installation, wishes, fill, began))
    loop = asyncio.get_running_loop()
    interrupts = 0

    def interrupt() -> None:
        nonlocal interrupts
        interrupts += 1
        work.cancel()
        if interrupts > 1:
            installation.supervisor.kill_all()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await work
    finally:
        progress.say("Stopping …")
        await installation.stop()
        progress.say("Stopped; the data is kept.")


async def _work(installation: Installation, wishes: Wishes, fill: Fill | None, began: float) -> None:
    progress = installation.progress
    await installation.start()
    logins: Logins = {}
    if fill is not None:
        with progress.step("town", "みどり町, through the public API"):
            passwords = {name: installation.state.secret(f"{name}.password").read_text() for name in WITH_CLOCK}
            urls = {name: installation.base_url(name) for name in SERVICES}
            logins = await fill(installation.settings(), urls, passwords)
    network = progress.seconds.get("network", 0.0)
    progress.seconds["total"] = round(time.monotonic() - began - network, 2)
    ready = {
        "portal": installation.base_url("portal"),
        "services": {
            name: {
                "api": installation.base_url(name),
                "openapi": f"{installation.base_url(name)}/openapi.json",
            }
            for name in SERVICES
        },
        "kafka": installation.bootstrap,
        "postgres": installation.postgres.url,
        "mail": f"http://127.0.0.1:{installation.chosen['mail']}",
        "logins": logins,
        "seconds": progress.seconds,
    }
    if wishes.ready_file:
        draft = wishes.ready_file.with_name(f".{wishes.ready_file.name}.draft")
        draft.write_text(json.dumps(ready, ensure_ascii=False, indent=2))
        # It names a superuser's password: for the owner only.
        draft.chmod(0o600)
        draft.replace(wishes.ready_file)
    _tell(installation, logins, progress)
    if not wishes.exit_when_ready:
        await asyncio.Event().wait()


def _tell(installation: Installation, logins: Logins, progress: Progress) -> None:
    progress.say("")
    progress.say(f"[bold]Portal[/]  {installation.base_url('portal')}")
    progress.say(f"[bold]Mail[/]    http://127.0.0.1:{installation.chosen['mail']}")
    progress.say(f"[bold]Kafka[/]   {installation.bootstrap}   (`taiwa events tail`)")
    if logins:
        progress.say("[bold]Logins[/]")
        for role, login in logins.items():
            progress.say(f"  {role:<13} {login['login']:<10} {login['password']:<28} {login['name']}")
    else:
        progress.say("The product is empty. Its first admin: `taiwa accounts create-admin`")
    progress.say("Ctrl-C stops everything; the data is kept.\n")
