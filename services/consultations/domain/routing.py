"""Which desk a question goes to: the desks, the categories of a town, and the way from one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from services.consultations.domain.refusals import UnknownCategory
from taiwa_contracts.consultations import Desk

DESKS: tuple[Desk, ...] = get_args(Desk)
FALLBACK_CATEGORY = "other"
FALLBACK_DESK: Desk = "it_policy"


@dataclass(frozen=True, slots=True)
class Category:
    """What a case is about and which desk it goes to; a town may change label and desk of each."""

    code: str
    label: str
    desk: Desk


DEFAULT_CATEGORIES: tuple[Category, ...] = (
    Category("leaders", "リーダーの選出・任期", "hr"),
    Category("trainings", "研修", "hr"),
    Category("work_style", "働き方・服務", "hr"),
    Category("devices", "端末・ネットワーク", "it_policy"),
    Category("tools", "チャット・テレワークなどの道具", "it_policy"),
    Category("security", "情報の安全", "it_policy"),
    Category("improvement", "業務の見直し", "it_policy"),
    Category(FALLBACK_CATEGORY, "その他", FALLBACK_DESK),
)


def categories_of(own: Iterable[Category]) -> list[Category]:
    """The categories of a town: the defaults in their order, changed by its own, then those it added."""
    changed = {category.code: category for category in own}
    known = [changed.pop(default.code, default) for default in DEFAULT_CATEGORIES]
    return [*known, *changed.values()]


def route(categories: Sequence[Category], code: str | None) -> Category:
    """The category a case belongs to; none given is その他.

    Raises:
        UnknownCategory: the town has no such category.
    """
    wanted = code or FALLBACK_CATEGORY
    found = next((category for category in categories if category.code == wanted), None)
    if found is None:
        raise UnknownCategory
    return found
