"""leaders with all its roles: directory's facts come from Kafka, its own go there, timers run by the town's clock."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from chassis.calendar import at
from chassis.clocks import machine_now
from chassis.testing import Installation, Running, eventually, running
from chassis.transaction import new_id
from services.leaders.main import build
from taiwa_contracts.directory import (
    CivilClockSetV1,
    FiscalYearOpenedV1,
    SectionCreatedV1,
    SectionHeadAssignedV1,
    StaffJoinedV1,
    StaffLeftV1,
)
from tests.integration.leaders.town import LONG_AGO, person_state

SECTION, HEAD, LEADER = new_id(), new_id(), new_id()


async def publish_town(installation: Installation) -> None:
    """One section with its head and one more person; it is 1 April 2026."""
    await installation.publish(
        CivilClockSetV1(civil_at=at(date(2026, 4, 1), "09:00"), machine_at=machine_now()), municipality="000000"
    )
    await installation.publish(
        SectionCreatedV1(
            section_id=SECTION,
            code="1110",
            name="道路課",
            kind="課",
            appointing_authority="町長",
            display_order=1,
            effective_from=LONG_AGO,
        )
    )
    await installation.publish(
        SectionHeadAssignedV1(section_id=SECTION, head_person_id=HEAD, head_post="課長", effective_from=LONG_AGO), 2
    )
    for person, name in ((HEAD, "轟 武"), (LEADER, "真壁 理人")):
        await installation.publish(person_state(person, name, SECTION))
        await installation.publish(
            StaffJoinedV1(person_id=person, section_id=SECTION, post="技師", full_time=True, effective_from=LONG_AGO)
        )
    await installation.publish(
        FiscalYearOpenedV1(fiscal_year=2026, starts_on=date(2026, 4, 1), ends_on=date(2027, 3, 31))
    )


async def knows_the_town(it: Running) -> bool:
    async with it.worker.scoped("*") as connection:
        known = await connection.fetchval("SELECT (SELECT count(*) FROM people) + (SELECT count(*) FROM memberships)")
        opened = await connection.fetchval("SELECT count(*) FROM fiscal_years")
        headed = await connection.fetchval("SELECT count(*) FROM section_heads")
        clock = await connection.fetchval("SELECT count(*) FROM civil_clock")
    return (known, opened, headed, clock) == (4, 1, 1, 1)


async def appointed(it: Running) -> UUID:
    """The call, the nomination, the decision; gives the appointment."""
    hr = it.client(it.caller("hr"))
    call = await hr.post("/calls", json={"fiscal_year": 2026, "closes_on": "2026-04-10"})
    assert call.status_code == 201, call.text
    [section_call] = call.json()["section_call_ids"]
    head = it.client(it.caller("section_head", person_id=HEAD))
    named = await head.post(f"/section-calls/{section_call}/nominations", json={"person_ids": [str(LEADER)]})
    assert named.status_code == 201, named.text
    body = {"section_call_ids": [section_call], "decided_on": "2026-04-01", "decided_by_post": "総務課長"}
    decided = await hr.post("/decisions", json=body)
    assert decided.status_code == 201, decided.text
    return UUID(decided.json()["appointments"][0]["appointment_id"])


async def test_an_appointment_travels_to_kafka_in_order(installation: Installation) -> None:
    async with running(build, installation) as it:
        await publish_town(installation)
        await eventually(lambda: knows_the_town(it), timeout=60)
        appointment = await appointed(it)
        facts = await eventually(
            lambda: installation.facts_on("leaders.events", "taiwa.leaders.leader-appointed.v1"), timeout=60
        )
        assert [(fact.aggregate, fact.version) for fact in facts] == [(f"appointment/{appointment}", 1)]

        await installation.publish(StaffLeftV1(person_id=LEADER, effective_from=date(2026, 4, 1)), 2)
        [ended] = await eventually(
            lambda: installation.facts_on("leaders.events", "taiwa.leaders.leader-term-ended.v1"), timeout=60
        )
        assert (ended.version, ended.value and ended.value["reason"]) == (2, "left")
        calls = [fact.version for fact in await installation.facts_on("leaders.events") if "call" in fact.aggregate]
        assert calls == [1, 2]


async def test_a_fiscal_year_ends_when_the_towns_clock_says_so(installation: Installation) -> None:
    async with running(build, installation) as it:
        await publish_town(installation)
        await eventually(lambda: knows_the_town(it), timeout=60)
        appointment = await appointed(it)
        await installation.publish(
            CivilClockSetV1(civil_at=at(date(2027, 4, 1), "00:00"), machine_at=machine_now()), 2, municipality="000000"
        )
        [ended] = await eventually(
            lambda: installation.facts_on("leaders.events", "taiwa.leaders.leader-term-ended.v1"), timeout=60
        )
        assert ended.aggregate == f"appointment/{appointment}"
        assert ended.value is not None
        assert (ended.value["reason"], ended.value["effective_from"]) == ("term", "2027-04-01")
