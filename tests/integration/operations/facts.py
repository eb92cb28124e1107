"""Foreign facts of a small town: a section with head, leaders and staff, its rules and calendar."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from taiwa_contracts.directory import (
    CalendarChangedV1,
    FiscalYearOpenedV1,
    MunicipalityRegisteredV1,
    PersonStateV1,
    RoleGrantedV1,
    RuleChangedV1,
    SectionCreatedV1,
    SectionHeadAssignedV1,
    StaffJoinedV1,
)
from taiwa_contracts.event import Event
from taiwa_contracts.leaders import LeaderAppointedV1
from tests.integration.operations.walk import LONG_AGO, World


def section(world: World, name: str, code: str, head: str) -> list[Event]:
    """A section and its head, who works there."""
    it = UUID(world.person(name))
    return [
        SectionCreatedV1(
            section_id=it,
            code=code,
            name=name,
            kind="課",
            appointing_authority="町長",
            display_order=int(code),
            effective_from=LONG_AGO,
        ),
        *person(world, head, name, post="課長"),
        SectionHeadAssignedV1(
            section_id=it, head_person_id=UUID(world.person(head)), head_post="課長", effective_from=LONG_AGO
        ),
    ]


def person(world: World, name: str, section_name: str, post: str = "主事") -> list[Event]:
    """Somebody who works in a section."""
    person_id, section_id = UUID(world.person(name)), UUID(world.person(section_name))
    return [
        PersonStateV1(
            state_version=1,
            person_id=person_id,
            name=name,
            kana="フリガナ",
            mail=f"{len(world.ids)}@midori.example",
            section_id=section_id,
            post=post,
        ),
        StaffJoinedV1(person_id=person_id, section_id=section_id, post=post, full_time=True, effective_from=LONG_AGO),
    ]


def role(world: World, name: str, role_name: str) -> list[Event]:
    """A role of somebody, since long."""
    return [
        RoleGrantedV1.model_validate({"person_id": world.person(name), "role": role_name, "effective_from": LONG_AGO})
    ]


def leader(world: World, name: str, section_name: str) -> list[Event]:
    """An appointment that holds for years."""
    return [
        LeaderAppointedV1(
            appointment_id=UUID(world.person(f"appointment of {name}")),
            person_id=UUID(world.person(name)),
            section_id=UUID(world.person(section_name)),
            fiscal_year=2026,
            effective_from=LONG_AGO,
            ends_on=date(2099, 3, 31),
            word="選任",
        )
    ]


def year() -> list[Event]:
    """The fiscal year 2026 with its calendar, the town and a rule."""
    return [
        MunicipalityRegisteredV1(code="999997", name="みどり町", kana="ミドリマチ", fictional=True),
        FiscalYearOpenedV1(fiscal_year=2026, starts_on=date(2026, 4, 1), ends_on=date(2027, 3, 31)),
        CalendarChangedV1(fiscal_year=2026, closed_days=[date(2026, 4, 29)], opens_at="08:30", closes_at="17:15"),
        RuleChangedV1(rule="leaders_per_section", value=1, effective_from=LONG_AGO),
    ]
