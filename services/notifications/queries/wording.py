"""What states are called, and what is said of a reason."""

from __future__ import annotations

from services.notifications.domain import State

STATE_LABELS: dict[State, str] = {
    "waiting": "送る前",
    "handed_over": "メールサーバーに渡した",
    "delivered": "届いた",
    "failed": "届けられない",
    "cancelled": "取りやめた",
}
_REASONS = {
    "no_address": "メールアドレスの登録がありません。職員の名簿に登録すると、10日以内のお知らせは自動で送ります。",
    "bad_address": "メールアドレスの形が正しくありません。職員の名簿を直してから、もう一度送ってください。",
    "notice_unreadable": "文面を作れませんでした。管理者が記録を確かめてください。",
    "address_arrived": "メールアドレスが登録されました。まもなく送ります。",
    "person_unknown": "職員の登録がまだ届いていません。届きしだい送ります。",
    "person_erased": "職員の登録が消去されたため、取りやめました。",
    "unreachable": "メールサーバーにつながりません。つながりしだい送ります。",
    "sign_in_refused": "メールサーバーにログインできません。管理者が設定を確かめてください。",
}


def reason_text(reason: str | None, mails: int = 1) -> str | None:
    """Why it could not be brought, and what to do; ``mails``: how many failed for it."""
    if reason is None or reason in _REASONS:
        many = f"送れなかったお知らせが{mails}通あります。" if mails > 1 else ""
        return many + _REASONS[reason] if reason else None
    return f"メールサーバーが受け取りませんでした（{reason.removeprefix('smtp_')}）。宛先を確かめてください。"
