"""Every hand-picked record becomes what its table says, on a real Kafka and a real PostgreSQL, and disturbs nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from chassis.consumer.decide import Known, judge
from chassis.consumer.records import Reader
from chassis.dead_letters import headers_of
from chassis.testing import Installation, eventually
from taiwa_contracts.catalogue import EVENTS
from tests.corpus.record import APPLIED, PASSED, Case, Record
from tests.corpus.record_tables import cases, good
from tests.corpus.witness import Place, Witness, running_witness

CASES = tuple(cases())
COMPACTED = {event.TOPIC for event in EVENTS if event.STATE}


def test_the_corpus_is_large_and_each_case_has_a_name_of_its_own() -> None:
    assert len(CASES) >= 300
    assert Counter(case.name for case in CASES).most_common(1)[0][1] == 1
    assert sum(case.is_dead for case in CASES) >= 250
    assert sum(case.becomes == APPLIED for case in CASES) >= 50


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_record_is_told_apart_by_reading_alone(case: Case) -> None:
    known = Known(case.before, UUID(good(case.name, case.before).id)) if case.before else None
    read = Reader("", EVENTS).read(case.record)
    judgement = judge(read.subject, known, key_is_held=False)
    wanted = APPLIED if case.becomes == "event.failed" else case.becomes
    assert (judgement.code or judgement.verdict.value) == wanted, judgement.reason
    assert read.holds is (case.holds or not case.is_dead)
    assert "\x00" not in judgement.code


def follower(case: Case) -> Record | None:
    """A good record behind the case, of its own key; what becomes of it tells whether the case holds its key.

    None where the case's key is not the one that a good record of it bears.
    """
    if case.record.topic in COMPACTED or case.record.key != good(case.name).key:
        return None
    dealt_with = case.before + (case.becomes in {APPLIED, PASSED})
    return good(case.name, dealt_with + 1).but(id=str(UUID(int=UUID(good(case.name).id).int ^ 1)).encode())


async def test_every_record_becomes_what_its_name_says_and_all_others_are_applied(installation: Installation) -> None:
    bystanders = [good(f"bystander {number}") for number in range(2 * len(CASES))]
    async with running_witness(installation) as witness:
        # Most of what comes is good, or the consumer would rightly stop.
        at_first, between = bystanders[: len(CASES)], bystanders[len(CASES) :]
        await settle(witness, await witness.send(at_first))

        sequence = [record for pair in zip(map(around, CASES), between, strict=True) for record in [*pair[0], pair[1]]]
        places = dict(zip(map(id, sequence), await witness.send(sequence), strict=True))
        await settle(witness, list(places.values()))

        letters, effects = await witness.letters(), await effects_of(witness)
        wrong = [problem for case in CASES for problem in problems(case, places, letters, effects)]
        assert not wrong, "\n".join(wrong)
        assert {it.id: effects.count(it.id) for it in bystanders} == {it.id: 1 for it in bystanders}
        assert Counter(letter["kind"] for letter in letters.values()) == {
            "dead": sum(case.is_dead for case in CASES),
            "held": sum(case.is_dead and case.holds and follower(case) is not None for case in CASES),
        }
        assert len(effects) == len(set(effects))


AROUND: dict[str, list[Record]] = {}


def around(case: Case) -> list[Record]:
    """The case with what comes before and behind it."""
    if case.name not in AROUND:
        last = follower(case)
        before = [good(case.name, version) for version in range(1, case.before + 1)]
        AROUND[case.name] = [*before, replace(case.record), *([] if last is None else [last])]
    return AROUND[case.name]


async def settle(witness: Witness, places: Sequence[Place]) -> None:
    """Wait until the consumer has dealt with all of these."""

    async def dealt_with() -> bool:
        return await witness.dealt_with(places)

    await eventually(dealt_with, 120, 0.1)


async def effects_of(witness: Witness) -> list[str]:
    """The event id of every effect, states included."""
    found = await witness.rows("SELECT event_id FROM effects UNION ALL SELECT event_id FROM states")
    return [str(row["event_id"]) for row in found]


def problems(
    case: Case, places: Mapping[int, Place], letters: Mapping[Place, dict[str, Any]], effects: Sequence[str]
) -> list[str]:
    """What is not as the case says, one sentence each."""
    *before, record = around(case)[: case.before + 1]
    letter = letters.get(places[id(record)])
    found = [
        f"{case.name}: {it.header('ce_sequence')!r} before it had no effect" for it in before if it.id not in effects
    ]
    if case.is_dead:
        found += [f"{case.name}: no dead letter"] if letter is None else different(case, record, letter)
    elif letter is not None:
        found.append(f"{case.name}: {letter['code']} {letter['error']}, not {case.becomes}")
    had_effect = record.id in effects
    if case.becomes == APPLIED and record.value is not None and not had_effect:
        found.append(f"{case.name}: no effect")
    if case.becomes != APPLIED and had_effect and case.becomes != "skipped":
        found.append(f"{case.name}: an effect")
    last = follower(case)
    if last is not None:
        held = letters.get(places[id(around(case)[-1])])
        if case.is_dead and case.holds:
            found += [] if held and held["kind"] == "held" else [f"{case.name}: a later record of its key is not held"]
        elif last.id not in effects:
            found.append(f"{case.name}: the record behind it had no effect")
    return found


def different(case: Case, record: Record, letter: Mapping[str, Any]) -> list[str]:
    """What of a dead letter is not as the record was, or not as the case says."""
    kept = {
        "code": (letter["code"], case.becomes),
        "kind": (letter["kind"], "dead"),
        "key": (letter["key"], record.key),
        "value": (letter["value"], record.value),
        "headers": (tuple(headers_of(letter["headers"])), record.headers),
        "holds": (letter["holds"], case.holds),
    }
    return [
        f"{case.name}: {name} is {str(is_)[:200]}, should be {str(should)[:200]} ({letter['error'][:200]})"
        for name, (is_, should) in kept.items()
        if is_ != should
    ]
