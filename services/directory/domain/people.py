"""People: where they belong, since when, and what may be changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from uuid import UUID

from chassis.refusals import NotFound, Refusal

EMPLOYMENT_KINDS = ("正規", "定年前再任用短時間", "暫定再任用", "会計年度任用", "任期付", "出向", "特別職")
FULL_TIME = {"常勤": True, "非常勤": False}


class PersonUnknown(NotFound):
    """No such person in the municipality."""

    code = "directory.person_unknown"
    ja = "この職員は見つかりません。一覧から選び直してください。"
    en = "There is no such person here. Choose one from GET /people."


class PersonHasLeft(Refusal):
    """Who has left cannot be moved."""

    code = "directory.person_has_left"
    ja = "この職員は退職しています。一覧から選び直してください。"
    en = "This person has left; nothing can be changed. Choose somebody else."


class BeforePresentPosting(Refusal):
    """History before the present posting is closed."""

    code = "directory.before_present_posting"
    ja = "適用日は、今の所属になった{posted_on}以降の日にしてください。"
    en = "effective_from must be {posted_on} or later, the day of the present posting."


@dataclass(frozen=True, slots=True)
class Posting:
    """Where a person belongs and as what. ``concurrent`` are the sections of 兼務, in a fixed order."""

    section_id: UUID
    post: str
    full_time: bool
    employment_kind: str
    concurrent: tuple[UUID, ...] = ()

    def belongs_to(self, section_id: UUID) -> bool:
        """Whether the section is the own one or one of 兼務."""
        return section_id == self.section_id or section_id in self.concurrent


@dataclass(frozen=True, slots=True)
class Person:
    """A person as of today. ``version`` counts facts, ``state_version`` states of name, mail and place."""

    person_id: UUID
    version: int
    state_version: int
    name: str
    kana: str
    mail: str | None
    posting: Posting
    posted_on: date
    joined_on: date
    left_on: date | None = None

    def left(self, today: date) -> bool:
        """Whether the person has left by ``today``."""
        return self.left_on is not None and self.left_on <= today


ChangeKind = Literal["joined", "transferred", "changed", "state", "silent", "left", "reverted"]
"""``state``: only name, reading or mail; ``silent``: only what never leaves directory (kind of employment)."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a person. ``before`` is ``None`` for somebody new; ``transfer_id`` names a transfer."""

    kind: ChangeKind
    before: Person | None
    after: Person
    effective_from: date
    number: str | None = None
    transfer_id: UUID | None = None

    @property
    def moves(self) -> bool:
        """Whether a new posting begins."""
        return self.kind != "left" and (
            self.before is None or self.kind == "joined" or self.before.posting != self.after.posting
        )


def in_order(section_ids: Iterable[UUID]) -> tuple[UUID, ...]:
    """Sections of 兼務 in the one order in which they are kept, so that equal sets are equal."""
    return tuple(sorted(set(section_ids)))


def change_person(before: Person, wanted: Person, effective_from: date, transfer_id: UUID) -> Change | None:
    """What it takes to make ``before`` into ``wanted``; ``None``: nothing differs.

    Raises:
        BeforePresentPosting: the posting changes from a day on which another one held.
    """
    posting_changes = before.posting != wanted.posting
    state_changes = (before.name, before.kana, before.mail) != (wanted.name, wanted.kana, wanted.mail)
    if not posting_changes and not state_changes and before.joined_on == wanted.joined_on:
        return None
    if posting_changes and effective_from < before.posted_on:
        raise BeforePresentPosting(posted_on=before.posted_on.isoformat())
    kind = _kind(before.posting, wanted.posting, state_changes=state_changes)
    public = kind in {"transferred", "changed"}
    after = replace(
        wanted,
        version=before.version + public,
        state_version=before.state_version + (public or state_changes),
        posted_on=effective_from if posting_changes else before.posted_on,
    )
    return Change(kind, before, after, effective_from, transfer_id=transfer_id if kind == "transferred" else None)


def _kind(before: Posting, wanted: Posting, *, state_changes: bool) -> ChangeKind:
    if before.section_id != wanted.section_id:
        return "transferred"
    if replace(before, employment_kind=wanted.employment_kind) != wanted:
        return "changed"
    return "state" if state_changes else "silent"


def rejoin(before: Person, wanted: Person, effective_from: date) -> Change:
    """Somebody who left works for the town again: the same person, a new posting."""
    after = replace(
        wanted,
        version=before.version + 1,
        state_version=before.state_version + 1,
        posted_on=effective_from,
        left_on=None,
    )
    return Change("joined", before, after, effective_from)
