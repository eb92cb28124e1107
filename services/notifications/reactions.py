"""Whom we tell of what: each reaction turns a foreign fact into one or more notices."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from chassis.service import Received
from chassis.transaction import Transaction
from services.notifications import commands
from services.notifications.commands import Notify
from services.notifications.domain import Notice
from services.notifications.repository.recipients import head_of, members_of
from taiwa_contracts.consultations import (
    ConsultationAnsweredV1,
    ConsultationAssignedV1,
    ConsultationOpenedV1,
    ConsultationReopenedV1,
    ConsultationResolvedV1,
    Desk,
)
from taiwa_contracts.directory import PersonStateV1
from taiwa_contracts.leaders import (
    DeputyNamedV1,
    LeaderAppointedV1,
    LeaderTermEndedV1,
    LeaderTermExtendedV1,
    NominationRejectedV1,
    NominationRequestedV1,
)
from taiwa_contracts.trainings import TrainingCompletedV1


async def welcome_new_leader(tx: Transaction, received: Received[LeaderAppointedV1]) -> None:
    """Welcome the leader, and tell the section's head. A head who leads gets the welcome only."""
    event = received.event
    day = max(tx.today, event.effective_from)
    head = await head_of(tx.connection, tx.municipality, event.section_id, day)
    told = _particulars(
        person_id=event.person_id,
        section_id=event.section_id,
        effective_from=event.effective_from,
        ends_on=event.ends_on,
        word=event.word,
    )
    target = ("appointment", str(event.appointment_id))
    await _tell(tx, received.id, Notice("leader_appointed", (event.person_id,), *target, told))
    await _tell(tx, received.id, Notice("section_leader_appointed", _those(head), *target, told))


async def thank_former_leader(tx: Transaction, received: Received[LeaderTermEndedV1]) -> None:
    """Tell the leader that the term ended, and why."""
    event = received.event
    told = _particulars(section_id=event.section_id, effective_from=event.effective_from, reason=event.reason)
    notice = Notice("leader_term_ended", (event.person_id,), "appointment", str(event.appointment_id), told)
    await _tell(tx, received.id, notice)


async def ask_leader_to_serve_on(tx: Transaction, received: Received[LeaderTermExtendedV1]) -> None:
    """Tell the leader that the term goes on until a successor is chosen."""
    event = received.event
    told = _particulars(section_id=event.section_id, effective_from=event.effective_from)
    notice = Notice("leader_term_extended", (event.person_id,), "appointment", str(event.appointment_id), told)
    await _tell(tx, received.id, notice)


async def tell_deputy(tx: Transaction, received: Received[DeputyNamedV1]) -> None:
    """Tell the deputy for whom and until when."""
    event = received.event
    told = _particulars(
        person_id=event.person_id,
        section_id=event.section_id,
        effective_from=event.effective_from,
        until_on=event.until_on,
    )
    notice = Notice("deputy_named", (event.deputy_person_id,), "appointment", str(event.appointment_id), told)
    await _tell(tx, received.id, notice)


async def ask_head_to_nominate(tx: Transaction, received: Received[NominationRequestedV1]) -> None:
    """Ask the section's head to name leaders by the date."""
    event = received.event
    told = _particulars(section_id=event.section_id, fiscal_year=event.fiscal_year, closes_on=event.closes_on)
    recipients = _those(event.head_person_id)
    notice = Notice("nomination_requested", recipients, "section-call", str(event.section_call_id), told)
    await _tell(tx, received.id, notice)


async def ask_head_to_nominate_again(tx: Transaction, received: Received[NominationRejectedV1]) -> None:
    """Tell the section's head that the answer was sent back."""
    event = received.event
    told = _particulars(section_id=event.section_id, fiscal_year=event.fiscal_year, closes_on=event.closes_on)
    recipients = _those(event.head_person_id)
    notice = Notice("nomination_rejected", recipients, "section-call", str(event.section_call_id), told)
    await _tell(tx, received.id, notice)


async def congratulate_on_training(tx: Transaction, received: Received[TrainingCompletedV1]) -> None:
    """Tell the person that the completion stands in the ledger."""
    event = received.event
    told = _particulars(programme_title=event.programme_title, effective_from=event.effective_from)
    notice = Notice("training_completed", (event.person_id,), "completion", str(event.completion_id), told)
    await _tell(tx, received.id, notice)


