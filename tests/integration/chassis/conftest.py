from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from chassis.testing import Installation, Running, running
from tests.integration.chassis.noticeboard import build


@pytest.fixture
async def board(installation: Installation) -> AsyncIterator[Running]:
    """The smallest service, answering HTTP only."""
    async with running(build, installation, roles=("api",)) as it:
        yield it
