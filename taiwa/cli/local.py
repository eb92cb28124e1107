"""The installation on this machine: up, demo, stop, reset, service."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Annotated

import typer

from taiwa.cli.application import JsonOption, StateOption, app, console, print_json
from taiwa.local.environment import DEFAULT_PORTS
from taiwa.local.state import OURS, State, stop_left_over
from taiwa.local.supervisor import ask
from taiwa.mendable import Mendable
from taiwa.progress import Progress

PortOption = Annotated[
    list[str],
    typer.Option(
        "--port",
        metavar="NAME=PORT",
        help=f"Port of one part on 127.0.0.1, may be repeated. Parts: {', '.join(DEFAULT_PORTS)}.",
    ),
]
FreeOption = Annotated[bool, typer.Option("--free-ports", help="Choose free ports instead of the usual ones.")]
ReadyOption = Annotated[
    Path | None,
    typer.Option(
        "--ready-file",
        help="Write addresses and logins there as JSON once all is up: the command stays, so it has no --json.",
    ),
]
ExitOption = Annotated[bool, typer.Option("--exit-when-ready", help="Stop cleanly once all is up (and filled).")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Show neither steps nor the services' log lines.")]


def _ports(given: list[str]) -> dict[str, int]:
    chosen = {}
    for item in given:
        name, _, port = item.partition("=")
        if not port.isdigit() or not 0 < int(port) < 65536:  # noqa: PLR2004 - the highest port
            raise Mendable(f"--port {item} is not NAME=PORT.", "Write it like --port kafka=9192")
        chosen[name] = int(port)
    return chosen


@app.command()
def up(
    state: StateOption,
    port: PortOption = [],  # noqa: B006 - typer copies it
    *,
    free_ports: FreeOption = False,
    ready_file: ReadyOption = None,
    exit_when_ready: ExitOption = False,
    quiet: QuietOption = False,
) -> None:
    """Start the [bold]empty[/] product with embedded PostgreSQL and Kafka; Ctrl-C stops it."""
    from taiwa.local.running import Wishes, run  # noqa: PLC0415 - a second of imports

    wishes = Wishes(_ports(port), free_ports, ready_file, exit_when_ready)
    asyncio.run(run(State(state), "production", wishes, Progress(console, quiet=quiet)))


@app.command()
def demo(
    state: StateOption,
    port: PortOption = [],  # noqa: B006 - typer copies it
    *,
    free_ports: FreeOption = False,
    ready_file: ReadyOption = None,
    exit_when_ready: ExitOption = False,
    quiet: QuietOption = False,
) -> None:
    """Start the product with the fictional town みどり町 in it; Ctrl-C stops it, the next start resumes."""
    from taiwa.demo.filling import fill  # noqa: PLC0415 - a second of imports
    from taiwa.local.running import Wishes, run  # noqa: PLC0415 - a second of imports

    wishes = Wishes(_ports(port), free_ports, ready_file, exit_when_ready)
    asyncio.run(run(State(state), "demo", wishes, Progress(console, quiet=quiet), fill))


@app.command()
def stop(state: StateOption, *, as_json: JsonOption = False) -> None:
    """Stop a running installation, or what an interrupted one has left over."""
    folder = State(state)
    noted = folder.run()
    runs = noted is not None and noted.supervisor.alive()
    if noted is not None and runs:
        stop_left_over([noted.supervisor], seconds=12.0)
    left = folder.left_over()
    stop_left_over(left)
    folder.finished()
    names = [process.name for process in left]
    if as_json:
        print_json({"stopped": runs, "left_over": names})
    elif noted is None:
        console.print(f"Nothing runs in {folder.root}.")
    else:
        console.print(f"Stopped what was left over: {', '.join(names)}." if left else "Stopped.")


@app.command()
def reset(
    state: StateOption,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete all data of this installation. Asks first."""
    folder = State(state)
    noted = folder.run()
    if noted is not None and (noted.supervisor.alive() or folder.left_over()):
        raise Mendable(f"The installation in {folder.root} is running.", "Stop it first: Ctrl-C or `taiwa stop`")
    kept = [path for path in folder.root.iterdir() if path.name in OURS]
    if not yes and not typer.confirm(f"Delete everything taiwa keeps in {folder.root}?", err=as_json):
        if as_json:
            print_json({"deleted": []})
        else:
            console.print("Nothing was deleted.")
        raise typer.Exit(1)
    for path in kept:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    if as_json:
        print_json({"deleted": sorted(path.name for path in kept)})
    else:
        console.print(f"Deleted. {folder.root} holds no data of taiwa any more.")


service = typer.Typer(help="Stop and start one service of a running installation.", no_args_is_help=True)
app.add_typer(service, name="service")


def _ask(state: Path, verb: str, name: str, *, as_json: bool) -> None:
    answer = asyncio.run(ask(State(state), verb, name))
    if as_json:
        print_json(answer["services"])
        return
    services = answer["services"]
    for one, condition in services.items() if isinstance(services, dict) else ():
        console.print(f"{one:>14}  {condition}", highlight=False)


@service.command("stop")
def service_stop(name: str, state: StateOption, *, as_json: JsonOption = False) -> None:
    """Stop one service and keep it stopped; the others go on."""
    _ask(state, "stop", name, as_json=as_json)


@service.command("start")
def service_start(name: str, state: StateOption, *, as_json: JsonOption = False) -> None:
    """Start a stopped service again; it catches up."""
    _ask(state, "start", name, as_json=as_json)


@service.command("status")
def service_status(state: StateOption, *, as_json: JsonOption = False) -> None:
    """Show the condition of every part."""
    _ask(state, "status", "", as_json=as_json)
