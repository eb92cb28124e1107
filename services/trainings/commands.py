"""Use cases: add a programme, record completions, revoke one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from chassis.refusals import NotFound
from chassis.transaction import Transaction, new_id
from services.trainings import domain, repository
from services.trainings.domain import Completion, Programme, Source, TitleTaken
from taiwa_contracts.trainings import TrainingCompletedV1, TrainingCompletionRevokedV1


@dataclass(frozen=True, slots=True)
class AddProgramme:
    """Offer a programme."""

    title: str
    summary: str


@dataclass(frozen=True, slots=True)
class RecordCompletions:
    """These people completed the programme on that day."""

    programme_id: UUID
    person_ids: Sequence[UUID]
    completed_on: date
    source: Source


@dataclass(frozen=True, slots=True)
class RevokeCompletion:
    """A completion was recorded wrongly."""

    completion_id: UUID


async def add_programme(tx: Transaction, command: AddProgramme) -> Programme:
    """Add a programme; its title is unique in the town."""
    programme = Programme(new_id(), command.title, command.summary)
    if not await repository.add_programme(tx.connection, tx.municipality, programme, tx.now, tx.actor.id):
        raise TitleTaken
    return programme


async def record_completions(tx: Transaction, command: RecordCompletions) -> list[Completion]:
    """Record completions of all these people, or of nobody."""
    people = list(dict.fromkeys(command.person_ids))
    programme = await repository.load_programme(tx.connection, tx.municipality, command.programme_id, lock=True)
    if programme is None:
        raise NotFound
    known = await repository.known_people(tx.connection, tx.municipality, people)
    done = await repository.people_done(
        tx.connection, tx.municipality, programme.programme_id, command.completed_on, people
    )
    domain.check_completion(people, completed_on=command.completed_on, today=tx.today, known=known, done=done)
    made = [
        Completion(new_id(), programme.programme_id, person, command.completed_on, command.source) for person in people
    ]
    await repository.add_completions(tx.connection, tx.municipality, made, tx.now, tx.actor.id)
    for completion in made:
        tx.emit(
            TrainingCompletedV1(
                completion_id=completion.completion_id,
                programme_id=programme.programme_id,
                programme_title=programme.title,
                person_id=completion.person_id,
                effective_from=completion.completed_on,
                source=completion.source,
            ),
            version=completion.version,
        )
    return made


async def revoke_completion(tx: Transaction, command: RevokeCompletion) -> Completion:
    """Say that a completion never was; the record stays, marked."""
    before = await repository.load_completion(tx.connection, tx.municipality, command.completion_id)
    if before is None:
        raise NotFound
    programme = await repository.load_programme(tx.connection, tx.municipality, before.programme_id)
    assert programme is not None  # noqa: S101  a foreign key holds it
    after = domain.revoke(before, tx.now)
    await repository.save_revocation(tx.connection, tx.municipality, before, after, tx.actor.id)
    tx.emit(
        TrainingCompletionRevokedV1(
            completion_id=after.completion_id,
            programme_id=after.programme_id,
            programme_title=programme.title,
            person_id=after.person_id,
            effective_from=after.completed_on,
        ),
        version=after.version,
    )
    return after
