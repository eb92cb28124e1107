from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest

from chassis.auth import Caller
from chassis.testing import Running, eventually


def hr(board: Running, *, language: str = "ja", faults_raise: bool = True) -> httpx.AsyncClient:
    return board.client(board.caller("hr"), language=language, faults_raise=faults_raise)


async def test_a_refusal_says_all_of_it_in_japanese(board: Running) -> None:
    answer = await hr(board).post("/notes", json={"title": "full"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-language"] == "ja"
    assert answer.json() == {
        "type": "urn:taiwa:problem:noticeboard.full",
        "title": "BoardFull",
        "status": 409,
        "detail": "掲示板がいっぱいです。3件までです。",
        "code": "noticeboard.full",
        "errors": [{"field": "title", "message": "別の板を選んでください。"}],
        "article": {"name": "掲示板要綱第2条", "text": "掲示は3件までとする。", "fictional": True},
    }


async def test_a_refusal_says_all_of_it_in_english(board: Running) -> None:
    answer = await hr(board, language="en-GB,ja;q=0.5").post("/notes", json={"title": "full"})
    assert answer.headers["content-language"] == "en"
    assert answer.json()["detail"] == "The board is full: 3 notes at most."
    assert answer.json()["errors"] == [{"field": "title", "message": "choose another board"}]


async def test_every_wrong_field_is_named_at_once(board: Running) -> None:
    answer = await hr(board).post("/notes", json={"title": "", "priority": "高", "colour": "red"})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "request.invalid"
    assert {error["field"] for error in problem["errors"]} == {"title", "priority", "colour"}
    assert all(error["message"] for error in problem["errors"])


async def test_a_defect_is_answered_without_its_inside(board: Running) -> None:
    answer = await hr(board, faults_raise=False).post("/notes", json={"title": "defect"})
    assert answer.status_code == 500
    assert answer.json()["code"] == "service.fault"
    assert "secret" not in answer.text
    assert answer.headers["Taiwa-Correlation-Id"]


async def test_a_restarting_database_is_a_503_that_may_be_repeated(board: Running) -> None:
    answer = await hr(board).post("/notes", json={"title": "restarting"})
    assert answer.status_code == 503
    assert answer.json()["code"] == "service.unavailable"
    assert answer.headers["retry-after"]


async def test_cut_connections_are_a_503_and_then_new_ones(board: Running) -> None:
    client = hr(board)
    assert (await client.get("/notes")).status_code == 200
    slow = asyncio.create_task(client.post("/notes", json={"title": "slow"}))
    cut = await eventually(lambda: cut_those_asleep(board))
    assert cut == 1
    assert (await slow).status_code == 503
    assert (await client.get("/notes")).json()["items"] == []


async def cut_those_asleep(board: Running) -> int:
    admin = await asyncpg.connect(board.installation.admin_url)
    try:
        rows = await admin.fetch(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = $1 AND wait_event = 'PgSleep'
            """,
            f"{board.installation.settings.prefix}noticeboard",
        )
    finally:
        await admin.close()
    return len(rows)


async def test_nothing_but_the_right_role_may_post(board: Running) -> None:
    answer = await board.client(board.caller("leader")).post("/notes", json={"title": "知らせ"})
    assert answer.status_code == 403
    assert answer.json()["code"] == "auth.forbidden"


async def test_an_unknown_path_and_a_wrong_method_are_problems(board: Running) -> None:
    client = hr(board)
    assert (await client.get("/nothing")).json()["code"] == "request.no_such_path"
    wrong = await client.delete("/notes")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "request.method_not_allowed")
    assert "POST" in wrong.headers["allow"]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ('{"title": "a\\u0000b"}', "title"),
        ('{"title": "a", "extra": {"deep": ["\\u0000"]}}', "extra.deep.0"),
        ('{"ti\\u0000tle": "a"}', "title"),
    ],
)
async def test_a_nul_character_is_refused_with_its_field(board: Running, content: str, field: str) -> None:
    answer = await hr(board).post("/notes", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("path", ["/notes?cursor=%00", "/notes?cursor=a%00b", "/notes/%00", "/notes?%00=1"])
async def test_a_nul_character_in_the_address_is_refused(board: Running, path: str) -> None:
    answer = await hr(board).get(path)
    assert answer.status_code == 422
    assert answer.json()["code"] == "request.invalid"


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"title": "\\ud800"}',
        b'{"\\ud800": 1, "title": "a"}',
        b'{"title": "a", "priority": 99999999999999999999999999999999}',
        b'{"title": "a", "priority": 1e400}',
        b'{"title": "a", "priority": NaN}',
        b'{"title": "a", "priority": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"title": {"title": "a"}}',
    ],
)
async def test_an_unreadable_body_is_refused(board: Running, content: bytes) -> None:
    answer = await hr(board).post("/notes", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in {"request.invalid", "request.unreadable"}


async def test_a_declared_body_over_the_limit_is_refused_unread(board: Running) -> None:
    answer = await hr(board).post("/notes", content=json.dumps({"title": "a" * 1_100_000}))
    assert answer.status_code == 413
    assert answer.json()["code"] == "request.too_large"
    assert "1MB" in answer.json()["detail"]


async def test_a_streamed_body_over_the_limit_is_refused(board: Running) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'{"title": "'
        for _ in range(40):
            yield b"a" * 65536

    answer = await hr(board).post("/notes", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["code"] == "request.too_large"


async def test_a_file_may_be_larger_and_has_its_own_limit(board: Running) -> None:
    client = hr(board)
    assert (await client.post("/notes/imports", content=b"a" * 2_000_000)).status_code == 405
    answer = await client.post("/notes/imports", content=b"a" * 10_600_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    assert "10MB" in answer.json()["detail"]


@pytest.mark.parametrize("shelf", [2**31, 2**63, 10**30, -(2**40)])
async def test_a_number_that_no_column_takes_is_refused(board: Running, shelf: int) -> None:
    answer = await hr(board).post("/notes", json={"title": "棚", "shelf": shelf})
    assert (answer.status_code, answer.json()["code"]) == (422, "request.value_unfit")
    assert (await hr(board).get("/notes")).json()["items"] == []


async def test_a_list_is_read_page_by_page(board: Running) -> None:
    client = hr(board)
    for number in range(7):
        assert (await client.post("/notes", json={"title": f"{number}"})).status_code == 201
    seen: list[str] = []
    cursor: str | None = None
    pages = 0
    while pages == 0 or cursor:
        page = (await client.get("/notes", params={"limit": 3, **({"cursor": cursor} if cursor else {})})).json()
        seen += [note["title"] for note in page["items"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert (seen, pages) == (list("0123456"), 3)


@pytest.mark.parametrize("cursor", ["nonsense", "e30", "W10", "WzFd", "あ", "bnVsbA", "WyJub3QtYS11dWlkIl0"])
async def test_a_foreign_cursor_is_refused(board: Running, cursor: str) -> None:
    answer = await hr(board).get("/notes", params={"cursor": cursor})
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "request.cursor_invalid"


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "99999999999999999999"])
async def test_an_impossible_page_size_is_refused(board: Running, limit: str) -> None:
    answer = await hr(board).get("/notes", params={"limit": limit})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "limit"


async def test_openapi_describes_problems_and_hides_the_operator_s_paths(board: Running) -> None:
    schema = (await board.client().get("/openapi.json")).json()
    assert schema["openapi"] == "3.1.0"
    assert "ProblemDetails" in schema["components"]["schemas"]
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    own = {path for path in schema["paths"] if not path.startswith("/operations/")}
    assert own == {"/notes", "/notes/{note_id}"}
    assert "409" in schema["paths"]["/notes"]["post"]["responses"]


async def test_a_caller_of_no_role_reads_what_anybody_may(board: Running) -> None:
    nobody = Caller("999997", board.caller().person_id, frozenset())
    assert (await board.client(nobody).get("/notes")).status_code == 200
