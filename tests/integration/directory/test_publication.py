"""What comes out on Kafka, and what comes in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime
from uuid import uuid4

import pytest

from chassis.calendar import TOKYO
from chassis.testing import MIDORI, FactOnTopic, Installation, eventually, running, set_civil_clock
from services.directory.commands.administrators import CreateAdmin, create_admin
from services.directory.main import build
from services.directory.queries.identity import identity_of
from taiwa_contracts.leaders import AppointmentCorrectedV1, LeaderAppointedV1, LeaderTermEndedV1, LeaderTermExtendedV1
from tests.integration.directory.town import PEOPLE, PEOPLE_HEADING, Town, csv


@pytest.fixture
async def whole(installation: Installation) -> AsyncIterator[Town]:
    """みどり町 with every role of directory running."""
    async with running(build, installation) as it:
        await set_civil_clock(it, datetime(2026, 4, 13, 10, tzinfo=TOKYO))
        admin = CreateAdmin(MIDORI, "みどり町", "ミドリマチ", effective_from=date(2026, 4, 1))
        yield Town(it, admin, await create_admin(it.database, admin))


async def test_people_travel_as_states_and_facts_without_names(whole: Town, installation: Installation) -> None:
    await whole.settle()
    row = PEOPLE[0].replace("t@midori.example", "new@midori.example")
    await whole.import_file("people", csv(PEOPLE_HEADING, [row]))
    person_id = (await whole.person("1"))["person_id"]

    async def newest() -> FactOnTopic | None:
        states = [
            fact for fact in await installation.facts_on("directory.people") if fact.aggregate == f"person/{person_id}"
        ]
        return states[-1] if states and (states[-1].value or {})["state_version"] == 2 else None

    state = await eventually(newest)
    assert state is not None
    assert state.value is not None
    assert (state.value["name"], state.value["mail"]) == ("髙橋 一郎", "new@midori.example")
    assert state.key == f"{MIDORI}/person/{person_id}"
    facts = await installation.facts_on("directory.events")
    assert "髙橋" not in str([fact.value for fact in facts])


async def test_a_leader_is_one_for_the_days_of_the_term(whole: Town, installation: Installation) -> None:
    await whole.settle()
    person, section, appointment_id = await whole.person("2"), await whole.section("1110"), uuid4()
    place = {
        "appointment_id": appointment_id,
        "person_id": person["person_id"],
        "section_id": section["section_id"],
    }

    async def leads(on: date) -> bool:
        async with whole.it.database.reading(MIDORI) as connection:
            identity = await identity_of(connection, MIDORI, person["person_id"], on)
        return identity is not None and "leader" in identity.roles

    term = {"effective_from": "2026-04-20", "ends_on": "2027-03-31"}
    await installation.publish(
        LeaderAppointedV1.model_validate({**place, **term, "fiscal_year": 2026, "word": "選任"}), 1
    )
    await eventually(lambda: leads(date(2026, 4, 20)))
    assert not await leads(date(2026, 4, 19))
    assert not await leads(date(2027, 4, 1))
    await installation.publish(
        AppointmentCorrectedV1.model_validate({**place, **term, "effective_from": "2026-04-13"}), 2
    )
    await eventually(lambda: leads(date(2026, 4, 13)))
    await installation.publish(LeaderTermExtendedV1.model_validate({**place, "effective_from": "2027-04-01"}), 3)
    await eventually(lambda: leads(date(2027, 4, 1)))
    ended = LeaderTermEndedV1.model_validate({**place, "effective_from": "2027-04-13", "reason": "successor"})
    await installation.publish(ended, 4)

    async def led_until() -> bool:
        return not await leads(date(2027, 4, 13)) and await leads(date(2027, 4, 12))

    await eventually(led_until)
