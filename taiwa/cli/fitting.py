"""Whether Kafka's topics are as declared, and hold what the services have said."""

from __future__ import annotations

import asyncio
import re

from taiwa.cli.environment import Operated, worker_connection
from taiwa.mendable import Mendable
from taiwa_contracts.topics import TOPICS

_SETTING = re.compile(r"(?P<topic>\S+): (?P<setting>\S+) is .*; set (?P<wanted>\S+)")


def mend_of(problem: str, otherwise: str) -> str:
    """The command a sentence names, if it names one."""
    return next((problem.rpartition(mark)[2].strip("`") for mark in ("run: ", "run ") if mark in problem), otherwise)


async def topics_fit(where: Operated) -> None:
    """Look whether every topic is there, as it was declared.

    Raises:
        Mendable: one is not; the mend is of the first. Or Kafka does not answer.
    """
    from chassis.kafka import SILENT  # noqa: PLC0415 - the Kafka client costs half a second of imports
    from chassis.topics import TopicSpec, verify_topics  # noqa: PLC0415 - as above

    specs = [TopicSpec(topic.name, topic.compacted) for topic in TOPICS]
    try:
        problems = await asyncio.wait_for(verify_topics(where.settings, specs), 15)
    except SILENT as fault:
        raise Mendable("They cannot be looked at: Kafka does not answer.", "Start it.") from fault
    if problems:
        raise Mendable("; ".join(problems), mend_of(problems[0], _set(where, problems[0])))


def _set(where: Operated, problem: str) -> str:
    """The command of Kafka's own tools that sets what a sentence names."""
    named = _SETTING.fullmatch(problem)
    if named is None:
        return "Set what is named with kafka-configs.sh."
    return (
        f"kafka-configs.sh --bootstrap-server {where.settings.kafka} --alter --entity-type topics "
        f"--entity-name {where.settings.prefix}{named['topic']} --add-config {named['setting']}={named['wanted']}"
    )


async def relay_fits(where: Operated, service: str) -> None:
    """Compare a service's log with its topics, as its relay does before it publishes.

    Raises:
        Mendable: they do not belong together (a foreign cluster, a restored database), or Kafka does not answer.
    """
    from chassis.kafka import SILENT, cluster_id  # noqa: PLC0415 - as above
    from chassis.relay.fitting import misfit  # noqa: PLC0415 - as above
    from chassis.relay.log import system_identifier  # noqa: PLC0415 - as above

    topics = [topic.name for topic in TOPICS if topic.name.startswith(f"{service}.") and not topic.compacted]
    republish, rebase = f"taiwa republish {service}", f"taiwa relay rebase {service}"
    try:
        async with worker_connection(where.settings, service) as connection:
            place = await connection.fetchrow("SELECT system_identifier, cluster_id FROM relay_place")
            if place is not None and place["system_identifier"] != await system_identifier(connection):
                raise Mendable("The database was restored into another PostgreSQL.", rebase)
            if place is not None and place["cluster_id"] != await cluster_id(where.settings):
                raise Mendable(
                    "Kafka is another cluster than the one this log was published to.",
                    f"{republish} where its topics are empty, {rebase} where they were carried over",
                )
            problem = await misfit(connection, where.settings, topics)
    except SILENT as fault:
        raise Mendable("It cannot be compared with Kafka, which does not answer.", "Start it.") from fault
    if problem:
        raise Mendable(problem, republish)
