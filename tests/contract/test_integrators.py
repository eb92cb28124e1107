"""An integrator's first hour: copy a consumer from the README, see a record that the product's relay published."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from cloudevents.core.formats.json import JSONFormat

from chassis.relay import Relay
from chassis.testing import MIDORI, FactOnTopic, Installation, Running, eventually, fresh_installation, running
from chassis.transaction import Actor
from taiwa.contracts.samples import REQUIRED_HEADERS
from taiwa_contracts.event import Event
from taiwa_contracts.leaders import AppointmentCorrectedV1, LeaderAppointedV1
from tests.contract.publisher import build
from tests.contract.repository import CONTRACTS, SAMPLES

TOPIC = LeaderAppointedV1.TOPIC
APPOINTED = LeaderAppointedV1.read(SAMPLES[LeaderAppointedV1.TYPE].payload())
CORRECTED = AppointmentCorrectedV1.read(SAMPLES[AppointmentCorrectedV1.TYPE].payload())
CLIENTS = ["aiokafka", "FastStream", "confluent-kafka"]
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Published:
    """``leaders.events`` of an installation: an appointment, its repeat, a correction, one more appointment."""

    kafka: str
    topic: str
    first: FactOnTopic


@pytest.fixture
async def published(postgres_url: str, kafka: str) -> AsyncIterator[Published]:
    async with fresh_installation(postgres_url, kafka) as installation:
        await installation.make_topics({TOPIC: False})
        async with running(build, installation, roles=()) as leaders, relaying(leaders):
            first = await publish(leaders, APPOINTED, 1)
            await repeat(installation, first)
            await publish(leaders, CORRECTED, 2)
            await publish(leaders, APPOINTED, 3)
            yield Published(kafka, f"{installation.settings.prefix}{TOPIC}", first)


@asynccontextmanager
async def relaying(it: Running) -> AsyncIterator[None]:
    stop = asyncio.Event()
    relay = asyncio.create_task(Relay(it.service, it.worker, None, it.installation.settings).run(stop))
    yield
    stop.set()
    await relay


async def publish(it: Running, fact: Event, version: int) -> FactOnTopic:
    """Emit as a command does; gives the record once it stands on its topic."""
    async with it.database.transaction(MIDORI, Actor("staff", str(uuid4()))) as transaction:
        event_id = transaction.emit(fact, version=version)

    async def on_topic() -> list[FactOnTopic]:
        return [each for each in await it.installation.facts_on(TOPIC) if each.id == event_id]

    found: list[FactOnTopic] = await eventually(on_topic, SECONDS)
    return found[0]


async def repeat(installation: Installation, fact: FactOnTopic) -> None:
    """Put a record on its topic a second time, as a relay does that died before it could note the first."""
    headers = [(name, text.encode()) for name, text in fact.headers.items()]
    await installation.put(TOPIC, fact.key.encode(), json.dumps(fact.value).encode(), headers)


def consumers() -> dict[str, str]:
    """The README's three programs, by the heading they stand under."""
    readme = (CONTRACTS / "README.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^### (\S+)\n\n```python\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL))


@asynccontextmanager
async def started(program: Path, **environment: str) -> AsyncIterator[asyncio.StreamReader]:
    """The program in a process of its own; gives its standard output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), env=os.environ | environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def printed(output: asyncio.StreamReader) -> str:
    """The next line the program itself printed; FastStream logs on the same stream."""
    while line := (await output.readline()).decode():
        if line.startswith(f"{MIDORI} "):
            return line.strip()
    raise AssertionError("the program ended")


@pytest.mark.parametrize("client", CLIENTS)
async def test_the_readmes_consumer_applies_each_fact_once(client: str, published: Published, tmp_path: Path) -> None:
    program = tmp_path / "consumer.py"
    program.write_text(consumers()[client], encoding="utf-8")
    group = f"{client}-{uuid4().hex[:8]}"
    async with started(program, KAFKA=published.kafka, TOPIC=published.topic, GROUP=group) as output:
        async with asyncio.timeout(SECONDS):
            lines = [await printed(output) for _ in range(2)]
    assert lines == [f"{MIDORI} {APPOINTED}"] * 2  # sequence 1 and 3; the repeat and the other type print nothing


@pytest.mark.parametrize("client", CLIENTS)
def test_the_readmes_consumer_fits_on_a_screen(client: str) -> None:
    assert len([line for line in consumers()[client].splitlines() if line]) <= 20


async def test_any_cloudevents_client_reads_a_record(published: Published) -> None:
    record = published.first
    headers = {name: text.encode() for name, text in record.headers.items()}
    event = from_kafka_event(KafkaMessage(headers, record.key, json.dumps(record.value).encode()), JSONFormat())
    assert event.get_specversion() == "1.0"
    assert event.get_id() == str(record.id)
    assert event.get_type() == LeaderAppointedV1.TYPE
    assert event.get_source() == "/taiwa/leaders"
    assert event.get_subject() == APPOINTED.aggregate()
    assert event.get_time() is not None
    assert event.get_datacontenttype() == "application/json"
    assert event.get_extension("municipality") == MIDORI
    assert event.get_data() == json.loads(APPOINTED.write())


async def test_a_published_record_looks_like_its_sample(published: Published) -> None:
    sample, record = SAMPLES[LeaderAppointedV1.TYPE], published.first
    assert set(REQUIRED_HEADERS) <= set(record.headers) <= set(sample.headers) | {"ce_causationid"}
    same = ("ce_specversion", "ce_type", "ce_source", "ce_subject", "ce_sequence", "ce_municipality", "content-type")
    assert {name: record.headers[name] for name in same} == {name: sample.headers[name] for name in same}
    assert record.headers["ce_time"].endswith("+00:00")
    assert (record.key, record.value) == (sample.key, sample.value)
