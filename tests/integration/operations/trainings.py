"""A walk through trainings."""

from __future__ import annotations

from chassis.calendar import at
from chassis.testing import set_civil_clock
from services.trainings import main
from tests.integration.operations import facts
from tests.integration.operations.walk import EVERYWHERE, TODAY, Step, Walk, World

LEADER = "真壁 理人"


async def settle(world: World) -> None:
    """道路課 with a leader."""
    await set_civil_clock(world.it, at(TODAY, "10:00"))
    await world.tell(*facts.year(), *facts.section(world, "道路課", "1110", "轟 武"))
    await world.tell(*facts.person(world, LEADER, "道路課"), *facts.leader(world, LEADER, "道路課"))


WALK = Walk(
    "trainings",
    main,
    settle,
    (
        Step(
            "POST /programmes",
            ("hr",),
            json=lambda _: {"title": "DX基礎", "summary": "はじめの一歩"},
            keep=lambda body: {"programme_id": body["programme_id"]},
        ),
        Step("GET /programmes", ("hr",)),
        Step("GET /programmes/{programme_id}", ("hr",)),
        Step(
            "POST /completions",
            ("hr",),
            json=lambda world: {
                "programme_id": world["programme_id"],
                "person_ids": [world[LEADER]],
                "completed_on": str(TODAY),
                "source": "attendance",
            },
            keep=lambda body: {"completion_id": body["completions"][0]["completion_id"]},
        ),
        Step("GET /completions", ("hr",)),
        Step("POST /completions/{completion_id}/revocation", ("hr",)),
        *EVERYWHERE,
    ),
)
