"""今日の仕事: what every service wants from the visitor."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from chassis.http.work_items import WorkItem
from services.portal.gateway import NAMES, Part, Services, part

WORKING = ("leaders", "trainings", "consultations", "notifications", "directory")
"""The services that may want something from a person."""


async def all_work(services: Services) -> tuple[list[WorkItem], list[str]]:
    """What every service wants from the visitor, and the sentences about those that did not say."""
    parts: Sequence[Part[list[WorkItem]]] = await asyncio.gather(
        *(part(services.glance(name, "/work-items", list[WorkItem])) for name in WORKING)
    )
    items = [item for each in parts for item in each.content or ()]
    silent = [NAMES[name] for name, each in zip(WORKING, parts, strict=True) if each.content is None]
    return items, silent
