"""Mail by SMTP: claim, attempt, mark.

Promise: a mail that waits is attempted until the server took it, refused it for good, or patience ended. Each attempt
is recorded in a transaction of its own after the server's reply. Between that reply and its record lies the one window
in which a crash sends a mail twice: both bear the same Message-ID (the delivery's id), so that a receiver can drop one.
That an attempt begins is on record too, so that such a mail is known afterwards (``repeated_at``).
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_LINES
from email.utils import format_datetime
from typing import Literal

import aiosmtplib
import structlog
from jinja2 import TemplateError

from chassis import failpoints
from chassis.clocks import machine_now
from chassis.database import ALL_MUNICIPALITIES, Database
from chassis.transaction import Actor
from services.notifications import commands
from services.notifications.commands import SettleAttempt
from services.notifications.domain import (
    BAD_ADDRESS,
    ERASED,
    HANDED_OVER,
    NO_ADDRESS,
    PERSON_UNKNOWN,
    SIGN_IN_REFUSED,
    UNREACHABLE,
    UNREADABLE,
    Outcome,
    answered,
)
from services.notifications.queries.names import known_names, recipients
from services.notifications.repository import mails
from services.notifications.repository.mails import ClaimedMail
from services.notifications.templates import PORTAL, Names, letter, one_line, render

PAGE = 10
"""Mails claimed at once."""

SECONDS_A_MAIL = 45
"""One attempt, all its steps together, ends by then. Nothing is begun that may outlast the lease."""

_ACTOR = Actor("system", "mail")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The town's mail server. ``timeout``: seconds a step may take."""

    host: str
    port: int
    sender: str
    user: str | None = None
    password: str | None = None
    starttls: Literal["auto", "required", "never"] = "auto"
    timeout: float = 10

    def client(self) -> aiosmtplib.SMTP:
        """A client that is not connected yet."""
        start_tls = {"auto": None, "required": True, "never": False}[self.starttls]
        # Opportunistic TLS takes any certificate: it guards against listeners only, as between mail servers.
        context = ssl.create_default_context()
        if self.starttls == "auto":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.user,
            password=self.password,
            start_tls=start_tls,
            tls_context=None if self.starttls == "never" else context,
            timeout=self.timeout,
        )


class MailSender:
    """Sends the mails that wait. Several may run side by side, in one process or many."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def run(self, database: Database) -> int:
        """One round: up to a page of mails. Gives how many were attempted."""
        async with database.scoped(ALL_MUNICIPALITIES) as connection:
            claimed = await mails.claim_mails(connection, machine_now(), PAGE)
        if not claimed:
            return 0
        client = self._server.client()
        tried = 0
        try:
            for mail in claimed:
                if not self._in_time(mail):
                    break
                await self._attempt(database, client, mail)
                tried += 1
        finally:
            await _leave(client)
            if tried < len(claimed):
                async with database.scoped(ALL_MUNICIPALITIES) as connection:
                    await mails.release_mails(connection, claimed[0].lease)
        return tried

    async def _attempt(self, database: Database, client: aiosmtplib.SMTP, mail: ClaimedMail) -> None:
        message = await self._compose(database, mail)
        if isinstance(message, Outcome):
            await self._settle(database, mail, message)
            return
        async with database.scoped(mail.municipality) as connection:
            if not await mails.begin_attempt(connection, mail, machine_now()):
                return
        outcome = await self._send(client, message)
        failpoints.reach("loop.after_side_effect")
        await self._settle(database, mail, outcome)

    @staticmethod
    def _in_time(mail: ClaimedMail) -> bool:
        return machine_now() + timedelta(seconds=SECONDS_A_MAIL + 5) < mail.leased_until

    async def _compose(self, database: Database, mail: ClaimedMail) -> EmailMessage | Outcome:
        """The message, by what is known at this moment; or why there can be none."""
        async with database.reading(mail.municipality) as connection:
            recipient = (await recipients(connection, mail.municipality, [mail.person_id])).get(mail.person_id)
            today = (await database.civil_clock(connection)).today()
            names = await known_names(connection, mail.municipality, today, [mail.particulars], [mail.text_id])
        if recipient is None:
            return PERSON_UNKNOWN
        if recipient.erased:
            return ERASED
        if not recipient.mail:
            return NO_ADDRESS
        try:
            notice = render(mail.template, mail.particulars, names, mail.text_id)
        except (TemplateError, ValueError) as error:
            # One notice that cannot be put into words must not keep the others waiting.
            _log.exception("notice_unreadable", template=mail.template, exc_info=error)
            return UNREADABLE
        text = letter(notice, recipient.name or "", names)
        try:
            # Address refuses line ends and anything that is not one address: no name or mail of a person adds a header.
            to = Address(display_name=one_line(recipient.name or ""), addr_spec=recipient.mail)
            recipient.mail.encode("ascii")
        except (ValueError, MessageError):
            return BAD_ADDRESS
        return self._message(mail, to, notice.subject, text, names)

    def _message(self, mail: ClaimedMail, to: Address, subject: str, text: str, names: Names) -> EmailMessage:
        message = EmailMessage(policy=SMTP_LINES)
        message["To"] = to
        message["From"] = Address(display_name=one_line(names.town or PORTAL), addr_spec=self._server.sender)
        message["Subject"] = one_line(subject)
        message["Date"] = format_datetime(machine_now())
        message["Message-ID"] = f"<{mail.delivery_id}@{self._server.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text, cte="base64")
        return message

    async def _send(self, client: aiosmtplib.SMTP, message: EmailMessage) -> Outcome:
        """One attempt; connects first where the connection is missing or was lost."""
        try:
            async with asyncio.timeout(SECONDS_A_MAIL):
                if not client.is_connected:
                    await client.connect()
                await client.send_message(message)
        except aiosmtplib.SMTPAuthenticationError:
            return SIGN_IN_REFUSED
        except aiosmtplib.SMTPRecipientsRefused as refused:
            return answered(refused.recipients[0].code)
        except (aiosmtplib.SMTPConnectError, aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPHeloError):
            return UNREACHABLE
        except aiosmtplib.SMTPResponseException as refused:
            return answered(refused.code)
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            return UNREACHABLE
        return HANDED_OVER

    @staticmethod
    async def _settle(database: Database, mail: ClaimedMail, outcome: Outcome) -> None:
        async with database.transaction(
            mail.municipality, _ACTOR, correlation_id=mail.correlation_id, causation_id=mail.cause_event_id
        ) as tx:
            await commands.settle_attempt(tx, SettleAttempt(mail.delivery_id, mail.lease, outcome))
        if outcome.kind != "handed_over":
            _log.warning("mail_not_handed_over", delivery_id=str(mail.delivery_id), reason=outcome.reason)


async def _leave(client: aiosmtplib.SMTP) -> None:
    """Take leave of the server; whatever it answers changes nothing that was recorded."""
    if client.is_connected:
        with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
            await client.quit()
    client.close()
