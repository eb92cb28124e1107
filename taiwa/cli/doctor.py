"""``taiwa doctor``: what this machine lacks, or what a running installation suffers from, each with its mend."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial

import typer
from rich.console import Console
from rich.table import Table

from taiwa.cli.application import JsonOption, StateOption, app, print_json
from taiwa.cli.environment import Operated, operated, service_password
from taiwa.local.doctor import Finding, examine
from taiwa.local.environment import DEFAULT_PORTS
from taiwa.local.state import State
from taiwa.mendable import Mendable
from taiwa.services import SERVICES


@app.command()
def doctor(state: StateOption, *, as_json: JsonOption = False) -> None:
    """Check this machine for the embedded installation, or a running installation; name the mend for each lack."""
    embedded = "TAIWA_KAFKA" not in os.environ
    findings = examine(state) if embedded else []
    run = State(state).run() if embedded and all(finding.well for finding in findings) else None
    if not embedded or (run is not None and run.supervisor.alive()):
        findings += asyncio.run(_examine_running(operated(state)))
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        table = Table("", "Check", "Found", "Mend")
        for finding in findings:
            table.add_row("[green]✓[/]" if finding.well else "[red]✗[/]", finding.check, finding.found, finding.mend)
        Console(highlight=False).print(table)
    if not all(finding.well for finding in findings):
        raise typer.Exit(1)


async def _examine_running(where: Operated) -> list[Finding]:
    findings = [await _find("Kafka", partial(_kafka, where))]
    for service in SERVICES:
        findings.append(await _find(f"{service}: database", partial(_database, where, service)))
        findings.append(await _find(f"{service}: answers", partial(_answers, service)))
    return findings


async def _find(check: str, ask: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(check, well=True, found=await ask())
    except Mendable as lack:
        return Finding(check, well=False, found=lack.problem, mend=lack.mend)


async def _kafka(where: Operated) -> str:
    from chassis.kafka import cluster_id  # noqa: PLC0415 - the Kafka client costs half a second of imports

    try:
        return f"{where.settings.kafka}, cluster {await asyncio.wait_for(cluster_id(where.settings), 15)}"
    except (OSError, RuntimeError, TimeoutError) as fault:
        raise Mendable(
            f"Kafka at {where.settings.kafka} does not answer: {fault}", "Start it, or correct TAIWA_KAFKA."
        ) from fault


async def _database(where: Operated, service: str) -> str:
    import asyncpg  # noqa: PLC0415 - the other checks spare its imports

    from chassis.database import ALL_MUNICIPALITIES, Database  # noqa: PLC0415 - see above

    database = await Database.connect(where.settings, service, "worker", service_password(service), 1)
    try:
        async with database.scoped(ALL_MUNICIPALITIES, read_only=True) as connection:
            stop = await connection.fetchrow("SELECT reason, command FROM stops ORDER BY stopped_at LIMIT 1")
            letters = await connection.fetchval("SELECT count(*) FROM dead_letters WHERE closed_at IS NULL")
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        raise Mendable(f"The database does not answer: {fault}", f"taiwa migrate {service}") from fault
    finally:
        await database.close()
    if stop is not None:
        raise Mendable(f"Consumption stands still: {stop['reason']}", stop["command"])
    if letters:
        raise Mendable(f"{letters} dead letters wait.", f"taiwa dead-letters list {service}")
    return "no stop, no dead letter"


async def _answers(service: str) -> str:
    import httpx  # noqa: PLC0415 - see above

    url = os.environ.get(f"TAIWA_PORTAL_{service.upper()}_URL") or f"http://127.0.0.1:{DEFAULT_PORTS[service]}"
    if service == "portal":
        url = os.environ.get("TAIWA_PORTAL_PUBLIC_URL") or url
    try:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            answer = await client.get(f"{url}/health/ready")
    except httpx.HTTPError as fault:
        raise Mendable(f"{url} does not answer: {fault!r}", f"taiwa service start {service}") from fault
    if not answer.is_success:
        raise Mendable(f"{url} is not ready: {answer.text[:300]}", f"Read the log of {service}.")
    return url
