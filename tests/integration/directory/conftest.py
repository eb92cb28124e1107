"""A directory of its own for each test, with みどり町 registered and its first administrator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime

import pytest

from chassis.calendar import TOKYO
from chassis.testing import MIDORI, Installation, running, set_civil_clock
from services.directory.commands.administrators import CreateAdmin, create_admin
from services.directory.main import build
from tests.integration.directory.town import FIRST_DAY, Town


@pytest.fixture
async def town(installation: Installation) -> AsyncIterator[Town]:
    """みどり町 on 13 April 2026, 10:00, without relay and consumer: only the API."""
    async with running(build, installation, roles=("api",)) as it:
        await set_civil_clock(it, datetime(2026, 4, 13, 10, tzinfo=TOKYO))
        admin = CreateAdmin(
            municipality=MIDORI,
            name="みどり町",
            kana="ミドリマチ",
            fictional=True,
            section_code="1020",
            section_name="総合政策課",
            number="10999",
            person_name="髙木 桜",
            person_kana="タカギ サクラ",
            effective_from=date(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day),
        )
        yield Town(it, admin, await create_admin(it.database, admin))
