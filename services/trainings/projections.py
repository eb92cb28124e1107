"""Copies of foreign facts: names of people, and who is a leader from when until when. Set-based."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

from chassis.service import Received
from chassis.transaction import Connection
from taiwa_contracts.directory import PersonStateV1
from taiwa_contracts.leaders import (
    AppointmentCorrectedV1,
    LeaderAppointedV1,
    LeaderTermEndedV1,
    LeaderTermExtendedV1,
)

Term = LeaderAppointedV1 | AppointmentCorrectedV1 | LeaderTermExtendedV1 | LeaderTermEndedV1

_PEOPLE = """
INSERT INTO people (municipality, person_id, state_version, name, has_left)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::bool[])
ON CONFLICT (municipality, person_id) DO UPDATE
SET state_version = excluded.state_version, name = excluded.name, has_left = excluded.has_left
WHERE people.state_version < excluded.state_version
"""

_ERASED = """
UPDATE people SET name = NULL, has_left = true
FROM unnest($1::text[], $2::uuid[]) AS erased (municipality, person_id)
WHERE people.municipality = erased.municipality AND people.person_id = erased.person_id
"""

_TERMS = """
INSERT INTO leader_terms (municipality, appointment_id, person_id, from_on, until_on, withdrawn)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::date[], $5::date[], $6::bool[])
ON CONFLICT (municipality, appointment_id) DO UPDATE
SET person_id = excluded.person_id, from_on = excluded.from_on, until_on = excluded.until_on,
    withdrawn = excluded.withdrawn
"""

_TERMS_UNTIL = """
UPDATE leader_terms SET until_on = changed.until_on
FROM unnest($1::text[], $2::uuid[], $3::date[]) AS changed (municipality, appointment_id, until_on)
WHERE leader_terms.municipality = changed.municipality AND leader_terms.appointment_id = changed.appointment_id
"""


async def apply_people(connection: Connection, records: Sequence[Received[PersonStateV1 | None]]) -> None:
    """Names of people; an erased person keeps none."""
    newest = {(record.municipality, record.aggregate): record for record in records}.values()
    if erased := [record for record in newest if record.event is None]:
        await connection.execute(
            _ERASED, [record.municipality for record in erased], [record.aggregate_id for record in erased]
        )
    known = [(record.municipality, record.event) for record in newest if record.event is not None]
    if known:
        await connection.execute(
            _PEOPLE,
            [municipality for municipality, _ in known],
            [person.person_id for _, person in known],
            [person.state_version for _, person in known],
            [person.name for _, person in known],
            [person.left for _, person in known],
        )


async def apply_leader_terms(connection: Connection, records: Sequence[Received[Term]]) -> None:
    """Who is a leader: each appointment's period, as the newest fact about it says."""
    for kind, group in groupby(records, key=lambda record: type(record.event)):
        # Within a run of one kind the newest fact of an appointment counts; a row may be written once a statement.
        run = list({(record.municipality, record.aggregate): record for record in group}.values())
        municipalities = [record.municipality for record in run]
        events = [record.event for record in run]
        appointments = [event.appointment_id for event in events]
        if kind is LeaderTermExtendedV1:
            await connection.execute(_TERMS_UNTIL, municipalities, appointments, [None] * len(run))
        elif kind is LeaderTermEndedV1:
            last_days = [event.effective_from - timedelta(days=1) for event in events]
            await connection.execute(_TERMS_UNTIL, municipalities, appointments, last_days)
        else:
            await connection.execute(
                _TERMS,
                municipalities,
                appointments,
                [event.person_id for event in events],
                [event.effective_from for event in events],
                [event.ends_on for event in events if isinstance(event, LeaderAppointedV1 | AppointmentCorrectedV1)],
                [isinstance(event, AppointmentCorrectedV1) and event.withdrawn for event in events],
            )
