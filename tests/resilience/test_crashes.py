"""kill -9 at every named place: nothing is lost, nothing takes effect twice, everything is in order."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from chassis.failpoints import NAMES
from chassis.testing import MIDORI, Installation, eventually, running
from taiwa.local import ports
from tests.integration.chassis import noticeboard
from tests.integration.messaging.services import Toy, sink_service, source_service, toy, until
from tests.resilience.killing import role

THINGS, VERSIONS = 4, 5


@dataclass
class Ground:
    """The two toy services' databases; their roles run elsewhere or in this process."""

    installation: Installation
    source: Toy
    sink: Toy


@pytest.fixture
async def ground(installation: Installation) -> AsyncIterator[Ground]:
    async with (
        toy(source_service(installation), installation) as source,
        toy(sink_service(installation), installation) as sink,
    ):
        yield Ground(installation, source, sink)


async def make_all(source: Toy, first: int = 1, last: int = VERSIONS) -> None:
    for version in range(first, last + 1):
        for number in range(THINGS):
            await source.make(f"t{number}", version)


async def everything(sink: Toy, count: int = THINGS * VERSIONS) -> dict[str, list[int]] | None:
    """The versions of each thing in the order of their effects, once there are enough."""
    rows = await sink.rows("SELECT thing_id, version FROM effects ORDER BY id")
    if len(rows) < count:
        return None
    by_thing: dict[str, list[int]] = {}
    for row in rows:
        by_thing.setdefault(row["thing_id"], []).append(row["version"])
    return by_thing


ALL = {f"t{number}": list(range(1, VERSIONS + 1)) for number in range(THINGS)}


async def answering(http: httpx.AsyncClient) -> None:
    """Wait until an API answers there."""

    async def lives() -> bool:
        try:
            return (await http.get("/health/live")).is_success
        except httpx.ConnectError:
            return False

    await eventually(lives)


@pytest.mark.parametrize(
    ("place", "committed"), [("api.before_commit", False), ("api.after_commit", True)], ids=["before", "after"]
)
async def test_a_command_whose_api_dies_has_one_effect_when_it_is_repeated(
    installation: Installation, place: str, *, committed: bool
) -> None:
    port = ports.free_port()
    headers = {"Authorization": f"Bearer {installation.token(roles=['staff', 'hr'])}", "Idempotency-Key": str(uuid4())}
    async with (
        running(noticeboard.build, installation, roles=("api",)) as board,
        role(installation, "api", json.dumps({"port": port, "keys": installation.jwks})) as api,
        httpx.AsyncClient(base_url=f"http://{ports.LOOPBACK}:{port}", headers=headers, trust_env=False) as http,
    ):

        async def written() -> list[tuple[str, int]]:
            async with board.worker.scoped("*") as connection:
                notes = await connection.fetch("SELECT note_id FROM notes")
                told = await connection.fetch("SELECT aggregate, version FROM event_log")
            assert {f"note/{it['note_id']}" for it in notes} == {it["aggregate"] for it in told}
            return [(it["aggregate"], it["version"]) for it in told]

        await api.start(place)
        await answering(http)
        with pytest.raises(httpx.TransportError):
            await http.post("/notes", json={"title": "停電の日の知らせ"})
        await api.killed()
        left = await written()
        await api.start()
        await answering(http)
        repeated, again = [await http.post("/notes", json={"title": "停電の日の知らせ"}) for _ in range(2)]
        assert (repeated.status_code, again.status_code) == (201, 201)
        assert ("Idempotency-Replayed" in repeated.headers) == committed
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.content == repeated.content
        fact = (f"note/{repeated.json()['note_id']}", 1)
        assert repeated.headers["Taiwa-Facts"] == again.headers["Taiwa-Facts"] == f"{fact[0]}@{fact[1]}"
        assert await written() == [fact]
        assert left == [fact] * committed


@pytest.mark.parametrize("place", sorted(name for name in NAMES if name.startswith("relay.")))
async def test_a_relay_that_dies_anywhere_loses_and_inverts_nothing(ground: Ground, place: str) -> None:
    ground.sink.consumer()
    async with role(ground.installation, "relay") as relay:
        await relay.start(place)
        await make_all(ground.source, last=3)
        await relay.killed()
        await make_all(ground.source, first=4)
        await relay.start()
        assert await until(lambda: everything(ground.sink), 60) == ALL


@pytest.mark.parametrize(
    "place",
    sorted(name for name in NAMES if name.startswith("consumer.") and name != "consumer.after_dead_letter"),
)
async def test_a_consumer_that_dies_anywhere_applies_each_event_once_and_in_order(ground: Ground, place: str) -> None:
    ground.source.relay()
    async with role(ground.installation, "consumer") as consumer:
        await consumer.start(place)
        await make_all(ground.source, last=3)
        await consumer.killed()
        await make_all(ground.source, first=4)
        await consumer.start()
        assert await until(lambda: everything(ground.sink), 60) == ALL
        copies = await ground.sink.rows("SELECT version FROM copies")
        assert {it["version"] for it in copies} == {VERSIONS}


