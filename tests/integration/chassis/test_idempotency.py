from __future__ import annotations

import asyncio
from uuid import uuid4

import httpx
import pytest

from chassis.testing import OTHER_TOWN, Running


async def count_notes(board: Running) -> int:
    async with board.worker.scoped("*") as connection:
        return int(await connection.fetchval("SELECT count(*) FROM notes"))


async def count_facts(board: Running) -> int:
    async with board.worker.scoped("*") as connection:
        return int(await connection.fetchval("SELECT count(*) FROM event_log"))


async def post(client: httpx.AsyncClient, key: str, title: str = "知らせ") -> httpx.Response:
    return await client.post("/notes", json={"title": title}, headers={"Idempotency-Key": key})


async def test_a_repeat_has_one_effect_and_the_same_answer(board: Running) -> None:
    hr, key = board.client(board.caller("hr")), str(uuid4())
    first = await post(hr, key)
    again = await post(hr, key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Taiwa-Facts"] == first.headers["Taiwa-Facts"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (await count_notes(board), await count_facts(board)) == (1, 1)


async def test_a_key_with_another_body_is_refused(board: Running) -> None:
    hr, key = board.client(board.caller("hr")), str(uuid4())
    await post(hr, key, "一つ目")
    refused = await post(hr, key, "二つ目")
    assert refused.status_code == 422
    assert refused.json()["code"] == "request.idempotency_key_reused"
    assert await count_notes(board) == 1


async def test_a_key_with_another_query_is_refused(board: Running) -> None:
    hr, key = board.client(board.caller("hr")), str(uuid4())
    await post(hr, key)
    refused = await hr.post("/notes?x=1", json={"title": "知らせ"}, headers={"Idempotency-Key": key})
    assert refused.json()["code"] == "request.idempotency_key_reused"


async def test_a_command_without_a_key_is_refused(board: Running) -> None:
    hr = board.client(board.caller("hr"))
    refused = await post(hr, "")
    assert refused.status_code == 400
    assert refused.json()["code"] == "request.idempotency_key_missing"
    assert "Idempotency-Key" in refused.json()["detail"]
    assert await count_notes(board) == 0


@pytest.mark.parametrize("key", ["k" * 201, "   ", "a b", "\t"])
async def test_a_key_that_is_none_is_refused(board: Running, key: str) -> None:
    refused = await post(board.client(board.caller("hr")), key)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_a_running_twin_is_told_so_and_has_no_second_effect(board: Running) -> None:
    hr, key = board.client(board.caller("hr")), str(uuid4())
    answers = await asyncio.gather(*(post(hr, key, "slow") for _ in range(4)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"request.in_progress"}
    assert (await post(hr, key, "slow")).headers["Idempotency-Replayed"] == "true"
    assert (await count_notes(board), await count_facts(board)) == (1, 1)


async def test_a_refusal_is_not_stored(board: Running) -> None:
    hr, key = board.client(board.caller("hr")), str(uuid4())
    assert (await post(hr, key, "full")).status_code == 409
    mended = await post(hr, key, "空きができた")
    assert mended.status_code == 201
    assert await count_notes(board) == 1


async def test_a_fault_is_not_stored_and_leaves_nothing(board: Running) -> None:
    hr, key = board.client(board.caller("hr"), faults_raise=False), str(uuid4())
    assert (await post(hr, key, "defect")).status_code == 500
    assert await count_notes(board) == 0
    assert (await post(hr, key, "直った")).status_code == 201


async def test_a_key_belongs_to_its_person_and_town(board: Running) -> None:
    key = str(uuid4())
    callers = [
        board.caller("hr"),
        board.caller("hr"),
        board.caller("hr", municipality=OTHER_TOWN),
    ]
    answers = [await post(board.client(caller), key) for caller in callers]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len({answer.json()["note_id"] for answer in answers}) == 3


async def test_a_caller_s_correlation_id_is_kept_with_the_fact(board: Running) -> None:
    given = str(uuid4())
    hr = board.client(board.caller("hr"))
    answer = await hr.post("/notes", json={"title": "知らせ"}, headers={"Taiwa-Correlation-Id": given})
    assert answer.headers["Taiwa-Correlation-Id"] == given
    async with board.worker.scoped("*") as connection:
        assert str(await connection.fetchval("SELECT correlation_id FROM event_log")) == given
