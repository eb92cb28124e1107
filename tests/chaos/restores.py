"""A database becomes what it was some time ago, while everybody else goes on from today.

The clerk publishes, so others hold facts that its log does not. The nemesis does what ``docs/repair.md`` says: the
command that the relay names, then a rebuild of the projections that hold lost facts. Before that it sees for itself
which published facts the log has lost, and the command must tell exactly those.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

from chassis.database import database_name
from chassis.rebuild import rebuild
from taiwa.local.postgres import binaries
from tests.chaos.catalogue import make
from tests.chaos.checker import Restored
from tests.chaos.evidence import on_topic
from tests.chaos.faults import NotReachedError, fault, lasting
from tests.chaos.ground import Ground
from tests.chaos.repairs import NotRefusedError, mended, refused, republish

SERVICE, READER = "clerk", "archive"
NEED_AN_OPERATOR: Sequence[str] = ("topic-recreated", "log-start-moved", "partitions-raised", "restored")


def _tool(ground: Ground, name: str, *arguments: str) -> None:
    where = ["--host=127.0.0.1", f"--port={ground.postgres.port}", "--username=postgres"]
    done = subprocess.run(
        [str(binaries() / name), *where, *arguments],
        env={"PATH": os.environ.get("PATH", ""), "PGPASSWORD": ground.postgres.password},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr[-500:]}")


async def back_up(ground: Ground, service: str, copy: Path) -> None:
    """A dump of a service's database, as of the moment at which it begins, while everything runs."""
    name = database_name(ground.looking, service)
    await asyncio.to_thread(_tool, ground, "pg_dump", "--format=custom", f"--file={copy}", name)


async def restore(ground: Ground, service: str, copy: Path) -> None:
    """Put a dump in the place of a service's database."""
    name = database_name(ground.looking, service)
    connection = await ground.administrator()
    try:
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await connection.close()
    await asyncio.to_thread(_tool, ground, "pg_restore", "--exit-on-error", "--create", "--dbname=postgres", str(copy))


async def _logged(ground: Ground) -> set[str]:
    connection = await ground.administrator(SERVICE)
    try:
        return {row[0] for row in await connection.fetch("SELECT event_id::text FROM event_log")}
    finally:
        await connection.close()


@fault("restored", "the database of a service that publishes becomes what it was: facts that others hold are lost")
async def restored(ground: Ground, chance: random.Random) -> str:
    copy = ground.folder / "clerk.dump"
    backup_at = ground.seconds()
    await back_up(ground, SERVICE, copy)
    await lasting(chance.uniform(4, 12))
    members = [it for it in ground.members if it.service == SERVICE]
    for member in members:
        await ground.kill_member(member)
    before = await _logged(ground)
    await restore(ground, SERVICE, copy)
    lost = frozenset(before - await _logged(ground))
    published = lost & {fact.id for fact in await on_topic(ground, f"{SERVICE}.events")}
    ground.restores.append(Restored(backup_at, ground.seconds(), lost))
    for member in members:
        await ground.start_member(member)
    what = f"{SERVICE} as {ground.restores[-1].restored_at - backup_at:.0f} s before, {len(lost)} facts lost"
    if not published:
        raise NotReachedError(f"{what}, and nobody had heard of any")
    return f"{what}; {await _mend(ground, what, published)}"


async def _mend(ground: Ground, what: str, published: frozenset[str]) -> str:
    """What the operator does, by the reason on record and the page on repair."""
    command, _, reason = (await refused(ground, what)).partition("  [")
    if command != f"taiwa republish {SERVICE}":
        raise NotRefusedError(f"{what}, and this was named: {command}")
    done = await republish(ground, SERVICE)
    told = {str(it.event_id) for it in done.lost}
    if told != published:
        raise NotRefusedError(f"{what}: {len(published - told)} were not told, {len(told - published)} are not lost")
    more = await mended(ground)
    for projection in make(READER, ground.looking, 0, api=False).projections:
        await rebuild(ground.admin_url, make(READER, ground.looking, 0, api=False), projection.name)
        more.append(f"taiwa rebuild {projection.name}")
    return "; ".join([f"refused: {reason.rstrip(']')}", f"{command}: {done.events} events, {len(told)} told", *more])
