"""A walk through notifications."""

from __future__ import annotations

from chassis.calendar import at
from chassis.testing import MIDORI, set_civil_clock
from services.notifications import main
from tests.integration.operations import facts
from tests.integration.operations.walk import EVERYWHERE, TODAY, Step, Walk, World

LEADER = "真壁 理人"


async def settle(world: World) -> None:
    """道路課, whose new leader has a welcome in the inbox and on the way by mail."""
    await set_civil_clock(world.it, at(TODAY, "10:00"))
    await world.tell(*facts.year(), *facts.section(world, "道路課", "1110", "轟 武"))
    await world.tell(*facts.person(world, LEADER, "道路課"))
    await world.tell(*facts.leader(world, LEADER, "道路課"))


async def fail_the_mail(world: World) -> None:
    """The mail server has refused the welcome for good."""
    async with world.it.worker.scoped(MIDORI) as connection:
        await connection.execute(
            "UPDATE deliveries SET state = 'failed', reason = 'refused', attempt_at = NULL, settled_at = now() "
            "WHERE channel = 'mail'"
        )


def kept(body: dict[str, list[dict[str, object]]]) -> dict[str, object]:
    """The delivery that is listed first."""
    return {"delivery_id": body["items"][0]["id"]}


WALK = Walk(
    "notifications",
    main,
    settle,
    (
        Step("GET /inbox", by=LEADER, keep=kept),
        Step("GET /inbox/summary", by=LEADER),
        Step("POST /inbox/{delivery_id}/read", by=LEADER),
        Step("POST /inbox/read-all", by=LEADER),
        Step("GET /deliveries", ("hr",), params=lambda _: {"channel": "mail"}, keep=kept),
        Step("GET /deliveries/late", ("admin",)),
        Step("POST /deliveries/{delivery_id}/acknowledgement", ("hr",), before=fail_the_mail),
        Step("POST /deliveries/{delivery_id}/retry", ("hr",), before=fail_the_mail),
        *EVERYWHERE,
    ),
)
