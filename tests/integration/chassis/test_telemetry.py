from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chassis.metrics import METRICS
from chassis.testing import FactOnTopic, Installation, Running, eventually, running
from tests.integration.chassis import archive, noticeboard


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """The spans of this process. A provider can be set once for a process, so a first one stays."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


async def test_one_trace_leads_from_the_request_through_log_and_kafka_to_the_reaction_and_on(
    installation: Installation, spans: InMemorySpanExporter
) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with running(noticeboard.build, installation) as board, running(archive.build, installation):
        hr = board.client(board.caller("hr"))
        given = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
        assert (await hr.post("/notes", json={"title": "足跡"}, headers=given)).status_code == 201

        async def archived() -> list[FactOnTopic]:
            return await installation.facts_on("archive.events")

        [fact] = await eventually(archived, timeout=30)

    [request] = [span for span in spans.get_finished_spans() if span.name == "POST /notes"]
    [reaction] = [span for span in spans.get_finished_spans() if span.name == "archive keep_note"]
    [posted_trace] = await traces_on(installation, "noticeboard.events")
    for span in (request, reaction):
        assert span.context is not None
        assert f"{span.context.trace_id:032x}" == trace_id
    assert request.parent is not None
    assert request.context is not None
    assert reaction.context is not None
    assert f"{request.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert posted_trace == f"00-{trace_id}-{request.context.span_id:016x}-01"
    assert reaction.parent is not None
    assert reaction.parent.span_id == request.context.span_id
    assert fact.headers["traceparent"] == f"00-{trace_id}-{reaction.context.span_id:016x}-01"
    assert request.attributes is not None
    assert request.attributes["http.route"] == "/notes"
    assert request.attributes["taiwa.municipality"] == "999997"


async def traces_on(installation: Installation, topic: str) -> list[str]:
    return [fact.headers["traceparent"] for fact in await installation.facts_on(topic)]


async def test_a_request_is_measured_by_its_route_and_never_by_its_address(board: Running) -> None:
    hr = board.client(board.caller("hr"))
    posted = (await hr.post("/notes", json={"title": "計る"})).json()
    await hr.get(f"/notes/{posted['note_id']}?q=秘密")
    await hr.request("BREW", "/somewhere/秘密")
    text = (await board.client().get("/metrics")).text
    assert 'taiwa_http_requests_total{method="GET",route="/notes/{note_id}",service="noticeboard",status="200"}' in text
    assert 'method="OTHER",route="unmatched"' in text
    assert posted["note_id"] not in text
    assert "秘密" not in text


async def test_a_request_leaves_one_line_without_its_query(board: Running, capsys: pytest.CaptureFixture[str]) -> None:
    hr = board.client(board.caller("hr"))
    capsys.readouterr()
    await hr.get("/notes?cursor=&limit=5&q=山田太郎")
    lines = [line for line in capsys.readouterr().out.splitlines() if "http.request" in line]
    [line] = lines
    assert "route=/notes" in line
    assert "status=" in line
    assert "municipality=999997" in line
    assert "correlation_id=" in line
    assert "山田" not in line


async def test_every_metric_stands_in_the_one_list(board: Running) -> None:
    text = (await board.client().get("/metrics")).text
    exported = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE taiwa_")}
    listed = {metric.name for metric in METRICS}
    assert {name for name in exported if not name.endswith("_created")} == listed
    assert all(metric.help and metric.labels[0] == "service" for metric in METRICS)
