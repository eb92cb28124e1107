"""Topics: making them, checking them, and telling one life of a topic from the next.

Promise: a topic has 12 partitions for ever, keeps its records for ever, and a compacted one forgets an erased state
within a day. A topic that is made anew under the same name gets a greater *generation*, so that no consumer mistakes
offsets of the old log for the new one's.

Generations stand in Kafka itself, on the compacted topic ``taiwa.generations`` (key: name of a topic without prefix,
value: the number, header: Kafka's id of the topic), because they belong to the log they count: lost with Kafka, its
cluster id differs as well. No entry means 1. A topic that was made anew behind our back bears another id than the one
registered; it is shown as the next generation at once.

Proven by ``tests/integration/messaging/test_topics.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from chassis.clocks import monotonic
from chassis.kafka import admin_client
from chassis.settings import InstallationSettings
from chassis.topic_ids import topic_ids

PARTITIONS = 12
GENERATIONS = "taiwa.generations"
_ID_HEADER = "topic_id"
_DAY_MS = 24 * 60 * 60 * 1000
_PATIENCE = 30.0
_MAJORITY = 2
"""With more replicas than these, so many must have an event before it counts as published."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A wanted topic; ``name`` without the installation's prefix."""

    name: str
    compacted: bool = False


def wanted_config(spec: TopicSpec) -> dict[str, str]:
    """The settings a topic is made with and checked against."""
    config = {"retention.ms": "-1", "message.timestamp.type": "LogAppendTime"}
    if spec.compacted:
        return config | {"cleanup.policy": "compact", "max.compaction.lag.ms": str(_DAY_MS)}
    return config | {"cleanup.policy": "delete"}


async def _create(
    admin: AIOKafkaAdminClient, prefix: str, specs: Sequence[TopicSpec], partitions: int = PARTITIONS
) -> list[str]:
    """Make those that are missing, with as many replicas as there are brokers, three at most; gives those made."""
    if not specs:
        return []
    replicas = min(3, len((await admin.describe_cluster())["brokers"]))
    surely = {"min.insync.replicas": "2"} if replicas > _MAJORITY else {}
    answer = await admin.create_topics(
        [
            NewTopic(f"{prefix}{spec.name}", partitions, replicas, topic_configs=wanted_config(spec) | surely)
            for spec in specs
        ]
    )
    made = []
    for name, code, *_ in answer.topic_errors:
        error = for_code(code)
        if code == 0:
            made.append(name)
        elif error is not TopicAlreadyExistsError:
            raise error(f"topic {name}")
    return made


async def ensure_topics(installation: InstallationSettings, topics: Sequence[TopicSpec]) -> list[str]:
    """Make the topics that are missing; gives their names (without prefix). Safe to run again, also by two at once.

    A topic that existed before, was deleted and is made again gets the next generation.

    Raises:
        aiokafka.errors.KafkaError: Kafka cannot be reached or refuses.
    """
    strip = len(installation.prefix)
    async with admin_client(installation) as admin:
        there = set(await admin.list_topics())
        registry = TopicSpec(GENERATIONS, compacted=True)
        if f"{installation.prefix}{GENERATIONS}" not in there:
            await _create(admin, installation.prefix, [registry], partitions=1)
        missing = [spec for spec in topics if f"{installation.prefix}{spec.name}" not in there]
        made = [name[strip:] for name in await _create(admin, installation.prefix, missing)]
        await _until_led(admin, installation, [GENERATIONS, *(spec.name for spec in topics)])
        await _until_shown(admin, installation, [spec for spec in missing if spec.name in made])
        ids = await _ids(admin, installation, [spec.name for spec in topics])
    known = await _registered(installation)
    lives = {spec.name: _life(known.get(spec.name), ids.get(spec.name), made=spec.name in made) for spec in topics}
    await _register(installation, {name: life for name, life in lives.items() if life != known.get(name)})
    return made


class _Life(NamedTuple):
    """A topic's generation and Kafka's id of it, as registered; older entries bear none."""

    generation: int
    id: str | None


def _life(known: _Life | None, id_: str | None, *, made: bool) -> _Life:
    """What is to be registered of a topic that is there now."""
    if known is None:
        return _Life(1, id_)
    # The id decides where it is known: of two that make topics at once, one may find the other's entry.
    another = made if known.id is None or id_ is None else id_ != known.id
    return _Life(known.generation + int(another), id_ or known.id)


async def _ids(admin: AIOKafkaAdminClient, installation: InstallationSettings, names: Sequence[str]) -> dict[str, str]:
    strip = len(installation.prefix)
    found = await topic_ids(admin, [f"{installation.prefix}{name}" for name in names])
    return {name[strip:]: id_ for name, id_ in found.items()}


async def _until_shown(
    admin: AIOKafkaAdminClient, installation: InstallationSettings, specs: Sequence[TopicSpec]
) -> None:
    """Wait until the broker shows the settings the topics were just made with: for a moment it shows its defaults."""
    deadline = monotonic() + _PATIENCE
    while specs and monotonic() < deadline:
        configs = await _configs(admin, [f"{installation.prefix}{spec.name}" for spec in specs])
        if not any(_config_problems(spec, configs[f"{installation.prefix}{spec.name}"]) for spec in specs):
            return
        await asyncio.sleep(0.05)


