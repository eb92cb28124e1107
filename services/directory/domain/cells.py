"""Checks of one cell of an import."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Sequence
from datetime import date

from chassis.refusals import Problems
from services.directory.domain.files import Record

NAME_LIMIT = 100
CODE_LIMIT = 20
MAIL_LIMIT = 254
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DAY = re.compile(r"^([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})$")
_MAIL = re.compile(r"^[^\s@<>()\[\],;:\"]+@[^\s@<>()\[\],;:\"]+$")
_SEPARATORS = re.compile(r"[;；、,，|/\s]+")
_FIRST_YEAR, _LAST_YEAR, _MONTHS = 1900, 2199, 12
_NUMBER = re.compile(r"^-?[0-9]{1,6}$")


class Cells:
    """Reads the cells of one row and notes what is wrong with each."""

    def __init__(self, record: Record, problems: Problems) -> None:
        self.row = record.row
        self._cells = record.cells
        self._problems = problems

    def wrong(self, column: str, ja: str, en: str) -> None:
        """Note that a cell is wrong."""
        self._problems.add(column, ja=ja, en=en, row=self.row)

    def text(self, column: str, limit: int = NAME_LIMIT, *, required: bool = True) -> str:
        """A line of text; characters stay as they are."""
        value = self._cells[column]
        if required and not value:
            self.wrong(column, "入力してください。", "is required")
        elif len(value) > limit:
            self.wrong(column, f"長すぎます。{limit}字までにしてください。", f"is longer than {limit} characters")
        elif _CONTROL.search(value):
            self.wrong(column, "改行などの使えない文字があります。", "holds control characters")
        return value

    def choice(self, column: str, choices: Sequence[str]) -> str:
        """One of the choices."""
        value = self._cells[column]
        if value not in choices:
            self.wrong(column, f"{'・'.join(choices)}のどれかを入れてください。", f"is not one of {', '.join(choices)}")
        return value

    def day(self, column: str) -> date:
        """A day, ``2026-04-01`` or as a spreadsheet writes it, ``2026/4/1``."""
        if (found := _DAY.match(self._cells[column])) is not None:
            year, month, number = map(int, found.groups())
            if (
                _FIRST_YEAR <= year <= _LAST_YEAR
                and 1 <= month <= _MONTHS
                and 1 <= number <= monthrange(year, month)[1]
            ):
                return date(year, month, number)
        self.wrong(column, "日付は「2026-04-01」の形で入れてください。", "is not a date like 2026-04-01")
        return date.min

    def number(self, column: str) -> int:
        """A whole number; empty is 0."""
        value = self._cells[column]
        if not value:
            return 0
        if _NUMBER.match(value) is None:
            self.wrong(column, "数字で入れてください。", "is not a whole number")
            return 0
        return int(value)

    def mail(self, column: str) -> str | None:
        """A mail address, or nothing."""
        value = self._cells[column]
        if value and (_MAIL.match(value) is None or len(value) > MAIL_LIMIT):
            self.wrong(column, "メールアドレスの形が正しくありません。", "is not a mail address")
        return value or None

    def codes(self, column: str) -> tuple[str, ...]:
        """Codes of sections, apart by ``;`` or similar; each once."""
        return tuple(dict.fromkeys(part for part in _SEPARATORS.split(self._cells[column]) if part))
