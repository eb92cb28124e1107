"""Faults that need an operator: the product must refuse with a recorded reason and the command that mends it.

Each breaks something, waits until the refusal is on record, runs exactly the command that it names, and sees that the
refusal is gone. A product that goes on in silence, or names another command, is a finding.
"""

from __future__ import annotations

import asyncio
import random

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewPartitions, NewTopic, RecordsToDelete

from chassis.clocks import monotonic
from chassis.kafka import admin_client
from chassis.operations.acts import Operator
from chassis.repair import consumer_rebase, relay_rebase
from chassis.restored import Published, publish_again
from chassis.testing import eventually
from chassis.topics import PARTITIONS, TopicSpec, ensure_topics, wanted_config
from tests.chaos.faults import fault, lasting
from tests.chaos.ground import Ground

REFUSAL_SECONDS = 60.0
MENDED_SECONDS = 120.0
QUIET_SECONDS = 4.0
PROBE_SECONDS = 20.0
"""A stop that is still there after so long was probed and did not pass."""

READERS = {"clerk": ("archive",), "archive": ("clerk",)}
"""Who consumes a service's topic."""


class NotRefusedError(Exception):
    """The product went on as if nothing were wrong, or did not recover by the command it named."""


async def standing(ground: Ground) -> list[tuple[str, str]]:
    """(reason, command) of everything that stands still: stops in the databases, refusals of relays."""
    found = []
    for service in READERS:
        connection = await ground.administrator(service)
        try:
            rows = await connection.fetch("SELECT reason, command FROM stops")
        finally:
            await connection.close()
        found += [(row["reason"], row["command"]) for row in rows]
    for member in ground.having("relay"):
        for check in (await ground.readiness(member)).get("checks", []):
            reason = check.get("reason") or ""
            if check["name"] == "relay" and "run: taiwa " in reason:
                command = "taiwa " + reason.rpartition("run: taiwa ")[2]
                if " " not in command.removeprefix("taiwa ").strip().removeprefix("relay "):
                    command = f"{command} {member.service}"
                found.append((reason, command))
    return found


async def refused(ground: Ground, what: str) -> str:
    """The command that the product names, once it has refused."""
    deadline = monotonic() + REFUSAL_SECONDS
    while monotonic() < deadline:
        for reason, command in await standing(ground):
            if command.startswith(("taiwa republish ", "taiwa relay rebase ")):
                return f"{command}  [{reason[:120]}]"
        await asyncio.sleep(0.5)  # paced: looks at what is on record
    raise NotRefusedError(f"{what}, and nobody refused within {REFUSAL_SECONDS:.0f} s")


async def republish(ground: Ground, service: str) -> Published:
    """``taiwa republish SERVICE``."""
    specs = [TopicSpec(f"{service}.events")]
    return await publish_again(
        ground.admin_url, ground.looking, service, specs, READERS[service], by=Operator("operator", "nemesis")
    )


async def run_command(ground: Ground, refusal: str) -> str:
    """Do what the operator does: the command as it was named."""
    command = refusal.partition("  [")[0]
    service = command.split()[-1]
    if command.startswith("taiwa relay rebase"):
        many = await relay_rebase(ground.admin_url, ground.looking, service)
    elif command.startswith("taiwa republish"):
        many = (await republish(ground, service)).events
    elif command.startswith("taiwa consumer rebase"):
        # What its reactions did stood in the same database and is to be there again.
        many = len(await consumer_rebase(ground.admin_url, ground.looking, service, act=True))
        return f"{command} --act: {many} partitions"
    else:
        raise NotRefusedError(f"nobody but the product knows this command: {command}")
    return f"{command}: {many} events"


