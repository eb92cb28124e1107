"""Paging by cursor: stable while rows come and go, no counting, no offset."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, Field

from chassis.refusals import Refusal

T = TypeVar("T")
R = TypeVar("R")


class CursorInvalid(Refusal):
    """A cursor is what the previous page gave, unchanged."""

    code = "request.cursor_invalid"
    status = 422
    ja = "一覧の続きの印が正しくありません。最初から開き直してください。"
    en = "The cursor is not one that this list gave; start again without it."


class Page(BaseModel, Generic[T]):
    """One page of a list. ``next_cursor`` is null on the last one."""

    items: list[T]
    next_cursor: str | None = Field(default=None, description="give it as `cursor` to read on")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """How many rows, and after which one. SQL asks for ``limit + 1`` rows to know whether there are more."""

    limit: int
    after: list[str] | None

    def last(self, *kinds: Callable[[str], Any]) -> tuple[Any, ...] | None:
        """The last row's sort values, each read by its kind (``UUID``, ``datetime.fromisoformat``); none: first page.

        Raises:
            CursorInvalid: the cursor is another list's.
        """
        if self.after is None:
            return None
        try:
            return tuple(kind(value) for kind, value in zip(kinds, self.after, strict=True))
        except (ValueError, ArithmeticError) as error:
            raise CursorInvalid from error


def encode_cursor(values: Sequence[object]) -> str:
    """An opaque cursor from the last row's sort values."""
    return base64.urlsafe_b64encode(json.dumps([str(value) for value in values]).encode()).decode().rstrip("=")


def _storable(value: str) -> bool:
    """Whether PostgreSQL's text can hold it: neither NUL nor half a character, which JSON may write as escapes."""
    return "\x00" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def decode_cursor(cursor: str) -> list[str]:
    """The sort values of the last row seen.

    Raises:
        CursorInvalid: not a cursor of ours.
    """
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise CursorInvalid from error
    if not isinstance(values, list) or not all(isinstance(value, str) and _storable(value) for value in values):
        raise CursorInvalid
    return values


def page_of(
    rows: Sequence[R], request: PageRequest, key: Callable[[R], Sequence[object]]
) -> tuple[list[R], str | None]:
    """Split ``limit + 1`` rows into the page and the cursor of the next one; ``key`` gives a row's sort values."""
    page = list(rows[: request.limit])
    return page, encode_cursor(key(page[-1])) if len(rows) > request.limit else None


def _paging(
    limit: Annotated[int, Query(ge=1, le=200, description="rows a page")] = 50,
    cursor: Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before")] = None,
) -> PageRequest:
    return PageRequest(limit, decode_cursor(cursor) if cursor else None)


Paging = Annotated[PageRequest, Depends(_paging)]
