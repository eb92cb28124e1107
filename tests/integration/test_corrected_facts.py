"""What directory puts right later, from an earlier day on, is right in every copy: told at once or one by one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from chassis.calendar import at
from chassis.testing import MIDORI, Installation, Running, running, set_civil_clock
from chassis.transaction import new_id
from services.consultations import main as consultations
from services.leaders import main as leaders
from services.leaders.repository import facts
from services.notifications import main as notifications
from services.trainings import main as trainings
from taiwa_contracts.directory import (
    SectionCreatedV1,
    SectionHeadAssignedV1,
    SectionRenamedV1,
    StaffJoinedV1,
    StaffTransferredV1,
    TransferRevertedV1,
)
from taiwa_contracts.event import Event
from tests.integration.operations.walk import LONG_AGO, World

SECTION, OTHER_SECTION, WRONG, RIGHT = new_id(), new_id(), new_id(), new_id()
THIRD, FIRST, TENTH = date(2026, 4, 3), date(2026, 4, 1), date(2026, 4, 10)

HEADS = (
    SectionHeadAssignedV1(section_id=SECTION, head_person_id=WRONG, head_post="課長", effective_from=THIRD),
    SectionHeadAssignedV1(section_id=SECTION, head_person_id=RIGHT, head_post="課長", effective_from=FIRST),
)
NAMES = (
    SectionRenamedV1(section_id=SECTION, name="道路かせん課", effective_from=THIRD),
    SectionRenamedV1(section_id=SECTION, name="道路河川課", effective_from=FIRST),
)
# Names and heads in the reader's own way of finding what holds on a day; trainings knows no heads.
NEWEST_NAME = "SELECT name FROM section_names WHERE section_id = $1 AND from_on <= $2 ORDER BY {order} DESC LIMIT 1"
NEWEST_HEAD = (
    "SELECT head_person_id FROM section_heads WHERE section_id = $1 AND from_on <= $2 ORDER BY from_on DESC LIMIT 1"
)
IN_PERIOD = "FROM {table} WHERE section_id = $1 AND from_on <= $2 AND (until_on IS NULL OR until_on >= $2)"
READERS: list[tuple[Any, str, str | None]] = [
    (leaders, "SELECT name " + IN_PERIOD.format(table="section_names"), None),
    (consultations, NEWEST_NAME.format(order="from_on"), NEWEST_HEAD),
    (notifications, NEWEST_NAME.format(order="from_on"), NEWEST_HEAD),
    (trainings, NEWEST_NAME.format(order="version"), None),
]


async def hear(it: Running, events: Sequence[Event], *, at_once: bool) -> World:
    world = World(it)
    await set_civil_clock(it, at(TENTH, "09:00"))
    for batch in [events] if at_once else [[event] for event in events]:
        await world.tell(*batch)
    return world


async def value(it: Running, sql: str, day: date) -> Any:
    async with it.worker.scoped(MIDORI) as connection:
        return await connection.fetchval(sql, SECTION, day)


def founded(section_id: UUID = SECTION) -> SectionCreatedV1:
    return SectionCreatedV1(
        section_id=section_id,
        code=str(section_id)[-4:],
        name="道路課",
        kind="課",
        appointing_authority="町長",
        display_order=1,
        effective_from=LONG_AGO,
    )


@pytest.mark.parametrize("at_once", [True, False], ids=["at-once", "one-by-one"])
@pytest.mark.parametrize(("main", "name", "head"), READERS, ids=[main.__name__.split(".")[1] for main, _, _ in READERS])
async def test_a_name_and_a_head_put_right_from_an_earlier_day_hold_from_that_day(
    installation: Installation, main: Any, name: str, head: str | None, at_once: bool
) -> None:
    async with running(main.build, installation, roles=("api",)) as it:
        await hear(it, [founded(), *NAMES, *HEADS], at_once=at_once)
        assert await value(it, name, date(2026, 3, 31)) == "道路課"
        assert {await value(it, name, day) for day in (FIRST, THIRD, TENTH)} == {"道路河川課"}
        if head is not None:
            assert {await value(it, head, day) for day in (FIRST, THIRD, TENTH)} == {RIGHT}


@pytest.mark.parametrize("at_once", [True, False], ids=["at-once", "one-by-one"])
async def test_leaders_finds_one_head_and_one_place_a_person_on_each_day(
    installation: Installation, at_once: bool
) -> None:
    async with running(leaders.build, installation, roles=("api",)) as it:
        moved: dict[str, Any] = {"person_id": WRONG, "post": "主任", "full_time": True}
        wrong, right = new_id(), new_id()
        events = [
            founded(),
            *HEADS,
            StaffJoinedV1(**moved, section_id=SECTION, effective_from=LONG_AGO),
            StaffTransferredV1(
                **moved,
                transfer_id=wrong,
                from_section_id=SECTION,
                to_section_id=OTHER_SECTION,
                effective_from=date(2026, 4, 8),
            ),
            TransferRevertedV1(**moved, transfer_id=wrong, section_id=SECTION, effective_from=date(2026, 4, 8)),
            StaffTransferredV1(
                **moved, transfer_id=right, from_section_id=SECTION, to_section_id=OTHER_SECTION, effective_from=FIRST
            ),
        ]
        await hear(it, events, at_once=at_once)
        async with it.worker.scoped(MIDORI) as connection:
            for day in (FIRST, THIRD, date(2026, 4, 8), TENTH):
                assert await facts.head_on(connection, MIDORI, SECTION, day) == RIGHT
                place = (await facts.places_on(connection, MIDORI, [WRONG], day))[WRONG]
                assert place.section_ids == {OTHER_SECTION}
            before = (await facts.places_on(connection, MIDORI, [WRONG], date(2026, 3, 31)))[WRONG]
            assert before.section_ids == {SECTION}
