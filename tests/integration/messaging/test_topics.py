"""Topics as they are made, checked, and made anew."""

from __future__ import annotations

import asyncio

from aiokafka.admin import NewTopic

from chassis.kafka import admin_client
from chassis.testing import Installation, eventually
from chassis.topics import TopicSpec, delete_topics, ensure_topics, generations, verify_topics, wanted_config

FACTS, STATES = TopicSpec("t.events"), TopicSpec("t.states", compacted=True)


async def test_topics_are_made_once_as_declared(installation: Installation) -> None:
    settings = installation.settings
    made = await asyncio.gather(ensure_topics(settings, [FACTS, STATES]), ensure_topics(settings, [FACTS, STATES]))
    assert sorted(name for names in made for name in names) == ["t.events", "t.states"]
    assert await ensure_topics(settings, [FACTS, STATES]) == []
    assert await verify_topics(settings, [FACTS, STATES]) == []
    await delete_topics(settings, ["t.events", "t.states", "taiwa.generations"])


async def test_a_topic_that_is_not_as_declared_is_told_with_the_mend(installation: Installation) -> None:
    async with admin_client(installation.settings) as admin:
        finite = {"retention.ms": "604800000"}
        await admin.create_topics([NewTopic(f"{installation.settings.prefix}t.states", 3, 1, topic_configs=finite)])

    async def told() -> bool:
        """A broker shows the settings of a topic a moment after it made it."""
        problems = await verify_topics(installation.settings, [FACTS, STATES])
        assert "t.events is missing; run: taiwa topics" in problems
        wanted = ("3 partitions", "max.compaction.lag.ms", "retention.ms is 604800000")
        return all(any(words in problem for problem in problems) for words in wanted)

    await eventually(told)
    await delete_topics(installation.settings, ["t.states"])


async def test_a_topic_made_anew_has_the_next_generation(installation: Installation) -> None:
    settings = installation.settings
    await ensure_topics(settings, [FACTS, STATES])
    await delete_topics(settings, ["t.events"])
    await ensure_topics(settings, [FACTS, STATES])
    assert await generations(settings) == {"t.events": 2, "t.states": 1}
    await delete_topics(settings, ["t.events", "t.states", "taiwa.generations"])


async def test_a_topic_made_anew_by_hand_is_the_next_generation_too(installation: Installation) -> None:
    """Kafka's id of the topic tells, though nobody registered anything."""
    settings = installation.settings
    await ensure_topics(settings, [FACTS, STATES])
    await delete_topics(settings, ["t.events"])
    async with admin_client(settings) as admin:
        await admin.create_topics([NewTopic(f"{settings.prefix}t.events", 12, 1, topic_configs=wanted_config(FACTS))])

    async def seen() -> bool:
        return await generations(settings) == {"t.events": 2, "t.states": 1}

    await eventually(seen)
    assert await ensure_topics(settings, [FACTS, STATES]) == []
    assert await generations(settings) == {"t.events": 2, "t.states": 1}
    await delete_topics(settings, ["t.events", "t.states", "taiwa.generations"])
