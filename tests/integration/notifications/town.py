"""A small town for the tests: its name, a section with head and leader, the desk."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from chassis.testing import MIDORI, Installation, Running, eventually
from chassis.transaction import new_id
from taiwa_contracts.directory import (
    MunicipalityRegisteredV1,
    PersonStateV1,
    RoleGrantedV1,
    SectionCreatedV1,
    SectionHeadAssignedV1,
)
from taiwa_contracts.leaders import LeaderAppointedV1

OPENING_DAY = date(2020, 4, 1)


@dataclass(frozen=True, slots=True)
class Town:
    """Ids of those who live in it."""

    section: UUID = field(default_factory=new_id)
    leader: UUID = field(default_factory=new_id)
    head: UUID = field(default_factory=new_id)
    desk: UUID = field(default_factory=new_id)
    without_mail: UUID = field(default_factory=new_id)

    def appointment(self, person_id: UUID | None = None) -> LeaderAppointedV1:
        """A new appointment in its section."""
        return LeaderAppointedV1(
            appointment_id=new_id(),
            person_id=person_id or self.leader,
            section_id=self.section,
            fiscal_year=2026,
            effective_from=date(2026, 4, 13),
            ends_on=date(2027, 3, 31),
            word="選任",
        )


async def publish_person(
    installation: Installation,
    person_id: UUID,
    name: str,
    mail: str | None,
    *,
    section_id: UUID,
    state_version: int = 1,
) -> None:
    """The present state of a person."""
    state = PersonStateV1(
        state_version=state_version,
        person_id=person_id,
        name=name,
        kana="フリガナ",
        mail=mail,
        section_id=section_id,
        post="主任",
    )
    await installation.publish(state, state_version)


async def settle(installation: Installation, notifications: Running) -> Town:
    """Publish the town and wait until notifications knows it."""
    town = Town()
    await installation.publish(
        MunicipalityRegisteredV1(code=MIDORI, name="みどり町", kana="ミドリマチ", fictional=True)
    )
    await installation.publish(
        SectionCreatedV1(
            section_id=town.section,
            effective_from=OPENING_DAY,
            code="0010",
            name="道路課",
            kind="課",
            appointing_authority="町長",
            display_order=1,
        )
    )
    await installation.publish(
        SectionHeadAssignedV1(
            section_id=town.section, effective_from=OPENING_DAY, head_person_id=town.head, head_post="課長"
        ),
        2,
    )
    await installation.publish(RoleGrantedV1(person_id=town.desk, role="it_policy", effective_from=OPENING_DAY))
    await publish_person(installation, town.leader, "髙橋 みのり", "minori@midori.example", section_id=town.section)
    await publish_person(installation, town.head, "齋藤 進", "susumu@midori.example", section_id=town.section)
    await publish_person(installation, town.desk, "宮下 湊", "minato@midori.example", section_id=town.section)
    await publish_person(installation, town.without_mail, "山﨑 恵", None, section_id=town.section)

    async def known() -> bool:
        async with notifications.worker.scoped("*") as connection:
            counts = await connection.fetchrow("""
                SELECT (SELECT count(*) FROM people) AS people, (SELECT count(*) FROM towns) AS towns,
                       (SELECT count(*) FROM section_heads) AS heads, (SELECT count(*) FROM desk_members) AS members
            """)
        return counts is not None and tuple(counts) == (4, 1, 1, 1)

    await eventually(known, timeout=30)
    return town
