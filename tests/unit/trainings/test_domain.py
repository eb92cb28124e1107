from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.refusals import Refusal
from services.trainings.domain import (
    AlreadyCompleted,
    AlreadyRevoked,
    CompletedInFuture,
    Completion,
    NamedTwice,
    PersonUnknown,
    may_be_recorded,
    revoke,
)

TODAY = date(2026, 6, 1)
ANN, BOB, EVE = uuid4(), uuid4(), uuid4()


def test_known_people_who_have_not_completed_it_that_day_may_be_recorded() -> None:
    may_be_recorded([ANN, BOB], {ANN, BOB}, set(), TODAY, TODAY)


@pytest.mark.parametrize(
    ("people", "recorded", "refusal", "fields"),
    [
        ([ANN, BOB, ANN], set(), NamedTwice, ["person_ids.2"]),
        ([ANN, EVE], set(), PersonUnknown, ["person_ids.1"]),
        ([ANN, BOB], {ANN}, AlreadyCompleted, ["person_ids.0"]),
    ],
)
def test_the_refusal_names_whom_it_concerns(
    people: list[UUID], recorded: set[UUID], refusal: type[Refusal], fields: list[str]
) -> None:
    with pytest.raises(refusal) as refused:
        may_be_recorded(people, {ANN, BOB}, recorded, TODAY, TODAY)
    assert [error.field for error in refused.value.errors] == fields


def test_a_completion_to_come_cannot_be_recorded() -> None:
    with pytest.raises(CompletedInFuture):
        may_be_recorded([ANN], {ANN}, set(), TODAY + timedelta(days=1), TODAY)


def test_a_completion_is_revoked_once() -> None:
    revoked = revoke(Completion(uuid4(), uuid4(), "DX基礎", ANN, TODAY, "attendance"))
    assert (revoked.revoked, revoked.version) == (True, 2)
    with pytest.raises(AlreadyRevoked):
        revoke(revoked)


people = st.lists(st.sampled_from([ANN, BOB, EVE]), min_size=1, max_size=5)
some = st.frozensets(st.sampled_from([ANN, BOB, EVE]))


@given(people, some, some)
def test_what_is_recorded_is_recorded_once_for_people_of_the_town(
    wanted: list[UUID], known: frozenset[UUID], recorded: frozenset[UUID]
) -> None:
    sound = len(set(wanted)) == len(wanted) and known.issuperset(wanted) and recorded.isdisjoint(wanted)
    try:
        may_be_recorded(wanted, known, recorded, TODAY, TODAY)
    except Refusal as refusal:
        assert not sound
        assert refusal.errors  # noqa: PT017  every refusal names whom it concerns
    else:
        assert sound
