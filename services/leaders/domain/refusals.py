"""Every refusal of this service. ``code`` is public API; ``{source}`` is the stored article, or 町の設定."""

from __future__ import annotations

from chassis.refusals import Forbidden, Refusal


class RuleNotSupported(Refusal):
    """The town stored a value for a rule that this version cannot follow."""

    code = "leaders.rule_not_supported"
    ja = "町のルール「{rule}」の値「{value}」には、まだ対応していません。管理者に伝えてください。"
    en = "The rule {rule} has the value {value}, which this version cannot follow. Change the rule."


class FiscalYearNotOpen(Refusal):
    """The fiscal year has not been opened by directory."""

    code = "leaders.fiscal_year_not_open"
    ja = "この年度はまだ開かれていません。先に年度を開いてください。"
    en = "That fiscal year is not open; open it in directory first."


class NoSections(Refusal):
    """There is nobody to ask: no section is known for that fiscal year."""

    code = "leaders.no_sections"
    ja = "お願いする課がまだ登録されていません。先に課を取り込んでください。"
    en = "No section is known for that fiscal year; import the sections first."


class AlreadyCalled(Refusal):
    """One call a fiscal year."""

    code = "leaders.already_called"
    ja = "この年度の選出のお願いは、もう出ています。遅れている課には、お願いを再送してください。"
    en = "The sections were asked for that fiscal year already; remind the late ones instead."


class ClosingDateInvalid(Refusal):
    """A closing date lies between today, or the date that holds so far, and the end of the fiscal year."""

    code = "leaders.closing_date_invalid"
    status = 422
    ja = "期限は、{earliest}から{latest}までの日にしてください。"
    en = "The closing date must lie between {earliest} and {latest}."


class NotTheHead(Forbidden):
    """Only the section's head names its leaders, or hr on its behalf."""

    code = "leaders.not_the_head"
    ja = "この課のことを決められるのは、課の長と総務課です。課の長にお願いしてください。"
    en = "Only the head of the section, or hr on its behalf, may do this."


class CallClosed(Refusal):
    """The closing date has passed."""

    code = "leaders.call_closed"
    ja = "受け付けは{closes_on}に終わりました{source}。総務課に、お願いの再送を頼んでください。"
    en = "Nominations closed on {closes_on}. Ask hr to send the request again; that opens it anew."


class NotAsked(Refusal):
    """The section's answer has been decided, or the request was withdrawn."""

    code = "leaders.not_asked"
    ja = "この課の選出は済んでいます。追加が必要なときは、総務課にお願いの再送を頼んでください。"
    en = "This section's call is settled. Ask hr to send the request again if another leader is needed."


class AlreadyNominated(Refusal):
    """A person is named once per call."""

    code = "leaders.already_nominated"
    ja = "同じ人が2回選ばれています。重なりを外してください。"
    en = "The same person is named twice; name each once."


class AlreadyLeader(Refusal):
    """A person who is the section's leader for that fiscal year is not named again."""

    code = "leaders.already_leader"
    ja = "この年度のリーダーにもうなっている人がいます。別の人を選んでください。"
    en = "Somebody named is this section's leader for that fiscal year already; name another person."


class NotOfSection(Refusal):
    """Leaders come from the section's own people, main or 兼務."""

    code = "leaders.not_of_section"
    status = 422
    ja = "この課の人（兼務を含む）から選んでください{source}。"
    en = "Name people of this section only (concurrent posts count)."


class HasLeft(Refusal):
    """A person who no longer works for the town cannot be a leader."""

    code = "leaders.has_left"
    status = 422
    ja = "退職した人は選べません。別の人を選んでください。"
    en = "Somebody named no longer works for the town; name another person."


class AlreadyAnswered(Refusal):
    """The section has answered; there is nothing to ask for."""

    code = "leaders.already_answered"
    ja = "この課はもう回答しています。決裁の記録か、差し戻しをしてください。"
    en = "This section has answered; decide its nominations or send them back."


class EnoughLeaders(Refusal):
    """The section has as many leaders as the rule asks for."""

    code = "leaders.enough_leaders"
    ja = "この課のリーダーは足りています。お願いの再送は要りません。"
    en = "This section has enough leaders; there is nothing to ask for."


class NotAwaitingDecision(Refusal):
    """Only an answered call can be decided or sent back, once."""

    code = "leaders.not_awaiting_decision"
    ja = "決裁待ちではない課が含まれています。画面を開き直して、選び直してください。"
    en = "A section is not awaiting a decision (not answered, decided already, or sent back). Read the board again."


class DecidedInFuture(Refusal):
    """A decision is recorded after it was made."""

    code = "leaders.decided_in_future"
    status = 422
    ja = "決裁日が今日より後です。決裁が済んでから記録してください。"
    en = "decided_on lies in the future; record a decision after it was made."


class StartsOutsideTerm(Refusal):
    """A term begins inside its fiscal year."""

    code = "leaders.starts_outside_term"
    status = 422
    ja = "任期の始めは、{earliest}から{latest}までの日にしてください{source}。"
    en = "starts_on must lie between {earliest} and {latest}."


class NotInOffice(Refusal):
    """The appointment has ended or was withdrawn."""

    code = "leaders.not_in_office"
    ja = "この人の任期は終わっています。名簿を開き直してください。"
    en = "This appointment has ended or was withdrawn."


class PeriodInvalid(Refusal):
    """A period ends on or after the day it begins, inside the term."""

    code = "leaders.period_invalid"
    status = 422
    ja = "期間の日付が正しくありません。{earliest}から{latest}までの間で、始めの日を終わりの日より前にしてください。"
    en = "The period must lie between {earliest} and {latest}, and begin before it ends."


class NothingCorrected(Refusal):
    """A correction changes something."""

    code = "leaders.nothing_corrected"
    status = 422
    ja = "直すところがありません。正しい値を入れてください。"
    en = "The correction changes nothing; give the right values."


class AlreadyHasDeputy(Refusal):
    """One deputy per leader."""

    code = "leaders.already_has_deputy"
    ja = "代理はもう決まっています{source}。先に今の代理を終わりにしてください。"
    en = "This leader has a deputy; end that one first."


class OwnDeputy(Refusal):
    """Nobody stands in for themselves."""

    code = "leaders.own_deputy"
    status = 422
    ja = "本人を代理にすることはできません。別の人を選んでください。"
    en = "A leader cannot be their own deputy; choose another person."


class NoDeputy(Refusal):
    """There is no deputy to end."""

    code = "leaders.no_deputy"
    ja = "代理は決まっていません。名簿を開き直してください。"
    en = "This leader has no deputy."