async def test_a_consumer_that_dies_after_a_dead_letter_writes_it_once(ground: Ground) -> None:
    ground.source.relay()
    async with role(ground.installation, "consumer", "poison") as consumer:
        await consumer.start("consumer.after_dead_letter")
        await ground.source.make("bad", 1, note="poison")
        await ground.source.make("bad", 2)
        await make_all(ground.source)
        await consumer.killed()
        await consumer.start()
        assert await until(lambda: everything(ground.sink), 60) == ALL

        async def parked() -> list[dict[str, Any]] | None:
            rows = await ground.sink.rows('SELECT kind FROM dead_letters ORDER BY "offset"')
            return rows if len(rows) > 1 else None

        assert await until(parked) == [{"kind": "dead"}, {"kind": "held"}]


@pytest.mark.parametrize("place", sorted(name for name in NAMES if name.startswith("timers.")))
async def test_a_timer_takes_effect_once_wherever_its_role_dies(ground: Ground, place: str) -> None:
    async with ground.source.api.transaction(MIDORI, ground.source.SYSTEM) as transaction:
        for number in range(3):
            transaction.schedule("remind", f"thing/t{number}", transaction.now)
    async with role(ground.installation, "timers") as timers:
        await timers.start(place)
        await timers.killed()
        await timers.start()

        async def done() -> bool:
            return bool(await ground.source.value("SELECT count(*) = 0 FROM timers"))

        await until(done, 60)
        aggregates = await ground.source.rows("SELECT aggregate FROM event_log ORDER BY aggregate")
        assert [it["aggregate"] for it in aggregates] == ["thing/t0", "thing/t1", "thing/t2"]


async def test_two_timers_roles_share_the_work_without_repeating(ground: Ground) -> None:
    async with ground.source.api.transaction(MIDORI, ground.source.SYSTEM) as transaction:
        for number in range(200):
            transaction.schedule("remind", f"thing/t{number}", transaction.now)
    async with role(ground.installation, "timers") as one, role(ground.installation, "timers") as other:
        await one.start()
        await other.start()

        async def done() -> bool:
            return bool(await ground.source.value("SELECT count(*) = 0 FROM timers"))

        await until(done, 60)
        assert await ground.source.value("SELECT count(*), count(DISTINCT aggregate) FROM event_log") == 200


async def test_a_consumer_that_was_paused_past_its_session_repeats_nothing(ground: Ground) -> None:
    """SIGSTOP makes a zombie: another process takes its partitions; awake, it holds records that were applied."""
    ground.source.relay()
    async with role(ground.installation, "consumer") as consumer:
        await consumer.start()
        await make_all(ground.source, last=1)
        await until(lambda: everything(ground.sink, THINGS), 60)
        consumer.signal(signal.SIGSTOP)
        await make_all(ground.source, first=2, last=3)
        ground.sink.consumer()
        await until(lambda: everything(ground.sink, 3 * THINGS), 60)
        consumer.signal(signal.SIGCONT)
        await make_all(ground.source, first=4)
        assert await until(lambda: everything(ground.sink), 60) == ALL


async def test_a_relay_that_was_paused_while_another_took_over_inverts_nothing(ground: Ground) -> None:
    ground.sink.consumer()
    async with role(ground.installation, "relay") as relay:
        await relay.start()
        await make_all(ground.source, last=2)
        await until(lambda: everything(ground.sink, 2 * THINGS), 60)
        relay.signal(signal.SIGSTOP)
        async with ground.source.worker.scoped("*") as connection:
            # The lock goes with the session; cutting it is what a server's timeout does in earnest.
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        ground.source.relay()
        await make_all(ground.source, first=3, last=4)
        await until(lambda: everything(ground.sink, 4 * THINGS), 60)
        relay.signal(signal.SIGCONT)
        await make_all(ground.source, first=5)
        assert await until(lambda: everything(ground.sink), 60) == ALL


async def test_a_duplicate_publication_of_everything_has_no_second_effect(ground: Ground) -> None:
    ground.sink.consumer()
    ground.source.relay()
    await make_all(ground.source)
    await until(lambda: everything(ground.sink), 30)
    await ground.source.stop()
    async with ground.source.worker.scoped("*") as connection:
        await connection.execute("DELETE FROM relay_place")
    ground.source.relay()
    await ground.source.make("last", 1)

    async def last_seen() -> bool:
        return bool(await ground.sink.value("SELECT true FROM effects WHERE thing_id = 'last'"))

    await until(last_seen, 30)
    assert await everything(ground.sink) == {**ALL, "last": [1]}
