"""Mistakes of a consumer."""

from __future__ import annotations

from collections.abc import Sequence

from chassis import failpoints
from chassis.consumer import batch, ledger
from chassis.consumer.batch import Batches, Delivery
from chassis.consumer.decide import Judgement, Known, Subject, Verdict, judge, placement
from chassis.database import ALL_MUNICIPALITIES
from tests.mutants.patching import Undo, replace


def commit_first() -> Undo:
    """The offsets are committed, and then the records are applied: what a crash in between takes is lost."""
    together = Batches.together

    async def commit(batches: Batches, partition: tuple[str, int], offsets: Sequence[int]) -> int:
        async with batches._database.scoped(ALL_MUNICIPALITIES) as connection:
            row = (await batches._ledger.lock(connection, [partition])).get(partition)
            if row is None:
                return 0
            drop = placement(row.next, offsets)
            if drop < len(offsets):
                await batches._ledger.settle(connection, {partition: (offsets[-1] + 1, 0)})
        failpoints.reach("consumer.before_transaction")
        return drop

    async def committed_together(self: Batches, deliveries: Sequence[Delivery]) -> None:
        fresh = []
        for it in deliveries:
            drop = await commit(self, it.partition, [record.offset for record in it.records])
            if drop < len(it.records):
                fresh.append(Delivery(it.partition, it.records[drop:], it.since))
        if fresh:
            await together(self, fresh)

    def anywhere(_: int, __: Sequence[int], *, compacted_from: int | None = None) -> int:
        del compacted_from
        return 0

    return replace((Batches, "together", committed_together), (batch, "placement", anywhere))


def no_version_check() -> Undo:
    """Whatever comes is applied, however old, and whatever is missing before it."""

    def credulous(subject: Subject, known: Known | None, *, key_is_held: bool) -> Judgement:
        judgement = judge(subject, known, key_is_held=key_is_held)
        doubtful = judgement.verdict is Verdict.SKIP or judgement.code.startswith("event.version_")
        return Judgement(Verdict.APPLY) if doubtful and subject.wanted else judgement

    return replace((batch, "judge", credulous))


def no_offset_lock() -> Undo:
    """The offset is read, not locked: two processes that hold the same records both find them new."""
    return replace((ledger, "_LOCK", ledger._LOCK.replace("FOR UPDATE", "")))


def holes_are_losses() -> Undo:
    """What compaction took away is missed."""

    def everywhere(next_offset: int, offsets: Sequence[int], *, compacted_from: int | None = None) -> int:
        del compacted_from
        return placement(next_offset, offsets)

    return replace((batch, "placement", everywhere))


def holes_are_never_losses() -> Undo:
    """What is missing of a compacted topic was compacted, also where the stored offset went back."""

    def anywhere(next_offset: int, offsets: Sequence[int], *, compacted_from: int | None = None) -> int:
        return placement(next_offset, offsets, compacted_from=None if compacted_from is None else 0)

    return replace((batch, "placement", anywhere))


def nobody_is_held() -> Undo:
    """Later records of a key do not wait behind its dead letter."""

    def impatient(subject: Subject, known: Known | None, *, key_is_held: bool) -> Judgement:
        judgement = judge(subject, known, key_is_held=key_is_held)
        return Judgement(Verdict.APPLY) if judgement.verdict is Verdict.HOLD and subject.wanted else judgement

    return replace((batch, "judge", impatient))
