"""An integrator's first hour: install the contracts alone, copy a consumer from the README, see a record."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from cloudevents.core.formats.json import JSONFormat

from taiwa.contracts.samples import Sample
from taiwa_contracts import topics
from taiwa_contracts.leaders import AppointmentCorrectedV1, LeaderAppointedV1
from tests.contract.repository import CONTRACTS, SAMPLES

APPOINTED = SAMPLES[LeaderAppointedV1.TYPE]
CORRECTED = SAMPLES[AppointmentCorrectedV1.TYPE]
SECONDS = 60


def consumers() -> dict[str, str]:
    """The README's three programs, by the heading they stand under."""
    readme = (CONTRACTS / "README.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^### (\S+)\n\n```python\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL))


def headers(sample: Sample, sequence: int) -> list[tuple[str, bytes]]:
    return [(name, text.encode()) for name, text in (sample.headers | {"ce_sequence": str(sequence)}).items()]


@pytest.fixture
async def topic(kafka: str) -> AsyncIterator[str]:
    """A topic like ``leaders.events`` that holds an appointment, its repeat, a correction, and one more appointment."""
    name = f"contract_{uuid4().hex[:12]}.leaders.events"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(name, topics.PARTITIONS, 1)])
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True) as producer:
        for sample, sequence in [(APPOINTED, 1), (APPOINTED, 1), (CORRECTED, 2), (APPOINTED, 3)]:
            await producer.send_and_wait(
                name, sample.payload(), key=APPOINTED.key.encode(), headers=headers(sample, sequence)
            )
    yield name
    await admin.delete_topics([name])
    await admin.close()


@asynccontextmanager
async def running(program: Path, **environment: str) -> AsyncIterator[asyncio.StreamReader]:
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
        if line.startswith("999997 "):
            return line.strip()
    raise AssertionError("the program ended")


@pytest.mark.parametrize("client", ["aiokafka", "FastStream", "confluent-kafka"])
async def test_the_readmes_consumer_applies_each_fact_once(client: str, topic: str, kafka: str, tmp_path: Path) -> None:
    program = tmp_path / "consumer.py"
    program.write_text(consumers()[client], encoding="utf-8")
    fact = LeaderAppointedV1.read(APPOINTED.payload())
    async with running(program, KAFKA=kafka, TOPIC=topic, GROUP=f"{client}-{uuid4().hex[:8]}") as output:
        async with asyncio.timeout(SECONDS):
            lines = [await printed(output) for _ in range(2)]
        assert lines == [f"999997 {fact}"] * 2  # sequence 1 and 3; the repeat and the other type print nothing


@pytest.mark.parametrize("client", ["aiokafka", "FastStream", "confluent-kafka"])
def test_the_readmes_consumer_fits_on_a_screen(client: str) -> None:
    lines = [line for line in consumers()[client].splitlines() if line]
    assert len(lines) <= 20


async def test_any_cloudevents_client_reads_a_record(topic: str, kafka: str) -> None:
    async with AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer:
        async with asyncio.timeout(SECONDS):
            record = await consumer.getone()
    event = from_kafka_event(KafkaMessage(dict(record.headers), record.key, record.value), JSONFormat())
    assert event.get_specversion() == "1.0"
    assert event.get_id() == APPOINTED.headers["ce_id"]
    assert event.get_type() == LeaderAppointedV1.TYPE
    assert event.get_source() == APPOINTED.headers["ce_source"]
    assert event.get_subject() == f"appointment/{APPOINTED.value['appointment_id']}"
    assert event.get_time() is not None
    assert event.get_datacontenttype() == "application/json"
    assert event.get_extension("municipality") == "999997"
    assert event.get_data() == APPOINTED.value
