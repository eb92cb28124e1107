from __future__ import annotations

from datetime import date, datetime
from uuid import UUID, uuid4

import pytest

from chassis.calendar import TOKYO
from chassis.refusals import ConcurrentChange, NotFound, Refusal
from services.consultations.domain import consultation as domain
from services.consultations.domain.calendar import Calendar
from services.consultations.domain.consultation import Consultation, Party
from services.consultations.domain.refusals import (
    AlreadyAssigned,
    AlreadyResolved,
    NotOfADesk,
    NotResolved,
    NotTheDesk,
    NotTheRequester,
    OwnConsultation,
    UnknownCategory,
)
from services.consultations.domain.routing import DEFAULT_CATEGORIES, DESKS, Category, categories_of, route

MONDAY = datetime(2026, 6, 8, 9, 5, tzinfo=TOKYO)
CALENDAR = Calendar()


def requester() -> Party:
    return Party(uuid4())


def of_desk(*desks: str) -> Party:
    return Party(uuid4(), frozenset(desk for desk in DESKS if desk in desks))


def opened(by: Party, **changes: object) -> Consultation:
    given: dict[str, object] = {
        "consultation_id": uuid4(),
        "number": "R8-0137",
        "title": "家屋調査の写真を庁舎の外から安全に送る方法",
        "category": "security",
        "desk": "it_policy",
        "requester_person_id": by.person_id,
        "section_id": uuid4(),
        "opened_at": MONDAY,
        "changed_at": MONDAY,
        "answer_due_at": CALENDAR.answer_due(MONDAY),
        **changes,
    }
    return Consultation(**given)  # type: ignore[arg-type]  # the fields are named above


def code_of(refused: pytest.ExceptionInfo[Refusal]) -> str:
    return refused.value.code


def test_an_answer_is_due_at_the_end_of_the_next_open_day() -> None:
    assert CALENDAR.answer_due(MONDAY) == datetime(2026, 6, 9, 17, 15, tzinfo=TOKYO)


def test_a_friday_s_question_is_due_on_monday() -> None:
    friday = datetime(2026, 6, 12, 18, 0, tzinfo=TOKYO)
    assert CALENDAR.answer_due(friday).date() == date(2026, 6, 15)


def test_the_town_s_closed_days_and_closing_time_count() -> None:
    new_year = {date(2026, 12, 29), date(2026, 12, 30), date(2026, 12, 31), date(2027, 1, 1)}
    calendar = Calendar(frozenset(new_year), {2026: "17:00"})
    asked_at = datetime(2026, 12, 28, 16, 0, tzinfo=TOKYO)
    assert calendar.answer_due(asked_at) == datetime(2027, 1, 4, 17, 0, tzinfo=TOKYO)


def test_the_last_day_of_the_year_is_due_by_the_next_year_s_closing_time() -> None:
    calendar = Calendar(closes_at={2026: "17:00", 2027: "16:30"})
    asked_at = datetime(2027, 3, 31, 12, 0, tzinfo=TOKYO)
    assert calendar.answer_due(asked_at) == datetime(2027, 4, 1, 16, 30, tzinfo=TOKYO)


def test_a_number_names_the_fiscal_year_by_its_era() -> None:
    assert domain.number_of(2026, 142) == "R8-0142"
    assert domain.number_of(2026, 12345) == "R8-12345"


def test_the_category_decides_the_desk() -> None:
    categories = categories_of([])
    assert route(categories, "trainings").desk == "hr"
    assert route(categories, "security").desk == "it_policy"


def test_without_a_category_it_goes_to_it_policy() -> None:
    assert route(categories_of([]), None).desk == "it_policy"


def test_a_town_changes_and_adds_categories() -> None:
    own = [Category("security", "情報セキュリティ", "hr"), Category("open_data", "オープンデータ", "it_policy")]
    categories = categories_of(own)
    assert route(categories, "security") == own[0]
    assert categories[-1] == own[1]
    assert len(categories) == len(DEFAULT_CATEGORIES) + 1


def test_an_unknown_category_is_refused() -> None:
    with pytest.raises(UnknownCategory):
        route(categories_of([]), "weather")


