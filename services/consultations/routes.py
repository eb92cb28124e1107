"""HTTP of ``consultations``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints

from chassis.auth import Caller
from chassis.http import Commands, Page, Paging, View, Views, allow, anybody
from chassis.transaction import Transaction
from services.consultations import commands
from services.consultations.domain.consultation import EntryKind, State
from services.consultations.queries import case, listing, routing, terms
from services.consultations.queries.case import ConsultationView
from services.consultations.queries.listing import ConsultationSummary
from services.consultations.queries.people import party_of
from services.consultations.queries.routing import CategoryView, DeskView
from services.consultations.queries.terms import LeaderView
from taiwa_contracts.consultations import Desk

router = APIRouter(tags=["consultations"])

Anybody = Annotated[Caller, Depends(anybody)]
OfADesk = Annotated[Caller, Depends(allow("hr", "it_policy"))]

# PostgreSQL's text holds no NUL, and a title is one line (it stands in the subject of a mail).
Line = Annotated[
    str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")
]
LongText = Annotated[str, StringConstraints(max_length=20_000, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")]
CategoryCode = Annotated[str, StringConstraints(max_length=50, pattern=r"^[a-z][a-z0-9_]*$")]
Version = Annotated[int, Field(ge=1, le=2**62, description="the version seen; refused if the case changed meanwhile")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OpenBody(_Body):
    """A question. Without a category it goes to 総合政策課."""

    title: Line
    body: LongText
    category: CategoryCode | None = None


class AssignmentBody(_Body):
    """The new owner; nobody named: the caller."""

    person_id: UUID | None = None
    version: Version | None = None


class EntryBody(_Body):
    """``answer``, ``question`` (asks back) and ``note`` are the desk's, ``reply`` is the requester's."""

    kind: EntryKind
    body: LongText
    version: Version | None = None


class StepBody(_Body):
    """Nothing but the version seen."""

    version: Version | None = None


_Categories = RootModel[list[CategoryView]]


class CategoryBody(_Body):
    """What the town calls a category and which desk it goes to."""

    label: Line
    desk: Desk


@router.get("/categories")
async def categories(caller: Anybody, views: Views) -> list[CategoryView]:
    """What a consultation can be about, in order."""
    async with views.of(caller) as view:
        return await routing.categories(view)


@router.put("/categories/{code}", response_model=list[CategoryView])
async def change_category(
    code: Annotated[CategoryCode, Path()],
    body: CategoryBody,
    caller: Annotated[Caller, Depends(allow("it_policy", "admin"))],
    runner: Commands,
) -> Response:
    """Change or add a category; answers all of them."""

    async def change(tx: Transaction) -> _Categories:
        await commands.change_category(tx, commands.ChangeCategory(code, body.label, body.desk))
        return _Categories(await routing.categories(_view(tx)))

    return await runner.run(caller, change)


@router.get("/desks")
async def desks(caller: OfADesk, views: Views) -> list[DeskView]:
    """Both desks and who belongs to them today."""
    async with views.of(caller) as view:
        return await routing.desks(view)


@router.get("/consultations")
async def list_consultations(
    caller: Anybody,
    views: Views,
    paging: Paging,
    *,
    mine: Annotated[bool, Query(description="only those the caller opened")] = False,
    desk: Desk | None = None,
    state: State | None = None,
) -> Page[ConsultationSummary]:
    """Consultations, the newest first. The desks see all of them, everybody else their own."""
    async with views.of(caller) as view:
        return await listing.list_consultations(view, caller, paging, mine=mine, desk=desk, state=state)


@router.post("/consultations", status_code=201, response_model=ConsultationView)
async def open_consultation(body: OpenBody, caller: Anybody, runner: Commands) -> Response:
    """Ask."""

    async def ask(tx: Transaction) -> ConsultationView:
        command = commands.OpenConsultation(party_of(caller), caller.section_id, body.title, body.body, body.category)
        opened = await commands.open_consultation(tx, command)
        return await case.consultation(_view(tx), caller, opened)

    return await runner.run(caller, ask, status=201)


@router.get("/consultations/{consultation_id}")
async def consultation(consultation_id: UUID, caller: Anybody, views: Views) -> ConsultationView:
    """One consultation with its entries. For anybody but its requester and the desks there is none."""
    async with views.of(caller) as view:
        return await case.consultation(view, caller, consultation_id)


@router.post("/consultations/{consultation_id}/assignment", response_model=ConsultationView)
async def assign_consultation(
    consultation_id: UUID, caller: Anybody, runner: Commands, body: AssignmentBody | None = None
) -> Response:
    """Give the consultation an owner; one of the other desk takes it over to that desk."""
    command = commands.AssignConsultation(
        party_of(caller), consultation_id, body.person_id if body else None, body.version if body else None
    )
    return await runner.run(
        caller, _then_shown(caller, consultation_id, lambda tx: commands.assign_consultation(tx, command))
    )


@router.post("/consultations/{consultation_id}/entries", status_code=201, response_model=ConsultationView)
async def write_entry(consultation_id: UUID, body: EntryBody, caller: Anybody, runner: Commands) -> Response:
    """Answer, ask back, reply or note. Who answers a consultation that nobody owns becomes its owner."""
    command = commands.WriteEntry(party_of(caller), consultation_id, body.kind, body.body, body.version)
    return await runner.run(
        caller, _then_shown(caller, consultation_id, lambda tx: commands.write_entry(tx, command)), status=201
    )


@router.post("/consultations/{consultation_id}/resolution", response_model=ConsultationView)
async def resolve_consultation(
    consultation_id: UUID, caller: Anybody, runner: Commands, body: StepBody | None = None
) -> Response:
    """Close the consultation."""
    command = commands.ResolveConsultation(party_of(caller), consultation_id, body.version if body else None)
    return await runner.run(
        caller, _then_shown(caller, consultation_id, lambda tx: commands.resolve_consultation(tx, command))
    )


@router.post("/consultations/{consultation_id}/reopening", response_model=ConsultationView)
async def reopen_consultation(
    consultation_id: UUID, caller: Anybody, runner: Commands, body: StepBody | None = None
) -> Response:
    """Open a resolved consultation again."""
    command = commands.ReopenConsultation(party_of(caller), consultation_id, body.version if body else None)
    return await runner.run(
        caller, _then_shown(caller, consultation_id, lambda tx: commands.reopen_consultation(tx, command))
    )


@router.get("/leaders")
async def leaders(
    caller: Anybody,
    views: Views,
    section_id: Annotated[UUID | None, Query(description="only this section's")] = None,
) -> list[LeaderView]:
    """Who leads which section today, as this service knows it from the leaders' events."""
    async with views.of(caller) as view:
        return await terms.leaders(view, section_id)


def _view(tx: Transaction) -> View:
    return View(tx.connection, tx.municipality, tx.now)


def _then_shown(
    caller: Caller, consultation_id: UUID, use_case: Callable[[Transaction], Awaitable[None]]
) -> Callable[[Transaction], Awaitable[ConsultationView]]:
    """The use case, answered with the case as it then stands."""

    async def run(tx: Transaction) -> ConsultationView:
        await use_case(tx)
        return await case.consultation(_view(tx), caller, consultation_id)

    return run
