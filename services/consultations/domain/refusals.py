"""Every refusal of this service. ``code`` is public API."""

from __future__ import annotations

from chassis.refusals import Refusal


class AlreadyResolved(Refusal):
    """A resolved case takes no further word."""

    code = "consultations.already_resolved"
    ja = "この相談は解決済みです。続きがあるときは「もう一度相談する」を押してから書いてください。"
    en = "This consultation is resolved. Reopen it, then write."


class NotResolved(Refusal):
    """Only a resolved case can be reopened."""

    code = "consultations.not_resolved"
    ja = "この相談はまだ続いています。このまま書いてください。"
    en = "This consultation is not resolved; write to it as it is."


class NotTheDesk(Refusal):
    """Answers, questions back, notes and assignments are the desk's."""

    code = "consultations.not_the_desk"
    status = 403
    ja = "答えるのは担当の課です。あなたからは「返事」を書いてください。"
    en = "Only the desk answers, asks back, notes and assigns; write a reply instead."


class NotTheRequester(Refusal):
    """A reply is the requester's."""

    code = "consultations.not_the_requester"
    status = 403
    ja = "「返事」は相談した人が書きます。担当の課からは「答える」か「質問を返す」を選んでください。"
    en = "Only the requester replies; the desk answers or asks back."


class OwnConsultation(Refusal):
    """Nobody answers or takes their own case."""

    code = "consultations.own_consultation"
    ja = "自分の相談は自分で受け持てません。ほかの担当者にたのんでください。"
    en = "Nobody answers or takes their own consultation; ask a colleague of the desk."


class NotOfADesk(Refusal):
    """An owner belongs to one of the desks."""

    code = "consultations.not_of_a_desk"
    status = 422
    ja = "担当にできるのは、総務課と総合政策課の担当者です。一覧から選び直してください。"
    en = "The assignee must hold the role hr or it_policy; choose one from GET /desks."


class AlreadyAssigned(Refusal):
    """The case has that owner."""

    code = "consultations.already_assigned"
    ja = "この人はすでに担当です。"
    en = "This person already owns the consultation."


class UnknownCategory(Refusal):
    """A category is one of the town's."""

    code = "consultations.unknown_category"
    status = 422
    ja = "この分類はありません。一覧から選び直すか、選ばずに送ってください。"
    en = "There is no such category; choose one from GET /categories or leave it out."


class NoSection(Refusal):
    """A requester belongs to a section."""

    code = "consultations.no_section"
    ja = "所属が登録されていないため、相談を受け付けられません。総務課にお知らせください。"
    en = "The requester's section is not known; have it registered first."