def test_others_do_not_know_of_a_case() -> None:
    case = opened(requester())
    with pytest.raises(NotFound):
        domain.met(case, Party(uuid4()))
    with pytest.raises(NotFound):
        domain.met(None, of_desk("hr"))


def test_both_desks_know_of_a_case() -> None:
    case = opened(requester())
    assert domain.met(case, of_desk("hr")) is case
    assert domain.met(case, of_desk("it_policy")) is case


def test_a_case_that_changed_since_it_was_seen_is_refused() -> None:
    case = opened(requester(), version=3)
    with pytest.raises(ConcurrentChange):
        domain.met(case, of_desk("hr"), expected_version=2)


def test_notes_are_not_for_the_requester_even_one_of_the_desk() -> None:
    by = of_desk("it_policy")
    assert not opened(by).notes_seen_by(by)
    assert opened(requester()).notes_seen_by(by)


def test_one_takes_a_case_by_oneself() -> None:
    by = of_desk("it_policy")
    assigned = domain.assign(opened(requester()), by, by, MONDAY)
    assert assigned.assignee_person_id == by.person_id
    assert (assigned.desk, assigned.version) == ("it_policy", 2)


def test_an_owner_of_the_other_desk_takes_the_case_there() -> None:
    assigned = domain.assign(opened(requester()), of_desk("it_policy"), of_desk("hr"), MONDAY)
    assert assigned.desk == "hr"


def test_an_owner_of_both_desks_leaves_the_case_where_it_is() -> None:
    both = of_desk("hr", "it_policy")
    assert domain.assign(opened(requester()), both, both, MONDAY).desk == "it_policy"


def test_only_members_of_a_desk_own_a_case() -> None:
    with pytest.raises(NotOfADesk):
        domain.assign(opened(requester()), of_desk("hr"), Party(uuid4()), MONDAY)


def test_a_requester_assigns_nobody() -> None:
    by = requester()
    with pytest.raises(NotTheDesk):
        domain.assign(opened(by), by, of_desk("hr"), MONDAY)


def test_nobody_owns_their_own_case() -> None:
    by = of_desk("it_policy")
    with pytest.raises(OwnConsultation):
        domain.assign(opened(by), by, by, MONDAY)


def test_assigning_the_same_person_again_is_refused() -> None:
    by = of_desk("it_policy")
    assigned = domain.assign(opened(requester()), by, by, MONDAY)
    with pytest.raises(AlreadyAssigned):
        domain.assign(assigned, by, by, MONDAY)


def test_a_question_back_is_a_reply_but_no_answer() -> None:
    asked_back = domain.answer(opened(requester()), "question", of_desk("it_policy"), MONDAY)
    assert asked_back.state == "waiting_requester"
    assert asked_back.answer_due_at is None
    assert (asked_back.first_replied_at, asked_back.first_answered_at) == (MONDAY, None)


def test_an_answer_stops_the_clock() -> None:
    answered = domain.answer(opened(requester()), "answer", of_desk("hr"), MONDAY)
    assert answered.state == "answered"
    assert not answered.overdue(datetime(2027, 1, 1, tzinfo=TOKYO))
    assert answered.first_answered_at == MONDAY


def test_the_first_answer_stays_the_first() -> None:
    by, later = of_desk("hr"), datetime(2026, 6, 10, 9, 0, tzinfo=TOKYO)
    again = domain.answer(domain.answer(opened(requester()), "answer", by, MONDAY), "answer", by, later)
    assert again.first_answered_at == MONDAY


def test_a_reply_starts_the_clock_anew() -> None:
    by = requester()
    asked_back = domain.answer(opened(by), "question", of_desk("it_policy"), MONDAY)
    wednesday = datetime(2026, 6, 10, 9, 12, tzinfo=TOKYO)
    replied = domain.reply(asked_back, by, wednesday, CALENDAR)
    assert replied.state == "open"
    assert replied.answer_due_at == datetime(2026, 6, 11, 17, 15, tzinfo=TOKYO)


