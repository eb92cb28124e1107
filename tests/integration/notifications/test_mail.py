from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from chassis.database import Database
from chassis.testing import MIDORI, OTHER_TOWN, Installation, Running, running
from chassis.transaction import Actor, new_id
from services.notifications import commands
from services.notifications.channels.mail import MailSender, SmtpServer
from services.notifications.domain import HANDED_OVER, Notice, Outcome
from services.notifications.main import build
from services.notifications.repository.mails import ClaimedMail
from tests.integration.notifications.conftest import Mailbox, MailServer, text_of

SENDER = "dx@midori.example"


@pytest.fixture
async def office(installation: Installation) -> AsyncIterator[Running]:
    """The service without loops of its own: each test sends when it wants to."""
    async with running(build, installation, roles=("api",)) as service:
        yield service


@pytest.fixture
def smtp(mailbox: Mailbox) -> SmtpServer:
    return SmtpServer("127.0.0.1", mailbox.port, SENDER, timeout=2)


async def person(
    office: Running, mail: str | None, name: str = "髙橋 みのり", municipality: str = MIDORI, **more: object
) -> UUID:
    person_id = new_id()
    async with office.worker.scoped("*") as connection:
        await connection.execute(
            """
            INSERT INTO people (municipality, person_id, state_version, name, mail, erased)
            VALUES ($1, $2, 1, $3, $4, $5)
            """,
            municipality,
            person_id,
            name,
            mail,
            bool(more.get("erased")),
        )
    return person_id


async def tell(office: Running, *people: UUID, municipality: str = MIDORI, **changes: object) -> UUID:
    """Tell people of an event; gives its id."""
    cause = new_id()
    told = {
        "section_id": str(new_id()),
        "effective_from": "2026-04-13",
        "ends_on": "2027-03-31",
        "word": "選任",
        "number": "R8-0137",
        "title": "写真の送り方",
        "by_person_id": str(people[0]),
    }
    notice = replace(Notice("leader_appointed", people, "appointment", str(new_id()), told), **changes)  # type: ignore[arg-type]  # names are Notice's own
    async with office.worker.transaction(municipality, Actor("reaction", "test")) as tx:
        await commands.notify(tx, commands.Notify(cause, notice))
    return cause


async def deliveries(office: Running, municipality: str = MIDORI, **query: str) -> list[dict[str, Any]]:
    client = office.client(office.caller("admin", municipality=municipality))
    items: list[dict[str, Any]] = (await client.get("/deliveries", params={"channel": "mail", **query})).json()["items"]
    return items


async def facts(office: Running) -> list[tuple[str, int]]:
    async with office.worker.scoped("*") as connection:
        rows = await connection.fetch("SELECT type, version FROM event_log ORDER BY position")
    return [(row["type"].removeprefix("taiwa.notifications.notification-"), row["version"]) for row in rows]


async def make_due(office: Running) -> None:
    """Let the pauses between attempts pass."""
    async with office.worker.scoped("*") as connection:
        await connection.execute("UPDATE deliveries SET attempt_at = clock_timestamp() WHERE attempt_at IS NOT NULL")


async def test_handed_over_and_delivered_are_two_facts(office: Running, smtp: SmtpServer, mailbox: Mailbox) -> None:
    await tell(office, await person(office, "minori@midori.example"))
    assert await MailSender(smtp).run(office.worker) == 1
    assert len(mailbox.mails) == 1
    assert [item["state"] for item in await deliveries(office)] == ["handed_over"]
    assert await facts(office) == [("delivered.v1", 1), ("handed-over.v1", 1)]
    assert await MailSender(smtp).run(office.worker) == 0


async def test_an_unreachable_server_is_tried_again_until_it_is_back(
    office: Running, smtp: SmtpServer, server: MailServer
) -> None:
    await server.stop()
    await tell(office, await person(office, "minori@midori.example"), await person(office, "b@midori.example"))
    assert await MailSender(smtp).run(office.worker) == 2
    assert {(item["state"], item["reason"], item["attempts"]) for item in await deliveries(office)} == {
        ("waiting", "unreachable", 1)
    }
    async with office.worker.scoped("*") as connection:
        waits = "UPDATE deliveries SET attempt_at = attempt_at + interval '1 hour' WHERE attempt_at > stored_at"
        assert await connection.execute(waits) == "UPDATE 2"
    assert await MailSender(smtp).run(office.worker) == 0
    await server.start()
    await make_due(office)
    await MailSender(smtp).run(office.worker)
    assert len(server.mailbox.mails) == 2
    assert {item["state"] for item in await deliveries(office)} == {"handed_over"}


