"""Transfers, absences and departures: seen and recorded by 総務課 only."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from chassis.http import Commands, Page, Paging, Views
from services.directory.commands import absences, departures, transfers
from services.directory.domain.transfers import TransferState
from services.directory.queries.people import AbsenceView
from services.directory.queries.transfers import (
    DepartureView,
    TransferView,
    list_absences,
    list_departures,
    list_transfers,
)
from services.directory.routes.fields import Body, Day, DayQuery, Line, Personnel

router = APIRouter(tags=["transfers"])


class NewTransfer(Body):
    """Somebody goes to another section. ``concurrent_section_ids`` null: 兼務 stays."""

    person_id: UUID
    to_section_id: UUID
    post: Line
    effective_from: Day | None = None
    concurrent_section_ids: Annotated[list[UUID], Field(max_length=20)] | None = None


class NewAbsence(Body):
    """Somebody is away, both days inclusive; ``until_on`` null: open."""

    person_id: UUID
    from_on: Day
    until_on: Day | None = None


class NewDeparture(Body):
    """Somebody leaves; ``effective_from`` is the day after the last one."""

    person_id: UUID
    effective_from: Day


@router.get("/transfers")
async def get_transfers(
    caller: Personnel,
    views: Views,
    paging: Paging,
    person_id: Annotated[UUID | None, Query()] = None,
    state: Annotated[TransferState | None, Query()] = None,
) -> Page[TransferView]:
    """Transfers, the latest day first; those to come, too."""
    async with views.of(caller) as view:
        return await list_transfers(view, paging, person_id=person_id, state=state)


@router.post("/transfers", status_code=201, response_model=transfers.TransferRecorded)
async def transfer_person(body: NewTransfer, caller: Personnel, commands: Commands) -> Response:
    """Record a transfer. Of today or earlier it takes effect at once, else at 00:00 of its day."""
    command = transfers.TransferPerson(**body.model_dump())
    return await commands.run(caller, lambda tx: transfers.transfer_person(tx, command), status=201)


@router.post("/transfers/{transfer_id}/reversal", status_code=204)
async def revert_transfer(transfer_id: UUID, caller: Personnel, commands: Commands) -> Response:
    """Take a transfer back: as if it had not been."""
    command = transfers.RevertTransfer(transfer_id)
    return await commands.run(caller, lambda tx: transfers.revert_transfer(tx, command))


@router.get("/absences")
async def get_absences(
    caller: Personnel,
    views: Views,
    paging: Paging,
    person_id: Annotated[UUID | None, Query()] = None,
    on: DayQuery = None,
) -> Page[AbsenceView]:
    """Absences, the latest first."""
    async with views.of(caller) as view:
        return await list_absences(view, paging, person_id=person_id, on=on)


@router.post("/absences", status_code=201, response_model=absences.AbsenceRecorded)
async def record_absence(body: NewAbsence, caller: Personnel, commands: Commands) -> Response:
    """Record an absence, without its reason."""
    command = absences.RecordAbsence(**body.model_dump())
    return await commands.run(caller, lambda tx: absences.record_absence(tx, command), status=201)


@router.post("/absences/{absence_id}/withdrawal", status_code=204)
async def withdraw_absence(absence_id: UUID, caller: Personnel, commands: Commands) -> Response:
    """Take an absence back."""
    command = absences.WithdrawAbsence(absence_id)
    return await commands.run(caller, lambda tx: absences.withdraw_absence(tx, command))


@router.get("/departures")
async def get_departures(
    caller: Personnel,
    views: Views,
    paging: Paging,
    state: Annotated[Literal["planned", "effective", "withdrawn"] | None, Query()] = None,
) -> Page[DepartureView]:
    """Departures, the latest day first; those to come, too."""
    async with views.of(caller) as view:
        return await list_departures(view, paging, state=state)


@router.post("/departures", status_code=201, response_model=departures.DepartureIsRecorded)
async def record_departure(body: NewDeparture, caller: Personnel, commands: Commands) -> Response:
    """Record that somebody leaves. From that day on they do not get in."""
    command = departures.RecordDeparture(**body.model_dump())
    return await commands.run(caller, lambda tx: departures.record_departure(tx, command), status=201)


@router.post("/departures/{departure_id}/withdrawal", status_code=204)
async def withdraw_departure(departure_id: UUID, caller: Personnel, commands: Commands) -> Response:
    """Take a departure back before its day."""
    command = departures.WithdrawDeparture(departure_id)
    return await commands.run(caller, lambda tx: departures.withdraw_departure(tx, command))
