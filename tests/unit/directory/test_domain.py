"""Decisions of directory as tables of cases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from chassis.refusals import Invalid, Refusal
from services.directory.domain import access, transfers, years
from services.directory.domain.clock import TimeGoesForward, YearOutOfRange, advance
from services.directory.domain.files import ImportRefused, decode, read_table
from services.directory.domain.people import (
    BeforePresentPosting,
    Person,
    PersonHasLeft,
    Posting,
    change_person,
    in_order,
)
from services.directory.domain.roster import PEOPLE_COLUMNS, Known, plan_people
from services.directory.domain.sections import Section, SectionNotEmpty, close, publish_head, rename
from services.directory.domain.terms import fold
from taiwa_contracts.leaders import AppointmentCorrectedV1, LeaderAppointedV1, LeaderTermEndedV1, LeaderTermExtendedV1

TODAY = date(2026, 4, 13)
NOW = datetime(2026, 4, 13, 1, tzinfo=UTC)
ROAD, WATER, TAX = sorted(uuid4() for _ in range(3))
SOMEBODY = Person(
    person_id=uuid4(),
    version=3,
    state_version=5,
    name="髙橋 一郎",
    kana="タカハシ イチロウ",
    mail=None,
    posting=Posting(ROAD, "主任", full_time=True, employment_kind="正規"),
    posted_on=date(2026, 4, 1),
    joined_on=date(2010, 4, 1),
)
SECTION = Section(ROAD, 1, "1110", "道路課", "課", "町長", 110, date(2026, 4, 1))
TRANSFER = transfers.Transfer(uuid4(), SOMEBODY.person_id, ROAD, WATER, "主査", (), TODAY)


def _row(**cells: str) -> str:
    usual = dict(
        zip(
            PEOPLE_COLUMNS,
            ["1", "髙橋 一郎", "タカハシ イチロウ", "1110", "主任", "正規", "常勤", "", "", "2010-04-01"],
            strict=True,
        )
    )
    return ",".join({**usual, **cells}.values())


def _plan(*rows: str, people: dict[str, Person] | None = None) -> object:
    content = "\n".join([",".join(PEOPLE_COLUMNS), *rows]).encode()
    known = Known(people or {}, {"1110": SECTION}, date(2026, 4, 1), TODAY)
    return plan_people(read_table(content, PEOPLE_COLUMNS), known, uuid4)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_file_is_read_in_the_encodings_of_a_town_hall(encoding: str) -> None:
    text, name = decode("髙橋 﨑".encode(encoding))
    assert (text, name) == ("髙橋 﨑", "cp932" if encoding == "cp932" else "utf-8")


@pytest.mark.parametrize("content", [b"\xff\xfeA\x00", b"a\x00b", b"\x81\x81\x80\xff"])
def test_what_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(ImportRefused):
        decode(content)


def test_line_ends_of_every_system_are_understood() -> None:
    for end in ("\n", "\r\n", "\r"):
        table = read_table(f"a,b{end}1,2{end}{end}3,4".encode(), ("a", "b"))
        assert [(record.row, record.cells["b"]) for record in table.records] == [(2, "2"), (4, "4")]


def test_a_row_of_another_length_is_named_and_the_others_are_read() -> None:
    table = read_table(b"a,b\n1\n3,4", ("a", "b"))
    assert [(error.row, error.field) for error in table.problems.errors] == [(2, "ファイル")]
    assert len(table.records) == 1


def test_the_same_row_again_changes_nothing() -> None:
    plan = _plan(_row(), people={"1": SOMEBODY})
    assert (plan.changes, plan.unchanged) == ((), 1)  # type: ignore[attr-defined]  # a plan


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ({"氏名": "髙橋 二郎"}, "state"),
        ({"メール": "t@midori.example"}, "state"),
        ({"職": "主査"}, "changed"),
        ({"常勤": "非常勤"}, "changed"),
        ({"職員の種類": "任期付"}, "silent"),
        ({"採用日": "2011-04-01"}, "silent"),
    ],
)
def test_a_row_that_differs_says_what_kind_of_change_it_is(cells: dict[str, str], kind: str) -> None:
    plan = _plan(_row(**cells), people={"1": SOMEBODY})
    (change,) = plan.changes  # type: ignore[attr-defined]  # a plan
    assert change.kind == kind
    assert change.after.version == SOMEBODY.version + (kind == "changed")
    assert change.after.state_version == SOMEBODY.state_version + (kind != "silent")


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"職員番号": ""}, "職員番号"),
        ({"氏名": "x" * 101}, "氏名"),
        ({"所属コード": "9999"}, "所属コード"),
        ({"職員の種類": "アルバイト"}, "職員の種類"),
        ({"常勤": "はい"}, "常勤"),
        ({"メール": "a b@c"}, "メール"),
        ({"兼務所属コード": "9999"}, "兼務所属コード"),
        ({"兼務所属コード": "1110"}, "兼務所属コード"),
        ({"採用日": "2026-02-30"}, "採用日"),
        ({"採用日": "2026-04-14"}, "採用日"),
        ({"採用日": "0000-01-01"}, "採用日"),
    ],
)
def test_a_wrong_cell_is_named(cells: dict[str, str], column: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        _plan(_row(**cells))
    assert [(error.row, error.field) for error in refused.value.errors] == [(2, column)]


def test_who_left_cannot_come_back_before_the_day_of_leaving() -> None:
    left = replace(SOMEBODY, left_on=date(2026, 4, 10))
    with pytest.raises(ImportRefused):
        _plan(_row(), people={"1": left})
    plan = _plan(_row(採用日="2026-04-10"), people={"1": left})
    assert [change.kind for change in plan.changes] == ["joined"]  # type: ignore[attr-defined]  # a plan


def test_a_posting_changes_from_its_first_day_on_only() -> None:
    wanted = replace(SOMEBODY, posting=replace(SOMEBODY.posting, section_id=WATER))
    with pytest.raises(BeforePresentPosting):
        change_person(SOMEBODY, wanted, date(2026, 3, 31), uuid4())
    change = change_person(SOMEBODY, wanted, date(2026, 4, 1), uuid4())
    assert change is not None
    assert (change.kind, change.after.posted_on, change.moves) == ("transferred", date(2026, 4, 1), True)


def test_sections_of_concurrent_posts_have_one_order() -> None:
    assert in_order([TAX, ROAD, TAX]) == in_order([ROAD, TAX]) == (ROAD, TAX)


@pytest.mark.parametrize(
    ("person", "transfer", "refusal"),
    [
        (replace(SOMEBODY, left_on=TODAY), TRANSFER, PersonHasLeft),
        (SOMEBODY, replace(TRANSFER, to_section_id=ROAD), transfers.SameSection),
        (SOMEBODY, replace(TRANSFER, effective_from=date(2026, 3, 31)), BeforePresentPosting),
    ],
)
def test_a_transfer_that_cannot_take_effect_is_refused(
    person: Person, transfer: transfers.Transfer, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        transfers.check_transfer(person, transfer, TODAY)


def test_a_transfer_and_its_reversal_give_back_what_was() -> None:
    moved = transfers.take_effect(SOMEBODY, TRANSFER).after
    assert (moved.posting.section_id, moved.posting.post, moved.version) == (WATER, "主査", 4)
    back = transfers.revert(moved, TRANSFER, transfers.Earlier(SOMEBODY.posting, SOMEBODY.posted_on)).after
    assert replace(back, version=3, state_version=5) == SOMEBODY
    assert back.version == 5


def test_concurrent_posts_stay_on_transfer_unless_said_otherwise() -> None:
    person = replace(SOMEBODY, posting=replace(SOMEBODY.posting, concurrent=(WATER, TAX)))
    assert transfers.concurrent_after(person, WATER, None) == (TAX,)
    assert transfers.concurrent_after(person, WATER, []) == ()


def test_an_absence_ends_after_it_begins() -> None:
    transfers.check_period(TODAY, TODAY)
    transfers.check_period(TODAY, None)
    with pytest.raises(transfers.PeriodReversed):
        transfers.check_period(TODAY, TODAY - timedelta(days=1))


def test_a_section_is_renamed_only_to_another_name() -> None:
    assert rename(SECTION, "道路課") is None
    renamed = rename(SECTION, "道路河川課")
    assert renamed is not None
    assert (renamed.name, renamed.version) == ("道路河川課", 2)


def test_a_head_is_published_once() -> None:
    headed = publish_head(SECTION, SOMEBODY.person_id, "課長")
    assert headed is not None
    assert headed.version == 2
    assert publish_head(headed, SOMEBODY.person_id, "課長") is None


def test_a_section_to_which_somebody_belongs_stays() -> None:
    with pytest.raises(SectionNotEmpty):
        close(SECTION, TODAY, 1)
    assert not close(SECTION, TODAY, 0).exists_on(TODAY)


def test_closed_days_are_weekends_holidays_the_years_end_and_the_towns_own() -> None:
    closed = years.closed_days(2026, [date(2026, 4, 29)], [date(2026, 8, 14)])
    assert closed == tuple(sorted(closed))
    assert {date(2026, 4, 29), date(2026, 8, 14), date(2026, 12, 29), date(2027, 1, 3), date(2026, 4, 4)} <= {*closed}
    assert not {date(2026, 4, 30), date(2026, 12, 28), date(2027, 1, 4)} & {*closed}
    with pytest.raises(Invalid):
        years.closed_days(2026, [], [date(2027, 4, 1)])


@pytest.mark.parametrize("hours", [("8:30", "17:15"), ("08:30", "24:00"), ("17:15", "08:30"), ("08:30", "08:30")])
def test_hours_that_are_none_are_refused(hours: tuple[str, str]) -> None:
    with pytest.raises(Invalid):
        years.check_hours(years.Hours(*hours))


@pytest.mark.parametrize(("rule", "value"), [("leaders_per_section", True), ("leaders_per_section", -1), ("term", 1)])
def test_a_rules_value_has_its_type(rule: str, value: years.RuleValue) -> None:
    with pytest.raises(Invalid):
        years.check_rule(rule, value)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(years.RuleUnknown):
        years.check_rule("leaders_per_town", 1)


def test_time_goes_forward_once_it_runs() -> None:
    earlier = NOW - timedelta(days=300)
    assert advance(NOW, earlier, running=False) == earlier
    assert advance(NOW, NOW, running=True) == NOW
    with pytest.raises(TimeGoesForward):
        advance(NOW, earlier, running=True)
    with pytest.raises(YearOutOfRange):
        advance(NOW, NOW.replace(year=2101), running=False)


def test_the_fifth_failure_locks_and_a_day_forgets() -> None:
    failures = access.Failures()
    for count in range(1, access.FAILURES_ALLOWED + 1):
        failures = access.fail_again(failures, NOW)
        assert failures.locked(NOW) == (count == access.FAILURES_ALLOWED)
    assert not failures.locked(NOW + access.LOCKED_FOR)
    assert access.fail_again(failures, NOW + access.LOCKED_FOR).locked(NOW + access.LOCKED_FOR)
    assert access.fail_again(failures, NOW + timedelta(days=2)).count == 1


def test_a_login_is_written_in_one_way() -> None:
    assert access.normal_login(" Ｔａｋａ ") == access.normal_login("taka") == "taka"


def test_roles_that_follow_are_added_to_those_granted() -> None:
    assert access.roles_of({"hr"}, leads=True, heads=False) == {"staff", "hr", "leader"}


def _term(appointment_id: UUID) -> dict[str, object]:
    return {"appointment_id": appointment_id, "person_id": SOMEBODY.person_id, "section_id": ROAD}


def test_terms_are_folded_in_the_order_of_their_facts() -> None:
    appointment_id = uuid4()
    appointed = LeaderAppointedV1.model_validate(
        {
            **_term(appointment_id),
            "fiscal_year": 2026,
            "effective_from": "2026-04-13",
            "ends_on": "2027-03-31",
            "word": "選任",
        }
    )
    extended = LeaderTermExtendedV1.model_validate({**_term(appointment_id), "effective_from": "2027-04-01"})
    ended = LeaderTermEndedV1.model_validate(
        {**_term(appointment_id), "effective_from": "2027-04-20", "reason": "successor"}
    )
    corrected = AppointmentCorrectedV1.model_validate(
        {**_term(appointment_id), "effective_from": "2026-04-01", "ends_on": "2027-03-31", "withdrawn": True}
    )
    first = fold({}, [appointed])
    assert first[appointment_id].until_on == date(2027, 3, 31)
    assert fold(first, [extended])[appointment_id].until_on is None
    assert fold(first, [extended, ended])[appointment_id].until_on == date(2027, 4, 19)
    assert fold(first, [corrected])[appointment_id].withdrawn
    assert fold(first, []) == {}
