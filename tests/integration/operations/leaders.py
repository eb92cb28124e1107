"""A walk through leaders."""

from __future__ import annotations

from chassis.calendar import at
from chassis.testing import set_civil_clock
from services.leaders import main
from tests.integration.operations import facts
from tests.integration.operations.walk import EVERYWHERE, TODAY, Step, Walk, World

HR = ("hr",)


async def settle(world: World) -> None:
    """道路課 with its head and three more."""
    await set_civil_clock(world.it, at(TODAY, "10:00"))
    await world.tell(*facts.year(), *facts.section(world, "道路課", "1110", "轟 武"))
    await world.tell(*facts.section(world, "福祉課", "1060", "有馬 静江"))
    for name in ("真壁 理人", "榊 俊介", "渡邉 るい"):
        await world.tell(*facts.person(world, name, "道路課"))


WALK = Walk(
    "leaders",
    main,
    settle,
    (
        Step("POST /calls", HR, json=lambda _: {"fiscal_year": 2026, "closes_on": "2026-04-20"}),
        Step(
            "GET /section-calls",
            HR,
            params=lambda _: {"fiscal_year": 2026},
            keep=lambda body: {
                "section_call_id": next(each["section_call_id"] for each in body if each["section_name"] == "道路課"),
                "other_call": next(each["section_call_id"] for each in body if each["section_name"] == "福祉課"),
            },
        ),
        Step(
            "POST /section-calls/{section_call_id}/nominations",
            ("section_head",),
            by="轟 武",
            section="道路課",
            json=lambda world: {"person_ids": [world["真壁 理人"]]},
        ),
        Step(
            "POST /section-calls/{section_call_id}/rejections", HR, json=lambda _: {"reason": "もう一度お願いします。"}
        ),
        Step("POST /section-calls/{section_call_id}/reminders", HR),
        Step(
            "POST /section-calls/{section_call_id}/nominations",
            HR,
            json=lambda world: {"person_ids": [world["真壁 理人"]]},
        ),
        Step("GET /section-calls/{section_call_id}", HR),
        Step(
            "POST /decisions",
            HR,
            json=lambda world: {
                "section_call_ids": [world["section_call_id"]],
                "decided_on": str(TODAY),
                "decided_by_post": "総務課長",
                "document_number": "総務第41号",
            },
            keep=lambda body: {"appointment_id": body["appointments"][0]["appointment_id"]},
        ),
        Step("GET /coverage", HR, params=lambda _: {"fiscal_year": 2026}),
        Step("GET /appointments", HR),
        Step("GET /appointments/{appointment_id}", HR),
        Step(
            "POST /appointments/{appointment_id}/deputy",
            HR,
            json=lambda world: {"person_id": world["榊 俊介"], "from_on": str(TODAY), "until_on": "2026-05-31"},
        ),
        Step("POST /appointments/{appointment_id}/deputy/end", HR),
        Step("POST /appointments/{appointment_id}/corrections", HR, json=lambda _: {"document_number": "総務第42号"}),
        Step(
            "POST /appointments/{appointment_id}/ends",
            HR,
            json=lambda _: {"ended_on": str(TODAY), "reason": "resigned"},
        ),
        *EVERYWHERE,
    ),
)
