"""How days are written in sentences for staff."""

from __future__ import annotations

from datetime import date

_WEEKDAYS = "月火水木金土日"


def written(day: date) -> str:
    """``4月10日（金）``."""
    return f"{day.month}月{day.day}日（{_WEEKDAYS[day.weekday()]}）"


def short(day: date) -> str:
    """``7月1日``."""
    return f"{day.month}月{day.day}日"
