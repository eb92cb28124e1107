"""How every client of the chassis reaches Kafka, and who Kafka is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from chassis.settings import InstallationSettings

SILENT = (KafkaError, OSError, TimeoutError)
"""What is raised where Kafka does not answer."""


@asynccontextmanager
async def admin_client(installation: InstallationSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """An administration client, closed at the end.

    Raises:
        aiokafka.errors.KafkaConnectionError: no bootstrap server answers.
    """
    client = AIOKafkaAdminClient(
        bootstrap_servers=installation.kafka, client_id="taiwa-admin", request_timeout_ms=20_000
    )
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def cluster_id(installation: InstallationSettings) -> str:
    """What tells one Kafka cluster from another."""
    async with admin_client(installation) as client:
        return str((await client.describe_cluster())["cluster_id"])


async def committed(installation: InstallationSettings, group: str) -> dict[TopicPartition, tuple[int, str]]:
    """How far a group (with the installation's prefix) told Kafka it is: next offset, and what it said beside it."""
    async with admin_client(installation) as client:
        found = await client.list_consumer_group_offsets(group)
    return {place: (it.offset, it.metadata) for place, it in found.items()}
