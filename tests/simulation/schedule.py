"""One schedule: load, faults, mending, rest, judgement. A seed says all of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import asyncpg

from chassis.transaction import Transaction
from tests.integration.messaging.facts import OwnerStateV1, ThingMadeV1
from tests.simulation import statements
from tests.simulation.judge import Judge
from tests.simulation.loop import StuckError
from tests.simulation.operators import Operator, note_of
from tests.simulation.postgres import Server
from tests.simulation.processes import Process
from tests.simulation.world import PERSON, STATES, TOPIC, TOWN, World, current

KINDS = ("faults", "faults", "states", "poison", "poison", "deploy", "timers", "logs")
"""What a schedule is about, by its seed."""

NOTICE_SECONDS = 90.0
"""Within which a consumer or relay must have noticed that a log is another one."""

PATIENCE = 900.0
"""Seconds of the schedule's time within which everything comes to rest."""


@dataclass
class Outcome:
    """What one schedule showed."""

    seed: int
    kind: str
    problem: str | None
    events: int = 0
    steps: int = 0
    faults: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)


class Schedule:
    """Builds the world of a seed and lives through it."""

    def __init__(self, seed: int, *, kind: str | None = None, traced: bool = False) -> None:
        self.kind = kind or KINDS[seed % len(KINDS)]
        chance = random.Random(seed)  # noqa: S311  a simulation
        self.world = World(seed, partitions=chance.choice([1, 2, 3]), traced=traced, states=self.kind == "states")
        self.chance = self.world.chance
        self.judge = Judge(self.world)
        self.judge.attach()
        self.operator = Operator(self.world, self.judge)
        self.things = [f"t{number}" for number in range(self.chance.choice([2, 3, 5]))]
        self._restored = self.chance.random() < 0.5
        """Whether the sink's database may be restored: tombstones then stay, as they do for a day."""
        self.faults: list[str] = []
        self.noticed_at = 0.0
        """By when what was done to a log must have been noticed."""
        self._consumers = self.chance.choice([1, 2, 2, 3])
        self._relays = self.chance.choice([1, 1, 2])
        self._tasks: list[asyncio.Task[None]] = []
        self._down: list[Process] = []

    # load

    async def _command(self, process: Process, number: int) -> None:
        """One command of one person; acknowledged or not, it does not try again."""
        chance, world = self.chance, self.world
        at = world.database(process, world.source)
        thing = chance.choice(self.things)
        note = self._note(number)
        events = []
        try:
            async with at.transaction(TOWN, PERSON) as transaction:
                if self.kind == "states":
                    await self._change_owner(transaction, number)
                for _ in range(1 if chance.random() < 0.7 else chance.randint(2, 4)):
                    version = await transaction.connection.fetchval(statements.TOUCH, thing)
                    events.append(transaction.emit(ThingMadeV1(thing_id=thing, note=note), version=version))
                    note = ""
                if self.kind == "timers":
                    await self._set_or_cancel(transaction, f"thing/{thing}")
                if chance.random() < 0.2:
                    await transaction.flush()
                    await asyncio.sleep(chance.random() * 5)  # paced: a transaction that commits late
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return
        self.judge.acknowledged.update(events)

    def _note(self, number: int) -> str:
        if self.kind != "poison" or self.chance.random() > 0.25:
            return ""
        what = self.chance.choice(["refused", "forbidden", "defect", "waits", "waits"])
        return f"{what}:{number}"

    async def _change_owner(self, transaction: Transaction, number: int) -> None:
        """Somebody else owns things now, or an owner is erased."""
        owner = self.chance.choice(["o1", "o2"])
        name = None if self.chance.random() < 0.3 else f"n{number}"
        version = await transaction.connection.fetchval(statements.OWN, owner, name)
        transaction.emit_state(OwnerStateV1, f"owner/{owner}", version=version)

    async def _set_or_cancel(self, transaction: Transaction, aggregate: str) -> None:
        if self.chance.random() < 0.3:
            transaction.cancel("remind", aggregate)
            await transaction.connection.execute(statements.NOTE, aggregate, "cancelled")
        else:
            due = transaction.now + timedelta(seconds=self.chance.choice([0, 1, 3, 10, 86400]))
            transaction.schedule("remind", aggregate, due)
            await transaction.connection.execute(statements.NOTE, aggregate, due.isoformat())

    async def _load(self, count: int) -> None:
        for number in range(count):
            process = self.world.of("api")
            if process is None:
                process = self.world.process("api")
            process.spawn(self._command(process, number))
            await asyncio.sleep(self.chance.random() ** 2 * 1.5)  # paced: a load

    # faults

    def _kill(self) -> str:
        victims = [it for it in self.world.processes if it.alive and it.name in {*self.world.roles, "api"}]
        if not victims:
            return "nobody to kill"
        victim = self.chance.choice(victims)
        victim.kill()
        if victim.name != "api":
            self.world.loop.after(self.chance.random() * 3, self._start, victim.name)
        return f"kill -9 {victim.name}"

    def _start(self, name: str) -> None:
        if self.world.of(name) is None:
            self.world.start(name, name.rstrip("0123456789"))

    def _stop_process(self) -> str:
        victims = [it for it in self.world.processes if it.alive and not it.stopped and it.name != "operator"]
        if not victims:
            return "nobody to stop"
        victim = self.chance.choice(victims)
        seconds = self.chance.choice([0.5, 4.0, 15.0, 70.0])
        victim.stop()
        for server in (self.world.source, self.world.sink):
            for session in server.sessions:
                if session.process is victim:
                    session.watch_idleness()
        for group in self.world.broker.groups.values():
            for member in group.members:
                if member.belongs_to(victim):
                    member.fall_silent()
        self.world.loop.after(seconds, victim.go_on)
        return f"SIGSTOP {victim.name} for {seconds} s"

    def _cut(self) -> str:
        sessions = [*self.world.source.sessions, *self.world.sink.sessions]
        if not sessions:
            return "nothing to cut"
        victim = self.chance.choice(sessions)
        victim.cut()
        return f"a connection of {victim.process.name} is cut"

    def _server(self) -> Server:
        return self.chance.choice([self.world.source, self.world.sink])

    def _crash_postgres(self) -> str:
        server = self._server()
        server.crash()
        seconds = self.chance.choice([0.1, 2.0, 8.0])
        self.world.loop.after(seconds, server.start)
        return f"the PostgreSQL of {server.name} crashes for {seconds} s"

    def _crash_kafka(self) -> str:
        broker = self.world.broker
        broker.leave()
        seconds = self.chance.choice([0.1, 2.0, 25.0])
        self.world.loop.after(seconds, broker.come_back)
        return f"Kafka is away for {seconds} s"

    def _conflicts(self) -> str:
        server = self._server()
        server.fault_rate = 0.05
        self.world.loop.after(4.0, setattr, server, "fault_rate", 0.0)
        return f"statements of {server.name} conflict for a while"

    def _slowness(self) -> str:
        for it in (self.world.source, self.world.sink, self.world.broker):
            it.slow_rate = 0.3
            self.world.loop.after(4.0, setattr, it, "slow_rate", 0.03)
        return "everything is slow for a while"

    def _rebalance(self) -> str:
        for group in self.world.broker.groups.values():
            group.rebalance()
        return "the group is rebalanced"

    def _open_elsewhere(self) -> str:
        server = self.world.source
        xid = server.take_xid()

        def end() -> None:
            if xid in server.open_xids:
                server.end_xid(xid)

        self.world.loop.after(self.chance.choice([1.0, 20.0]), end)
        return f"a transaction {xid} of another database is open"

    def _duplicate(self) -> str:
        """Somebody publishes again what was published: a relay that was believed dead."""
        logs = self.world.broker.topics.get(TOPIC, ())
        found = [(number, it) for number, log in enumerate(logs) for it in log.records]
        if not found or not self.world.broker.up:
            return "nothing to publish again"
        begin = self.chance.randrange(len(found))
        for number, it in found[begin : begin + 4]:
            self.world.broker.append(TOPIC, number, [(it.key or b"", it.value, it.headers)])
        return "records are published again"

    def _move_clock(self) -> str:
        seconds = self.chance.choice([-5.0, 5.0, 86400.0])
        self._set_clock(seconds)
        return f"the civil clock steps by {seconds} s"

    def _set_clock(self, seconds: float) -> None:
        server = self.world.source
        self.world.civil_before = max(self.world.civil_before, self.world.civil_now())
        civil = self.world.civil_now() + timedelta(seconds=seconds)
        server.tables.setdefault("civil_clock", {})[()] = {"civil_at": civil, "machine_at": server.clock()}

    def _deploy(self) -> str:
        self.world.failing_deploy = True
        return "a bad deploy: every reaction fails"

    def _timer_trouble(self) -> str:
        self.world.timer_trouble = 0.4
        self.world.loop.after(5.0, setattr, self.world, "timer_trouble", 0.0)
        return "handlers of timers fail for a while"

    # faults of logs

    def _recreate(self) -> str:
        self.world.broker.make(TOPIC)
        self.noticed_at = self.world.loop.now + NOTICE_SECONDS
        return "the topic is deleted and made anew"

    def _wipe(self) -> str:
        broker = self.world.broker
        broker.wipe(f"kafka-{self.chance.randrange(10**6)}")
        broker.make(TOPIC)
        for group in broker.groups.values():
            group.rebalance()
        self.noticed_at = self.world.loop.now + NOTICE_SECONDS
        return "Kafka's disk is lost"

    def _truncate(self) -> str:
        for log in self.world.broker.topics.get(TOPIC, ()):
            log.truncate(self.chance.randint(0, log.end))
        return "the topic's beginning is deleted"

    def _compact(self) -> str:
        for _ in range(4):
            self.world.loop.after(self.chance.random() * 12, self._compact_states)
        return "states are compacted"

    def _compact_states(self) -> None:
        offsets = self.world.sink.tables.get("offsets", {})
        for number, log in enumerate(self.world.broker.topics.get(STATES, ())):
            read = offsets.get(("sink", STATES, number), {"next": 0})["next"]
            log.compact(self.chance.randint(0, max(log.end - 1, 0)), unread=0 if self._restored else read)

    def _restore_sink(self) -> str:
        backup, applied, discarded = self.world.sink.backup(), self.judge.applied.copy(), set(self.judge.discarded)

        def restore() -> None:
            self.world.tell("the sink's database is restored")
            self.world.sink.restore(backup)
            self.judge.applied, self.judge.discarded = applied, discarded

        self.world.loop.after(self.chance.random() * 6, restore)
        return "the sink's database is backed up, to be restored"

    def _restore_source_elsewhere(self) -> str:
        """Everybody stops writing; the database moves into another PostgreSQL by dump and restore."""
        server = self.world.source
        if server.open_xids or server.sessions_in_transaction():
            return "no time for a dump"
        server.restore(server.backup(), f"postgresql-{self.chance.randrange(10**6)}")
        return "the source's database moves into another PostgreSQL"

    def _faults_of(self) -> list[Callable[[], str]]:
        ordinary = [
            *(self._kill, self._kill, self._kill, self._stop_process, self._stop_process, self._cut, self._cut),
            *(self._crash_postgres, self._crash_kafka, self._conflicts, self._slowness, self._rebalance),
            *(self._open_elsewhere, self._duplicate),
        ]
        return {
            "faults": ordinary,
            "poison": ordinary,
            "deploy": [*ordinary, *(self._deploy,) * 10],
            "states": [*ordinary, *(self._compact,) * 12, *(self._restore_sink,) * (4 if self._restored else 0)],
            "timers": [*ordinary, *(self._move_clock,) * 4, *(self._timer_trouble,) * 3],
            "logs": [
                *ordinary,
                *(self._recreate, self._wipe, self._truncate, self._restore_sink, self._restore_source_elsewhere) * 3,
            ],
        }[self.kind]

    async def _nemesis(self) -> None:
        faults = self._faults_of()
        for _ in range(self.chance.choice([0, 1, 2, 3, 5])):
            await asyncio.sleep(self.chance.random() * 4)  # paced: faults come at any time
            told = self.chance.choice(faults)()
            self.world.tell(f"FAULT: {told}")
            self.faults.append(told)

    # the whole

    async def live(self) -> str | None:
        """Live through it; gives what is broken."""
        world, judge, loop = self.world, self.judge, self.world.loop
        if self.kind == "poison":
            judge.doomed |= {"request.concurrent_change", "event.failed", "event.not_yet", "event.held"}
        if self.kind == "deploy":
            judge.doomed |= {"event.failed", "event.held"}
        judge.stops_are_due = self.kind != "states"
        if self.kind == "logs":
            judge.doomed |= {"event.version_gap", "event.held"}
        for number in range(self._relays):
            world.start(f"relay{number}", "relay")
        late = 15.0 if self.kind == "states" and self.chance.random() < 0.5 else 0.0
        for number in range(self._consumers):
            loop.after(self.chance.random() * late, self._start, f"consumer{number}")
        if self.kind == "timers":
            for number in range(self.chance.choice([1, 2])):
                world.start(f"timers{number}", "timers")
        load = loop.create_task(self._load(self.chance.randint(2, 8)))
        nemesis = loop.create_task(self._nemesis())
        await load
        await nemesis
        return await self._rest()

    async def _rest(self) -> str | None:
        world, judge, loop = self.world, self.judge, self.world.loop
        began = loop.now
        mended = False
        while loop.now < began + PATIENCE:
            await asyncio.sleep(4)  # paced: an operator who looks now and then
            if judge.broken:
                return judge.broken[0]
            if not mended and loop.now > began + 5 and all(not it.stopped for it in world.processes):
                mended = True
                for xid in list(world.source.open_xids):
                    if not any(s.begun and s.begun.xid == xid for s in world.source.sessions):
                        world.source.end_xid(xid)
                world.failing_deploy = world.failing_deploy and bool(world.sink.tables.get("stops"))
                if self.kind == "timers":
                    world.timer_trouble = 0.0
                    self._set_clock(3 * 86400.0)
            if mended:
                world.cured.update(self._waiting_notes())
                await self.operator.look()
                if judge.waiting_for() is None and loop.now > self.noticed_at:
                    judge.at_rest()
                    return judge.broken[0] if judge.broken else None
        return f"it never came to rest: waits for {judge.waiting_for()}; {self._reasons()}"

    def _waiting_notes(self) -> list[str]:
        return [note for it in self.world.source.log if (note := note_of(it)).startswith("waits")]

    def _reasons(self) -> str:
        stops = [it["reason"] for it in self.world.sink.tables.get("stops", {}).values()]
        refusals = [it.refusal for it in self.world.roles.values() if getattr(it, "refusal", None)]
        return f"stops {stops}, refusals {refusals}, faults {self.world.loop.faults}"


def run(seed: int, *, kind: str | None = None, traced: bool = False) -> Outcome:
    """Live through one schedule; the caller has entered :func:`replaced`."""
    schedule = Schedule(seed, kind=kind, traced=traced)
    world = schedule.world
    with current(world):
        try:
            problem = world.loop.run(schedule.live())
        except StuckError as stuck:
            problem = f"{stuck}; {schedule._reasons()}"
        for process in world.processes:
            process.kill()
        world.loop.settle([task for process in world.processes for task in process.tasks])
    return Outcome(
        seed, schedule.kind, problem, len(world.source.log), world.loop.steps, schedule.faults, world.trace or []
    )
