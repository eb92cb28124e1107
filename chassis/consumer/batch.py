"""Applies records in transactions: all of a delivery together, or one by one to find the one that fails.

Promise: offset, versions, projections, reactions, dead letters and held records of a record are one committed
transaction. The fast path takes whole partition batches; whatever fails there is rolled back and taken again one event
at a time, so that just the culprit becomes a dead letter.

Invariant: what is applied of a partition, and its stored offset, change in one commit, under the lock of its row.

Proven by ``tests/simulation``, ``tests/integration/messaging/test_consumer.py`` and ``test_poison.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from chassis import dead_letters, failpoints, metrics
from chassis.clocks import monotonic
from chassis.consumer.assignment import Logs
from chassis.consumer.decide import FailureRatio, Judgement, Known, Verdict, judge, placement
from chassis.consumer.effects import Effects
from chassis.consumer.ledger import Ledger, Offset, Partition
from chassis.consumer.records import Incoming, Reader, VersionKey
from chassis.database import ALL_MUNICIPALITIES, Database
from chassis.dead_letters import HELD, Failure
from chassis.faults import NotYet, is_transient
from chassis.refusals import Refusal
from chassis.transaction import Connection


class CulpritError(Exception):
    """A batch holds a record that cannot simply be applied: take it one by one."""


class StopConsumingError(Exception):
    """Too many events fail; it is not the events."""


class BlockedError(Exception):
    """A key has more held records than are allowed."""


class OtherLogError(Exception):
    """The stored offset belongs to another Kafka or another generation of the topic."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Records of one partition in order, as Kafka gave them: all that there are from ``since`` on."""

    partition: Partition
    records: Sequence[Incoming]
    since: int


def failure_of(error: Exception, attempts: int) -> Failure:
    """What an exception of a projection or reaction means for its record."""
    if isinstance(error, NotYet) and attempts < dead_letters.DEFERRALS:
        return Failure("deferred", "event.not_yet", str(error) or "waits", dead_letters.next_try(attempts))
    if isinstance(error, Refusal):
        return Failure("dead", error.code, str(error))
    return Failure("dead", "event.failed", f"{type(error).__name__}: {error}"[:4000])


