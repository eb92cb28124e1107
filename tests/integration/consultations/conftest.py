"""Consultations alone, with and without what it hears from others."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from chassis.testing import Installation, Running, running
from services.consultations.main import build


@pytest.fixture
async def api(installation: Installation) -> AsyncIterator[Running]:
    """Its HTTP interface only."""
    async with running(build, installation, roles=("api",)) as service:
        yield service


@pytest.fixture
async def consultations(installation: Installation) -> AsyncIterator[Running]:
    """All its roles."""
    async with running(build, installation) as service:
        yield service
