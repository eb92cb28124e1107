"""Makes requests that must be refused and looks at every answer, and at what is stored before and after."""

from __future__ import annotations

from collections import Counter

from chassis.testing import Running
from tests.corpus.request import send
from tests.corpus.request_mutations import made
from tests.integration.operations import Walk, World
from tests.integration.test_tenancy import own_rows

MARKED = {"login_failures"}
"""Tables in which a refusal leaves its mark on purpose."""


async def walked(it: Running, walk: Walk) -> World:
    """A town in which every operation has succeeded."""
    world = World(it)
    await walk.settle(world)
    for step in walk.steps:
        if step.before is not None:
            await step.before(world)
        await step.succeed(world)
    return world


async def stored(it: Running) -> dict[str, str | None]:
    """A fingerprint of every table that a refusal must not touch."""
    return {table: rows for table, rows in (await own_rows(it)).items() if table not in MARKED}


async def try_requests(world: World, walk: Walk, seed: int, wanted: int, answers: Counter[str]) -> list[str]:
    """Make so many requests to the service; counts answers by status and code, gives what is wrong with them."""
    before, problems = await stored(world.it), []
    for name, request in made(world, walk.steps, seed, wanted):
        answer = await send(world.it.app, request)
        answers[f"{answer.status} {answer.code}"] += 1
        problems += [f"{name}: {problem}; sent {request!r:.400}" for problem in answer.problems()]
    after = await stored(world.it)
    return problems + [f"rows of {table} changed" for table in before if before[table] != after[table]]
