"""An administrator of a town repairs what stands still in a service, and everything they do is on record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from chassis.clocks import machine_now
from chassis.http.operations import work_items
from chassis.service import Service
from chassis.testing import MIDORI, OTHER_TOWN, Installation, Running, eventually, running
from tests.integration.chassis import archive
from tests.integration.chassis.noticeboard import NotePostedV1

SETTINGS = archive.SETTINGS
TYPE = NotePostedV1.TYPE


def build(settings: archive.ArchiveSettings) -> Service:
    return archive.build(settings)


def build_for_several_towns(settings: archive.ArchiveSettings) -> Service:
    shared = settings.installation.model_copy(update={"several_towns": True})
    return archive.build(settings.model_copy(update={"installation": shared}))


@pytest.fixture
async def kept(installation: Installation) -> AsyncIterator[Running]:
    """An archive that consumes."""
    async with running(build, installation, roles=("api", "consumer", "timers")) as it:
        yield it


def administrator(it: Running, town: str = MIDORI) -> httpx.AsyncClient:
    return it.client(it.caller("admin", municipality=town))


async def put(it: Running, note: UUID, *versions: int, value: bytes | None = None, **headers: str | None) -> None:
    """Records of one note; ``value`` is the first one's payload."""
    for version in versions:
        event = NotePostedV1(note_id=note, title=f"第{version}版")
        attributes: dict[str, str | None] = {
            "ce_specversion": "1.0",
            "ce_id": str(uuid4()),
            "ce_type": TYPE,
            "ce_source": "/taiwa/noticeboard",
            "ce_subject": event.aggregate(),
            "ce_time": machine_now().isoformat(),
            "ce_sequence": str(version),
            "ce_municipality": MIDORI,
            "ce_correlationid": str(uuid4()),
            **headers,
        }
        await it.installation.put(
            NotePostedV1.TOPIC,
            f"{headers.get('key_of') or MIDORI}/{event.aggregate()}".encode(),
            value if value is not None and version == versions[0] else event.write().encode(),
            [(name, text.encode()) for name, text in attributes.items() if text is not None and name != "key_of"],
        )


