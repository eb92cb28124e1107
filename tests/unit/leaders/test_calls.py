from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.refusals import Article, Refusal
from services.leaders.domain import call as domain
from services.leaders.domain.call import Candidate, Nomination, SectionCall
from services.leaders.domain.refusals import (
    AlreadyAnswered,
    AlreadyLeader,
    AlreadyNominated,
    CallClosed,
    ClosingDateInvalid,
    DecidedInFuture,
    EnoughLeaders,
    HasLeft,
    NotAsked,
    NotAwaitingDecision,
    NotOfSection,
    NotTheHead,
    RuleNotSupported,
    StartsOutsideTerm,
)
from services.leaders.domain.rules import Rule, TownRules

CLOSES = date(2026, 4, 10)
TODAY = date(2026, 4, 6)
ARTICLE = Article("要綱 第5条第3項", "期限までに行うものとする。", fictional=True)
RULES = TownRules({"call_closes": Rule("期限", ARTICLE), "leaders_per_section": Rule(1)})


def asked(**changes: object) -> SectionCall:
    call = SectionCall(uuid4(), 2026, uuid4(), CLOSES, CLOSES, version=1)
    return replace(call, **changes)  # type: ignore[arg-type]  # the fields a test names


def colleague(*, of_section: bool = True, has_left: bool = False, is_leader: bool = False) -> Candidate:
    return Candidate(uuid4(), of_section, has_left, is_leader)


def named(*candidates: Candidate) -> list[Nomination]:
    return [Nomination(uuid4(), candidate.person_id, uuid4()) for candidate in candidates]


def answered(*candidates: Candidate) -> SectionCall:
    return domain.nominate(asked(), candidates, named(*candidates), TODAY, RULES)


def test_naming_people_makes_a_call_wait_for_its_decision() -> None:
    call = answered(colleague(), colleague())
    assert (call.state, len(call.nominations), call.version) == ("answered", 2, 3)


def test_more_people_may_be_named_while_the_decision_is_awaited() -> None:
    third = colleague()
    call = domain.nominate(answered(colleague(), colleague()), [third], named(third), TODAY, RULES)
    assert len(call.nominations) == 3


def test_the_closing_date_itself_still_takes_answers() -> None:
    person = colleague()
    assert domain.nominate(asked(), [person], named(person), CLOSES, RULES).state == "answered"


def test_after_the_closing_date_the_stored_article_is_cited() -> None:
    person = colleague()
    with pytest.raises(CallClosed) as refused:
        domain.nominate(asked(), [person], named(person), CLOSES + timedelta(days=1), RULES)
    assert refused.value.article == ARTICLE
    assert "4月10日（金）" in refused.value.sentence("ja")
    assert "要綱 第5条第3項" in refused.value.sentence("ja")


def test_where_no_rule_is_stored_nothing_is_cited() -> None:
    person = colleague()
    with pytest.raises(CallClosed) as refused:
        domain.nominate(asked(), [person], named(person), CLOSES + timedelta(days=1), TownRules())
    assert refused.value.article is None
    assert "（" not in refused.value.sentence("ja").replace("（金）", "")


@pytest.mark.parametrize(
    ("candidate", "refusal"),
    [
        (colleague(of_section=False), NotOfSection),
        (colleague(has_left=True, of_section=False), HasLeft),
        (colleague(is_leader=True), AlreadyLeader),
    ],
)
def test_people_who_cannot_be_named_are_refused_one_by_one(candidate: Candidate, refusal: type[Refusal]) -> None:
    good = colleague()
    with pytest.raises(refusal) as refused:
        domain.nominate(asked(), [good, candidate], named(good, candidate), TODAY, RULES)
    assert [error.field for error in refused.value.errors] == ["person_ids.1"]


def test_a_person_is_named_once() -> None:
    person = colleague()
    with pytest.raises(AlreadyNominated):
        domain.nominate(answered(person), [person], named(person), TODAY, RULES)
    with pytest.raises(AlreadyNominated):
        domain.nominate(asked(), [person, person], named(person, person), TODAY, RULES)


@pytest.mark.parametrize("state", ["decided", "withdrawn"])
def test_a_settled_call_takes_no_answer(state: str) -> None:
    person = colleague()
    with pytest.raises(NotAsked):
        domain.nominate(asked(state=state), [person], named(person), TODAY, RULES)


def test_only_the_head_or_hr_acts_for_a_section() -> None:
    head, other = uuid4(), uuid4()
    domain.may_act_for(head, head, is_hr=False)
    domain.may_act_for(None, other, is_hr=True)
    for section_head in (head, None):
        with pytest.raises(NotTheHead):
            domain.may_act_for(section_head, other, is_hr=False)


def test_an_answer_sent_back_is_asked_again() -> None:
    call = domain.send_back(answered(colleague()), CLOSES)
    assert (call.state, call.nominations, call.version) == ("asked", (), 3)
    with pytest.raises(NotAwaitingDecision):
        domain.send_back(call, CLOSES)


def test_a_reminder_asks_again_but_not_who_has_answered() -> None:
    assert domain.remind(asked(), CLOSES, enough_leaders=False).version == 2
    with pytest.raises(AlreadyAnswered):
        domain.remind(answered(colleague()), CLOSES, enough_leaders=False)
    with pytest.raises(NotAsked):
        domain.remind(asked(state="withdrawn"), CLOSES, enough_leaders=False)


def test_a_decided_call_opens_anew_only_where_leaders_are_missing() -> None:
    assert domain.remind(asked(state="decided"), CLOSES, enough_leaders=False).state == "asked"
    with pytest.raises(EnoughLeaders):
        domain.remind(asked(state="decided"), CLOSES, enough_leaders=True)