async def _until_led(admin: AIOKafkaAdminClient, installation: InstallationSettings, names: Sequence[str]) -> None:
    """Wait until every partition has a leader: a client that looks earlier believes there is no topic."""
    wanted = [f"{installation.prefix}{name}" for name in names]
    deadline = monotonic() + _PATIENCE
    while True:
        found = await admin.describe_topics(wanted)
        if all(it["error_code"] == 0 and all(p["leader"] >= 0 for p in it["partitions"]) for it in found):
            return
        if monotonic() > deadline:
            raise UnknownTopicOrPartitionError(f"no leader after {_PATIENCE:.0f} s: {', '.join(wanted)}")
        await asyncio.sleep(0.05)


async def delete_topics(installation: InstallationSettings, names: Sequence[str]) -> None:
    """Delete topics and wait until they are gone; missing ones are no mistake."""
    wanted = {f"{installation.prefix}{name}" for name in names}
    async with admin_client(installation) as admin:
        there = wanted & set(await admin.list_topics())
        if there:
            await admin.delete_topics(sorted(there))
        deadline = monotonic() + _PATIENCE
        while wanted & set(await admin.list_topics()):
            if monotonic() > deadline:
                raise TopicAlreadyExistsError(f"still there after {_PATIENCE:.0f} s: {', '.join(sorted(wanted))}")
            await asyncio.sleep(0.1)


async def verify_topics(installation: InstallationSettings, topics: Sequence[TopicSpec]) -> list[str]:
    """What is wrong with the topics, one sentence each with what to do; nothing wrong: empty."""
    problems = []
    async with admin_client(installation) as admin:
        there = set(await admin.list_topics())
        present = [spec for spec in topics if f"{installation.prefix}{spec.name}" in there]
        problems += [f"{spec.name} is missing; run: taiwa topics" for spec in topics if spec not in present]
        if not present:
            return problems
        described = {
            it["topic"]: it for it in await admin.describe_topics([f"{installation.prefix}{s.name}" for s in present])
        }
        configs = await _configs(admin, list(described))
        for spec in present:
            name = f"{installation.prefix}{spec.name}"
            count = len(described[name]["partitions"])
            if count != PARTITIONS:
                problems.append(
                    f"{spec.name} has {count} partitions instead of {PARTITIONS}, so the order within a key is lost; "
                    f"run: taiwa republish {spec.name.partition('.')[0]}"
                )
            problems += _config_problems(spec, configs[name])
            replicas = min(len(partition["replicas"]) for partition in described[name]["partitions"])
            if replicas > _MAJORITY and configs[name].get("min.insync.replicas") == "1":
                problems.append(
                    f"{spec.name}: min.insync.replicas is 1, so an event may be lost with one broker; set 2"
                )
    return problems


def _config_problems(spec: TopicSpec, found: Mapping[str, str]) -> list[str]:
    problems = []
    for setting, wanted in wanted_config(spec).items():
        is_ = found.get(setting, "")
        if setting == "max.compaction.lag.ms":
            if is_.isdigit() and int(is_) <= _DAY_MS:
                continue
            problems.append(
                f"{spec.name}: {setting} is {is_}, so an erased state may stay longer than a day; set {wanted}"
            )
        elif is_ != wanted:
            problems.append(f"{spec.name}: {setting} is {is_ or 'unset'}; set {wanted}")
    return problems


async def _configs(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for answer in answers
        for resource in answer.resources
    }


async def generations(installation: InstallationSettings) -> dict[str, int]:
    """The generation of each topic (without prefix) that was registered; an absent one has 1."""
    known = await _registered(installation)
    async with admin_client(installation) as admin:
        ids = await _ids(admin, installation, list(known))
    return {name: _life(life, ids.get(name), made=False).generation for name, life in known.items()}


async def _registered(installation: InstallationSettings) -> dict[str, _Life]:
    partition = TopicPartition(f"{installation.prefix}{GENERATIONS}", 0)
    async with admin_client(installation) as admin:
        if partition.topic not in await admin.list_topics():
            return {}
    consumer = AIOKafkaConsumer(bootstrap_servers=installation.kafka, enable_auto_commit=False)
    consumer.assign([partition])
    await consumer.start()
    try:
        end = (await consumer.end_offsets([partition]))[partition]
        consumer.seek(partition, 0)
        found: dict[str, _Life] = {}
        while end and await consumer.position(partition) < end:
            for record in (await consumer.getmany(timeout_ms=1000)).get(partition, []):
                id_ = dict(record.headers).get(_ID_HEADER)
                found[record.key.decode()] = _Life(int(record.value), None if id_ is None else id_.decode())
        return found
    finally:
        await consumer.stop()


async def _register(installation: InstallationSettings, lives: Mapping[str, _Life]) -> None:
    """Returns when they are acknowledged."""
    if not lives:
        return
    producer = AIOKafkaProducer(bootstrap_servers=installation.kafka, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for name, life in lives.items():
            await producer.send_and_wait(
                f"{installation.prefix}{GENERATIONS}",
                str(life.generation).encode(),
                key=name.encode(),
                partition=0,
                headers=[] if life.id is None else [(_ID_HEADER, life.id.encode())],
            )
    finally:
        await producer.stop()
