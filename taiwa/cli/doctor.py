"""``taiwa doctor``: what this machine lacks, or what a running installation suffers from, each with its mend."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from taiwa.cli.application import JsonOption, StateOption, app, print_json
from taiwa.cli.environment import Operated, operated, service_password, worker_connection
from taiwa.cli.fitting import mend_of, relay_fits, topics_fit
from taiwa.local.doctor import Finding, examine
from taiwa.local.environment import DEFAULT_PORTS
from taiwa.local.state import State
from taiwa.mendable import Mendable
from taiwa.services import SERVICES, WITH_CLOCK, migrations_of
from taiwa_contracts.topics import TOPICS

NEEDED_DISK_MEGABYTES = 2_000
"""Below this much free space a day's growth or a backup may fill the disk."""


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
    findings = [
        await _find("Kafka", partial(_kafka, where)),
        await _find("Topics", partial(_topics, where)),
        await _find("Disk", partial(_disk, where)),
    ]
    for service in SERVICES:
        findings.append(await _find(f"{service}: database", partial(_database, where, service)))
        if findings[-1].well:
            findings.append(await _find(f"{service}: tables", partial(_tables, where, service)))
        if findings[-1].well and service in WITH_CLOCK:
            findings.append(await _find(f"{service}: relay", partial(_relay, where, service)))
            findings.append(await _find(f"{service}: consumer", partial(_consumer, where, service)))
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


async def _topics(where: Operated) -> str:
    await topics_fit(where)
    return f"{len(TOPICS)}, as declared"


async def _disk(where: Operated) -> str:
    """Free space where this installation keeps its data, as far as it is on this machine."""
    path = where.data or Path.cwd()
    usage = shutil.disk_usage(path)
    free = usage.free // 1_000_000
    if free < NEEDED_DISK_MEGABYTES:
        raise Mendable(
            f"{free} MB are free in {path}; PostgreSQL and Kafka stop when there are none.",
            "Free space or enlarge the disk; nothing that was answered is lost, and everything goes on by itself.",
        )
    return f"{free} MB free in {path}"


async def _database(where: Operated, service: str) -> str:
    """Whether it answers, keeps what it commits, is no pooler, and tells our time."""
    import asyncpg  # noqa: PLC0415 - the other checks spare its imports

    from chassis.database import Database  # noqa: PLC0415 - see above
    from chassis.fitness import database_problem, pooler_problem  # noqa: PLC0415 - see above

    database = await Database.connect(where.settings, service, "worker", service_password(service), 2)
    try:
        async with database.pool.acquire() as connection:
            problem = await database_problem(connection, where.settings)
        problem = problem or await pooler_problem(database)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as fault:
        raise Mendable(
            f"It does not answer: {fault!r}", f"Start PostgreSQL; where it is new: taiwa migrate {service}"
        ) from fault
    finally:
        await database.close()
    if problem:
        raise Mendable(problem, mend_of(problem, "Do what it says."))
    return "answers, keeps what it commits, tells our time"


async def _tables(where: Operated, service: str) -> str:
    from chassis.fitness import migration_problem  # noqa: PLC0415 - see above
    from chassis.migrations import wanted_migrations  # noqa: PLC0415 - see above

    async with worker_connection(where.settings, service) as connection:
        rows = await connection.fetch("SELECT name, checksum FROM schema_migrations")
    done = {row["name"]: row["checksum"] for row in rows}
    problem = migration_problem(service, done, wanted_migrations(service, migrations_of(service)))
    if problem:
        raise Mendable(problem, mend_of(problem, problem.rpartition("; ")[2]))
    return f"{len(done)} migrations, as this version knows them"


async def _relay(where: Operated, service: str) -> str:
    await relay_fits(where, service)
    return "log and topics belong together"


async def _consumer(where: Operated, service: str) -> str:
    """Whether anything stands still, was set aside, or was left half done."""
    from chassis.operations.condition import condition  # noqa: PLC0415 - as above
    from chassis.rebuild import unfinished  # noqa: PLC0415 - as above
    from taiwa.cli.status import civil_now, mend  # noqa: PLC0415 - as above

    async with worker_connection(where.settings, service) as connection:
        now = await civil_now(connection, where.settings)
        found = await condition(connection, service, civil_now=now)
        rebuilds = [str(row["projection"]) for row in await unfinished(connection)]
    if found.stops:
        stop = found.stops[0]
        raise Mendable(f"Consumption stands still ({stop.scope}): {stop.reason}", mend(service, stop))
    if found.letters.get("dead"):
        raise Mendable(
            f"{found.letters['dead'].many} dead letters wait.", f"taiwa dead-letters list --service {service}"
        )
    if found.late:
        raise Mendable("; ".join(found.late), f"Start {service} with its relay and timers, or read its log.")
    if rebuilds:
        raise Mendable(
            f"The rebuild of {rebuilds[0]} runs, or was ended in the middle.",
            f"taiwa rebuild {rebuilds[0]}, or with --abandon",
        )
    return "nothing stands still, no dead letter"


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
