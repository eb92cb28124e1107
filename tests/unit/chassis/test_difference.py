"""A payload beside the schema of its type."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from chassis.operations.difference import difference
from taiwa_contracts.event import Event


class BookLentV1(Event):
    TYPE: ClassVar[str] = "taiwa.library.book-lent.v1"
    TOPIC: ClassVar[str] = "library.events"
    AGGREGATE: ClassVar[str] = "book"
    KEY: ClassVar[tuple[str, ...]] = ("book_id",)
    book_id: UUID
    days: int
    note: str | None = None


WANTED = (BookLentV1,)
BOOK = "019e388c-eba0-7b9c-8400-122bae8c6a62"


def states(value: bytes | None, type_: str = BookLentV1.TYPE) -> dict[str, str]:
    return {field.name: field.state for field in difference(type_, value, WANTED).fields}


def test_a_payload_that_fits_differs_nowhere() -> None:
    assert states(f'{{"book_id": "{BOOK}", "days": 7}}'.encode()) == {"book_id": "fits", "days": "fits"}


def test_what_is_wrong_missing_or_unknown_is_marked() -> None:
    assert states(b'{"book_id": "7", "colour": "red"}') == {"book_id": "wrong", "days": "missing", "colour": "unknown"}


def test_a_problem_does_not_quote_what_was_given() -> None:
    (field, *_) = difference(BookLentV1.TYPE, '{"book_id": "山田太郎", "days": 1}'.encode(), WANTED).fields
    assert field.problem
    assert "山田" not in field.problem
    assert field.given == '"山田太郎"'


def test_another_version_is_compared_with_the_one_that_is_known() -> None:
    found = difference("taiwa.library.book-lent.v9", b'{"book": "7"}', WANTED)
    assert found.type == BookLentV1.TYPE
    assert {field.name: field.state for field in found.fields} == {
        "book_id": "missing",
        "days": "missing",
        "book": "unknown",
    }


def test_what_is_no_object_or_nobodys_type_has_no_fields() -> None:
    for value in (None, b"", b"{", b"[1]", b"7", b"\xff", b"[" * 100_000):
        assert difference(BookLentV1.TYPE, value, WANTED).fields == ()
    assert difference("taiwa.other.thing.v1", b"{}", WANTED).type is None
    assert difference(None, b"{}", WANTED).type is None
    assert difference("no-version", b"{}", WANTED).type is None


def test_what_a_field_must_be_is_one_word_or_choices() -> None:
    found = {field.name: field.expected for field in difference(BookLentV1.TYPE, b'{"note": 1}', WANTED).fields}
    assert found == {"book_id": "uuid", "days": "integer", "note": "string|null"}
