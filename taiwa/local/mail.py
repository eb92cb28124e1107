"""A mail inbox to look at: SMTP on loopback in, a page and a JSON list out. For demo and tests only.

The JSON speaks the small part of Mailpit's API that a reader needs, so that the same scripts read either inbox:
``GET /api/v1/messages`` and ``GET /api/v1/message/<ID>``.

``python -m taiwa.local.mail --smtp-port 1025 --http-port 8025 --directory DIR``
"""

from __future__ import annotations

import argparse
import html
import json
import signal
import threading
from dataclasses import asdict, dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope, Session

from chassis.clocks import machine_now
from taiwa.local.ports import LOOPBACK

KEPT = 5_000


@dataclass(frozen=True, slots=True)
class Mail:
    """One received mail. ``received_at`` is the machine's time, ISO 8601."""

    id: str
    received_at: str
    message_id: str
    sender: str
    recipients: list[str]
    subject: str
    text: str


class Inbox:
    """The newest :data:`KEPT` mails, in memory and in ``directory/mails.jsonl``."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = directory / "mails.jsonl"
        self._lock = threading.Lock()
        self._mails: list[Mail] = []
        if self._file.exists():
            lines = self._file.read_text(encoding="utf-8").splitlines()[-KEPT:]
            self._mails = [Mail(**json.loads(line)) for line in lines if line.endswith("}")]

    def put(self, mail: Mail) -> None:
        """Keep one mail, also over a restart."""
        with self._lock:
            self._mails = [*self._mails[-KEPT + 1 :], mail]
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(mail), ensure_ascii=False) + "\n")

    def newest_first(self, address: str = "") -> list[Mail]:
        """All mails, or those to one address."""
        with self._lock:
            return [mail for mail in reversed(self._mails) if not address or address in mail.recipients]

    def one(self, mail_id: str) -> Mail | None:
        """The mail of an id."""
        with self._lock:
            return next((mail for mail in self._mails if mail.id == mail_id), None)


class Receiver:
    """What aiosmtpd calls for each mail. 250 means: it is written down."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def handle_DATA(self, _server: object, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd
        """Take one mail in."""
        content = envelope.content or b""
        parsed = message_from_bytes(content if isinstance(content, bytes) else content.encode(), policy=policy.default)
        self._inbox.put(read(parsed, list(envelope.rcpt_tos), str(envelope.mail_from or "")))
        return "250 kept"


def read(message: EmailMessage, recipients: list[str], sender: str) -> Mail:
    """Make a :class:`Mail` of a parsed message; its text is the plain part, the only one we send."""
    body = message.get_body(("plain", "html"))
    return Mail(
        id=uuid4().hex,
        received_at=machine_now().isoformat(timespec="milliseconds"),
        message_id=str(message.get("Message-ID", "")),
        sender=sender,
        recipients=recipients,
        subject=str(message.get("Subject", "")),
        text=body.get_content() if body is not None else "",
    )


def page(inbox: Inbox, address: str) -> str:
    """Show the inbox as one plain page without script."""
    title = "届いたメール" + (f"（{address}）" if address else "")
    rows = "".join(
        f"<article><h2>{html.escape(mail.subject)}</h2>"
        f"<p>宛先 {html.escape('、'.join(mail.recipients))}　受信 {html.escape(mail.received_at)}</p>"
        f"<pre>{html.escape(mail.text)}</pre></article>"
        for mail in inbox.newest_first(address)[:200]
    )
    return (
        "<!doctype html><html lang=ja><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>body{{font-family:sans-serif;max-width:50rem;margin:2rem auto;"
        "padding:0 1rem;color:#1a1a1a}article{border-top:1px solid #767676;padding:.5rem 0}h2{font-size:1.1rem}"
        "pre{white-space:pre-wrap;font-family:inherit}</style>"
        f"<h1>{html.escape(title)}</h1>{rows or '<p>まだ届いていません。届くとここに並びます。</p>'}</html>"
    )


def listing(mail: Mail) -> dict[str, Any]:
    """One mail as Mailpit shows it."""
    return {
        "ID": mail.id,
        "MessageID": mail.message_id.strip("<>"),
        "From": {"Name": "", "Address": mail.sender},
        "To": [{"Name": "", "Address": address} for address in mail.recipients],
        "Subject": mail.subject,
        "Created": mail.received_at,
        "Snippet": mail.text[:250],
    }


def web(inbox: Inbox, port: int) -> ThreadingHTTPServer:
    """Make the web side of the inbox; the caller runs it."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if path == "/health":
                self._answer("application/json", "{}")
            elif path == "/api/v1/messages":
                mails = [listing(mail) for mail in inbox.newest_first()]
                self._json({"total": len(mails), "messages": mails})
            elif path.startswith("/api/v1/message/"):
                mail = inbox.one(path.rpartition("/")[2])
                self._json(listing(mail) | {"Text": mail.text} if mail else None)
            elif path.startswith("/to/"):
                self._answer("text/html", page(inbox, path.removeprefix("/to/")))
            else:
                self._answer("text/html", page(inbox, ""))

        def _json(self, answer: dict[str, Any] | None) -> None:
            status = HTTPStatus.OK if answer is not None else HTTPStatus.NOT_FOUND
            self._answer("application/json", json.dumps(answer, ensure_ascii=False), status)

        def _answer(self, kind: str, text: str, status: HTTPStatus = HTTPStatus.OK) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Stay quiet: the pages carry personal text."""

    return ThreadingHTTPServer((LOOPBACK, port), Pages)


def main() -> None:
    """Run both sides until SIGTERM."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--smtp-port", type=int, required=True)
    options.add_argument("--http-port", type=int, required=True)
    options.add_argument("--directory", type=Path, required=True)
    given = options.parse_args()
    inbox = Inbox(given.directory)
    smtp = Controller(Receiver(inbox), hostname=LOOPBACK, port=given.smtp_port)
    pages = web(inbox, given.http_port)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=pages.shutdown).start())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    smtp.start()
    try:
        pages.serve_forever(poll_interval=0.1)
    finally:
        smtp.stop(no_assert=True)


if __name__ == "__main__":
    main()
