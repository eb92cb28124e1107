"""How dead letters, stops and late things are said on a screen: what happened, and what can be done now. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.portal.gateway import NAMES, Part
from services.portal.pages.events import TIMERS
from services.portal.queries.deliveries import LateNotices, SentNotice
from services.portal.queries.parts import Listed
from services.portal.queries.standing import ServiceStop, Standing


@dataclass(frozen=True, slots=True)
class Why:
    """What happened, and what can be done."""

    what: str
    mend: str


_SENDER = "送り元が直した知らせをもう一度出します。この知らせは、理由を書いて破棄してください。"
_REASONS: Mapping[str, Why] = {
    "event.payload_invalid": Why("中身が決まりどおりではありません", _SENDER),
    "event.value_missing": Why("中身がありません", _SENDER),
    "event.too_large": Why("中身が大きすぎます", _SENDER),
    "event.type_missing": Why("種類が書かれていません", _SENDER),
    "event.key_missing": Why("宛て先のキーがありません", _SENDER),
    "event.key_differs": Why("キーと中身の宛て先が違います", _SENDER),
    "event.key_too_long": Why("キーが長すぎます", _SENDER),
    "event.topic_differs": Why("置き場所が違います", _SENDER),
    "event.aggregate_differs": Why("中身と見出しの相手が違います", _SENDER),
    "event.attribute_missing": Why("見出しが足りません", _SENDER),
    "event.attribute_invalid": Why("見出しの値が正しくありません", _SENDER),
    "event.municipality_invalid": Why("団体コードが正しくありません", _SENDER),
    "event.specversion_unknown": Why("見出しの形式が違います", _SENDER),
    "event.version_unknown": Why(
        "この版の知らせは、まだ読めません", "受け手を新しい版に入れ替えてから、やり直してください。"
    ),
    "event.version_gap": Why(
        "前の知らせが抜けています",
        "前の知らせが届いてから、やり直してください。届かないときは保守の担当に伝えてください。",
    ),
    "event.version_conflict": Why(
        "同じ番号で、別の知らせが届きました",
        "送り元がバックアップから戻されたかもしれません。保守の担当に伝えてください。",
    ),
    "event.failed": Why(
        "処理の途中で失敗しました", "下の「記録された理由」を保守の担当に伝え、直してから、やり直してください。"
    ),
    "event.not_yet": Why(
        "先に来るはずの知らせを待っています", "自動でやり直しています。急ぐときは「やり直す」で今すぐ試せます。"
    ),
    "timer.failed": Why(
        "期限の処理が失敗しました", "下の「記録された理由」を保守の担当に伝え、直してから、やり直してください。"
    ),
}
_RULE = Why("町の決まりに合わないため、処理できません", "決まりか登録を直してから、やり直してください。")


def why(code: str) -> Why:
    """A reason's code in words; a refusal of a service is a rule."""
    return _REASONS.get(code, _RULE)


CAUSES: Mapping[str, Why] = {
    "most_fail": Why(
        "知らせの多くが処理できないため、読み取りを止めました",
        "新しい版を入れた直後なら、戻すか直すかしてから「再開する」を押してください。知らせはなくなっていません。",
    ),
    "other_log": Why(
        "読んでいた記録と、いまの記録が合いません",
        "保守の担当が送り直しの手順（taiwa republish）を行うと、自動で再開します。知らせはなくなっていません。",
    ),
    "went_back": Why(
        "データベースが前の時点に戻されています",
        "保守の担当が手順（taiwa consumer rebase）を行うと、自動で再開します。知らせはなくなっていません。",
    ),
    "fault": Why(
        "続けて失敗したため、読み取りを止めました",
        "データベースなどを確かめてから「再開する」を押してください。15秒ごとに自動でも試しています。",
    ),
    "key_full": Why(
        "処理できない知らせの後ろに、溜まりすぎました",
        "先頭の知らせをやり直すか破棄してから「再開する」を押してください。",
    ),
}
"""Why a consumer, a partition or a key stands still."""

_NEED_THEIR_COMMAND = frozenset({"other_log", "went_back"})
"""Causes that trying again does not mend, whoever asks for it."""

_SHARED = "すべての団体に共通の受け手です。再開は、保守の担当に頼んでください。知らせはなくなっていません。"


def why_stopped(it: ServiceStop) -> Why:
    """Why something stands still, and what this visitor can do about it."""
    cause = CAUSES.get(it.cause, CAUSES["fault"])
    return cause if it.resumable or it.cause in _NEED_THEIR_COMMAND else Why(cause.what, _SHARED)


SCOPES: Mapping[str, str] = {"stopped": "すべて", "paused": "一部", "blocked": "一部"}

CHECKS: Mapping[str, Why] = {
    "kafka": Why(
        "知らせの通り道（Kafka）につながりません",
        "登録や相談はできます。知らせは保管していて、つながりしだい届きます。保守の担当に伝えてください。",
    ),
    "relay": Why("知らせを送り出せません", "知らせは保管しています。保守の担当に「記録された理由」を伝えてください。"),
    "consumer": Why("知らせを読み取れません", "知らせは通り道に残っています。保守の担当に伝えてください。"),
    "timers": Why("期限の自動の処理が動いていません", "動きしだい、期限の順に行います。保守の担当に伝えてください。"),
    "mail": Why("メールを送り出せません", "メールは保管しています。動きしだい送ります。保守の担当に伝えてください。"),
}

ACTS: Mapping[str, str] = {
    "seen": "中身を見た",
    "replayed": "やり直した",
    "discarded": "破棄した",
    "resumed": "再開した",
    "rebased": "送り出しの位置を合わせた",
    "republished": "送り直した",
    "rebuilt": "作り直した",
}

