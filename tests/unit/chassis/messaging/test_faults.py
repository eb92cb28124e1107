"""The three kinds of failure, told apart."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest
from aiokafka.errors import KafkaConnectionError

from chassis.consumer.batch import failure_of
from chassis.dead_letters import DEFERRALS, headers_of, headers_text, next_try
from chassis.faults import NotYet, is_transient, pauses
from chassis.refusals import ConcurrentChange
from chassis.timers import LONGEST_RETRY, outcome_of


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ConnectionDoesNotExistError("gone"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.SerializationError("conflict"),
        asyncpg.DeadlockDetectedError("deadlock"),
        asyncpg.AdminShutdownError("restart"),
        asyncpg.CannotConnectNowError("starting"),
        asyncpg.TooManyConnectionsError("full"),
        ConnectionRefusedError(),
        TimeoutError(),
        KafkaConnectionError("no broker"),
    ],
)
def test_these_may_pass_by_themselves(error: Exception) -> None:
    assert is_transient(error)
    assert outcome_of(error, 0).kind == "retry"


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.UniqueViolationError("twice"),
        asyncpg.CheckViolationError("never"),
        asyncpg.DataError("no date"),
        asyncpg.UndefinedTableError("no table"),
        ValueError("no"),
        KeyError("no"),
        ConcurrentChange(),
    ],
)
def test_these_never_pass(error: Exception) -> None:
    assert not is_transient(error)
    assert failure_of(error, 1).kind == "dead"
    assert outcome_of(error, 0).kind == "dead"


def test_a_value_that_fits_no_parameter_is_not_transient() -> None:
    class UnfitError(asyncpg.InterfaceError, ValueError):
        """What asyncpg raises for a wrong argument."""

    assert not is_transient(UnfitError("expected str"))


def test_a_refusal_keeps_its_code() -> None:
    assert failure_of(ConcurrentChange(), 1).code == "request.concurrent_change"


def test_not_yet_is_deferred_and_in_the_end_dead() -> None:
    assert failure_of(NotYet("waits"), 1).kind == "deferred"
    assert failure_of(NotYet("waits"), DEFERRALS).kind == "dead"


def test_retries_together_stay_under_a_minute() -> None:
    assert sum(pauses()) < 60
    assert list(pauses(1, 2, 6)) == [1, 2, 2]


def test_deferrals_wait_longer_and_longer_up_to_five_minutes() -> None:
    waits = [next_try(attempts) for attempts in range(1, 40)]
    assert waits[0] == timedelta(seconds=0.5)
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(minutes=5)


def test_a_timers_retries_wait_longer_and_longer_up_to_ten_minutes() -> None:
    waits = [outcome_of(TimeoutError(), attempts).retry_in for attempts in range(30)]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_RETRY


def test_headers_of_any_bytes_are_kept() -> None:
    headers = [("a", b"\xff\x00"), ("a", None), ("b", "橋".encode())]
    assert headers_of(headers_text(headers)) == headers
