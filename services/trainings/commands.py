"""Use cases: load, decide, save, emit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from pydantic import BaseModel

from chassis.transaction import Transaction, new_id
from services.trainings import domain, repository
from services.trainings.domain import Completion, Source
from taiwa_contracts.trainings import TrainingCompletedV1, TrainingCompletionRevokedV1


@dataclass(frozen=True, slots=True)
class OfferProgramme:
    """A training that people of the town can complete."""

    title: str
    summary: str
    offered_by: UUID


class Offered(BaseModel):
    """The new programme."""

    programme_id: UUID
    title: str
    summary: str


async def offer_programme(tx: Transaction, command: OfferProgramme) -> Offered:
    """Record a programme."""
    programme_id = new_id()
    await repository.add_programme(
        tx.connection,
        tx.municipality,
        programme_id,
        title=command.title,
        summary=command.summary,
        offered_by=command.offered_by,
        offered_at=tx.now,
    )
    return Offered(programme_id=programme_id, title=command.title, summary=command.summary)


@dataclass(frozen=True, slots=True)
class RecordCompletions:
    """These people completed the programme on ``completed_on``; all are recorded, or none."""

    programme_id: UUID
    person_ids: tuple[UUID, ...]
    completed_on: date
    source: Source
    recorded_by: UUID


class RecordedCompletion(BaseModel):
    """One person's completion."""

    completion_id: UUID
    person_id: UUID
    version: int


class Recorded(BaseModel):
    """The completions recorded, in the order of the people."""

    completions: list[RecordedCompletion]


async def record_completions(tx: Transaction, command: RecordCompletions) -> Recorded:
    """Record that people completed a programme.

    Raises:
        ProgrammeUnknown, CompletedInFuture, NamedTwice, PersonUnknown, AlreadyCompleted: nothing is recorded.
    """
    connection, town, people = tx.connection, tx.municipality, command.person_ids
    title = await repository.title_of(connection, town, command.programme_id)
    known = await repository.known_people(connection, town, people)
    recorded = await repository.who_completed(connection, town, command.programme_id, command.completed_on, people)
    domain.may_be_recorded(people, known, recorded, command.completed_on, tx.today)
    completions = [
        Completion(new_id(), command.programme_id, title, person, command.completed_on, command.source)
        for person in people
    ]
    await repository.add_completions(connection, town, completions, command.recorded_by, tx.now)
    for completion in completions:
        _publish_completed(tx, completion)
    return Recorded(
        completions=[
            RecordedCompletion(completion_id=each.completion_id, person_id=each.person_id, version=each.version)
            for each in completions
        ]
    )


def _publish_completed(tx: Transaction, completion: Completion) -> None:
    tx.emit(
        TrainingCompletedV1(
            completion_id=completion.completion_id,
            programme_id=completion.programme_id,
            programme_title=completion.programme_title,
            person_id=completion.person_id,
            effective_from=completion.completed_on,
            source=completion.source,
        ),
        version=completion.version,
    )


@dataclass(frozen=True, slots=True)
class RevokeCompletion:
    """The completion was recorded wrongly."""

    completion_id: UUID
    revoked_by: UUID


async def revoke_completion(tx: Transaction, command: RevokeCompletion) -> None:
    """Take a completion back; the record of it stays.

    Raises:
        NotFound, AlreadyRevoked: see their sentences.
    """
    before = await repository.load_completion(tx.connection, tx.municipality, command.completion_id)
    after = domain.revoke(before)
    await repository.save_revocation(
        tx.connection, tx.municipality, before, after, revoked_by=command.revoked_by, now=tx.now
    )
    tx.emit(
        TrainingCompletionRevokedV1(
            completion_id=after.completion_id,
            programme_id=after.programme_id,
            programme_title=after.programme_title,
            person_id=after.person_id,
            effective_from=after.completed_on,
        ),
        version=after.version,
    )
