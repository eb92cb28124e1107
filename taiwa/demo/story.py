"""What happens in みどり町 from 1 to 13 April 2026, as plain values.

People are named by 職員番号, sections by 所属コード.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from chassis.calendar import TOKYO

MUNICIPALITY = "999997"
NAME, KANA = "みどり町", "ミドリマチ"
FISCAL_YEAR = 2026
CALL_CLOSES_ON = date(2026, 4, 10)
ASKED_AGAIN_UNTIL = date(2026, 4, 17)
ORDINANCE = "みどり町DX推進体制要綱"


def moment(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    """An instant of 2026 in the town."""
    return datetime(2026, month, day, hour, minute, tzinfo=TOKYO)


BEGINS_AT = moment(4, 1, 8, 30)
ENDS_AT = moment(4, 13, 9)


@dataclass(frozen=True, slots=True)
class Login:
    """The demo's person of a role. The password is no secret: it stands in the documentation."""

    role: str
    number: str
    login: str
    name: str

    @property
    def password(self) -> str:
        """For the demo only."""
        return password_of(self.role)


def password_of(role: str) -> str:
    """The password of the demo's person of a role."""
    return f"Midori-machi-{role.replace('_', '-')}"


ADMIN = Login("admin", "10224", "yamato", "大和 千景")
LOGINS = (
    Login("staff", "11040", "makabe", "真壁 理人"),
    Login("leader", "10316", "takahashi", "髙橋 みのり"),
    Login("section_head", "11037", "todoroki", "轟 武"),
    Login("hr", "10126", "saito", "齋藤 ことね"),
    Login("it_policy", "10221", "miyashita", "宮下 湊"),
    ADMIN,
)

GRANTED = (("hr", "10126"), ("hr", "10142"), ("it_policy", "10221"), ("it_policy", "10224"))
"""Role and who holds it. ``admin`` comes with the first account; leaders and heads follow from facts."""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A rule of the town with the article it rests on; without one it is the town's own setting."""

    rule: str
    value: bool | int | str
    article: str | None = None
    text: str | None = None


RULES = (
    RuleSet(
        "leaders_per_section",
        1,
        f"{ORDINANCE} 第5条第1項",
        "各課の長は、毎年度、所属する職員のうちからDX推進リーダーを1人以上選出するものとする。",
    ),
    RuleSet(
        "decision_required",
        True,
        f"{ORDINANCE} 第5条第2項",
        "前項の選出は、総務課長の決裁を経て行うものとする。",
    ),
    RuleSet(
        "call_closes",
        "町長が定める期限",
        f"{ORDINANCE} 第5条第3項",
        "第1項の選出は、町長が定める期限までに行うものとする。",
    ),
    RuleSet(
        "term",
        "fiscal_year_end",
        f"{ORDINANCE} 第5条第4項",
        "DX推進リーダーの任期は、選出の日の属する年度の末日までとする。",
    ),
    RuleSet(
        "deputy_when_absent",
        True,
        f"{ORDINANCE} 第6条第2項",
        "DX推進リーダーが不在となるときは、課の長は、その代理を1人定めるものとする。",
    ),
    RuleSet("predecessor_serves_on", True),
    RuleSet("appointment_word", "選任"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A section names its leaders."""

    at: datetime
    section: str
    leaders: tuple[str, ...]


ANSWERING_HEADS = ("1030", "1060", "1080", "2010")
"""Sections whose head answers in the portal; for the others 総務課 types what came by telephone or on paper."""

ANSWERS = (
    Answer(moment(4, 1, 10), "1010", ("10126",)),
    Answer(moment(4, 1, 10), "1020", ("10221",)),
    Answer(moment(4, 1, 10), "1100", ("10967",)),
    Answer(moment(4, 2, 10), "1030", ("10316",)),
    Answer(moment(4, 2, 10), "1040", ("10396",)),
    Answer(moment(4, 2, 10), "1070", ("10665",)),
    Answer(moment(4, 2, 10), "1130", ("11214",)),
    Answer(moment(4, 3, 10), "1050", ("10478",)),
    Answer(moment(4, 3, 10), "1090", ("10880",)),
    Answer(moment(4, 8, 9), "1060", ("10585",)),
    Answer(moment(4, 10, 10), "1080", ("10759", "10770")),
    Answer(moment(4, 10, 10), "2010", ("11249",)),
    Answer(moment(4, 10, 10), "2020", ("11352",)),
)
"""Nine are decided on 6 April, four wait. 道路課, 上下水道課 and みどり保育所 are late; 議会事務局 has no head."""

DECIDED_AT = moment(4, 6, 13, 20)
DECIDED = ("1010", "1020", "1030", "1040", "1050", "1070", "1090", "1100", "1130")
DECISION = {"decided_on": "2026-04-06", "decided_by_post": "総務課長", "document_number": "総務第41号"}
ASKED_AGAIN = ("1110", "1120", "4010")

PROGRAMMES = (
    ("DX基礎研修", "DX推進リーダーの役割、相談のしかた、情報の安全。半日、集合とオンライン。"),
    ("業務の見直し入門", "仕事の流れを書き出し、なくす・まとめる・変える所を見つける。演習あり。"),
)
COMPLETED_AT = moment(4, 9, 16)
COMPLETED = ("10316", "10221", "10967")
"""Who completed the first programme on 9 April."""

ABSENT = ("11249", "2026-07-01")
"""Who will be away, and from when: 学校教育課's leader-to-be needs a deputy."""


@dataclass(frozen=True, slots=True)
class Question:
    """A 相談, and what became of it."""

    asked_at: datetime
    by: str
    title: str
    body: str
    category: str
    answered_at: datetime | None = None
    answer: str = ""


QUESTIONS = (
    Question(
        moment(4, 7, 10, 30),
        "10316",
        "窓口の申請書を減らしたいのですが、どこから始めればよいですか",
        "税務課の証明の窓口で、同じことを何度も書いてもらっています。\n"
        "紙を減らしたいのですが、何から手を付ければよいか教えてください。",
        "improvement",
        moment(4, 8, 11),
        "まず1か月、申請書ごとに枚数を数えてみてください。多い順に3つで十分です。\n"
        "その3つについて、書いてもらう項目のうち町がすでに持っている情報に印を付けます。\n"
        "来週、総合政策課も一緒に見ます。",
    ),
    Question(
        moment(4, 10, 15),
        "10126",
        "現場の写真を課の共有フォルダーに置いてよいですか",
        "町の行事や工事の写真に、通りがかりの人や車のナンバーが写ることがあります。\n"
        "課の共有フォルダーに置くときの決まりを教えてください。",
        "security",
    ),
)
