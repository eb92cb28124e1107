from __future__ import annotations

import re
from uuid import uuid4

import pytest

from services.notifications import templates
from services.notifications.templates import Names, Rendered, letter, render

LEADER, HEAD, SECTION, TEXT = uuid4(), uuid4(), uuid4(), uuid4()
NAMES = Names(
    people={LEADER: "髙橋 みのり", HEAD: "宮下 湊"},
    sections={SECTION: "道路課"},
    texts={TEXT: "共有フォルダーに置いて、\n場所だけをチャットで知らせてください。"},
    town="みどり町",
    fictional=True,
)
PARTICULARS = {
    "person_id": str(LEADER),
    "requester_person_id": str(LEADER),
    "by_person_id": str(HEAD),
    "section_id": str(SECTION),
    "effective_from": "2026-04-13",
    "ends_on": "2027-03-31",
    "closes_on": "2026-04-17",
    "until_on": "2026-09-30",
    "answer_due_at": "2026-06-12T17:15:00+09:00",
    "fiscal_year": "2026",
    "word": "選任",
    "reason": "term",
    "programme_title": "DX基礎",
    "number": "R8-0137",
    "title": "家屋調査の写真を庁舎の外から安全に送る方法",
}
NOT_OUR_WORDS = "ステータス|エスカレーション|アサイン|未実施者|エラーが発生しました|督促|任命|引き上げ"


@pytest.mark.parametrize("template", templates.names())
def test_each_notice_is_complete_polite_and_without_a_link(template: str) -> None:
    notice = render(template, PARTICULARS, NAMES, TEXT)
    assert notice.subject
    assert notice.body.splitlines()[0]
    assert "http" not in notice.subject + notice.body
    assert "{{" not in notice.body
    assert templates.UNKNOWN_PERSON not in notice.body
    assert re.search(NOT_OUR_WORDS, notice.subject + notice.body) is None


@pytest.mark.parametrize("template", templates.names())
def test_a_sentence_has_at_most_forty_characters_beside_what_is_filled_in(template: str) -> None:
    source = (templates.FOLDER / f"{template}.txt").read_text(encoding="utf-8")
    spoken = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", source, flags=re.DOTALL)
    assert [line for line in re.split(r"[。\n]", spoken) if len(line.strip()) > 40] == []


def test_a_welcome_names_section_word_and_term() -> None:
    notice = render("leader_appointed", PARTICULARS, NAMES)
    assert notice.subject == "道路課のDX推進リーダーに選任されました"
    assert "令和8年（2026年）4月13日（月）から" in notice.body
    assert "令和9年（2027年）3月31日（水）まで" in notice.body


def test_a_term_that_ended_names_its_last_day_and_reason() -> None:
    body = render("leader_term_ended", {**PARTICULARS, "effective_from": "2027-04-01"}, NAMES).body
    assert "令和9年（2027年）3月31日（水）で終わりました" in body
    assert "任期が終わったため" in body


@pytest.mark.parametrize(
    "reason", ["term", "successor", "transfer", "left", "resigned", "section_closed", "withdrawn", "a new one"]
)
def test_every_reason_has_words(reason: str) -> None:
    body = render("leader_term_ended", {**PARTICULARS, "reason": reason}, NAMES).body
    assert re.search("理由　.+ため", body)


def test_a_deputy_without_an_end_is_told_so() -> None:
    open_ended = {key: value for key, value in PARTICULARS.items() if key != "until_on"}
    assert "髙橋 みのりさんが戻るまで" in render("deputy_named", open_ended, NAMES).body


def test_an_answer_carries_its_text() -> None:
    assert NAMES.texts[TEXT] in render("consultation_answered", PARTICULARS, NAMES, TEXT).body


def test_a_text_that_is_not_there_is_said_to_be_in_the_portal() -> None:
    assert templates.NO_TEXT in render("consultation_answered", PARTICULARS, Names(), TEXT).body


def test_names_unknown_or_erased_are_said_to_be_missing() -> None:
    assert templates.UNKNOWN_PERSON in render("section_leader_appointed", PARTICULARS, Names()).body


def test_a_title_cannot_add_a_line_to_the_subject() -> None:
    evil = {**PARTICULARS, "title": "写真\r\nBcc: everybody@town.example\u2028x"}
    subject = render("consultation_opened", evil, NAMES, TEXT).subject
    assert subject.isprintable()
    assert len(subject.splitlines()) == 1


def test_words_of_a_user_are_never_taken_for_a_template() -> None:
    evil = {**PARTICULARS, "title": "{{ 7 * 7 }}{% raise %}"}
    assert "{{ 7 * 7 }}" in render("consultation_opened", evil, NAMES, TEXT).subject


def test_a_letter_begins_with_the_name_and_says_who_sends_it() -> None:
    text = letter(Rendered("題", "本文です。"), "髙橋 みのり", NAMES)
    assert text.startswith("髙橋 みのり 様\n\n本文です。\n")
    assert "みどり町　DX推進リーダーポータル" in text
    assert "架空の町" in text
