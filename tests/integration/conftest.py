"""An installation of its own for every test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from chassis.testing import Installation, fresh_installation


@pytest.fixture
async def installation(postgres_url: str, kafka: str) -> AsyncIterator[Installation]:
    """Own names on the shared PostgreSQL and Kafka; ``async with running(build, installation) as it``."""
    async with fresh_installation(postgres_url, kafka) as fresh:
        yield fresh
