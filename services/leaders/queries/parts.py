"""View models that several screens share."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

import asyncpg
from pydantic import BaseModel, Field

from chassis import refusals
from services.leaders.domain.rules import TownRules


class ArticleView(BaseModel):
    """An article as the town stored it."""

    name: str
    text: str | None
    fictional: bool


class WarningView(BaseModel):
    """Something to mend, as a sentence; ``article`` is null where it rests on no stored article."""

    text: str
    article: ArticleView | None


class HeadView(BaseModel):
    """The head of a section today."""

    person_id: UUID
    name: str | None
    post: str


class DecisionView(BaseModel):
    """The town's own act (決裁)."""

    decided_on: date | None
    decided_by_post: str | None
    document_number: str | None


class DeputyView(BaseModel):
    """Who stands in for a leader, both days inclusive."""

    person_id: UUID
    name: str | None
    from_on: date
    until_on: date | None


def deputy_of(row: asyncpg.Record) -> DeputyView | None:
    """The deputy that a row with ``deputy_person_id``, ``_name``, ``_from_on`` and ``_until_on`` names, if it does."""
    if row["deputy_person_id"] is None:
        return None
    return DeputyView(
        person_id=row["deputy_person_id"],
        name=row["deputy_name"],
        from_on=row["deputy_from_on"],
        until_on=row["deputy_until_on"],
    )


class LeaderView(BaseModel):
    """A leader of a section, or a candidate whose decision is awaited (no ``appointment_id``)."""

    person_id: UUID
    name: str | None = Field(description="null: the person's name was erased")
    post: str | None
    times_served: int = Field(description="which fiscal year of service this is: 1 is a newcomer")
    appointment_id: UUID | None
    starts_on: date | None
    ends_on: date | None
    deputy: DeputyView | None
    note: str = Field(description="新任, 3回目, 後任が決まるまで … ready to show")


class RequestView(BaseModel):
    """A time the section was asked. ``reason``: why its answer was sent back."""

    requested_at: datetime
    reason: str | None


def article_view(article: refusals.Article | None) -> ArticleView | None:
    """The stored article, or nothing."""
    if article is None:
        return None
    return ArticleView(name=article.name, text=article.text, fictional=article.fictional)


def warning(text: str, rules: TownRules, rule: str) -> WarningView:
    """A sentence about a rule, with the article it rests on, or 町の設定, or neither."""
    return WarningView(text=f"{text}{rules.source(rule)}。", article=article_view(rules.article(rule)))


def fiscal_year_label(fiscal_year: int) -> str:
    """``令和8年度（2026年度）``."""
    first_of_reiwa = 2019
    era = fiscal_year - first_of_reiwa + 1
    return f"令和{'元' if era == 1 else era}年度（{fiscal_year}年度）" if era >= 1 else f"{fiscal_year}年度"