RELAY_LATE = timedelta(seconds=30)
LAG_LATE = 500
"""Records behind that are worth a word; the lag is looked at every five seconds."""
_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Halted:
    """One thing that stands still or is late. ``service`` is where, ``link`` where something can be done about it."""

    tone: str
    icon: str
    word: str
    service: str
    why: Why
    since: datetime | None = None
    civil: bool = False
    """``since`` is the town's time, not the machine's."""
    link: str = ""
    verb: str = ""
    stop: ServiceStop | None = None
    detail: str = ""


def _down(service: str) -> Halted:
    mend = "ほかの画面は使えます。知らせは保管していて、動きしだい届きます。保守の担当に伝えてください。"
    return Halted("bad", "stop", "止まっています", service, Why("返事がありません", mend))


def _stop(service: str, it: ServiceStop) -> Halted:
    return Halted("bad", "pause", "止まっています", service, why_stopped(it), it.since, stop=it)


def _letters(service: str, standing: Standing) -> list[Halted]:
    counted = {each.kind: each for each in standing.letters}
    dead, deferred, held = (counted.get(kind) for kind in ("dead", "deferred", "held"))
    found = []
    if dead is not None:
        behind = f"後ろで {held.letters}件が待っています。" if held is not None else ""
        sentence = Why(
            f"処理できなかった知らせが {dead.letters}件あります", f"{behind}中身を見て、やり直すか破棄してください。"
        )
        link = f"/integrations?service={service}"
        found.append(
            Halted("bad", "stop", "手当てが必要", service, sentence, dead.since, link=link, verb="中身を確かめる")
        )
    if deferred is not None:
        sentence = Why(f"先の知らせを待つものが {deferred.letters}件あります", "自動でやり直しています。")
        found.append(Halted("warn", "wait", "待っています", service, sentence, deferred.since))
    return found


def _late(service: str, standing: Standing) -> list[Halted]:
    found = []
    since = standing.unpublished_since
    if since is not None and standing.as_of - since > RELAY_LATE:
        many = f"{_COUNTED}件より多く" if standing.unpublished > _COUNTED else f"{standing.unpublished}件"
        sentence = Why(f"送り出せていない知らせが {many}あります", "保管しています。送り出せしだい、順に届きます。")
        found.append(Halted("warn", "wait", "遅れています", service, sentence, since))
    behind = sum((standing.lag or {}).values())
    if behind > LAG_LATE:
        sentence = Why(
            f"読み取りが {behind}件遅れています", "順に処理しています。減らないときは保守の担当に伝えてください。"
        )
        found.append(Halted("warn", "wait", "遅れています", service, sentence))
    if standing.overdue_timers:
        first = standing.overdue_timers[0]
        names = "、".join(dict.fromkeys(TIMERS.get(each.name, each.name) for each in standing.overdue_timers))
        count = len(standing.overdue_timers)
        sentence = Why(f"期限を過ぎた処理が {count}件あります（{names}）", "動きしだい、期限の順に行います。")
        found.append(Halted("warn", "wait", "遅れています", service, sentence, first.due_at, civil=True))
    return found


def _checks(service: str, standing: Standing) -> list[Halted]:
    found = []
    for check in standing.checks:
        if check.ok or (check.name == "consumer" and standing.stops):
            continue
        sentence = CHECKS.get(
            check.name, Why(f"自動の処理（{check.name}）が動いていません", "保守の担当に伝えてください。")
        )
        found.append(Halted("bad", "stop", "止まっています", service, sentence, detail=check.reason or ""))
    return found


def halted(
    standing: Mapping[str, Part[Standing]],
    failed: Part[Listed[SentNotice]] | None = None,
    late: Part[LateNotices] | None = None,
) -> list[Halted]:
    """Everything that stands still or is late, what needs a hand first; without ``failed`` and ``late`` no notices."""
    found: list[Halted] = []
    for service, told in standing.items():
        if told.content is None:
            found.append(_down(service))
            continue
        found += [_stop(service, each) for each in told.content.stops]
        found += _checks(service, told.content)
        found += _letters(service, told.content)
        found += _late(service, told.content)
    if failed and failed.content is not None and failed.content.items:
        more = "以上" if failed.content.next_cursor else ""
        sentence = Why(
            f"届けられなかったお知らせが {len(failed.content.items)}件{more}あります",
            "理由を見て宛先などを直してもう一度送るか、ほかの方法で伝えてください。",
        )
        oldest = min(each.created_at for each in failed.content.items)
        found.append(
            Halted(
                "bad", "stop", "手当てが必要", "notifications", sentence, oldest, civil=True,
                link="/admin/deliveries", verb="お知らせの配達を見る",
            )
        )  # fmt: skip
    if late and late.content is not None and late.content.waiting:
        sentence = Why(
            f"まだ渡せていないメールが {late.content.waiting}件あります", "メールサーバーにつながりしだい送ります。"
        )
        found.append(
            Halted(
                "warn", "wait", "遅れています", "notifications", sentence, late.content.first_happened_at,
                link="/late", verb="誰の分かを見る",
            )
        )  # fmt: skip
    order = {"bad": 0, "warn": 1}
    return sorted(found, key=lambda each: (order[each.tone], not each.verb and each.stop is None))


def by_service(found: Sequence[Halted]) -> Mapping[str, list[Halted]]:
    """The same, by service."""
    return {name: [each for each in found if each.service == name] for name in NAMES}
