"""One role of a toy service in a process of its own, so that a test may kill it.

Arguments: the administrator's URL, the settings as JSON, the role (``api``, ``relay``, ``consumer``, ``timers``, or
``rebuild``: of the sink's copies, five records at a time), and what is given to it: ``api``, which is the
noticeboard's, gets its port and the keys that verify its callers as JSON; ``consumer`` gets notes at which the sink's
reaction crashes, comma separated.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys

import structlog
import uvicorn

from chassis import rebuild as rebuilding
from chassis.consumer import Consumer
from chassis.database import Database
from chassis.relay import Relay
from chassis.serve import hosting
from chassis.service import TimerHandler
from chassis.settings import InstallationSettings
from chassis.testing import PASSWORD, Installation, build_for
from chassis.timers import Timers
from chassis.transaction import Transaction
from taiwa.local.ports import LOOPBACK
from tests.integration.chassis import noticeboard
from tests.integration.messaging.facts import ThingMadeV1
from tests.integration.messaging.services import Behaviour, sink_service, source_service


async def remind(transaction: Transaction, aggregate: str) -> None:
    """A timer that makes its thing's first event."""
    transaction.emit(ThingMadeV1(thing_id=aggregate.partition("/")[2]), version=1)


async def answer(installation: Installation, port: int, keys: dict[str, object]) -> None:
    """The noticeboard's role ``api``, until killed."""

    async def fetch_keys() -> dict[str, object]:
        return keys

    async with hosting(build_for(noticeboard.build, installation), {"api"}, fetch_keys) as hosted:
        config = uvicorn.Config(hosted.application, LOOPBACK, port, log_level="warning", lifespan="off")
        await uvicorn.Server(config).serve()


async def main(admin_url: str, settings: InstallationSettings, role: str, given: str) -> None:
    """Run until killed."""
    installation = Installation(admin_url, settings)
    if role == "rebuild":
        rebuilding.BATCH = 5
        await rebuilding.rebuild(admin_url, sink_service(installation), "sink.copies")
        return
    if role == "api":
        await answer(installation, **json.loads(given))
        return
    source = source_service(installation, [TimerHandler("remind", remind)])
    behaviour = Behaviour(crash=set(filter(None, given.split(","))))
    service = sink_service(installation, behaviour) if role == "consumer" else source
    database = await Database.connect(settings, service.name, "worker", PASSWORD, 4)
    loop: Relay | Consumer | Timers
    if role == "relay":
        loop = Relay(service, database, None, settings)
    elif role == "consumer":
        loop = Consumer(service, database, settings)
    else:
        loop = Timers(service, database, settings)
    await loop.run(asyncio.Event())


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    url, named, which, what = sys.argv[1:]
    asyncio.run(main(url, InstallationSettings.model_validate_json(named), which, what))
