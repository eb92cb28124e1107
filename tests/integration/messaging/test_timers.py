"""Timers: exactly once, in civil time, and never in the way of each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from chassis.clocks import machine_now
from chassis.refusals import ConcurrentChange
from chassis.repair import replay
from chassis.service import TimerHandler
from chassis.testing import MIDORI, Installation
from chassis.timers import Timers
from chassis.transaction import Transaction
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Toy, source_service, toy

Make = Callable[..., Timers]


class Handlers:
    """What the handlers did and shall do."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.refuse = False
        self.lose_connection = False

    async def remind(self, transaction: Transaction, aggregate: str) -> None:
        assert transaction.actor.kind == "timer"
        if self.refuse and aggregate == "thing/bad":
            raise ConcurrentChange
        if self.lose_connection:
            raise ConnectionResetError
        self.ran.append(aggregate)
        transaction.emit(ThingMadeV1(thing_id=aggregate.partition("/")[2]), version=1)

    async def again(self, transaction: Transaction, aggregate: str) -> None:
        self.ran.append(aggregate)
        transaction.schedule("again", aggregate, transaction.now + timedelta(days=1))


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
async def source(installation: Installation, handlers: Handlers) -> AsyncIterator[Toy]:
    timers = [TimerHandler("remind", handlers.remind), TimerHandler("again", handlers.again)]
    async with toy(source_service(installation, timers), installation) as it:
        yield it


def role(source: Toy) -> Timers:
    return Timers(source.service, source.worker, source.installation.settings)


async def schedule(source: Toy, *aggregates: str, name: str = "remind", due_at: datetime | None = None) -> None:
    async with source.api.transaction(MIDORI, source.SYSTEM) as transaction:
        for aggregate in aggregates:
            transaction.schedule(name, aggregate, due_at or transaction.now)


async def test_a_due_timer_takes_effect_once_and_is_gone(source: Toy, handlers: Handlers) -> None:
    await schedule(source, "thing/a", "thing/b")
    await schedule(source, "thing/later", due_at=machine_now() + timedelta(hours=1))
    assert await role(source).round() == 2
    assert await role(source).round() == 0
    assert sorted(handlers.ran) == ["thing/a", "thing/b"]
    assert await source.value("SELECT count(*) FROM event_log WHERE actor_kind = 'timer' AND actor_id = 'remind'") == 2
    assert [it["aggregate"] for it in await source.rows("SELECT aggregate FROM timers")] == ["thing/later"]


async def test_a_timer_is_due_by_the_civil_clock(source: Toy, handlers: Handlers) -> None:
    await schedule(source, "thing/a", due_at=datetime(2031, 4, 1, tzinfo=UTC))
    assert await role(source).round() == 0
    async with source.worker.scoped("*") as connection:
        await connection.execute(
            "INSERT INTO civil_clock (civil_at, machine_at) VALUES ($1, $2)",
            datetime(2031, 4, 2, tzinfo=UTC),
            machine_now(),
        )
    assert await role(source).round() == 1


async def test_a_handler_may_set_its_own_timer_anew(source: Toy, handlers: Handlers) -> None:
    await schedule(source, "thing/a", name="again")
    assert await role(source).round() == 1
    (row,) = await source.rows("SELECT due_at, attempts FROM timers")
    assert row["due_at"] > machine_now() + timedelta(hours=23)


async def test_a_timer_that_can_never_run_is_a_dead_letter_and_the_others_run(
    source: Toy, handlers: Handlers, installation: Installation
) -> None:
    handlers.refuse = True
    await schedule(source, "thing/bad", "thing/a", "thing/b")
    assert await role(source).round() == 3
    (letter,) = await source.rows("SELECT id, source, code, municipality, aggregate, type FROM dead_letters")
    identity = letter.pop("id")
    assert letter == {
        "source": "timer",
        "code": "request.concurrent_change",
        "municipality": MIDORI,
        "aggregate": "thing/bad",
        "type": "remind",
    }
    assert await source.value("SELECT failed_at IS NOT NULL FROM timers WHERE aggregate = 'thing/bad'")
    assert await role(source).round() == 0
    handlers.refuse = False
    await replay(installation.admin_url, installation.settings, "source", identity)
    assert await role(source).round() == 1


async def test_a_transient_fault_is_tried_again_later(source: Toy, handlers: Handlers) -> None:
    handlers.lose_connection = True
    await schedule(source, "thing/a")
    assert await role(source).round() == 1
    (row,) = await source.rows("SELECT attempts, retry_at > clock_timestamp() AS waits, failed_at FROM timers")
    assert row == {"attempts": 1, "waits": True, "failed_at": None}
    assert await source.value("SELECT count(*) FROM dead_letters") == 0


async def test_a_timer_of_an_unknown_name_stays_for_the_version_that_set_it(source: Toy) -> None:
    await schedule(source, "thing/a", name="of_a_newer_version")
    assert await role(source).round() == 0
    assert await source.value("SELECT count(*) FROM timers") == 1


async def test_old_idempotency_keys_are_forgotten(source: Toy) -> None:
    async with source.worker.scoped("*") as connection:
        await connection.execute(
            """
            INSERT INTO idempotency_keys (municipality, actor, route, key, request_hash, status, body, facts, stored_at)
            SELECT $1, 'a', 'r', n::text, '', 200, '', '', now() - make_interval(hours => n)
            FROM generate_series(1, 1500) AS n
            """,
            MIDORI,
        )
    await role(source)._chores()
    assert await source.value("SELECT count(*) FROM idempotency_keys") in {47, 48}


async def test_a_timer_that_ran_late_is_noted_with_both_times(source: Toy, handlers: Handlers) -> None:
    """After a power cut this is how a page knows what was late."""
    due_at = machine_now() - timedelta(minutes=19)
    await schedule(source, "thing/late", due_at=due_at)
    await schedule(source, "thing/in-time")
    assert await role(source).round() == 2
    (late,) = await source.rows("SELECT * FROM late_timers")
    assert (late["municipality"], late["aggregate"], late["name"], late["due_at"]) == (
        MIDORI,
        "thing/late",
        "remind",
        due_at,
    )
    assert late["ran_at"] - due_at >= timedelta(minutes=19)
    assert sorted(handlers.ran) == ["thing/in-time", "thing/late"]


async def test_a_late_timer_that_fails_is_not_said_to_have_run(source: Toy, handlers: Handlers) -> None:
    handlers.refuse = True
    await schedule(source, "thing/bad", due_at=machine_now() - timedelta(hours=1))
    assert await role(source).round() == 1
    assert await source.rows("SELECT * FROM late_timers") == []
