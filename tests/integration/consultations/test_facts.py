from __future__ import annotations

from datetime import date, datetime, timedelta

from chassis.calendar import TOKYO
from chassis.clocks import CivilClock
from chassis.testing import FactOnTopic, Installation, Running, eventually, set_civil_clock
from chassis.transaction import new_id
from taiwa_contracts.consultations import ConsultationTextV1
from taiwa_contracts.directory import PersonStateV1, RoleRevokedV1, SectionChangedV1, SectionRenamedV1
from taiwa_contracts.leaders import AppointmentCorrectedV1, LeaderTermEndedV1, LeaderTermExtendedV1
from tests.integration.consultations.town import (
    OPENING_DAY,
    publish_calendar,
    publish_head,
    publish_leader,
    publish_person,
    publish_role,
    publish_section,
)

PATIENCE = 30
"""Seconds for a fact on a fresh topic of a busy machine; a passing test takes far less."""

FACT = "taiwa.consultations.consultation-"


async def test_a_case_travels_as_facts_and_its_texts_apart_without_notes(
    installation: Installation, consultations: Running
) -> None:
    by = consultations.caller("leader", section_id=new_id())
    desk = consultations.caller("it_policy")
    asking, answering = consultations.client(by), consultations.client(desk)
    case = (await asking.post("/consultations", json={"title": "写真の送り方", "body": "住所が写ります。"})).json()
    path = f"/consultations/{case['consultation_id']}"
    await answering.post(f"{path}/entries", json={"kind": "note", "body": "内々のこと"})
    await answering.post(f"{path}/entries", json={"kind": "answer", "body": "共有フォルダーに置きます。"})
    await asking.post(f"{path}/resolution", json={})
    await asking.post(f"{path}/reopening", json={})

    async def all_facts() -> bool:
        return len(await installation.facts_on("consultations.events")) == 5

    await eventually(all_facts, timeout=PATIENCE)
    facts = await installation.facts_on("consultations.events")
    assert [(fact.version, fact.type) for fact in facts] == [
        (1, f"{FACT}opened.v1"),
        (2, f"{FACT}assigned.v1"),
        (3, f"{FACT}answered.v1"),
        (4, f"{FACT}resolved.v1"),
        (5, f"{FACT}reopened.v1"),
    ]

    async def both_texts() -> list[FactOnTopic]:
        found = await installation.facts_on("consultations.texts")
        return found if len(found) == 2 else []

    texts = await eventually(both_texts, timeout=PATIENCE)
    bodies = {fact.value["body"] for fact in texts if fact.value}
    assert bodies == {"住所が写ります。", "共有フォルダーに置きます。"}
    opening = next(
        fact for fact in texts if fact.aggregate == f"{ConsultationTextV1.AGGREGATE}/{case['consultation_id']}"
    )
    assert opening.value is not None
    assert (
        ConsultationTextV1.model_validate(opening.value).consultation_id
        == ConsultationTextV1.model_validate(opening.value).entry_id
    )
    written = str([fact.value for fact in facts])
    assert "住所" not in written
    assert "内々" not in written


async def test_a_case_says_whose_leader_asks(installation: Installation, consultations: Running) -> None:
    person_id, head_id, section_id = new_id(), new_id(), new_id()
    await publish_section(installation, section_id, "道路課")
    await publish_head(installation, section_id, head_id)
    await publish_person(installation, head_id, "宮下 湊", section_id)
    await publish_person(installation, person_id, "髙橋 みのり", section_id)
    appointment_id = await publish_leader(installation, person_id, section_id)
    by = consultations.caller("leader", person_id=person_id, section_id=section_id)

    async def known() -> bool:
        found = (await consultations.client(by).get("/leaders")).json()
        return bool(found) and found[0]["name"] == "髙橋 みのり" and found[0]["head_name"] == "宮下 湊"

    await eventually(known, timeout=PATIENCE)
    found = (await consultations.client(by).get("/leaders", params={"section_id": str(section_id)})).json()
    assert [(each["appointment_id"], each["section_name"]) for each in found] == [(str(appointment_id), "道路課")]
    answer = await consultations.client(by).post("/consultations", json={"title": "写真", "body": "送れますか。"})
    requester = answer.json()["requester"]
    assert (requester["name"], requester["section"]) == ("髙橋 みのり", "道路課")
    assert [led["section_name"] for led in requester["leader_of"]] == ["道路課"]


async def test_terms_are_extended_corrected_and_ended(installation: Installation, consultations: Running) -> None:
    section_id = new_id()
    people = {name: new_id() for name in ("served_on", "corrected", "ended", "withdrawn", "future")}
    yesterday = CivilClock().today() - timedelta(days=1)
    over = {"effective_from": OPENING_DAY, "ends_on": yesterday}
    served_on = await publish_leader(installation, people["served_on"], section_id, **over)
    corrected = await publish_leader(installation, people["corrected"], section_id, **over)
    ended = await publish_leader(installation, people["ended"], section_id)
    withdrawn = await publish_leader(installation, people["withdrawn"], section_id)
    await publish_leader(installation, people["future"], section_id, effective_from=date(2098, 4, 1))
    facts = [
        LeaderTermExtendedV1(
            appointment_id=served_on,
            person_id=people["served_on"],
            section_id=section_id,
            effective_from=CivilClock().today(),
        ),
        AppointmentCorrectedV1(
            appointment_id=corrected,
            person_id=people["corrected"],
            section_id=section_id,
            effective_from=OPENING_DAY,
            ends_on=date(2099, 3, 31),
        ),
        LeaderTermEndedV1(
            appointment_id=ended,
            person_id=people["ended"],
            section_id=section_id,
            effective_from=CivilClock().today(),
            reason="transfer",
        ),
        AppointmentCorrectedV1(
            appointment_id=withdrawn,
            person_id=people["withdrawn"],
            section_id=section_id,
            effective_from=OPENING_DAY,
            ends_on=date(2099, 3, 31),
            withdrawn=True,
        ),
    ]
    for fact in facts:
        await installation.publish(fact, 2)
    caller = consultations.caller()

    async def leaders() -> set[str]:
        return {each["person_id"] for each in (await consultations.client(caller).get("/leaders")).json()}

    async def settled() -> bool:
        return await leaders() == {str(people["served_on"]), str(people["corrected"])}

    await eventually(settled, timeout=PATIENCE)


