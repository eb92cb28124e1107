"""What events, timers and the fields of their payloads are called on a screen. Pure."""

from __future__ import annotations

from collections.abc import Mapping

EVENTS: Mapping[str, str] = {
    "consultations.consultation-opened": "相談を受け付けた",
    "consultations.consultation-assigned": "相談の担当を決めた",
    "consultations.consultation-answered": "相談に答えた",
    "consultations.consultation-resolved": "相談が解決した",
    "consultations.consultation-reopened": "相談を再開した",
    "consultations.text-state": "相談の文章",
    "directory.municipality-registered": "団体を登録した",
    "directory.fiscal-year-opened": "年度を開いた",
    "directory.section-created": "課を設けた",
    "directory.section-renamed": "課の名を変えた",
    "directory.section-changed": "課の登録を変えた",
    "directory.section-head-assigned": "課の長を決めた",
    "directory.section-closed": "課を閉じた",
    "directory.staff-joined": "職員が加わった",
    "directory.staff-changed": "職員の登録を変えた",
    "directory.staff-transferred": "職員が異動した",
    "directory.transfer-reverted": "異動を取り消した",
    "directory.staff-left": "職員が退いた",
    "directory.absence-recorded": "不在を登録した",
    "directory.civil-clock-set": "模擬の時計を合わせた",
    "directory.calendar-changed": "開庁日を変えた",
    "directory.rule-changed": "町の決まりを変えた",
    "directory.role-granted": "役割を付けた",
    "directory.role-revoked": "役割を外した",
    "directory.person-state": "職員の氏名と連絡先",
    "leaders.nomination-requested": "リーダーの選出をお願いした",
    "leaders.leader-nominated": "リーダーの候補を出した",
    "leaders.nomination-rejected": "候補を差し戻した",
    "leaders.leader-appointed": "リーダーを選任した",
    "leaders.appointment-corrected": "選任を訂正した",
    "leaders.leader-term-extended": "リーダーの任期が続いた",
    "leaders.leader-term-ended": "リーダーの任期が終わった",
    "leaders.deputy-named": "代理を決めた",
    "leaders.deputy-ended": "代理が終わった",
    "leaders.coverage-lost": "課のリーダーがいなくなった",
    "leaders.coverage-restored": "課のリーダーがそろった",
    "notifications.notification-handed-over": "メールを渡した",
    "notifications.notification-delivered": "お知らせが届いた",
    "notifications.notification-failed": "お知らせが届かなかった",
    "trainings.training-completed": "研修を修了した",
    "trainings.training-completion-revoked": "研修の修了を取り消した",
}
"""What an event says, by its type without ``taiwa.`` and version."""

TIMERS: Mapping[str, str] = {
    "begin_term": "任期の始まり",
    "end_term": "任期の終わり",
    "end_deputy": "代理の終わり",
    "review_coverage": "配置の見直し",
    "ask_head": "課の長への選出のお願い",
    "take_effect": "人事異動の反映",
    "depart": "退職の反映",
    "announce_head": "課の長の交代",
}
"""What runs by itself on its day."""


def event_words(type_: str | None) -> str:
    """What an event or timer says; its own name where we have no words."""
    if type_ is None:
        return "種類の分からない知らせ"
    return EVENTS.get(type_.removeprefix("taiwa.").rpartition(".v")[0]) or TIMERS.get(type_, type_)


def event_name(type_: str | None) -> str:
    """「TrainingCompleted v1」: how an integrator calls it."""
    if type_ is None or ".v" not in type_:
        return type_ or ""
    family, _, version = type_.rpartition(".v")
    return "".join(each.capitalize() for each in family.rpartition(".")[2].split("-")) + f" v{version}"


_EXPECTED: Mapping[str, str] = {
    "string": "文字",
    "uuid": "ID",
    "date": "日付（例 2026-04-13）",
    "date-time": "日時",
    "integer": "整数",
    "number": "数",
    "boolean": "true か false",
    "array": "一覧",
    "object": "まとまり",
    "null": "空",
}


def expected_words(expected: str) -> str:
    """What a field must be; choices with 「または」."""
    return "または".join(_EXPECTED.get(each, f"「{each}」") for each in expected.split("|")) if expected else ""
