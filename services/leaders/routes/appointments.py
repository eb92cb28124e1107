"""Appointments, their ends and corrections, deputies."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from chassis.auth import Caller
from chassis.http import Commands, Page, Paging, Views, allow, anybody
from services.leaders.commands.correct import CorrectAppointment, Corrected, correct_appointment
from services.leaders.commands.deputy import DeputyOf, EndDeputy, NameDeputy, end_deputy, name_deputy
from services.leaders.commands.end_term import EndAppointment, TermEnd, end_appointment
from services.leaders.domain.appointment import Correction
from services.leaders.queries import appointments
from services.leaders.routes.fields import Body, Day, Line

router = APIRouter(prefix="/appointments", tags=["appointments"])

Anybody = Annotated[Caller, Depends(anybody)]
Hr = Annotated[Caller, Depends(allow("hr"))]
Answering = Annotated[Caller, Depends(allow("hr", "section_head"))]


class CorrectionBody(Body):
    """The right values; those left out stay. ``withdrawn``: the appointment never was."""

    starts_on: Day | None = None
    ends_on: Day | None = None
    decided_on: Day | None = None
    decided_by_post: Line | None = None
    document_number: Line | None = None
    withdrawn: bool = False


class EndBody(Body):
    """``ended_on`` is the last day as leader; a day to come takes effect when it has passed."""

    ended_on: Day
    reason: Literal["resigned", "transfer", "left", "successor", "withdrawn"]


class DeputyBody(Body):
    """Who stands in, both days inclusive; without ``until_on`` until the term ends."""

    person_id: UUID
    from_on: Day
    until_on: Day | None = None


@router.get("")
async def list_appointments(  # noqa: PLR0917  a list takes its filters as query parameters
    caller: Anybody,
    views: Views,
    paging: Paging,
    fiscal_year: Annotated[int | None, Query(ge=2000, le=2200)] = None,
    section_id: UUID | None = None,
    person_id: UUID | None = None,
    current: Annotated[bool | None, Query(description="true: in office today")] = None,
) -> Page[appointments.AppointmentView]:
    """Who is, was or will be a leader; everybody of the town may know."""
    wanted = appointments.Wanted(fiscal_year, section_id, person_id, current)
    async with views.of(caller) as view:
        return await appointments.appointments(view, wanted, paging)


@router.get("/{appointment_id}")
async def get_appointment(appointment_id: UUID, caller: Anybody, views: Views) -> appointments.AppointmentDetail:
    """One appointment with every reading it ever had."""
    async with views.of(caller) as view:
        return await appointments.appointment(view, appointment_id)


@router.post("/{appointment_id}/corrections", status_code=201, response_model=Corrected)
async def correct(appointment_id: UUID, body: CorrectionBody, caller: Hr, commands: Commands) -> Response:
    """Correct what was recorded wrongly; the wrong reading stays visible in the appointment's records."""
    command = CorrectAppointment(appointment_id, Correction(**body.model_dump()))
    return await commands.run(caller, lambda tx: correct_appointment(tx, command), status=201)


@router.post("/{appointment_id}/ends", status_code=201, response_model=TermEnd)
async def end(appointment_id: UUID, body: EndBody, caller: Hr, commands: Commands) -> Response:
    """End a term before its time."""
    command = EndAppointment(appointment_id, body.ended_on, body.reason)
    return await commands.run(caller, lambda tx: end_appointment(tx, command), status=201)


@router.post("/{appointment_id}/deputy", status_code=201, response_model=DeputyOf)
async def name(appointment_id: UUID, body: DeputyBody, caller: Answering, commands: Commands) -> Response:
    """Name the leader's one deputy: the section's head does, or hr on its behalf."""
    command = NameDeputy(
        appointment_id, body.person_id, body.from_on, body.until_on, caller.person_id, is_hr=caller.has("hr")
    )
    return await commands.run(caller, lambda tx: name_deputy(tx, command), status=201)


@router.post("/{appointment_id}/deputy/end", status_code=204)
async def end_deputys_service(appointment_id: UUID, caller: Answering, commands: Commands) -> Response:
    """The deputy stands in no longer, from today."""
    command = EndDeputy(appointment_id, caller.person_id, is_hr=caller.has("hr"))
    return await commands.run(caller, lambda tx: end_deputy(tx, command))