class Batches:
    """Applies deliveries of one consumer."""

    def __init__(self, database: Database, ledger: Ledger, logs: Logs, effects: Effects, reader: Reader) -> None:
        self._database = database
        self._ledger = ledger
        self._logs = logs
        self._effects = effects
        self._reader = reader
        self.failures = FailureRatio()
        self._counters = {
            verdict: metrics.CONSUMER_RECORDS.labels(ledger.consumer, verdict.value) for verdict in Verdict
        }
        self._deferred = metrics.CONSUMER_RECORDS.labels(ledger.consumer, "deferred")

    def _check_log(self, partition: Partition, row: Offset | None) -> Offset:
        problem = self._logs.mismatch(partition, row)
        if row is None or problem is not None:
            raise OtherLogError(problem)
        return row

    def _placement(self, row: Offset, delivery: Delivery) -> int:
        compacted_from = delivery.since if delivery.partition[0] in self._reader.compacted else None
        return placement(row.next, [record.offset for record in delivery.records], compacted_from=compacted_from)

    @property
    def consumer(self) -> str:
        """Under whose name offsets and versions stand."""
        return self._ledger.consumer

    async def together(self, deliveries: Sequence[Delivery]) -> None:
        """The fast path: everything in one transaction.

        Raises:
            CulpritError: a record must become a dead letter; nothing was changed.
            MisplacedError, OtherLogError: the log and the stored offset do not fit.
            Exception: whatever a projection or reaction raised; nothing was changed.
        """
        failpoints.reach("consumer.before_transaction")
        ledger = self._ledger
        async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
            rows = await ledger.lock(connection, [delivery.partition for delivery in deliveries])
            fresh: list[Incoming] = []
            moved: dict[Partition, tuple[int, int]] = {}
            letters = False
            acts_from: dict[Partition, int] = {}
            for delivery in deliveries:
                row = self._check_log(delivery.partition, rows.get(delivery.partition))
                records = delivery.records
                drop = self._placement(row, delivery)
                if drop < len(records):
                    fresh += records[drop:] if drop else records
                    moved[delivery.partition] = (records[-1].offset + 1, 0)
                    letters = letters or row.open_letters > 0
                    if row.acts_from:
                        acts_from[delivery.partition] = row.acts_from
                self._counters[Verdict.SKIP].inc(drop)
            if not fresh:
                return
            held = await dead_letters.held_keys(connection, ledger.consumer, list(moved)) if letters else {}
            known = await ledger.versions(connection, list(_version_keys(fresh)))
            plan = _plan(fresh, known, held)
            reacted = await self._effects.apply(
                connection,
                [it.received for it, what in plan.verdicts if what is Verdict.APPLY and it.received],
                acts_from,
            )
            for record in (it for it, what in plan.verdicts if what is Verdict.HOLD):
                await self._set_aside(connection, record, HELD, moved, held)
            await ledger.settle(connection, moved, plan.advanced)
            failpoints.reach("consumer.before_commit")
        failpoints.reach("consumer.after_commit")
        for verdict, count in plan.counts().items():
            self._counters[verdict].inc(count)
        self.failures.note(monotonic(), total=len(fresh))
        if reacted:
            self._database.committed.set()

    async def one(self, delivery: Delivery) -> bool:
        """The slow path: the first record in its own transaction; gives whether it failed and was set aside.

        Raises:
            StopConsumingError: it failed like too many others; nothing was changed.
            BlockedError: its key holds too many already; nothing was changed.
            MisplacedError, OtherLogError: the log and the stored offset do not fit.
            Exception: a transient fault; nothing was changed.
        """
        ledger = self._ledger
        partition, record = delivery.partition, delivery.records[0]
        failed = False
        failpoints.reach("consumer.before_transaction")
        async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
            row = self._check_log(partition, (await ledger.lock(connection, [partition])).get(partition))
            if self._placement(row, Delivery(partition, [record], delivery.since)):
                self._counters[Verdict.SKIP].inc()
                return False
            moved = {partition: (record.offset + 1, 0)}
            held = await dead_letters.held_keys(connection, ledger.consumer, [partition]) if row.open_letters else {}
            known = await ledger.versions(connection, list(_version_keys([record])))
            judgement = judge(
                record.subject,
                known.get(record.version_key) if record.version_key else None,
                key_is_held=(*partition, record.key) in held,
            )
            lines = {partition: row.acts_from}
            failure = await self._attempt(connection, record, judgement, attempts=1, acts_from=lines)
            advanced: dict[VersionKey, Known] = {}
            if failure is None:
                advanced = _advanced(record, judgement.verdict)
                self._counters[judgement.verdict].inc()
            else:
                failed = failure.kind != "held"
                if failed and failure.kind == "dead" and self.failures.would_stop(monotonic()):
                    raise StopConsumingError(f"most events fail; the newest reason: {failure.code}: {failure.error}")
                await self._set_aside(connection, record, failure, moved, held)
            await ledger.settle(connection, moved, advanced)
            failpoints.reach("consumer.before_commit")
        failpoints.reach("consumer.after_dead_letter" if failed else "consumer.after_commit")
        self.failures.note(monotonic(), total=1, failed=int(failed and failure is not None and failure.kind == "dead"))
        self._database.committed.set()
        return failed

    async def again(self, letter: UUID, partition: Partition, prefix: str) -> None:
        """Try a deferred record again, or one whose key was released, in its own transaction."""
        async with self._database.scoped(ALL_MUNICIPALITIES) as connection:
            row = (await self._ledger.lock(connection, [partition])).get(partition)
            found = None if row is None else await dead_letters.open_letter(connection, letter, prefix)
            if row is None or found is None:
                return
            raw, attempts = found
            record = self._reader.read(raw)
            known = await self._ledger.versions(connection, list(_version_keys([record])))
            judgement = judge(
                record.subject, known.get(record.version_key) if record.version_key else None, key_is_held=False
            )
            # A letter of a restored database may be from before the stretch that is only copied.
            lines = {} if row.rebased_from else {partition: row.acts_from}
            failure = await self._attempt(connection, record, judgement, attempts=attempts + 1, acts_from=lines)
            if failure is None:
                await dead_letters.close(connection, letter, "applied")
                advanced = _advanced(record, judgement.verdict)
                await self._ledger.settle(connection, {partition: (row.next, -1)}, advanced)
                self._counters[judgement.verdict].inc()
            else:
                await dead_letters.keep(connection, letter, failure, attempts + 1)
        self._database.committed.set()

    async def _attempt(
        self,
        connection: Connection,
        record: Incoming,
        judgement: Judgement,
        *,
        attempts: int,
        acts_from: Mapping[Partition, int],
    ) -> Failure | None:
        """Apply one record under a savepoint; what it failed of, if it did."""
        if judgement.verdict is Verdict.HOLD:
            return HELD
        if judgement.verdict is Verdict.DEAD:
            return Failure("dead", judgement.code, judgement.reason)
        if judgement.verdict is not Verdict.APPLY or record.received is None:
            return None
        await connection.execute("SAVEPOINT event")
        try:
            await self._effects.apply(connection, [record.received], acts_from)
            # A deferred constraint must fail here, where it is this event's fault, not at COMMIT.
            await connection.execute("SET CONSTRAINTS ALL IMMEDIATE; RELEASE SAVEPOINT event")
        except Exception as error:
            if is_transient(error):
                raise
            await connection.execute("ROLLBACK TO SAVEPOINT event")
            return failure_of(error, attempts)
        return None

    async def _set_aside(
        self,
        connection: Connection,
        record: Incoming,
        failure: Failure,
        moved: dict[Partition, tuple[int, int]],
        held: dict[tuple[str, int, bytes], int],
    ) -> None:
        partition = (record.topic, record.raw.partition)
        if record.key is not None and failure.kind == "held":
            place = (*partition, record.key)
            if held[place] > dead_letters.HELD_LIMIT:
                raise BlockedError(f"a key of {record.topic}-{partition[1]} holds {held[place] - 1} records")
            held[place] += 1
        await dead_letters.write(
            connection,
            self._ledger.consumer,
            record.raw,
            failure,
            topic=record.topic,
            aggregate=None if record.envelope is None else record.envelope.aggregate,
            version=None if record.envelope is None or record.subject.state else record.envelope.version,
            cluster_id=self._logs.cluster_id,
            generation=self._logs.generation(record.topic),
            holds=record.holds,
        )
        # A letter without a key holds nobody and is closed by hand: it must not cost each batch a query.
        next_offset, letters = moved[partition]
        moved[partition] = (next_offset, letters + (1 if record.holds else 0))
        if failure.kind == "deferred":
            self._deferred.inc()
        else:
            self._counters[Verdict.HOLD if failure.kind == "held" else Verdict.DEAD].inc()


