from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.notifications import domain
from services.notifications.domain import Delivery, Outcome, Recipient

STORED = datetime(2026, 6, 8, 0, 5, tzinfo=UTC)


def waiting(attempts: int = 0) -> Delivery:
    return Delivery(
        delivery_id=uuid4(),
        cause_event_id=uuid4(),
        person_id=uuid4(),
        channel="mail",
        template="leader_appointed",
        state="waiting",
        attempts=attempts,
        stored_at=STORED,
        version=0,
        attempt_at=STORED,
    )


def test_a_mail_the_server_took_is_handed_over_and_not_called_delivered() -> None:
    after = domain.after_attempt(waiting(), domain.HANDED_OVER, STORED)
    assert (after.state, after.version, after.attempt_at, after.reason) == ("handed_over", 1, None, None)


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 2), (1, 10), (2, 60), (3, 300), (4, 600), (50, 600)])
def test_a_passing_fault_is_tried_again_after_a_growing_pause(attempts: int, seconds: int) -> None:
    after = domain.after_attempt(waiting(attempts), domain.UNREACHABLE, STORED)
    assert (after.state, after.version) == ("waiting", 0)
    assert after.attempt_at == STORED + timedelta(seconds=seconds)
    assert after.reason == "unreachable"


def test_a_final_refusal_fails_with_its_code() -> None:
    after = domain.after_attempt(waiting(), domain.answered(550), STORED)
    assert (after.state, after.reason, after.version) == ("failed", "smtp_550", 1)


def test_a_refusal_for_now_is_tried_again() -> None:
    assert domain.answered(451) == Outcome("later", "smtp_451")
    assert domain.after_attempt(waiting(), domain.answered(451), STORED).state == "waiting"


def test_no_address_fails_at_once() -> None:
    after = domain.after_attempt(waiting(), domain.NO_ADDRESS, STORED)
    assert (after.state, after.reason) == ("failed", "no_address")


def test_patience_ends_after_ten_days() -> None:
    almost = domain.after_attempt(waiting(9), domain.UNREACHABLE, STORED + timedelta(days=9, hours=23))
    over = domain.after_attempt(waiting(9), domain.UNREACHABLE, STORED + timedelta(days=10))
    assert (almost.state, over.state, over.reason) == ("waiting", "failed", "unreachable")


def test_a_mail_to_an_erased_person_is_cancelled() -> None:
    after = domain.after_attempt(waiting(), domain.ERASED, STORED)
    assert (after.state, after.reason, after.version) == ("cancelled", "person_erased", 1)


def test_retrying_begins_anew_and_keeps_the_version() -> None:
    failed = domain.after_attempt(waiting(), domain.NO_ADDRESS, STORED)
    later = STORED + timedelta(days=30)
    again = domain.retry(failed, later)
    assert (again.state, again.attempts, again.reason, again.attempt_at) == ("waiting", 0, None, later)
    assert domain.after_attempt(again, domain.UNREACHABLE, later).state == "waiting"
    assert domain.after_attempt(again, domain.HANDED_OVER, later).version == 2


@pytest.mark.parametrize("outcome", [domain.HANDED_OVER, domain.UNREACHABLE, domain.ERASED])
def test_only_what_failed_is_retried(outcome: Outcome) -> None:
    with pytest.raises(domain.NotFailed):
        domain.retry(domain.after_attempt(waiting(), outcome, STORED), STORED)


def test_what_became_known_of_the_recipient_meanwhile_decides_the_outcome() -> None:
    erased, reachable, nobody = Recipient(erased=True), Recipient(has_address=True), Recipient()
    assert domain.overtaken(domain.UNREACHABLE, erased) == domain.overtaken(domain.NO_ADDRESS, erased) == domain.ERASED
    assert domain.overtaken(domain.HANDED_OVER, erased) == domain.HANDED_OVER
    assert domain.overtaken(domain.NO_ADDRESS, reachable) == domain.ADDRESS_ARRIVED
    assert domain.overtaken(domain.NO_ADDRESS, nobody) == domain.NO_ADDRESS
    assert domain.overtaken(domain.UNREACHABLE, reachable) == domain.UNREACHABLE
