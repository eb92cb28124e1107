"""Sections."""

from __future__ import annotations

from pydantic import BaseModel


class Section(BaseModel):
    """A section; no head: the post is vacant."""

    section_id: str
    code: str
    name: str
    head_post: str
    head_person_id: str | None
    head_name: str | None
