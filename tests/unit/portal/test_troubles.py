"""What stands still, in words and in the order in which it needs a hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.portal.gateway import NAMES, Part
from services.portal.pages import events
from services.portal.pages.troubles import Halted, halted
from services.portal.queries.deliveries import LateNotices, SentNotice
from services.portal.queries.parts import Listed
from services.portal.queries.standing import LettersCounted, OverdueTimer, ServiceCheck, ServiceStop, Standing
from taiwa_contracts.catalogue import EVENTS

NOW = datetime(2026, 6, 12, 0, 0, tzinfo=UTC)
NOTHING: Part[Any] = Part(Listed[SentNotice](items=[]))
IN_TIME = Part(
    LateNotices(items=[], total=0, people=0, waiting=0, repeated=0, first_happened_at=None, last_settled_at=None)
)


def standing(**changes: Any) -> Standing:
    calm: dict[str, Any] = {
        "service": "leaders",
        "as_of": NOW,
        "checks": [ServiceCheck(name="relay", ok=True)],
        "stops": [],
        "letters": [],
        "unpublished": 0,
        "unpublished_since": None,
        "lag": {},
        "overdue_timers": [],
    }
    return Standing(**(calm | changes))


def found(**changes: Any) -> list[Halted]:
    return halted({"leaders": Part(standing(**changes))}, NOTHING, IN_TIME)


def test_where_all_is_well_nothing_stands_still() -> None:
    assert halted({name: Part(standing()) for name in NAMES}, NOTHING, IN_TIME) == []


def test_a_service_that_does_not_answer_is_named() -> None:
    (down,) = halted({"trainings": Part(None, "…")}, NOTHING, IN_TIME)
    assert (down.service, down.word) == ("trainings", "止まっています")


def test_a_stop_can_be_let_go_on_and_hides_what_its_loop_says_of_it() -> None:
    stop = ServiceStop(
        consumer="leaders", scope="stopped", topic=None, partition=None, cause="most_fail", since=NOW, resumable=True
    )
    (shown,) = found(stops=[stop], checks=[ServiceCheck(name="consumer", ok=False, reason="most events fail")])
    assert shown.stop == stop
    assert "再開する" in shown.why.mend


def test_a_stop_that_all_towns_share_is_for_the_operator() -> None:
    stop = ServiceStop(
        consumer="leaders", scope="stopped", topic=None, partition=None, cause="most_fail", since=NOW, resumable=False
    )
    (shown,) = found(stops=[stop])
    assert "保守の担当" in shown.why.mend
    assert "「再開する」" not in shown.why.mend


def test_a_restored_database_is_told_as_such_and_needs_its_command() -> None:
    stop = ServiceStop(
        consumer="leaders", scope="stopped", topic=None, partition=None, cause="went_back", since=NOW, resumable=False
    )
    (shown,) = found(stops=[stop])
    assert "前の時点に戻されています" in shown.why.what
    assert "taiwa consumer rebase" in shown.why.mend


def test_what_waits_longer_than_it_should_is_late_and_what_does_not_is_not() -> None:
    assert found(unpublished=3, unpublished_since=NOW - timedelta(seconds=2)) == []
    (late,) = found(unpublished=3, unpublished_since=NOW - timedelta(minutes=4))
    assert "3件" in late.why.what
    assert found(lag={"directory.events": 20}) == []
    assert "900件" in found(lag={"directory.events": 400, "leaders.events": 500})[0].why.what
    overdue = OverdueTimer(name="end_term", aggregate="appointment/1", due_at=NOW)
    assert "任期の終わり" in found(overdue_timers=[overdue])[0].why.what


def test_what_needs_a_hand_comes_first() -> None:
    letters = [
        LettersCounted(kind="dead", letters=2, since=NOW),
        LettersCounted(kind="deferred", letters=1, since=NOW),
        LettersCounted(kind="held", letters=4, since=NOW),
    ]
    shown = found(letters=letters, unpublished=3, unpublished_since=NOW - timedelta(minutes=4))
    assert [each.tone for each in shown] == ["bad", "warn", "warn"]
    assert "後ろで 4件" in shown[0].why.mend


def test_every_event_has_words() -> None:
    wordless = {each.TYPE for each in EVENTS if events.event_words(each.TYPE) == each.TYPE}
    assert wordless == set(), "say in services/portal/pages/events.py what the event says in Japanese"


def test_an_unknown_type_is_called_by_its_name() -> None:
    assert events.event_words("somebody.elses") == "somebody.elses"
    assert events.event_words(None) == "種類の分からない知らせ"
    assert events.event_name("taiwa.trainings.training-completed.v3") == "TrainingCompleted v3"


def test_what_a_field_must_be_is_said_in_words() -> None:
    assert events.expected_words("uuid|null") == "IDまたは空"
    assert events.expected_words("mail|in_app") == "「mail」または「in_app」"
