from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chassis.testing import OTHER_TOWN, Installation, eventually, running, set_civil_clock
from chassis.transaction import new_id
from tests.integration.chassis.noticeboard import NotePostedV1, build


async def test_a_service_runs_and_answers_a_caller(installation: Installation) -> None:
    async with running(build, installation, roles=("api",)) as board:
        hr = board.client(board.caller("hr"))
        posted = await hr.post("/notes", json={"title": "お知らせ"})
        assert posted.status_code == 201, posted.text
        assert posted.headers["Taiwa-Facts"] == f"note/{posted.json()['note_id']}@1"
        [note] = (await hr.get("/notes")).json()["items"]
        assert note["title"] == "お知らせ"

        elsewhere = board.client(board.caller("hr", municipality=OTHER_TOWN))
        assert (await elsewhere.get("/notes")).json()["items"] == []


async def test_the_civil_clock_is_put(installation: Installation) -> None:
    async with running(build, installation, roles=("api",)) as board:
        april = datetime(2026, 4, 13, tzinfo=UTC)
        await set_civil_clock(board, april)
        posted = await board.client(board.caller("hr")).post("/notes", json={"title": "4月"})
        at = datetime.fromisoformat(posted.json()["posted_at"])
        assert april <= at < april + timedelta(minutes=1)


async def test_a_published_fact_stands_on_its_topic(installation: Installation) -> None:
    note = NotePostedV1(note_id=new_id(), title="掲示")
    event_id = await installation.publish(note, 1)
    [fact] = await installation.facts_on("noticeboard.events")
    assert (fact.id, fact.aggregate, fact.version) == (event_id, note.aggregate(), 1)
    assert fact.key == f"999997/{note.aggregate()}"
    assert fact.value == {"note_id": str(note.note_id), "title": "掲示"}
    assert await installation.facts_on("nothing.here") == []


async def test_eventually_gives_up_with_the_last_reason() -> None:
    notes: list[str] = []

    def never() -> bool:
        assert notes, "still no note"
        return True

    with pytest.raises(AssertionError, match="still no note"):
        await eventually(never, timeout=0.05)


async def test_a_committed_fact_reaches_its_topic(installation: Installation) -> None:
    async with running(build, installation, roles=("api", "relay")) as board:
        posted = await board.client(board.caller("hr")).post("/notes", json={"title": "発行"})

        async def published() -> bool:
            facts = await installation.facts_on("noticeboard.events")
            return [fact.value for fact in facts] == [{"note_id": posted.json()["note_id"], "title": "発行"}]

        await eventually(published)