async def mended(ground: Ground) -> list[str]:
    """Wait until nothing has stood still for a while; what outlasts a probe is answered by the command it names."""
    deadline, quiet_since, acted_at = monotonic() + MENDED_SECONDS, monotonic(), monotonic()
    done = []
    while monotonic() - quiet_since < QUIET_SECONDS:
        if left := await standing(ground):
            quiet_since = monotonic()
            if monotonic() > deadline:
                raise NotRefusedError(f"the commands were run, and this still stands: {left}")
            if monotonic() - acted_at > PROBE_SECONDS:
                done.append(await run_command(ground, left[0][1]))
                acted_at = monotonic()
        await asyncio.sleep(0.5)  # paced: looks at what is on record
    return done


async def break_and_mend(ground: Ground, what: str) -> str:
    """The operator's part, after the break."""
    refusal = await refused(ground, what)
    done = [await run_command(ground, refusal), *await mended(ground)]
    return f"{what}; refused: {refusal.partition('  [')[2].rstrip(']')}; {', '.join(done)}"


async def _delete(ground: Ground, topic: str) -> None:
    name = f"{ground.looking.prefix}{topic}"
    async with admin_client(ground.looking) as admin:
        await admin.delete_topics([name])

        async def gone() -> bool:
            return name not in await admin.list_topics()

        await eventually(gone, 20, 0.1)


@fault("topic-recreated", "a topic is deleted and made again, by hand or by `taiwa topics`")
async def topic_recreated(ground: Ground, chance: random.Random) -> str:
    service = chance.choice(sorted(READERS))
    topic, by_hand = f"{service}.events", chance.random() < 0.5
    await _delete(ground, topic)
    await lasting(chance.choice([0.0, 3.0]))
    if by_hand:
        async with admin_client(ground.looking) as admin:
            config = wanted_config(TopicSpec(topic))
            made = NewTopic(f"{ground.looking.prefix}{topic}", PARTITIONS, 1, topic_configs=config)
            await admin.create_topics([made])
    else:
        await ensure_topics(ground.looking, [TopicSpec(topic)])
    return await break_and_mend(ground, f"{topic} was made again {'by hand' if by_hand else 'by taiwa topics'}")


@fault("log-start-moved", "records are deleted before they were read: the stored offset is out of range")
async def log_start_moved(ground: Ground, chance: random.Random) -> str:
    service = chance.choice(sorted(READERS))
    topic = f"{service}.events"
    readers = [it for it in ground.having("consumer") if it.service in READERS[service]]
    for reader in readers:
        await ground.kill_member(reader)
    read_at_most = await _ends(ground, topic)

    async def unread() -> bool:
        return await _ends(ground, topic) != read_at_most

    await eventually(unread, 60, 0.5)  # a relay may still be getting over the fault before this one
    deleted = await _delete_records(ground, topic)
    for reader in readers:
        await ground.start_member(reader)
    return await break_and_mend(ground, f"{deleted} partitions of {topic} lost their records")


async def _ends(ground: Ground, topic: str) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(f"{ground.looking.prefix}{topic}", bootstrap_servers=ground.looking.kafka)
    await consumer.start()
    try:
        found: dict[TopicPartition, int] = await consumer.end_offsets(consumer.assignment())
        return found
    finally:
        await consumer.stop()


async def _delete_records(ground: Ground, topic: str) -> int:
    ends = await _ends(ground, topic)
    wanted = {partition: RecordsToDelete(end) for partition, end in ends.items() if end > 0}
    async with admin_client(ground.looking) as admin:
        await admin.delete_records(wanted)
    return len(wanted)


@fault("partitions-raised", "somebody gives a topic more partitions: keys would move to others")
async def partitions_raised(ground: Ground, chance: random.Random) -> str:
    service = chance.choice(sorted(READERS))
    topic, more = f"{service}.events", chance.choice([1, 4])
    async with admin_client(ground.looking) as admin:
        await admin.create_partitions({f"{ground.looking.prefix}{topic}": NewPartitions(PARTITIONS + more)})
    return await break_and_mend(ground, f"{topic} got {more} more partitions")
