"""What desks and states are called, and who is not known by name."""

from __future__ import annotations

from services.consultations.domain.consultation import State
from taiwa_contracts.consultations import Desk

DESK_LABELS: dict[Desk, str] = {"hr": "総務課", "it_policy": "総合政策課"}
"""Names of the desks until a town names its own."""

STATE_LABELS: dict[State, str] = {
    "open": "回答を準備中",
    "answered": "回答あり",
    "waiting_requester": "返事待ち",
    "resolved": "解決済み",
}

UNKNOWN_NAME = "（氏名の登録なし）"
UNKNOWN_SECTION = "（所属の登録なし）"
