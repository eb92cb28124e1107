"""Reading a CSV file as a town's staff has it: UTF-8 or CP932, with everything that is wrong said at once."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chassis.refusals import Problems, Refusal

ROW_LIMIT = 20_000
ERROR_LIMIT = 1_000
_NO_CHARACTERS = re.compile("[\x80-\xa0\uf8f0-\uf8f3]")
"""What Python's cp932 makes of bytes that are no character: such a file is in another encoding."""
FILE = "ファイル"
"""Stands where an error concerns the file, not a column."""


class ImportRefused(Refusal):
    """Nothing of the file was taken."""

    code = "directory.import_refused"
    status = 422
    ja = "取り込めませんでした。直すところを行ごとに示します。何も変わっていません。"
    en = "Nothing was imported. See errors, by row and column; mend them and send the file again."


@dataclass(frozen=True, slots=True)
class Record:
    """One row. ``row`` counts from 1, the heading included, as a spreadsheet shows it; cells are stripped."""

    row: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A file that could be read as far as ``records``; ``problems`` holds what was wrong in other rows."""

    encoding: str
    records: tuple[Record, ...]
    problems: Problems


def _refuse(ja: str, en: str, row: int | None = None) -> ImportRefused:
    problems = Problems()
    problems.add(FILE, ja=ja, en=en, row=row)
    return ImportRefused(errors=problems.errors)


def decode(content: bytes) -> tuple[str, str]:
    """Text and the name of its encoding, ``utf-8`` or ``cp932``.

    Raises:
        ImportRefused: neither, or it holds a NUL.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _refuse(
            "文字コードがUTF-16です。「CSV UTF-8」の形で保存し直してください。",
            "is UTF-16; save it as UTF-8 or CP932",
        )
    if (place := content.find(b"\0")) >= 0:
        row = content.count(b"\n", 0, place) + 1
        raise _refuse("使えない文字（NUL）があります。取り除いてください。", "holds a NUL character; remove it", row)
    for encoding, name in (("utf-8-sig", "utf-8"), ("cp932", "cp932")):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if name == "utf-8" or _NO_CHARACTERS.search(text) is None:
            return text, name
    raise _refuse(
        "文字コードがわかりません。「CSV UTF-8」の形で保存し直してください。",
        "is neither UTF-8 nor CP932; save it as UTF-8",
    )


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    reader = csv.reader((line + "\n" for line in lines), strict=True)
    row = 0
    while True:
        row += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _refuse(
                '引用符（"）の使い方が正しくありません。この行を直してください。',
                f"is broken CSV: {error}",
                row,
            ) from error
        if any(cell.strip() for cell in cells):
            yield row, [cell.strip() for cell in cells]


def _heading(cells: Sequence[str], columns: Sequence[str]) -> dict[str, int]:
    problems = Problems()
    for column in columns:
        if (count := cells.count(column)) == 0:
            problems.add(column, ja="この列がありません。見出しを足してください。", en="is missing", row=1)
        elif count > 1:
            problems.add(column, ja="この列が二つあります。一つにしてください。", en="stands twice", row=1)
    problems.refuse_any(ImportRefused)
    return {column: cells.index(column) for column in columns}


def read_table(content: bytes, columns: Sequence[str]) -> Table:
    """Read a file whose heading names at least ``columns``, in any order.

    Raises:
        ImportRefused: it is empty, not text, not CSV, or a column is missing.
    """
    text, encoding = decode(content)
    rows = _rows(text)
    try:
        row, heading = next(rows)
    except StopIteration:
        raise _refuse("ファイルが空です。見出しと内容の行を入れてください。", "is empty") from None
    places = _heading(heading, columns)
    problems, records = Problems(), []
    for row, cells in rows:
        if len(cells) != len(heading):
            problems.add(
                FILE,
                ja=f"列の数が見出しと合いません（見出し{len(heading)}、この行{len(cells)}）。",
                en=f"has {len(cells)} cells, the heading has {len(heading)}",
                row=row,
            )
            continue
        records.append(Record(row, {column: cells[place] for column, place in places.items()}))
        if len(records) > ROW_LIMIT:
            raise _refuse(
                f"行が多すぎます。{ROW_LIMIT}行までに分けてください。", f"has over {ROW_LIMIT} rows; split it"
            )
    if not records and not problems.errors:
        raise _refuse("内容の行がありません。見出しの下に入れてください。", "has no rows below the heading")
    return Table(encoding, tuple(records), problems)


def refuse_problems(problems: Problems) -> None:
    """Raise what was found, the first 1,000, in the order of the rows.

    Raises:
        ImportRefused: anything was found.
    """
    problems.errors.sort(key=lambda error: error.row or 0)
    del problems.errors[ERROR_LIMIT:]
    problems.refuse_any(ImportRefused)