async def call_desk(tx: Transaction, received: Received[ConsultationOpenedV1]) -> None:
    """Tell the people of the desk that somebody asked; the first text has the id of its case."""
    event = received.event
    told = _particulars(
        number=event.number,
        title=event.title,
        requester_person_id=event.requester_person_id,
        section_id=event.section_id,
        answer_due_at=event.answer_due_at,
    )
    desk = await _desk(tx, event.desk, without=event.requester_person_id)
    notice = Notice(
        "consultation_opened", desk, "consultation", str(event.consultation_id), told, event.consultation_id
    )
    await _tell(tx, received.id, notice)


async def tell_assignee(tx: Transaction, received: Received[ConsultationAssignedV1]) -> None:
    """Tell the owner of a case that it is theirs; who took it by themselves knows."""
    event = received.event
    told = _particulars(number=event.number, title=event.title, requester_person_id=event.requester_person_id)
    recipients = _those(event.assignee_person_id, without=event.by_person_id)
    notice = Notice("consultation_assigned", recipients, "consultation", str(event.consultation_id), told)
    await _tell(tx, received.id, notice)


async def pass_answer_on(tx: Transaction, received: Received[ConsultationAnsweredV1]) -> None:
    """Bring the text to the other side: the desk's to the requester, the requester's to the owner or the desk."""
    event = received.event
    if event.kind == "reply":
        recipients = _those(event.assignee_person_id) or await _desk(tx, event.desk, without=event.by_person_id)
    else:
        recipients = (event.requester_person_id,)
    told = _particulars(number=event.number, title=event.title, by_person_id=event.by_person_id)
    template = {
        "answer": "consultation_answered",
        "question": "consultation_asked_back",
        "reply": "consultation_replied",
    }[event.kind]
    notice = Notice(template, recipients, "consultation", str(event.consultation_id), told, event.entry_id)
    await _tell(tx, received.id, notice)


async def tell_of_resolution(tx: Transaction, received: Received[ConsultationResolvedV1]) -> None:
    """Tell requester and owner, except who resolved it."""
    event = received.event
    told = _particulars(number=event.number, title=event.title, by_person_id=event.by_person_id)
    recipients = _those(event.requester_person_id, event.assignee_person_id, without=event.by_person_id)
    notice = Notice("consultation_resolved", recipients, "consultation", str(event.consultation_id), told)
    await _tell(tx, received.id, notice)


async def tell_of_reopening(tx: Transaction, received: Received[ConsultationReopenedV1]) -> None:
    """Tell requester and owner (nobody: the desk), except who reopened it."""
    event = received.event
    told = _particulars(number=event.number, title=event.title, by_person_id=event.by_person_id)
    owners = _those(event.assignee_person_id) or await _desk(tx, event.desk, without=event.requester_person_id)
    recipients = _those(event.requester_person_id, *owners, without=event.by_person_id)
    notice = Notice("consultation_reopened", recipients, "consultation", str(event.consultation_id), told)
    await _tell(tx, received.id, notice)


async def follow_person(tx: Transaction, received: Received[PersonStateV1 | None]) -> None:
    """An address that arrives lets failed mails go out; an erased person's mails are cancelled at once."""
    if received.event is None:
        await commands.cancel_mails(tx, UUID(received.aggregate_id))
    elif received.event.mail:
        await commands.follow_address(tx, received.event.person_id)


async def _tell(tx: Transaction, cause_event_id: UUID, notice: Notice) -> None:
    if notice.recipients:
        await commands.notify(tx, Notify(cause_event_id, notice))


async def _desk(tx: Transaction, desk: Desk, *, without: UUID) -> tuple[UUID, ...]:
    members = await members_of(tx.connection, tx.municipality, desk, tx.today)
    return _those(*members, without=without)


def _those(*people: UUID | None, without: UUID | None = None) -> tuple[UUID, ...]:
    return tuple(person_id for person_id in people if person_id is not None and person_id != without)


def _particulars(**given: UUID | date | datetime | int | str | None) -> dict[str, str]:
    """What a template needs, as text: ids, days and instants in ISO 8601, a title."""
    return {
        name: value.isoformat() if isinstance(value, date) else str(value)
        for name, value in given.items()
        if value is not None
    }
