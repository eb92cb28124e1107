"""The town's rules in force on one day, as the town stored them: a value, and the article it rests on.

A rule that the town has not stored has a default, and no article: nothing is ever cited that was not stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from chassis.calendar import fiscal_year_ends_on
from chassis.refusals import Article
from services.leaders.domain.refusals import RuleNotSupported

LEADERS_PER_SECTION = "leaders_per_section"
CALL_CLOSES = "call_closes"
DECISION_REQUIRED = "decision_required"
TERM = "term"
PREDECESSOR_SERVES_ON = "predecessor_serves_on"
APPOINTMENT_WORD = "appointment_word"
DEPUTY_WHEN_ABSENT = "deputy_when_absent"
ON_TRANSFER = "on_transfer"

DEFAULTS: Mapping[str, bool | int | str] = {
    LEADERS_PER_SECTION: 1,
    DECISION_REQUIRED: True,
    TERM: "fiscal_year_end",
    PREDECESSOR_SERVES_ON: False,
    APPOINTMENT_WORD: "選任",
    DEPUTY_WHEN_ABSENT: False,
    ON_TRANSFER: "ends",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as stored. ``article`` is ``None`` where it is the town's own setting."""

    value: bool | int | str
    article: Article | None = None


@dataclass(frozen=True, slots=True)
class TownRules:
    """All rules in force on one day."""

    stored: Mapping[str, Rule] = field(default_factory=dict)

    def value(self, rule: str) -> bool | int | str:
        """The stored value, or the default of a rule that the town has not stored."""
        return self.stored[rule].value if rule in self.stored else DEFAULTS[rule]

    def article(self, rule: str) -> Article | None:
        """The article a rule rests on; ``None``: the town's own setting, or not stored at all."""
        return self.stored[rule].article if rule in self.stored else None

    def source(self, rule: str) -> str:
        """What a sentence says about where a rule comes from: its article, 町の設定, or nothing."""
        if rule not in self.stored:
            return ""
        article = self.article(rule)
        return f"（{article.name}）" if article else "（町の設定）"

    @property
    def leaders_per_section(self) -> int:
        """How many leaders a section has at least."""
        return int(self.value(LEADERS_PER_SECTION))

    @property
    def decision_required(self) -> bool:
        """Whether a nomination waits for a decision; else the section's own choice appoints."""
        return bool(self.value(DECISION_REQUIRED))

    @property
    def predecessor_serves_on(self) -> bool:
        """Whether a leader whose term is over serves on until a successor is appointed."""
        return bool(self.value(PREDECESSOR_SERVES_ON))

    @property
    def deputy_when_absent(self) -> bool:
        """Whether an absent leader needs a deputy."""
        return bool(self.value(DEPUTY_WHEN_ABSENT))

    @property
    def ends_on_transfer(self) -> bool:
        """Whether a leader who leaves the section by transfer stops being its leader."""
        return self.value(ON_TRANSFER) != "continues"

    @property
    def appointment_word(self) -> str:
        """The town's word for appointing: 選任, 任命, 委嘱."""
        return str(self.value(APPOINTMENT_WORD))

    def term_ends_on(self, fiscal_year: int) -> date:
        """The last day of a term that belongs to a fiscal year.

        Raises:
            RuleNotSupported: the stored rule has a value this version does not know.
        """
        if (value := self.value(TERM)) != "fiscal_year_end":
            raise RuleNotSupported(rule=TERM, value=value, article=self.article(TERM))
        return fiscal_year_ends_on(fiscal_year)
