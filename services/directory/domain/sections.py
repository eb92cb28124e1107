"""Sections: created, renamed, headed, closed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from chassis.refusals import NotFound, Refusal

KINDS = ("課", "室", "出先", "学校", "行政委員会", "議会事務局")
DEFAULT_HEAD_POST = "課長"


class SectionUnknown(NotFound):
    """No such section in the municipality on that day."""

    code = "directory.section_unknown"
    ja = "この所属は見つかりません。一覧から選び直してください。"
    en = "There is no such section on that day. Choose one from GET /sections."


class SectionCodeTaken(Refusal):
    """Codes are unique among the sections that exist."""

    code = "directory.section_code_taken"
    ja = "所属コード{code}はすでに使われています。別のコードにしてください。"
    en = "Section code {code} is taken. Choose another one."


class SectionNotEmpty(Refusal):
    """Somebody belongs to the section."""

    code = "directory.section_not_empty"
    ja = "この所属にはまだ{count}人います。先に異動を登録してください。"
    en = "{count} people still belong to this section or will be transferred to it. Move them first."


class NotInFuture(Refusal):
    """This is recorded when it holds, not ahead."""

    code = "directory.not_in_future"
    ja = "適用日は今日以前の日にしてください。"
    en = "effective_from must be today or earlier."


@dataclass(frozen=True, slots=True)
class Section:
    """A section as of today. ``head_person_id`` is the head as last published, ``head_post`` the post's name."""

    section_id: UUID
    version: int
    code: str
    name: str
    kind: str
    appointing_authority: str
    display_order: int
    created_on: date
    closed_on: date | None = None
    head_person_id: UUID | None = None
    head_post: str = DEFAULT_HEAD_POST
    awaited_head_number: str | None = None

    @property
    def attributes(self) -> tuple[str, str, int]:
        """Kind, 任命権者 and place in the town's order: they change together, with one fact."""
        return self.kind, self.appointing_authority, self.display_order

    def exists_on(self, day: date) -> bool:
        """Whether the section exists on that day."""
        return self.created_on <= day and (self.closed_on is None or day < self.closed_on)


@dataclass(frozen=True, slots=True)
class Headship:
    """Who shall head a section from a day on; ``person_id`` ``None``: the post is vacant."""

    section_id: UUID
    person_id: UUID | None
    post: str
    effective_from: date
    ended_by_transfer_id: UUID | None = None


def require_section(section: Section | None, on: date) -> Section:
    """The section, which exists on that day.

    Raises:
        SectionUnknown: it does not.
    """
    if section is None or not section.exists_on(on):
        raise SectionUnknown
    return section


def require_sections(sections: Mapping[UUID, Section], wanted: Iterable[UUID], on: date) -> None:
    """Refuse sections that do not exist on that day.

    Raises:
        SectionUnknown: one of them.
    """
    for section_id in wanted:
        require_section(sections.get(section_id), on)


def require_not_future(effective_from: date, today: date) -> None:
    """Refuse a day that is still to come.

    Raises:
        NotInFuture: it is.
    """
    if effective_from > today:
        raise NotInFuture


def rename(section: Section, name: str) -> Section | None:
    """The section under its new name; ``None`` when it bears it already."""
    return None if section.name == name else replace(section, name=name, version=section.version + 1)


def close(section: Section, effective_from: date, belonging: int) -> Section:
    """The section, closed.

    Raises:
        SectionNotEmpty: somebody belongs to it or will.
    """
    if belonging:
        raise SectionNotEmpty(count=belonging)
    return replace(section, closed_on=effective_from, version=section.version + 1)


def publish_head(section: Section, person_id: UUID | None, post: str) -> Section | None:
    """The section with the head it has now; ``None`` when that is published already."""
    if (section.head_person_id, section.head_post) == (person_id, post):
        return None
    return replace(
        section, head_person_id=person_id, head_post=post, awaited_head_number=None, version=section.version + 1
    )