def test_asked_after_its_date_a_section_has_five_open_days() -> None:
    closed = frozenset({date(2026, 4, 29)})
    assert domain.answer_by(asked(), None, TODAY, closed) == CLOSES
    assert domain.answer_by(asked(), None, date(2026, 4, 27), closed) == date(2026, 5, 5)
    assert domain.answer_by(asked(), date(2026, 6, 1), TODAY, closed) == date(2026, 6, 1)
    for wrong in (date(2026, 4, 1), CLOSES - timedelta(days=1), date(2027, 4, 1)):
        with pytest.raises(ClosingDateInvalid):
            domain.answer_by(asked(), wrong, TODAY, closed)


def test_who_has_not_answered_stays_late_and_a_new_question_has_a_new_date() -> None:
    later = date(2026, 5, 1)
    assert domain.remind(asked(), later, enough_leaders=False).closes_on == CLOSES
    assert domain.remind(asked(state="decided"), later, enough_leaders=False).closes_on == later
    assert domain.send_back(answered(colleague()), later).closes_on == later


def decide(call: SectionCall, decided_on: date, starts_on: date, *people: Candidate, rules: TownRules = RULES) -> None:
    domain.decide(call, people, decided_on, starts_on, today=TODAY, rules=rules)


def test_a_decision_settles_an_answer_once() -> None:
    person = colleague()
    call = answered(person)
    decided = domain.decide(call, [person], TODAY, TODAY, today=TODAY, rules=RULES)
    assert (decided.state, decided.version) == ("decided", call.version)
    with pytest.raises(NotAwaitingDecision):
        decide(decided, TODAY, TODAY)


def test_a_decision_is_recorded_after_it_was_made() -> None:
    with pytest.raises(DecidedInFuture):
        decide(answered(colleague()), TODAY + timedelta(days=1), TODAY + timedelta(days=1))


def test_who_has_gone_since_the_nomination_cannot_be_appointed() -> None:
    for person, refusal in ((colleague(has_left=True), HasLeft), (colleague(of_section=False), NotOfSection)):
        with pytest.raises(refusal):
            decide(answered(colleague()), TODAY, TODAY, person)


def test_a_term_rule_this_version_does_not_know_refuses() -> None:
    with pytest.raises(RuleNotSupported):
        decide(answered(colleague()), TODAY, TODAY, rules=TownRules({"term": Rule("three_years", ARTICLE)}))


days = st.dates(date(2025, 1, 1), date(2028, 12, 31))


@given(decided_on=days, given_start=st.none() | days)
def test_a_term_never_begins_before_its_decision_unless_that_day_is_given(
    decided_on: date, given_start: date | None
) -> None:
    starts_on = domain.term_starts_on(2026, decided_on, given_start)
    assert starts_on == given_start if given_start else starts_on >= max(decided_on, date(2026, 4, 1))


@given(decided_on=days, starts_on=days)
def test_a_decision_that_is_accepted_begins_inside_its_fiscal_year(decided_on: date, starts_on: date) -> None:
    person = colleague()
    try:
        domain.decide(answered(person), [person], decided_on, starts_on, today=TODAY, rules=RULES)
    except (DecidedInFuture, StartsOutsideTerm):
        assert decided_on > TODAY or not date(2026, 4, 1) <= starts_on <= date(2027, 3, 31)
    else:
        assert decided_on <= TODAY
        assert date(2026, 4, 1) <= starts_on <= date(2027, 3, 31)


PEOPLE = [UUID(int=number) for number in range(5)]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("nominate"), st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=3)),
        st.tuples(st.sampled_from(["remind", "send_back", "decide", "wait"]), st.just([])),
    ),
    max_size=20,
)


@given(steps)
def test_whatever_is_tried_in_whatever_order_a_call_stays_sound(tried: list[tuple[str, list[UUID]]]) -> None:
    call, today, appointed = asked(), TODAY, 0
    for step, people in tried:
        before = call
        candidates = [Candidate(person, of_section=True) for person in people]
        try:
            if step == "nominate":
                call = domain.nominate(call, candidates, named(*candidates), today, RULES)
                assert before.state in {"asked", "answered"}
                assert today <= before.open_until
            elif step == "remind":
                call = domain.remind(
                    call, domain.answer_by(call, None, today, frozenset()), enough_leaders=appointed > 0
                )
            elif step == "send_back":
                call = domain.send_back(call, domain.answer_by(call, None, today, frozenset()))
            elif step == "decide":
                nominees = [Candidate(each.person_id, of_section=True) for each in call.nominations]
                call = domain.decide(call, nominees, today, today, today=today, rules=RULES)
                assert before.state == "answered"
                appointed += len(before.nominations)
            else:
                today += timedelta(days=3)
        except Refusal as refusal:
            assert call is before
            assert refusal.sentence("ja").endswith("。")  # noqa: PT017  every refusal says what to do
        assert call.version >= before.version
        assert (call.state == "answered") == bool(call.nominations)
        assert len({each.person_id for each in call.nominations}) == len(call.nominations)
        assert call.open_until >= call.closes_on


def test_only_a_head_who_was_not_asked_hears_of_an_answer_that_is_owed() -> None:
    former, head = uuid4(), uuid4()
    assert domain.head_is_to_hear(asked(), head, former, 2026)
    assert domain.head_is_to_hear(asked(), head, None, 2025)
    assert not domain.head_is_to_hear(asked(), head, head, 2026)
    assert not domain.head_is_to_hear(asked(), None, former, 2026)
    assert not domain.head_is_to_hear(asked(), head, former, 2027)
    for state in ("answered", "decided", "withdrawn"):
        assert not domain.head_is_to_hear(asked(state=state), head, former, 2026)
