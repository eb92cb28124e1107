from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import asyncpg
import pytest
import structlog

from chassis import telemetry
from chassis.settings import InstallationSettings


@pytest.fixture
def restored() -> Iterator[None]:
    """Logging is set up for the whole process; what was before comes back.

    An operator's command that ran in it before keeps the client quiet.
    """
    root, client = logging.getLogger(), logging.getLogger("aiokafka")
    handlers, level, quiet = root.handlers, root.level, client.level
    client.setLevel(logging.NOTSET)
    yield
    root.handlers = handlers
    root.setLevel(level)
    client.setLevel(quiet)
    structlog.reset_defaults()


def logged(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    [text] = capsys.readouterr().out.splitlines()
    found: dict[str, object] = json.loads(text)
    return found


def as_in_production() -> None:
    # In the test itself: what pytest shows as standard output in a fixture is another one.
    telemetry._configure_logs(InstallationSettings(environment="production", log_format="json"))


@pytest.mark.parametrize(
    "field",
    ["name", "person_name", "mail", "new_password", "token", "access_token", "body", "kana", "title", "Authorization"],
)
def test_a_field_that_could_hold_personal_data_is_taken_out(field: str) -> None:
    event = telemetry.remove_personal_data(None, "info", {"event": "x", field: "山田太郎", "nested": {field: "山田"}})
    assert event == {"event": "x", field: "[removed]", "nested": {field: "[removed]"}}


def test_what_an_operator_needs_stays(restored: None, capsys: pytest.CaptureFixture[str]) -> None:
    as_in_production()
    structlog.get_logger("taiwa.test").info("relay.leads", service="leaders", municipality="999997", last=5)
    line = logged(capsys)
    assert (line["event"], line["service"], line["municipality"], line["last"]) == (
        "relay.leads",
        "leaders",
        "999997",
        5,
    )
    assert line["level"] == "info"
    assert str(line["timestamp"]).endswith("Z")


def test_a_fault_is_told_by_kind_and_place_in_production(restored: None, capsys: pytest.CaptureFixture[str]) -> None:
    as_in_production()
    try:
        try:
            raise asyncpg.UniqueViolationError("Key (mail)=(yamada@example.jp) already exists")
        except asyncpg.PostgresError as error:
            raise RuntimeError("山田太郎 could not be saved") from error
    except RuntimeError as error:
        structlog.get_logger("taiwa.test").error("loop.fault", exc_info=error, error=repr(error))
    line = logged(capsys)
    text = json.dumps(line, ensure_ascii=False)
    assert "山田" not in text
    assert "yamada" not in text
    assert line["error"] == "RuntimeError"
    fault = line["fault"]
    assert isinstance(fault, list)
    assert [each["kind"] for each in fault] == ["builtins.RuntimeError", "asyncpg.exceptions.UniqueViolationError"]
    assert fault[1]["sqlstate"] == "23505"
    assert "test_telemetry.py" in fault[0]["at"][-1]


def test_a_library_s_warning_comes_in_the_same_shape(restored: None, capsys: pytest.CaptureFixture[str]) -> None:
    as_in_production()
    logging.getLogger("aiokafka").warning("Node %s is away", 1)
    line = logged(capsys)
    assert (line["event"], line["logger"], line["level"]) == ("Node 1 is away", "aiokafka", "warning")


def test_spans_leave_by_otlp_where_an_endpoint_is_named() -> None:
    received: list[str] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_address[1]}/"
        provider = telemetry.tracer_provider(InstallationSettings(otlp_endpoint=endpoint), ["leaders"])
        with provider.get_tracer("test").start_as_current_span("one"):
            pass
        provider.force_flush()
        provider.shutdown()
        server.shutdown()
    assert received == ["/v1/traces"]
    assert provider.resource.attributes["service.name"] == "leaders"
