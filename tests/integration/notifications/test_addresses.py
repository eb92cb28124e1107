"""People without a mail address, addresses that arrive, people who are erased: what becomes of their mails."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from chassis.calendar import at
from chassis.consumer.effects import Effects
from chassis.database import Database
from chassis.service import Received
from chassis.testing import MIDORI, OTHER_TOWN, Running
from chassis.transaction import new_id
from services.notifications.channels.mail import MailSender, SmtpServer
from services.notifications.domain import Outcome
from services.notifications.repository.mails import ClaimedMail
from taiwa_contracts.directory import PersonStateV1
from tests.integration.notifications.conftest import Mailbox
from tests.integration.notifications.test_mail import deliveries, facts, office, person, smtp, tell
from tests.integration.notifications.town import OPENING_DAY

__all__ = ["office", "smtp"]


async def hear(office: Running, person_id: UUID, mail: str | None, version: int, *, erased: bool = False) -> None:
    """A person's state as directory publishes it; ``erased``: its tombstone."""
    state = PersonStateV1(
        state_version=version,
        person_id=person_id,
        name="髙橋 みのり",
        kana="フリガナ",
        mail=mail,
        section_id=new_id(),
        post="主任",
    )
    record: Received[Any] = Received(
        event=None if erased else state,
        id=new_id(),
        type=state.TYPE,
        municipality=MIDORI,
        aggregate=state.aggregate(),
        version=version,
        occurred_at=at(OPENING_DAY, "09:00"),
        correlation_id=new_id(),
        causation_id=None,
        traceparent=None,
        topic=state.TOPIC,
        partition=0,
        offset=0,
    )
    async with office.worker.scoped("*") as connection:
        await Effects(office.service, office.worker).apply(connection, [record])


async def work(office: Running, municipality: str = MIDORI) -> list[str]:
    client = office.client(office.caller("admin", municipality=municipality))
    return [item["title"] for item in (await client.get("/work-items")).json()]


async def acknowledge(office: Running, delivery_id: str, municipality: str = MIDORI) -> int:
    client = office.client(office.caller("hr", municipality=municipality))
    return (await client.post(f"/deliveries/{delivery_id}/acknowledgement")).status_code


async def send_all(office: Running, smtp: SmtpServer) -> None:
    while await MailSender(smtp).run(office.worker):
        pass


async def test_a_person_without_an_address_is_listed_once_however_many_mails_fail(
    office: Running, smtp: SmtpServer, mailbox: Mailbox
) -> None:
    mailbox.refused = {"gone@midori.example": "550 no such user"}
    without, other = await person(office, None), await person(office, "gone@midori.example")
    for _ in range(3):
        await tell(office, without)
    await tell(office, other)
    await send_all(office, smtp)
    listed = {item["person_id"]: item for item in await deliveries(office, state="failed")}
    assert {person_id: item["mails"] for person_id, item in listed.items()} == {str(without): 3, str(other): 1}
    assert listed[str(without)]["reason_text"].startswith("送れなかったお知らせが3通あります。")
    assert sorted(await work(office)) == [
        "メールアドレスのない職員 1人を確かめる",
        "届けられなかったお知らせ 1件を確かめる",
    ]
    assert len(await deliveries(office, state="failed", acknowledged="true")) == 4
    assert (await facts(office)).count(("failed.v1", 1)) == 4


async def test_an_address_that_arrives_brings_the_mails_of_ten_days_and_clears_the_list(
    office: Running, smtp: SmtpServer, mailbox: Mailbox
) -> None:
    without = await person(office, None)
    await tell(office, without)
    await send_all(office, smtp)
    async with office.worker.scoped("*") as connection:
        await connection.execute("UPDATE deliveries SET stored_at = stored_at - interval '11 days'")
    await tell(office, without)
    await send_all(office, smtp)
    await hear(office, without, None, 2)
    assert [item["mails"] for item in await deliveries(office, state="failed")] == [2]
    await hear(office, without, "minori@midori.example", 3)
    assert await deliveries(office, state="failed") == []
    assert await work(office) == []
    await send_all(office, smtp)
    assert len(mailbox.to("minori@midori.example")) == 1
    assert len(await deliveries(office, state="failed", acknowledged="true")) == 1


