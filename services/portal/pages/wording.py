"""How dates, years and states are said on a screen. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from chassis.calendar import TOKYO, fiscal_year_of
from chassis.http.work_items import WorkItem

_WEEKDAYS = "月火水木金土日"
_ERAS = ((date(2019, 5, 1), "令和", 2018), (date(1989, 1, 8), "平成", 1988), (date(1926, 12, 25), "昭和", 1925))
_FRIDAY = 4
_MINUTE, _HOUR = 60, 3600


def _as_day(moment: date | datetime) -> date:
    return moment.astimezone(TOKYO).date() if isinstance(moment, datetime) else moment


def era_year(day: date) -> str:
    """「令和8年」, 「令和元年」; years before 昭和 in western count."""
    for starts_on, era, before in _ERAS:
        if day >= starts_on:
            year = day.year - before
            return f"{era}{'元' if year == 1 else year}年"
    return f"{day.year}年"


def fiscal_year_label(fiscal_year: int) -> str:
    """「令和8年度」."""
    return f"{era_year(date(fiscal_year, 5, 1))}度"


def fiscal_year_full(fiscal_year: int) -> str:
    """「令和8年度（2026年度）」."""
    return f"{fiscal_year_label(fiscal_year)}（{fiscal_year}年度）"


def day_short(moment: date | datetime | None) -> str:
    """「6月12日（金）」; nothing for nothing."""
    if moment is None:
        return ""
    day = _as_day(moment)
    return f"{day.month}月{day.day}日（{_WEEKDAYS[day.weekday()]}）"


def day_full(moment: date | datetime | None) -> str:
    """「令和8年（2026年）6月12日（金）」; nothing for nothing."""
    if moment is None:
        return ""
    day = _as_day(moment)
    return f"{era_year(day)}（{day.year}年）{day_short(day)}"


def day_era(moment: date | datetime | None) -> str:
    """「令和9年3月31日」; nothing for nothing."""
    if moment is None:
        return ""
    day = _as_day(moment)
    return f"{era_year(day)}{day.month}月{day.day}日"


def clock(moment: datetime | None) -> str:
    """「9:05」 in the town; nothing for nothing."""
    if moment is None:
        return ""
    local = moment.astimezone(TOKYO)
    return f"{local.hour}:{local.minute:02}"


def moment_short(moment: datetime | None) -> str:
    """「6月12日（金）17:15」; nothing for nothing."""
    return f"{day_short(moment)}{clock(moment)}" if moment is not None else ""


def moment_full(moment: datetime | None) -> str:
    """「令和8年（2026年）6月12日（金）17:15」; nothing for nothing."""
    return f"{day_full(moment)}{clock(moment)}" if moment is not None else ""


def span(seconds: float) -> str:
    """「6時間45分」, 「45分」, 「2日と3時間」."""
    days, rest = divmod(int(seconds), 24 * _HOUR)
    hours, minutes = rest // _HOUR, rest % _HOUR // _MINUTE
    if days:
        return f"{days}日と{hours}時間" if hours else f"{days}日"
    if hours:
        return f"{hours}時間{minutes}分" if minutes else f"{hours}時間"
    return f"{max(minutes, 1)}分"


@dataclass(frozen=True, slots=True)
class Due:
    """A due date in words: 「今日 17:15まで」 and 「あと6時間45分」; ``pressing``: today or over."""

    main: str
    rest: str = ""
    pressing: bool = False


def due(due_at: datetime | None, now: datetime) -> Due:
    """How a due date is said."""
    if due_at is None:
        return Due("期限なし")
    if due_at < now:
        return Due(day_short(due_at), f"{clock(due_at)}を過ぎています", pressing=True)
    if _as_day(due_at) == _as_day(now):
        return Due(f"今日 {clock(due_at)}まで", f"あと{span((due_at - now).total_seconds())}", pressing=True)
    return Due(day_short(due_at), f"{clock(due_at)}まで")


@dataclass(frozen=True, slots=True)
class Work:
    """Work items, sorted by when they press."""

    today: tuple[WorkItem, ...] = ()
    week: tuple[WorkItem, ...] = ()
    later: tuple[WorkItem, ...] = ()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.today) + len(self.week) + len(self.later)


def grouped(items: Sequence[WorkItem], now: datetime) -> Work:
    """Today (and overdue), until this week's Friday (next week's from Saturday on), later or without a date."""
    today = _as_day(now)
    friday = today + timedelta(days=(_FRIDAY - today.weekday()) % 7)
    last = datetime.max.replace(tzinfo=TOKYO)
    groups: dict[str, list[WorkItem]] = {"today": [], "week": [], "later": []}
    for item in sorted(items, key=lambda each: (each.due_at or last, each.since, each.id)):
        if item.due_at is None:
            groups["later"].append(item)
        elif _as_day(item.due_at) <= today:
            groups["today"].append(item)
        else:
            groups["week" if _as_day(item.due_at) <= friday else "later"].append(item)
    return Work(tuple(groups["today"]), tuple(groups["week"]), tuple(groups["later"]))


@dataclass(frozen=True, slots=True)
class Sign:
    """A state on a screen: colour, shape and word, always all three."""

    tone: str
    icon: str
    word: str


COVERAGE: Mapping[str, Sign] = {
    "late": Sign("bad", "stop", "遅れ"),
    "none": Sign("bad", "stop", "リーダーなし"),
    "expiring": Sign("warn", "wait", "任期の終わりが近い"),
    "absent": Sign("warn", "alert", "不在・代理が必要"),
    "awaiting_decision": Sign("warn", "wait", "決裁待ち"),
    "asked": Sign("", "wait", "回答待ち"),
    "appointed": Sign("ok", "check", "選任済み"),
    "not_asked": Sign("", "pause", "お願いの前"),
}
"""States of a section on the coverage board, in the order in which they need a hand."""


def coverage_note(status: str, standing: str) -> str:
    """What a section's standing adds to its state on the board: whoever had leaders and lost them presses more."""
    if standing == "lost":
        return "リーダーが欠けています"
    return "まだ一度もいません" if (status, standing) == ("none", "never") else ""


