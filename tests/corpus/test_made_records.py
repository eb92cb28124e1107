"""Made records, a seeded slice of what ``python -m tests.corpus`` makes by the hundred thousand."""

from __future__ import annotations

from chassis.consumer.decide import judge
from chassis.consumer.records import Reader
from chassis.testing import Installation
from taiwa_contracts.catalogue import EVENTS
from tests.corpus.record import APPLIED
from tests.corpus.record_mutations import MUTATIONS, made
from tests.corpus.trial import try_records

FAILED = "event.failed"


def test_the_same_seed_makes_the_same_records() -> None:
    assert list(made(7, 300)) == list(made(7, 300))
    assert list(made(7, 300)) != list(made(8, 300))


def test_every_mutation_is_made() -> None:
    assert len({each.mutation for each in made(2026, 3000)}) == len(MUTATIONS) + 1


def test_each_made_record_is_told_apart_by_reading_alone() -> None:
    reader = Reader("", EVENTS)
    wrong = []
    for each in made(2026, 3000):
        judgement = judge(reader.read(each.record).subject, None, key_is_held=False)
        fate = judgement.code or judgement.verdict.value
        if fate not in each.becomes and not (fate == APPLIED and FAILED in each.becomes):
            wrong.append(
                f"{each.mutation}: {fate} ({judgement.reason}), not {sorted(each.becomes)}: {each.record!r:.500}"
            )
    assert not wrong, "\n".join(wrong)


async def test_each_made_record_has_one_fate_and_disturbs_nobody(installation: Installation) -> None:
    tally = await try_records(installation, list(made(1, 1000)), seed=1)
    assert not tally.problems, "\n".join(tally.problems[:20])
    assert sum(tally.fates.values()) == 1000
