"""One みどり町 for all tests of this folder: they run in one worker, each as people of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from chassis.testing import fresh_installation
from tests.browser.town import MidoriTown, midori_town

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def town(postgres_url: str, kafka: str) -> AsyncIterator[MidoriTown]:
    """みどり町 on 13 April 2026, all services running."""
    async with fresh_installation(postgres_url, kafka) as installation, midori_town(installation) as it:
        yield it


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where screenshots are kept; ignored by git."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS
