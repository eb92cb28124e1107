"""A header's name that is no UTF-8: Kafka takes any bytes, and its Python client breaks off at them.

One such record made the client raise at every fetch, so that no partition of the process was consumed any more.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from chassis.clocks import machine_now
from chassis.dead_letters import headers_of
from chassis.testing import MIDORI, Installation
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import sink_service, toy, until

ODD = "x-\udcff\udcfe"
"""How Python writes the bytes ``x-\\xff\\xfe``, without loss."""


class AnyBytes(str):
    """A name that is sent as the bytes it stands for."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", _errors: str = "strict") -> bytes:
        """Lone surrogates as the bytes they stand for."""
        return super().encode(encoding, "surrogateescape")


def headers_of_thing(thing: str) -> list[tuple[str, bytes]]:
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid4()),
        "ce_type": ThingMadeV1.TYPE,
        "ce_subject": f"thing/{thing}",
        "ce_time": machine_now().isoformat(),
        "ce_sequence": "1",
        "ce_municipality": MIDORI,
        "ce_correlationid": str(uuid4()),
    }
    return [(name, value.encode()) for name, value in attributes.items()]


async def send(installation: Installation, things: dict[str, bytes], partition: int, compression: int = 0) -> None:
    """One batch of these payloads, each with the odd header, built in Python because the faster builder refuses it."""
    producer = AIOKafkaProducer(bootstrap_servers=installation.settings.kafka)
    await producer.start()
    try:
        batch: Any = producer.create_batch()
        batch._builder = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, 0, 900_000)
        for thing, value in things.items():
            headers = [*headers_of_thing(thing), (AnyBytes(ODD), b"1"), (AnyBytes("日本"), None)]
            batch.append(timestamp=None, key=f"{MIDORI}/thing/{thing}".encode(), value=value, headers=headers)
        batch.close()
        topic = f"{installation.settings.prefix}{ThingMadeV1.TOPIC}"
        await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()


def good(thing: str) -> bytes:
    return ThingMadeV1(thing_id=thing).write().encode()


@pytest.mark.parametrize("compression", [0, 1], ids=["plain", "gzip"])
async def test_a_name_that_is_no_text_stops_nobody_and_is_kept(installation: Installation, compression: int) -> None:
    async with toy(sink_service(installation), installation) as sink:
        await send(installation, {"first": good("first"), "bad": b"{", "last": good("last")}, 3, compression)
        await installation.publish(ThingMadeV1(thing_id="elsewhere"), 1)
        sink.consumer()

        async def applied() -> bool:
            return bool(await sink.value("SELECT count(*) = 3 FROM effects"))

        await until(applied)
        (letter,) = await sink.rows("SELECT * FROM dead_letters")
        assert (letter["code"], letter["value"]) == ("event.payload_invalid", b"{")
        names = [name for name, _ in headers_of(letter["headers"])]
        assert names[-2:] == [ODD, "日本"]
        assert await sink.value("SELECT count(*) FROM stops") == 0


async def test_what_comes_before_such_a_record_is_not_applied_twice(installation: Installation) -> None:
    async with toy(sink_service(installation), installation) as sink:
        for number in range(50):
            await installation.publish(ThingMadeV1(thing_id=f"before-{number}"), 1)
        for partition in range(12):
            await send(installation, {f"odd-{partition}": good(f"odd-{partition}")}, partition)
        for number in range(50):
            await installation.publish(ThingMadeV1(thing_id=f"behind-{number}"), 1)
        sink.consumer()

        async def applied() -> bool:
            return bool(await sink.value("SELECT count(*) = 112 FROM effects"))

        await until(applied)
        assert await sink.value("SELECT count(DISTINCT thing_id) FROM effects") == 112
        assert await sink.value("SELECT count(*) FROM dead_letters") == 0
