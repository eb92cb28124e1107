"""The mail inbox of the demo keeps what it acknowledged and shows it safely."""

from __future__ import annotations

import smtplib
import subprocess
import sys
import time
from email.message import EmailMessage
from pathlib import Path

import httpx

from taiwa.local import ports


def test_a_mail_is_kept_over_a_restart_and_shown_as_text(tmp_path: Path) -> None:
    smtp, web = ports.free_port(), ports.free_port()
    command = [sys.executable, "-m", "taiwa.local.mail", f"--smtp-port={smtp}", f"--http-port={web}"]
    command.append(f"--directory={tmp_path}")
    mail = EmailMessage()
    mail["From"], mail["To"] = "taiwa@town.midori.example", "m.takahashi@town.midori.example"
    mail["Subject"] = "髙橋 みのりさんがDX推進リーダーに選任されました"
    mail["Message-ID"] = "<1@taiwa>"
    mail.set_content("次にすること <script>alert(1)</script>")
    for first in (True, False):
        process = subprocess.Popen(command)
        try:
            assert ports.wait_open(web, time.monotonic() + 20)
            assert ports.wait_open(smtp, time.monotonic() + 20)
            if first:
                with smtplib.SMTP("127.0.0.1", smtp) as client:
                    client.send_message(mail)
            listed = httpx.get(f"http://127.0.0.1:{web}/api/v1/messages").json()["messages"]
            assert [one["Subject"] for one in listed] == [mail["Subject"]]
            whole = httpx.get(f"http://127.0.0.1:{web}/api/v1/message/{listed[0]['ID']}").json()
            assert whole["Text"].startswith("次にすること")
            assert whole["MessageID"] == "1@taiwa"
            page = httpx.get(f"http://127.0.0.1:{web}/").text
            assert "<script>" not in page
            assert "髙橋 みのり" in page
        finally:
            process.terminate()
            assert process.wait(10) == 0
