"""A town with three sections on a real PostgreSQL, on Wednesday, 1 April 2026."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

import pytest

from chassis.testing import Installation, running
from services.leaders.main import build
from tests.integration.leaders.town import Town


@pytest.fixture
async def town(installation: Installation) -> AsyncIterator[Town]:
    """道路課 (two of its own, one by 兼務), 福祉課, 議会事務局 without a head; the fictional 要綱 is stored."""
    async with running(build, installation, roles=("api",)) as it:
        town = Town(it)
        await town.on(date(2026, 4, 1))
        await town.found("1060", "福祉課", "有馬 静江", order=60)
        await town.found("1110", "道路課", "轟 武", order=110)
        await town.found("3010", "議会事務局", order=160)
        await town.hire("真壁 理人", "道路課", post="技師")
        await town.hire("榊 俊介", "道路課", post="主任")
        await town.hire("髙木 善継", "福祉課", post="係長", also="道路課")
        await town.hire("渡邉 るい", "福祉課")
        await town.rules()
        await town.year(2026)
        yield town