async def listed(it: Running, **query: Any) -> list[dict[str, Any]]:
    answer = await administrator(it).get("/operations/dead-letters", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def letter_of(it: Running, note: UUID) -> dict[str, Any] | None:
    return next((each for each in await listed(it, aggregate=f"note/{note}")), None)


async def acts(it: Running) -> list[tuple[str, str]]:
    answer = await administrator(it).get("/operations/acts")
    return [(each["act"], each["reason"]) for each in answer.json()["items"]]


async def test_a_letter_is_shown_with_its_difference_from_the_schema_and_what_waits_behind_it(kept: Running) -> None:
    note = uuid4()
    value = f'{{"note_id": "{note}", "title": 7, "colour": "red"}}'.encode()
    await put(kept, note, 1, 2, 3, value=value)
    found = await eventually(lambda: letter_of(kept, note), 30)
    await eventually(lambda: waits_behind(kept, note, 2))
    assert (found["code"], found["kind"]) == ("event.payload_invalid", "dead")
    detail = (await administrator(kept).get(f"/operations/dead-letters/{found['id']}")).json()
    assert detail["payload"]["value"] == value.decode()
    assert detail["payload"]["schema_type"] == TYPE
    fields = {each["name"]: (each["state"], each["expected"]) for each in detail["payload"]["fields"]}
    assert fields == {"note_id": ("fits", "uuid"), "title": ("wrong", "string"), "colour": ("unknown", "")}
    assert [each["version"] for each in detail["held"]] == [2, 3]
    assert {"name": "ce_type", "value": TYPE, "encoding": "text"} in detail["headers"]
    assert await acts(kept) == [("seen", "")]


async def waits_behind(it: Running, note: UUID, count: int) -> bool:
    found = await letter_of(it, note)
    return found is not None and found["held_behind"] == count


async def test_discarding_lets_what_is_held_go_on_in_order_and_needs_a_reason(kept: Running) -> None:
    note = uuid4()
    await put(kept, note, 1, 2, value=b"{")
    found = await eventually(lambda: letter_of(kept, note), 30)
    await eventually(lambda: waits_behind(kept, note, 1))
    client, path = administrator(kept), f"/operations/dead-letters/{found['id']}/discard"
    assert (await client.post(path, json={"reason": " "})).status_code == 422
    assert (await client.post(path, json={"reason": "試験の記録でした"})).json()["count"] == 1

    async def applied() -> bool:
        async with kept.worker.scoped(MIDORI) as connection:
            return bool(await connection.fetchval("SELECT true FROM archived_notes WHERE note_id = $1", note))

    await eventually(applied)
    assert await listed(kept, kind=["dead", "deferred", "held"]) == []
    again = await client.post(path, json={"reason": "もう一度"})
    assert (again.status_code, again.json()["code"]) == (409, "operations.letter_closed")
    assert await acts(kept) == [("discarded", "試験の記録でした")]


async def test_a_repeated_command_has_one_effect(kept: Running) -> None:
    note = uuid4()
    await put(kept, note, 1, value=b"{")
    found = await eventually(lambda: letter_of(kept, note), 30)
    client = kept.client(kept.caller("admin"))
    path, key = f"/operations/dead-letters/{found['id']}/discard", str(uuid4())
    for _ in range(2):
        answer = await client.post(path, json={"reason": "要りません"}, headers={"Idempotency-Key": key})
        assert answer.status_code == 200
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert await acts(kept) == [("discarded", "要りません")]


async def test_letters_are_chosen_and_tried_again_together_after_a_dry_run(kept: Running) -> None:
    notes = [uuid4() for _ in range(3)]
    for note in notes:
        await put(kept, note, 1, value=b"{")

    async def all_there() -> bool:
        return len(await listed(kept, code="event.payload_invalid")) == 3

    await eventually(all_there, 30)
    client = administrator(kept)
    dry = await client.post("/operations/dead-letters/replay", json={"type": TYPE, "dry_run": True})
    assert dry.json() == {"count": 3, "more": False}
    assert await acts(kept) == []
    assert (await client.post("/operations/dead-letters/replay", json={"code": "event.failed"})).json()["count"] == 0
    done = await client.post("/operations/dead-letters/replay", json={"type": TYPE, "reason": "直しました"})
    assert done.json()["count"] == 3
    assert await acts(kept) == [("replayed", "直しました")] * 3

    async def failed_again() -> bool:
        return [each["kind"] for each in await listed(kept)] == ["dead"] * 3

    await eventually(failed_again)
    first = await client.get("/operations/dead-letters", params={"limit": 2})
    rest = await client.get("/operations/dead-letters", params={"limit": 2, "cursor": first.json()["next_cursor"]})
    assert [len(first.json()["items"]), len(rest.json()["items"])] == [2, 1]


async def test_a_letter_whose_town_cannot_be_told_is_in_no_towns_list(kept: Running) -> None:
    """The header names one town, the key another: either may be wrong, and a payload is shown to nobody by guess."""
    forged, unreadable = uuid4(), uuid4()
    await put(kept, forged, 1, key_of=OTHER_TOWN)
    await put(kept, unreadable, 1, ce_municipality="123456")

    async def both_there() -> bool:
        async with kept.worker.scoped("*") as connection:
            count: int = await connection.fetchval("SELECT count(*) FROM dead_letters WHERE municipality IS NULL")
        return count == 2

    await eventually(both_there, 30)
    for town in (MIDORI, OTHER_TOWN):
        answer = await administrator(kept, town).get("/operations/dead-letters")
        assert answer.json()["items"] == []


async def test_an_administrator_of_another_town_sees_and_touches_nothing(kept: Running) -> None:
    note = uuid4()
    await put(kept, note, 1, value=b"{")
    found = await eventually(lambda: letter_of(kept, note), 30)
    foreign, path = administrator(kept, OTHER_TOWN), f"/operations/dead-letters/{found['id']}"
    assert (await foreign.get("/operations/dead-letters")).json()["items"] == []
    assert (await foreign.get(path)).status_code == 404
    assert (await foreign.post(f"{path}/replay", json={})).status_code == 404
    assert (await foreign.post(f"{path}/discard", json={"reason": "x"})).status_code == 404
    assert (await foreign.post("/operations/dead-letters/replay", json={})).json()["count"] == 0
    assert (await foreign.get("/operations/standing")).json()["letters"] == []
    assert await acts(kept) == []
    assert (await administrator(kept).get(path)).status_code == 200


@pytest.mark.parametrize("role", ["staff", "hr", "it_policy", "executive"])
async def test_nobody_but_an_administrator_may(kept: Running, role: str) -> None:
    client = kept.client(kept.caller(role))
    for path in ("standing", "dead-letters", f"dead-letters/{uuid4()}", "late-timers", "acts"):
        assert (await client.get(f"/operations/{path}")).status_code == 403
    for path in ("dead-letters/replay", "stops/resume", f"dead-letters/{uuid4()}/replay"):
        assert (await client.post(f"/operations/{path}", json={"consumer": "archive"})).status_code == 403


async def test_what_stands_still_is_told_with_its_cause_but_not_with_what_it_quotes(kept: Running) -> None:
    async with kept.worker.scoped("*") as connection:
        await connection.execute(
            "INSERT INTO stops (consumer, scope, topic, partition, reason, command) VALUES "
            "('archive', 'paused', 'noticeboard.events', 3, 'KeyError: 山田太郎', 'taiwa doctor')"
        )
        await connection.execute(
            "INSERT INTO timers (municipality, aggregate, name, due_at, correlation_id) VALUES "
            "($1, 'note/1', 'nobody_knows_it', clock_timestamp() - interval '10 minutes', gen_random_uuid()), "
            "($2, 'note/2', 'nobody_knows_it', clock_timestamp() - interval '10 minutes', gen_random_uuid())",
            MIDORI,
            OTHER_TOWN,
        )
    client = administrator(kept)

    async def begun() -> httpx.Response | None:
        told = await client.get("/operations/standing")
        names = {each["name"] for each in told.json()["checks"]}
        return told if {"kafka", "consumer", "timers"} <= names else None

    answer = await eventually(begun, 30)
    assert answer is not None
    assert "山田" not in answer.text
    told = answer.json()
    (stop,) = told["stops"]
    assert (stop["cause"], stop["topic"], stop["partition"], stop["resumable"]) == (
        "fault",
        "noticeboard.events",
        3,
        True,
    )
    assert [each["aggregate"] for each in told["overdue_timers"]] == ["note/1"]
    body = {"consumer": "archive", "topic": "noticeboard.events", "partition": 3, "reason": "直しました"}
    assert (await client.post("/operations/stops/resume", json=body)).json()["count"] == 1
    assert (await client.post("/operations/stops/resume", json=body)).json()["count"] == 0
    assert (await client.get("/operations/standing")).json()["stops"] == []
    assert await acts(kept) == [("resumed", "直しました")]


async def test_where_several_towns_share_a_consumer_only_the_operator_lets_it_go_on(installation: Installation) -> None:
    async with running(build_for_several_towns, installation, roles=("api",)) as it:
        async with it.worker.scoped("*") as connection:
            await connection.execute(
                "INSERT INTO stops (consumer, scope, topic, partition, reason, command) "
                "VALUES ('archive', 'stopped', '', -1, 'most events fail', 'taiwa dead-letters list')"
            )
        client = administrator(it)
        (stop,) = (await client.get("/operations/standing")).json()["stops"]
        assert (stop["cause"], stop["resumable"]) == ("most_fail", False)
        assert await work_items(it.worker, it.service, it.caller("admin")) == []
        refused = await client.post("/operations/stops/resume", json={"consumer": "archive"})
        assert (refused.status_code, refused.json()["code"]) == (403, "operations.stop_of_all_towns")
        assert len((await client.get("/operations/standing")).json()["stops"]) == 1


async def test_events_that_wait_for_the_relay_are_counted_for_their_town_only(kept: Running) -> None:
    """No relay runs here: what the archive says of a note waits."""
    await put(kept, uuid4(), 1)

    async def waiting(town: str) -> int:
        told = (await administrator(kept, town).get("/operations/standing")).json()
        assert (told["unpublished_since"] is not None) == (told["unpublished"] > 0)
        return int(told["unpublished"])

    async def one_waits() -> bool:
        return await waiting(MIDORI) == 1

    await eventually(one_waits, 30)
    assert await waiting(OTHER_TOWN) == 0


async def test_a_published_event_waits_no_longer(installation: Installation) -> None:
    async with running(build, installation) as it:
        await put(it, uuid4(), 1)

        async def published() -> bool:
            return bool(await installation.facts_on("archive.events"))

        await eventually(published, 30)

        async def none_waits() -> bool:
            told = (await administrator(it).get("/operations/standing")).json()
            return told["unpublished"] == 0 and told["lag"] is not None

        await eventually(none_waits, 30)