async def test_a_refusal_for_now_is_tried_again(office: Running, smtp: SmtpServer, mailbox: Mailbox) -> None:
    mailbox.replies = ["451 try later", "250 OK"]
    await tell(office, await person(office, "minori@midori.example"))
    await MailSender(smtp).run(office.worker)
    (item,) = await deliveries(office)
    assert (item["state"], item["reason"]) == ("waiting", "smtp_451")
    await make_due(office)
    await MailSender(smtp).run(office.worker)
    assert [item["state"] for item in await deliveries(office)] == ["handed_over"]


async def test_a_final_refusal_fails_and_the_others_go_out(office: Running, smtp: SmtpServer, mailbox: Mailbox) -> None:
    mailbox.refused = {"gone@midori.example": "550 no such user"}
    await tell(office, await person(office, "gone@midori.example"), await person(office, "minori@midori.example"))
    await MailSender(smtp).run(office.worker)
    (failed,) = await deliveries(office, state="failed")
    assert failed["reason"] == "smtp_550"
    assert "550" in failed["reason_text"]
    assert len(mailbox.mails) == 1
    assert ("failed.v1", 1) in await facts(office)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (None, "no_address"),
        ("", "no_address"),
        ("minori", "bad_address"),
        ("minori@midori.example, everybody@midori.example", "bad_address"),
        ("minori@midori.example\r\nBcc: everybody@midori.example", "bad_address"),
        ("みのり@midori.example", "bad_address"),
    ],
)
async def test_without_a_usable_address_it_fails_with_what_to_do(
    office: Running, smtp: SmtpServer, mailbox: Mailbox, address: str | None, reason: str
) -> None:
    await tell(office, await person(office, address))
    await MailSender(smtp).run(office.worker)
    (failed,) = await deliveries(office, state="failed")
    assert failed["reason"] == reason
    assert "名簿" in failed["reason_text"]
    assert mailbox.mails == []


async def test_no_name_or_title_adds_a_header(office: Running, smtp: SmtpServer, mailbox: Mailbox) -> None:
    evil = "髙橋\r\nBcc: everybody@midori.example"
    person_id = await person(office, "minori@midori.example", name=evil)
    told = {"number": "R8-0137", "title": evil, "by_person_id": str(person_id)}
    await tell(office, person_id, template="consultation_resolved", particulars=told)
    await MailSender(smtp).run(office.worker)
    (mail,) = mailbox.mails
    assert mail["Bcc"] is None
    assert mail["X-Envelope-To"] == "minori@midori.example"