async def test_an_erased_person_loses_the_name_here(installation: Installation, consultations: Running) -> None:
    person_id, section_id = new_id(), new_id()
    await publish_section(installation, section_id, "道路課")
    await publish_person(installation, person_id, "髙橋 みのり", section_id)
    by = consultations.caller("leader", person_id=person_id, section_id=section_id)
    client = consultations.client(by)
    case = (await client.post("/consultations", json={"title": "写真", "body": "送れますか。"})).json()
    path = f"/consultations/{case['consultation_id']}"

    async def name() -> str:
        shown: str = (await client.get(path)).json()["requester"]["name"]
        return shown

    async def named() -> bool:
        return await name() == "髙橋 みのり"

    async def nameless() -> bool:
        return await name() == "（氏名の登録なし）"

    await eventually(named, timeout=PATIENCE)
    await installation.erase(PersonStateV1, f"person/{person_id}", 2)
    await eventually(nameless, timeout=PATIENCE)
    async with consultations.worker.scoped("*") as connection:
        rows = await connection.fetch("SELECT name, kana, post FROM people WHERE person_id = $1", person_id)
    assert [tuple(row) for row in rows] == [(None, None, None)]


async def test_a_section_bears_its_new_name_from_its_day(installation: Installation, consultations: Running) -> None:
    section_id = new_id()
    await publish_section(installation, section_id, "道路課")
    await installation.publish(
        SectionRenamedV1(section_id=section_id, effective_from=date(2021, 4, 1), name="道路河川課"), 2
    )
    await installation.publish(
        SectionRenamedV1(section_id=section_id, effective_from=date(2098, 4, 1), name="まちづくり課"), 3
    )
    by = consultations.caller("leader", section_id=section_id)
    client = consultations.client(by)
    await client.post("/consultations", json={"title": "写真", "body": "送れますか。"})

    async def renamed() -> bool:
        return [item["section_name"] for item in (await client.get("/consultations")).json()["items"]] == ["道路河川課"]

    await eventually(renamed, timeout=PATIENCE)


async def test_leaders_are_listed_in_the_order_that_the_town_gives_its_sections(
    installation: Installation, consultations: Running
) -> None:
    sections = {"道路課": new_id(), "福祉課": new_id()}
    for order, (name, section_id) in enumerate(sections.items(), start=1):
        await publish_section(installation, section_id, name, order)
        await publish_leader(installation, new_id(), section_id)
    await installation.publish(
        SectionChangedV1(
            section_id=sections["道路課"],
            kind="室",
            appointing_authority="町長",
            display_order=3,
            effective_from=OPENING_DAY,
        ),
        2,
    )
    by = consultations.client(consultations.caller("leader"))

    async def in_order() -> bool:
        listed = (await by.get("/leaders")).json()
        return [each["section_name"] for each in listed] == ["福祉課", "道路課"]

    await eventually(in_order, timeout=PATIENCE)


async def test_a_colleague_of_the_desk_is_made_owner_until_the_role_is_revoked(
    installation: Installation, consultations: Running
) -> None:
    colleague = new_id()
    await publish_role(installation, colleague, "hr")
    await publish_person(installation, colleague, "齋藤 恵", new_id())
    desk = consultations.client(consultations.caller("it_policy"))

    async def members() -> list[str]:
        return [each["name"] for part in (await desk.get("/desks")).json() for each in part["people"]]

    async def listed() -> bool:
        return await members() == ["齋藤 恵"]

    await eventually(listed, timeout=PATIENCE)
    asking = consultations.client(consultations.caller("leader", section_id=new_id()))
    case = (await asking.post("/consultations", json={"title": "写真", "body": "送れますか。"})).json()
    assigned = await desk.post(
        f"/consultations/{case['consultation_id']}/assignment", json={"person_id": str(colleague)}
    )
    assert (assigned.json()["assignee"]["name"], assigned.json()["desk"]) == ("齋藤 恵", "hr")
    await installation.publish(RoleRevokedV1(person_id=colleague, role="hr", effective_from=CivilClock().today()), 2)

    async def gone() -> bool:
        return await members() == []

    await eventually(gone, timeout=PATIENCE)


async def test_the_town_s_calendar_moves_the_due_time(installation: Installation, consultations: Running) -> None:
    await publish_calendar(installation, 2026, [date(2026, 6, 9)])
    await set_civil_clock(consultations, datetime(2026, 6, 8, 9, 5, tzinfo=TOKYO))
    client = consultations.client(consultations.caller("leader", section_id=new_id()))

    async def due_in_the_town_s_days() -> bool:
        case = (await client.post("/consultations", json={"title": "写真", "body": "送れますか。"})).json()
        due_at = datetime.fromisoformat(case["clock"]["answer_due_at"])
        return due_at == datetime(2026, 6, 10, 17, 0, tzinfo=TOKYO)

    await eventually(due_in_the_town_s_days, timeout=PATIENCE)
