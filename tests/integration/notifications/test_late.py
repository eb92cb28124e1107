"""After a power cut: what came late, for whom, and which mails may have come twice, by the times on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis import failpoints
from chassis.clocks import machine_now
from chassis.testing import OTHER_TOWN, Running
from services.notifications.channels.mail import MailSender, SmtpServer
from tests.integration.notifications.conftest import Mailbox
from tests.integration.notifications.test_mail import office, person, smtp, tell

__all__ = ["office", "smtp"]


async def late(office: Running, municipality: str | None = None, **query: Any) -> dict[str, Any]:
    caller = office.caller("admin", municipality=municipality) if municipality else office.caller("admin")
    answer = await office.client(caller).get("/deliveries/late", params=query)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def happened_before(office: Running, cause: UUID, minutes: int) -> UUID:
    """Make the deliveries those of an event that was recorded so long ago; gives its id."""
    milliseconds = int((machine_now() - timedelta(minutes=minutes)).timestamp() * 1000)
    earlier = UUID(int=(milliseconds << 80) | (cause.int & ((1 << 80) - 1)))
    async with office.worker.scoped("*") as connection:
        await connection.execute("UPDATE deliveries SET cause_event_id = $2 WHERE cause_event_id = $1", cause, earlier)
    return earlier


async def test_what_came_in_time_is_not_late(office: Running, smtp: SmtpServer) -> None:
    await tell(office, await person(office, "minori@midori.example"))
    await MailSender(smtp).run(office.worker)
    told = await late(office)
    assert (told["items"], told["total"], told["first_happened_at"]) == ([], 0, None)


async def test_what_came_late_is_told_with_its_person_and_its_minutes(office: Running, smtp: SmtpServer) -> None:
    cause = await tell(office, await person(office, "minori@midori.example", "髙橋 みのり"))
    await happened_before(office, cause, 19)
    await MailSender(smtp).run(office.worker)
    told = await late(office)
    assert {(each["person_name"], each["channel"], each["state"]) for each in told["items"]} == {
        ("髙橋 みのり", "in_app", "delivered"),
        ("髙橋 みのり", "mail", "handed_over"),
    }
    assert all(18 * 60 < each["late_seconds"] < 21 * 60 for each in told["items"])
    assert (told["total"], told["people"], told["waiting"], told["repeated"]) == (2, 1, 0, 0)
    assert told["items"][0]["title"]
    assert (await late(office, OTHER_TOWN))["total"] == 0
    assert (await late(office, minutes=60))["total"] == 0


async def test_a_mail_that_still_waits_is_late_so_far(office: Running) -> None:
    cause = await tell(office, await person(office, "minori@midori.example"))
    await happened_before(office, cause, 7)
    told = await late(office)
    (waiting,) = [each for each in told["items"] if each["state"] == "waiting"]
    assert waiting["settled_at"] is None
    assert waiting["late_seconds"] >= 7 * 60
    assert told["waiting"] == 1


async def test_a_mail_whose_outcome_is_not_on_record_goes_out_again_and_is_told(
    office: Running, smtp: SmtpServer, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power fails between the server's 250 and our mark."""

    def cut(point: str) -> None:
        if point == "loop.after_side_effect":
            raise ConnectionResetError

    await tell(office, await person(office, "minori@midori.example"), await person(office, "b@midori.example"))
    with monkeypatch.context() as power:
        power.setattr(failpoints, "reach", cut)
        with pytest.raises(ConnectionResetError):
            await MailSender(smtp).run(office.worker)
    assert len(mailbox.mails) == 1
    await MailSender(smtp).run(office.worker)
    identities = [mail["Message-ID"] for mail in mailbox.mails]
    assert len(identities) == 3
    assert len(set(identities)) == 2
    told = await late(office)
    (repeated,) = told["items"]
    assert repeated["repeated_at"] is not None
    assert (repeated["channel"], repeated["state"], told["repeated"]) == ("mail", "handed_over", 1)
    assert identities.count(f"<{repeated['id']}@midori.example>") == 2