@dataclass(frozen=True, slots=True)
class Step:
    """A step on the way of a year: when, what, and how it stands; ``state`` is ``done``, ``now`` or empty (to come)."""

    when: str
    title: str
    stand: str
    state: str


def call_steps(
    states: Sequence[str], called_on: date | None, closes_on: date | None, term_ends_on: date, today: date
) -> list[Step]:
    """How far a year's call is, from the states of its sections (keys of :data:`COVERAGE`); nothing before it.

    A step is done by what happened, never by its date alone: the closing date closes, but only decisions decide.
    """
    if called_on is None or closes_on is None:
        return []
    late, waiting = states.count("late"), states.count("awaiting_decision")
    owing = late + states.count("asked")
    led = sum(states.count(state) for state in ("appointed", "expiring", "absent"))
    answers_closed = owing == 0 or (today > closes_on and owing == late)
    decided = owing == 0 and waiting == 0
    answered = f"{len(states) - owing}課が回答" + (f"・{late}課が遅れ" if late else "")
    standing = f"決裁待ち {waiting}課・選任済み {led}課" if waiting else f"選任済み {led}課"
    return [
        Step(day_short(called_on), "選出のお願い", f"{len(states)}課にお願い", "done"),
        Step(f"{day_short(closes_on)}まで", "課からの回答", answered, "done" if answers_closed else "now"),
        Step("", "決裁と選任", standing, "done" if decided else "now" if answers_closed else ""),
        Step(f"{day_short(term_ends_on)}まで", "任期", "", "now" if decided and led else ""),
    ]


CASE: Mapping[str, Sign] = {
    "waiting_requester": Sign("warn", "pause", "返事待ち"),
    "open": Sign("info", "play", "回答を準備中"),
    "answered": Sign("ok", "check", "回答あり"),
    "resolved": Sign("", "check", "解決"),
}
"""States of a consultation."""

WORK: Mapping[str, tuple[str, str]] = {
    "nominate": ("選ぶ", "people"),
    "decide": ("決める", "doc"),
    "assign": ("担当する", "user"),
    "answer": ("答える", "reply"),
    "confirm": ("確かめる", "check"),
    "learn": ("学ぶ", "book"),
    "read": ("読む", "eye"),
    "mend": ("手当てする", "alert"),
}
"""Kinds of work: the verb on the button and its icon."""

ROLES: Mapping[str, str] = {
    "staff": "職員",
    "leader": "DX推進リーダー",
    "section_head": "所属長",
    "hr": "人事（総務課）",
    "it_policy": "情報政策（総合政策課）",
    "finance": "財政",
    "adviser": "アドバイザー",
    "executive": "町長・副町長",
    "admin": "システム管理",
}
"""Roles, as the town knows them."""

DESKS: Mapping[str, str] = {"hr": "総務課", "it_policy": "総合政策課", "adviser": "アドバイザー"}

SOURCES: Mapping[str, str] = {"attendance": "町の研修に出席", "external": "外部の研修", "report": "報告書の提出"}


def person(name: str | None) -> str:
    """A person's name, or that there is none (any more)."""
    return name or "（氏名の登録なし）"


def years_around(now: datetime, known: Sequence[int] = ()) -> list[int]:
    """The fiscal years to choose from, the newest first."""
    return sorted({fiscal_year_of(_as_day(now)), *known}, reverse=True)


def csv_cell(text: object) -> str:
    """A cell that no spreadsheet takes for a formula."""
    plain = "" if text is None else str(text)
    return f"'{plain}" if plain[:1] in {"=", "+", "-", "@", "\t", "\r"} else plain
