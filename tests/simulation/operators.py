"""What an operator does when something says that it stands still: the command that it names, and nothing else."""

from __future__ import annotations

import contextlib
from typing import Any

import asyncpg
from aiokafka.errors import KafkaError

from chassis import repair
from chassis.operations import letters as operations
from chassis.operations import stops
from chassis.operations.letters import LetterClosed
from tests.simulation.judge import OPERATOR, Judge
from tests.simulation.postgres import Content, Server
from tests.simulation.world import SETTINGS, World

_FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, KafkaError, repair.RepairError)


class Operator:
    """Reads refusals, stops and letters as the product shows them."""

    def __init__(self, world: World, judge: Judge) -> None:
        self.world = world
        self.judge = judge
        self._process = world.process(OPERATOR)

    async def look(self) -> None:
        """Act in a process of its own."""
        await self._process.spawn(self._act())

    async def _act(self) -> None:
        """Look once, and do what is asked for."""
        world = self.world
        for name, role in list(world.roles.items()):
            refusal = getattr(role, "refusal", None)
            process = world.of(name)
            if refusal is None or process is None or process.stopped:
                continue
            # Each command is named by its refusal; a mended relay takes it back by itself.
            if "run: taiwa relay rebase" in refusal:
                await self.rebase()
                role.refusal = None
            elif "run: taiwa republish" in refusal:
                await self.republish()
                role.refusal = None
        named = [it["command"] for it in world.sink.tables.get("stops", {}).values()]
        if "taiwa republish source" in named:
            await self.republish()
            return
        if "taiwa consumer rebase sink" in named:
            await self.rebase_consumer()
            return
        if "taiwa dead-letters list" in named:
            world.failing_deploy = False
        await self._letters(world.source)
        await self._letters(world.sink)

    async def _letters(self, server: Server) -> None:
        """Replay or discard, and resume; as ``taiwa dead-letters`` does, while everything runs."""
        database = self.world.database(self._process, server)
        letters = [it for it in server.tables.get("dead_letters", {}).values() if it["closed_at"] is None]
        for letter in letters:
            # A gap is of the log, not of the event: what mends it is told by a stop.
            if letter["kind"] != "dead" or letter["code"] == "event.version_gap":
                continue
            with contextlib.suppress(LetterClosed, *_FAULTS):
                async with database.scoped("*") as connection:
                    await self._mend(connection, letter)
        for stop in list(server.tables.get("stops", {}).values()):
            if stop["command"] == "taiwa dead-letters list":
                with contextlib.suppress(*_FAULTS):
                    async with database.scoped("*") as connection:
                        await stops.resume(connection, "sink", stop["topic"], stop["partition"])

    async def _mend(self, connection: Any, letter: Content) -> None:
        world = self.world
        what = f"{letter['type']} of {letter['aggregate']} v{letter['version']} ({letter['code']})"
        if letter["source"] == "timer":
            world.tell(f"operator replays {what}")
            world.timer_trouble = 0.0
            await operations.replay(connection, [letter["id"]])
        elif world.chance.random() < 0.4:
            world.tell(f"operator discards {what}")
            self.judge.discarding[letter["id"]] = letter["event_id"]
            await operations.discard(connection, letter["id"])
        else:
            world.tell(f"operator replays {what}")
            event = next((it for it in world.source.log if it["event_id"] == letter["event_id"]), None)
            if event is not None:
                world.cured.add(note_of(event))
            await operations.replay(connection, [letter["id"]])

    async def republish(self) -> None:
        """``taiwa republish source``; said again if it fails."""
        self.world.tell("operator runs: taiwa republish source")
        with contextlib.suppress(*_FAULTS):
            await repair.republish("", SETTINGS, "source", self.world.topics, ["sink"])

    async def rebase(self) -> None:
        """``taiwa relay rebase source``; said again if it fails."""
        self.world.tell("operator runs: taiwa relay rebase source")
        with contextlib.suppress(*_FAULTS):
            await repair.relay_rebase("", SETTINGS, "source")

    async def rebase_consumer(self) -> None:
        """``taiwa consumer rebase sink --act``: what the effects' table forgot is to be there again."""
        self.world.tell("operator runs: taiwa consumer rebase sink --act")
        with contextlib.suppress(*_FAULTS):
            await repair.consumer_rebase("", SETTINGS, "sink", act=True)


def note_of(event: Content) -> str:
    """What an event's payload says about how it fails; nothing in a pointer to a state."""
    text: str = event["payload"] or ""
    return text.partition('"note":"')[2].partition('"')[0]