async def test_who_is_known_to_have_no_address_is_listed_no_more_until_one_came_and_went(
    office: Running, smtp: SmtpServer, mailbox: Mailbox
) -> None:
    without = await person(office, None)
    await tell(office, without)
    await send_all(office, smtp)
    (listed,) = await deliveries(office, state="failed")
    assert await acknowledge(office, listed["id"], OTHER_TOWN) == 404
    assert await acknowledge(office, listed["id"]) == 200
    await tell(office, without)
    await send_all(office, smtp)
    assert (await deliveries(office, state="failed"), await work(office)) == ([], [])
    assert len(await deliveries(office, state="failed", acknowledged="true")) == 2
    await hear(office, without, "minori@midori.example", 2)
    await send_all(office, smtp)
    assert len(mailbox.to("minori@midori.example")) == 2
    await hear(office, without, None, 3)
    await tell(office, without)
    await send_all(office, smtp)
    assert [item["mails"] for item in await deliveries(office, state="failed")] == [1]


async def test_another_failure_is_acknowledged_by_itself_and_can_still_be_sent_again(
    office: Running, smtp: SmtpServer, mailbox: Mailbox
) -> None:
    mailbox.refused = {"gone@midori.example": "550 no such user"}
    gone = await person(office, "gone@midori.example")
    await tell(office, gone)
    await tell(office, gone)
    await send_all(office, smtp)
    first, second = await deliveries(office, state="failed")
    assert await acknowledge(office, first["id"]) == 200
    assert [item["id"] for item in await deliveries(office, state="failed")] == [second["id"]]
    admin = office.client(office.caller("admin"))
    assert (await admin.post(f"/deliveries/{first['id']}/retry")).status_code == 200
    assert await acknowledge(office, first["id"]) == 409
    await send_all(office, smtp)
    assert len(await deliveries(office, state="failed")) == 2


async def test_an_erased_person_s_mails_are_cancelled_when_the_erasure_is_heard(
    office: Running, smtp: SmtpServer, mailbox: Mailbox
) -> None:
    mailbox.replies = ["451 try later"]
    gone, stays = await person(office, "minori@midori.example"), await person(office, "b@midori.example")
    await tell(office, gone)
    await send_all(office, smtp)
    await tell(office, gone, stays)
    await hear(office, gone, None, 2, erased=True)
    states = {(item["person_id"], item["state"], item["reason"]) for item in await deliveries(office)}
    assert states == {(str(gone), "cancelled", "person_erased"), (str(stays), "waiting", None)}
    assert (await facts(office)).count(("failed.v1", 1)) == 2
    await send_all(office, smtp)
    assert mailbox.to("minori@midori.example") == []
    assert len(mailbox.to("b@midori.example")) == 1


class Overtaken(MailSender):
    """Hears something of the person after it has composed the mail and before it settles."""

    heard: Any = None

    async def _settle(self, database: Database, mail: ClaimedMail, outcome: Outcome) -> None:  # type: ignore[override]  # static in the product
        await self.heard()
        await MailSender._settle(database, mail, outcome)


async def test_what_is_heard_while_a_mail_is_being_sent_counts_when_it_is_settled(
    office: Running, smtp: SmtpServer, mailbox: Mailbox
) -> None:
    mailbox.replies = ["451 try later"]
    gone, late = await person(office, "minori@midori.example"), await person(office, None)
    sender = Overtaken(smtp)
    await tell(office, gone)
    sender.heard = lambda: hear(office, gone, None, 2, erased=True)
    await sender.run(office.worker)
    assert [item["state"] for item in await deliveries(office)] == ["cancelled"]
    await tell(office, late)
    sender.heard = lambda: hear(office, late, "late@midori.example", 2)
    await sender.run(office.worker)
    (item,) = await deliveries(office, state="waiting")
    assert item["reason"] == "address_arrived"
