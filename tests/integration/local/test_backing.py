"""What every other integration test stands on."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.installation import backing


async def answers_as_superuser(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert (await connection.fetchval("SELECT current_setting('server_version_num')")).startswith("18")
        assert await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    finally:
        await connection.close()


async def makes_topics(kafka: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("backing", 1, 1)])
        assert "backing" in await admin.list_topics()
        await admin.delete_topics(["backing"])
    finally:
        await admin.close()


async def test_postgres_is_version_18_and_answers_as_superuser(postgres_url: str) -> None:
    await answers_as_superuser(postgres_url)


async def test_kafka_makes_topics(kafka: str) -> None:
    await makes_topics(kafka)


@pytest.mark.compose
async def test_containers_serve_where_they_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(backing.CONTAINERS, "1")
    for given in (backing.GIVEN_POSTGRES, backing.GIVEN_KAFKA):
        monkeypatch.delenv(given, raising=False)
    try:
        await answers_as_superuser(backing.postgres(tmp_path))
        await makes_topics(backing.kafka(tmp_path))
    finally:
        backing.stop_all(tmp_path)
