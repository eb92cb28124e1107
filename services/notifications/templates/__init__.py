"""Turns a template, its particulars and the names they stand for into the text a person reads.

One file per notice, ``<template>.txt``, with the blocks ``subject`` and ``body``; ``letter.txt`` frames a mail.
Plain text, complete in itself, without a link: mail into LGWAN loses links, and scanners open them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from chassis.calendar import TOKYO

FOLDER = Path(__file__).parent
LETTER = "letter"
_WEEKDAYS = "月火水木金土日"
_FIRST_REIWA = 2018
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")

UNKNOWN_PERSON = "（氏名の登録なし）"
UNKNOWN_SECTION = "（所属の登録なし）"
NO_TEXT = "（本文はポータルの「相談」で見てください。）"
PORTAL = "DX推進リーダーポータル"


@dataclass(frozen=True, slots=True)
class Names:
    """What ids stand for, as far as this service knows it now."""

    people: Mapping[UUID, str] = field(default_factory=dict)
    sections: Mapping[UUID, str] = field(default_factory=dict)
    texts: Mapping[UUID, str] = field(default_factory=dict)
    town: str = ""
    fictional: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """A notice as text. ``subject`` is one line without control characters."""

    subject: str
    body: str


def day(value: str) -> str:
    """``令和8年（2026年）6月12日（金）`` from an ISO day."""
    it = date.fromisoformat(value)
    return f"令和{it.year - _FIRST_REIWA}年（{it.year}年）{it.month}月{it.day}日（{_WEEKDAYS[it.weekday()]}）"


def day_before(value: str) -> str:
    """The ISO day before an ISO day."""
    return (date.fromisoformat(value) - timedelta(days=1)).isoformat()


def at(value: str) -> str:
    """``6月12日（金）17:15`` in the town, from an ISO instant."""
    it = datetime.fromisoformat(value).astimezone(TOKYO)
    return f"{it.month}月{it.day}日（{_WEEKDAYS[it.weekday()]}）{it:%H:%M}"


def year(value: str) -> str:
    """``令和8年度`` from the year in which a fiscal year starts."""
    return f"令和{int(value) - _FIRST_REIWA}年度"


def one_line(text: str) -> str:
    """Text for a header: every run of control characters and line ends becomes one space."""
    return _CONTROL.sub(" ", text).strip()


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=False,  # noqa: S701  plain text; nothing here becomes HTML, screens escape it themselves
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(day=day, day_before=day_before, at=at, year=year)
    return environment


_ENVIRONMENT = _environment()


def names() -> list[str]:
    """Every notice there is a template for."""
    return sorted(path.stem for path in FOLDER.glob("*.txt") if path.stem != LETTER)


def render(template: str, particulars: Mapping[str, str], known: Names, text_id: UUID | None = None) -> Rendered:
    """The notice as it reads now.

    In a template ``x_person_id`` and ``x_section_id`` of the particulars stand as ``x_person`` and ``x_section`` too,
    with the name; ``text`` is the text that travels apart.

    Raises:
        jinja2.TemplateError: no such template, or it asks for something the particulars do not have.
    """
    context: dict[str, str] = dict(particulars)
    for key, value in particulars.items():
        if key.endswith("person_id"):
            context[key.removesuffix("_id")] = known.people.get(UUID(value), UNKNOWN_PERSON)
        elif key.endswith("section_id"):
            context[key.removesuffix("_id")] = known.sections.get(UUID(value), UNKNOWN_SECTION)
    context["text"] = (known.texts.get(text_id) if text_id else None) or NO_TEXT
    loaded = _ENVIRONMENT.get_template(f"{template}.txt")
    parts = {
        name: "".join(loaded.blocks[name](loaded.new_context(dict(context)))).strip() for name in ("subject", "body")
    }
    return Rendered(one_line(parts["subject"]), parts["body"])


def letter(notice: Rendered, recipient: str, known: Names) -> str:
    """The whole text of a mail: the name, the notice, who sends it."""
    frame = _ENVIRONMENT.get_template(f"{LETTER}.txt")
    portal = f"{known.town}　{PORTAL}" if known.town else PORTAL
    return frame.render(recipient=recipient, body=notice.body, portal=portal, fictional=known.fictional)