def test_a_reply_does_not_put_a_running_clock_off() -> None:
    by = requester()
    case = opened(by)
    replied = domain.reply(case, by, datetime(2026, 6, 9, 9, 0, tzinfo=TOKYO), CALENDAR)
    assert replied.answer_due_at == case.answer_due_at


def test_an_answer_is_late_only_after_its_due_time() -> None:
    case = opened(requester())
    assert case.answer_due_at is not None
    assert not case.overdue(case.answer_due_at)
    assert case.overdue(datetime(2026, 6, 9, 17, 16, tzinfo=TOKYO))


def test_a_reply_is_the_requester_s() -> None:
    with pytest.raises(NotTheRequester):
        domain.reply(opened(requester()), of_desk("hr"), MONDAY, CALENDAR)


def test_an_answer_is_the_desk_s() -> None:
    by = requester()
    with pytest.raises(NotTheDesk):
        domain.answer(opened(by), "answer", by, MONDAY)
    with pytest.raises(NotTheDesk):
        domain.note(opened(by), by)


@pytest.mark.parametrize("kind", ["answer", "question"])
def test_a_resolved_case_takes_no_answer(kind: str) -> None:
    by = of_desk("hr")
    resolved = domain.resolve(opened(requester()), by, MONDAY)
    with pytest.raises(Refusal) as refused:
        domain.answer(resolved, "answer" if kind == "answer" else "question", by, MONDAY)
    assert code_of(refused) == "consultations.already_resolved"


def test_a_reply_to_a_resolved_case_is_told_to_reopen_it() -> None:
    by = requester()
    with pytest.raises(AlreadyResolved) as refused:
        domain.reply(domain.resolve(opened(by), by, MONDAY), by, MONDAY, CALENDAR)
    assert "もう一度相談する" in refused.value.sentence("ja")
    assert "Reopen" in refused.value.sentence("en")


def test_a_note_may_be_left_on_a_resolved_case() -> None:
    domain.note(domain.resolve(opened(requester()), of_desk("hr"), MONDAY), of_desk("hr"))


def test_resolving_twice_is_refused() -> None:
    by = requester()
    resolved = domain.resolve(opened(by), by, MONDAY)
    with pytest.raises(AlreadyResolved):
        domain.resolve(resolved, by, MONDAY)


def test_reopening_starts_the_clock_and_forgets_the_end() -> None:
    by = requester()
    resolved = domain.resolve(opened(by), by, MONDAY)
    reopened = domain.reopen(resolved, MONDAY, CALENDAR)
    assert (reopened.state, reopened.resolved_at, reopened.version) == ("open", None, 3)
    assert reopened.answer_due_at == CALENDAR.answer_due(MONDAY)


def test_reopening_an_open_case_is_refused() -> None:
    with pytest.raises(NotResolved):
        domain.reopen(opened(requester()), MONDAY, CALENDAR)


def attempt(case: Consultation, act: str, party: Party) -> None:
    other = Party(UUID(int=1), frozenset({"hr"}))
    if act == "assign":
        domain.assign(case, party, other, MONDAY)
    elif act == "reply":
        domain.reply(case, party, MONDAY, CALENDAR)
    elif act == "note":
        domain.note(case, party)
    elif act == "resolve":
        domain.resolve(case, party, MONDAY)
    elif act == "reopen":
        domain.reopen(case, MONDAY, CALENDAR)
    else:
        domain.answer(case, "answer" if act == "answer" else "question", party, MONDAY)


@pytest.mark.parametrize("act", ["assign", "answer", "question", "reply", "note", "resolve", "reopen"])
@pytest.mark.parametrize("resolved", [False, True])
@pytest.mark.parametrize("who", ["requester", "desk", "requester_of_desk"])
def test_what_is_offered_is_what_is_allowed(act: str, resolved: bool, who: str) -> None:
    asker = of_desk("it_policy") if who == "requester_of_desk" else requester()
    party = of_desk("it_policy") if who == "desk" else asker
    case = opened(asker)
    case = domain.resolve(case, party, MONDAY) if resolved else case
    if act in domain.open_to(case, party):
        attempt(case, act, party)
    else:
        with pytest.raises(Refusal):
            attempt(case, act, party)
