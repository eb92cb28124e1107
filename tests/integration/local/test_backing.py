"""What every other integration test stands on."""

from __future__ import annotations

import socket

import asyncpg


async def test_postgres_is_version_18_and_answers_as_superuser(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert (await connection.fetchval("SELECT current_setting('server_version_num')")).startswith("18")
        assert await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    finally:
        await connection.close()


def test_kafka_accepts_connections(kafka: str) -> None:
    host, port = kafka.split(",", maxsplit=1)[0].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=5):
        pass
