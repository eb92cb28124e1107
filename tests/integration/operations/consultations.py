"""A walk through consultations."""

from __future__ import annotations

from chassis.calendar import at
from chassis.testing import set_civil_clock
from services.consultations import main
from tests.integration.operations import facts
from tests.integration.operations.walk import EVERYWHERE, TODAY, Step, Walk, World

LEADER = "真壁 理人"
DESK = "宮下 湊"


async def settle(world: World) -> None:
    """道路課 with a leader, 総合政策課 with somebody at its desk."""
    await set_civil_clock(world.it, at(TODAY, "10:00"))
    await world.tell(*facts.year(), *facts.section(world, "道路課", "1110", "轟 武"))
    await world.tell(*facts.section(world, "総合政策課", "1020", "沢 薫"))
    await world.tell(*facts.person(world, LEADER, "道路課"), *facts.leader(world, LEADER, "道路課"))
    await world.tell(*facts.person(world, DESK, "総合政策課"), *facts.role(world, DESK, "it_policy"))


def of_desk(operation: str, **more: object) -> Step:
    """A step of somebody at the desk."""
    return Step(operation, ("it_policy",), by=DESK, section="総合政策課", **more)  # type: ignore[arg-type]  # passed on


def of_leader(operation: str, **more: object) -> Step:
    """A step of the leader who asks."""
    return Step(operation, ("leader",), by=LEADER, section="道路課", **more)  # type: ignore[arg-type]  # passed on


WALK = Walk(
    "consultations",
    main,
    settle,
    (
        of_leader("GET /categories", keep=lambda body: {"code": body[0]["code"]}),
        of_desk("PUT /categories/{code}", json=lambda _: {"label": "そのほかのこと", "desk": "it_policy"}),
        of_desk("GET /desks"),
        of_leader(
            "POST /consultations",
            json=lambda world: {
                "title": "図面の送り方",
                "body": "庁内チャットで送れますか。",
                "category": world["code"],
            },
            keep=lambda body: {"consultation_id": body["consultation_id"]},
        ),
        of_desk("GET /consultations"),
        of_leader("GET /consultations", params=lambda _: {"mine": True}),
        of_desk("GET /consultations/{consultation_id}"),
        of_desk("POST /consultations/{consultation_id}/assignment"),
        of_desk(
            "POST /consultations/{consultation_id}/entries",
            json=lambda _: {"kind": "answer", "body": "送れます。"},
        ),
        of_leader("POST /consultations/{consultation_id}/resolution"),
        of_leader("POST /consultations/{consultation_id}/reopening"),
        of_leader("GET /leaders"),
        *EVERYWHERE,
    ),
)