def _version_keys(records: Sequence[Incoming]) -> dict[VersionKey, None]:
    """Each aggregate once, in order."""
    return {record.version_key: None for record in records if record.version_key is not None}


def _advanced(record: Incoming, verdict: Verdict) -> dict[VersionKey, Known]:
    if record.version_key is None or record.envelope is None or verdict not in {Verdict.APPLY, Verdict.PASS}:
        return {}
    return {record.version_key: Known(record.envelope.version, record.envelope.id)}


@dataclass(frozen=True, slots=True)
class _Plan:
    verdicts: list[tuple[Incoming, Verdict]]
    advanced: dict[VersionKey, Known]

    def counts(self) -> dict[Verdict, int]:
        counts: dict[Verdict, int] = {}
        for _, verdict in self.verdicts:
            if verdict is not Verdict.HOLD:  # counted where it is set aside
                counts[verdict] = counts.get(verdict, 0) + 1
        return counts


def _plan(
    records: Sequence[Incoming],
    known: dict[VersionKey, Known],
    held: dict[tuple[str, int, bytes], int],
) -> _Plan:
    """Judge a batch as if each record before were applied.

    Raises:
        CulpritError: one must become a dead letter.
    """
    verdicts: list[tuple[Incoming, Verdict]] = []
    advanced: dict[VersionKey, Known] = {}
    for record in records:
        key = record.version_key
        judgement = judge(
            record.subject,
            known.get(key) if key is not None else None,
            key_is_held=bool(held) and (record.topic, record.raw.partition, record.key) in held,
        )
        verdict = judgement.verdict
        if verdict is Verdict.DEAD:
            raise CulpritError(judgement.code)
        verdicts.append((record, verdict))
        if key is not None and (verdict is Verdict.APPLY or verdict is Verdict.PASS):
            subject = record.subject
            known[key] = advanced[key] = Known(subject.version, subject.event_id)
    return _Plan(verdicts, advanced)
