"""A real SMTP server on a loopback port, and notifications that send to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from chassis.testing import Installation, Running, running
from services.notifications.main import build


@dataclass(slots=True)
class Mailbox:
    """What the server took, and what it shall answer. ``replies`` are used up first, one a mail."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name of the hook
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient or refuse it."""
        del server, session, options
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  aiosmtpd's name of the hook
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take a mail or refuse it."""
        del server, session
        reply = self.replies.pop(0) if self.replies else "250 OK"
        content = envelope.original_content or b""
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        message["X-Envelope-To"] = ",".join(envelope.rcpt_tos)
        if reply.startswith("250"):
            self.mails.append(message)
        return reply

    def to(self, address: str) -> list[EmailMessage]:
        """Mails for one address, in order."""
        return [mail for mail in self.mails if mail["X-Envelope-To"] == address]


def text_of(mail: EmailMessage) -> str:
    """What a reader sees; on the wire lines end as mail demands."""
    text: str = mail.get_content()
    return text.replace("\r\n", "\n")


@dataclass(slots=True)
class MailServer:
    """The server itself, which a test may stop and start again on the same port."""

    mailbox: Mailbox
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen, on the port of last time if there was one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self.mailbox, hostname="mail.test", loop=loop), "127.0.0.1", self.mailbox.port
        )
        self.mailbox.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.close()
            self._server = None


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    """A mail server that takes everything."""
    it = MailServer(Mailbox())
    await it.start()
    try:
        yield it
    finally:
        await it.stop()


@pytest.fixture
def mailbox(server: MailServer) -> Mailbox:
    """What that server took."""
    return server.mailbox


@pytest.fixture
async def notifications(installation: Installation, mailbox: Mailbox) -> AsyncIterator[Running]:
    """All roles of the service, sending to that server."""
    given = {"smtp_port": mailbox.port, "mail_from": "dx@midori.example"}
    async with running(build, installation, settings=given) as service:
        yield service
