"""A small town for the tests: three sections, a leader, both desks."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from chassis.testing import Installation
from chassis.transaction import new_id
from taiwa_contracts.directory import (
    CalendarChangedV1,
    PersonStateV1,
    RoleGrantedV1,
    SectionCreatedV1,
    SectionHeadAssignedV1,
)
from taiwa_contracts.leaders import LeaderAppointedV1

OPENING_DAY = date(2020, 4, 1)
"""Long before any test runs, so that what holds from here holds today."""


async def publish_section(installation: Installation, section_id: UUID, name: str, order: int = 1) -> None:
    """A section that exists since long."""
    await installation.publish(
        SectionCreatedV1(
            section_id=section_id,
            effective_from=OPENING_DAY,
            code=f"{order:04d}",
            name=name,
            kind="課",
            appointing_authority="町長",
            display_order=order,
        )
    )


async def publish_head(installation: Installation, section_id: UUID, person_id: UUID, version: int = 2) -> None:
    """Its head, since long."""
    await installation.publish(
        SectionHeadAssignedV1(
            section_id=section_id, effective_from=OPENING_DAY, head_person_id=person_id, head_post="課長"
        ),
        version,
    )


async def publish_person(
    installation: Installation,
    person_id: UUID,
    name: str,
    section_id: UUID,
    *,
    state_version: int = 1,
    mail: str | None = None,
) -> None:
    """The present state of a person."""
    await installation.publish(
        PersonStateV1(
            state_version=state_version,
            person_id=person_id,
            name=name,
            kana="フリガナ",
            mail=mail,
            section_id=section_id,
            post="主任",
        ),
        state_version,
    )


async def publish_role(installation: Installation, person_id: UUID, role: str) -> None:
    """A role held since long."""
    await installation.publish(
        RoleGrantedV1.model_validate({"person_id": person_id, "role": role, "effective_from": OPENING_DAY})
    )


async def publish_leader(
    installation: Installation,
    person_id: UUID,
    section_id: UUID,
    *,
    effective_from: date = OPENING_DAY,
    ends_on: date = date(2099, 3, 31),
) -> UUID:
    """An appointment that holds today; gives its id."""
    appointment_id = new_id()
    await installation.publish(
        LeaderAppointedV1(
            appointment_id=appointment_id,
            person_id=person_id,
            section_id=section_id,
            fiscal_year=2026,
            effective_from=effective_from,
            ends_on=ends_on,
            word="選任",
        )
    )
    return appointment_id


async def publish_calendar(installation: Installation, fiscal_year: int, closed_days: list[date]) -> None:
    """Closed days of a fiscal year."""
    await installation.publish(
        CalendarChangedV1(fiscal_year=fiscal_year, closed_days=closed_days, opens_at="08:30", closes_at="17:00")
    )