async def test_a_failed_mail_is_an_administrator_s_work_until_it_is_sent_again(
    office: Running, smtp: SmtpServer, mailbox: Mailbox
) -> None:
    person_id = await person(office, None)
    await tell(office, person_id)
    await MailSender(smtp).run(office.worker)
    admin = office.client(office.caller("admin"))
    (work,) = (await admin.get("/work-items")).json()
    assert (work["kind"], work["title"]) == ("mend", "メールアドレスのない職員 1人を確かめる")
    assert (await office.client(office.caller("hr")).get("/work-items")).json() == [work]
    assert (await office.client(office.caller("it_policy")).get("/work-items")).json() == []
    assert (await office.client(office.caller("admin", municipality=OTHER_TOWN)).get("/work-items")).json() == []
    (failed,) = await deliveries(office, state="failed")
    elsewhere = office.client(office.caller("admin", municipality=OTHER_TOWN))
    assert (await elsewhere.post(f"/deliveries/{failed['id']}/retry")).status_code == 404
    async with office.worker.scoped("*") as connection:
        await connection.execute("UPDATE people SET mail = 'minori@midori.example' WHERE person_id = $1", person_id)
    assert (await admin.post(f"/deliveries/{failed['id']}/retry")).status_code == 200
    again = await admin.post(f"/deliveries/{failed['id']}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "notifications.not_failed")
    await MailSender(smtp).run(office.worker)
    assert len(mailbox.mails) == 1
    assert (await admin.get("/work-items")).json() == []
    assert (await facts(office))[-2:] == [("failed.v1", 1), ("handed-over.v1", 2)]


async def test_several_senders_side_by_side_send_each_mail_once(
    office: Running, smtp: SmtpServer, mailbox: Mailbox
) -> None:
    people = [await person(office, f"person{number}@midori.example") for number in range(30)]
    await tell(office, *people)
    await asyncio.gather(*(drain(office, smtp) for _ in range(3)))
    assert sorted(mail["X-Envelope-To"] for mail in mailbox.mails) == sorted(
        f"person{number}@midori.example" for number in range(30)
    )
    assert {item["state"] for item in await deliveries(office)} == {"handed_over"}


async def drain(office: Running, smtp: SmtpServer) -> None:
    while await MailSender(smtp).run(office.worker):
        pass


class Crashing(MailSender):
    """Dies between the server's 250 and the mark."""

    @staticmethod
    async def _settle(database: Database, mail: ClaimedMail, outcome: Outcome) -> None:
        del database, mail, outcome
        raise ConnectionResetError("the process is gone")


async def test_a_crash_between_sending_and_marking_repeats_the_mail_with_the_same_id(
    office: Running, smtp: SmtpServer, mailbox: Mailbox
) -> None:
    await tell(office, await person(office, "minori@midori.example"))
    with pytest.raises(ConnectionResetError):
        await Crashing(smtp).run(office.worker)
    assert [item["state"] for item in await deliveries(office)] == ["waiting"]
    await MailSender(smtp).run(office.worker)
    first, second = mailbox.mails
    (delivery,) = await deliveries(office)
    assert first["Message-ID"] == second["Message-ID"] == f"<{delivery['id']}@midori.example>"
    assert delivery["state"] == "handed_over"
    assert await facts(office) == [("delivered.v1", 1), ("handed-over.v1", 1)]


async def test_a_sender_that_lost_its_lease_changes_nothing(
    office: Running, smtp: SmtpServer, mailbox: Mailbox
) -> None:
    await tell(office, await person(office, "minori@midori.example"))
    (item,) = await deliveries(office)
    async with office.worker.transaction(MIDORI, Actor("system", "mail")) as tx:
        late = commands.SettleAttempt(UUID(item["id"]), new_id(), HANDED_OVER)
        await commands.settle_attempt(tx, late)
    assert [item["state"] for item in await deliveries(office)] == ["waiting"]
    await MailSender(smtp).run(office.worker)
    assert len(mailbox.mails) == 1


async def test_a_mail_whose_text_never_comes_goes_without_it_in_the_end(
    office: Running, smtp: SmtpServer, mailbox: Mailbox
) -> None:
    person_id = await person(office, "minori@midori.example")
    await tell(office, person_id, template="consultation_answered", text_id=new_id())
    assert await MailSender(smtp).run(office.worker) == 0
    async with office.worker.scoped("*") as connection:
        await connection.execute("UPDATE deliveries SET stored_at = stored_at - interval '16 minutes'")
    assert await MailSender(smtp).run(office.worker) == 1
    assert "本文はポータルの「相談」で見てください。" in text_of(mailbox.mails[0])


async def test_a_person_not_heard_of_yet_is_waited_for(office: Running, smtp: SmtpServer, mailbox: Mailbox) -> None:
    await tell(office, new_id())
    await MailSender(smtp).run(office.worker)
    (item,) = await deliveries(office)
    assert (item["state"], item["reason"]) == ("waiting", "person_unknown")
    assert mailbox.mails == []


async def test_an_erased_person_is_told_nothing(office: Running, smtp: SmtpServer, mailbox: Mailbox) -> None:
    await tell(office, await person(office, None, erased=True))
    assert await MailSender(smtp).run(office.worker) == 0
    assert await deliveries(office) == []
    assert await facts(office) == []


async def test_a_notice_without_words_fails_alone(office: Running, smtp: SmtpServer, mailbox: Mailbox) -> None:
    person_id = await person(office, "minori@midori.example")
    await tell(office, person_id, template="no_such_notice")
    await tell(office, person_id)
    await MailSender(smtp).run(office.worker)
    assert len(mailbox.mails) == 1
    assert [item["reason"] for item in await deliveries(office, state="failed")] == ["notice_unreadable"]
    inbox = (await office.client(office.caller(person_id=person_id)).get("/inbox")).json()["items"]
    assert sorted(item["title"] for item in inbox) == [
        "お知らせ",
        "（所属の登録なし）のDX推進リーダーに選任されました",
    ]


async def test_mails_of_one_town_bear_nothing_of_another(office: Running, smtp: SmtpServer, mailbox: Mailbox) -> None:
    ours = await person(office, "minori@midori.example")
    theirs = await person(office, "a@other.example", name="別の町の人", municipality=OTHER_TOWN)
    await tell(
        office,
        ours,
        template="consultation_resolved",
        particulars={"number": "R8-0001", "title": "題名", "by_person_id": str(theirs)},
    )
    await tell(office, theirs, municipality=OTHER_TOWN)
    await MailSender(smtp).run(office.worker)
    assert {mail["X-Envelope-To"] for mail in mailbox.mails} == {"minori@midori.example", "a@other.example"}
    (mail,) = mailbox.to("minori@midori.example")
    assert "別の町の人" not in text_of(mail)
    assert len(await deliveries(office)) == len(await deliveries(office, OTHER_TOWN)) == 1


async def test_a_wrong_sign_in_is_not_the_mail_s_fault(office: Running, smtp: SmtpServer, mailbox: Mailbox) -> None:
    await tell(office, await person(office, "minori@midori.example"))
    await MailSender(replace(smtp, user="taiwa", password="wrong")).run(office.worker)
    (item,) = await deliveries(office)
    assert item["state"] == "waiting"
    assert mailbox.mails == []
