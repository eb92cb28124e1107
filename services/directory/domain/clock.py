"""The simulated clock of the town: it only goes forward."""

from __future__ import annotations

from datetime import datetime

from chassis.refusals import Refusal


class ClockNotSimulated(Refusal):
    """Time is what it is."""

    code = "directory.clock_not_simulated"
    ja = "この環境では時刻を変えられません。"
    en = "The clock of this installation is not simulated; it cannot be set."


class TimeGoesForward(Refusal):
    """What has happened stays in the past."""

    code = "directory.time_goes_forward"
    ja = "時刻は戻せません。今の時刻（{now}）より後にしてください。"
    en = "Time does not go back; civil_at must be after {now}."


class YearOutOfRange(Refusal):
    """Far times break calendars."""

    code = "directory.year_out_of_range"
    status = 422
    ja = "西暦2000年から2100年までの時刻にしてください。"
    en = "civil_at must lie between 2000 and 2100."


_FIRST, _LAST = 2000, 2100


def advance(now: datetime, wanted: datetime, *, running: bool) -> datetime:
    """The new time. The first setting starts the simulation and may lie anywhere.

    Raises:
        TimeGoesForward, YearOutOfRange: see there.
    """
    if not _FIRST <= wanted.year <= _LAST:
        raise YearOutOfRange
    if running and wanted < now:
        raise TimeGoesForward(now=now.isoformat(timespec="seconds"))
    return wanted
