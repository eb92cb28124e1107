"""Puts made records between good ones on a real Kafka and looks at the fate of every single one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

from chassis.dead_letters import headers_of
from chassis.testing import Installation, eventually
from tests.corpus.record import APPLIED, PASSED, Record
from tests.corpus.record_mutations import Made, good
from tests.corpus.witness import Place, Witness, running_witness


class Tally:
    """What became of the records of some trials, and what went wrong."""

    def __init__(self) -> None:
        self.fates: Counter[str] = Counter()
        self.mutations: Counter[str] = Counter()
        self.bystanders = 0
        self.problems: list[str] = []


async def settle(witness: Witness, places: Sequence[Place], patience: float) -> None:
    """Wait until the consumer has dealt with all of these.

    Raises:
        AssertionError: not within ``patience`` seconds, or it stands still.
    """

    async def dealt_with() -> bool:
        return await witness.dealt_with(places)

    await eventually(dealt_with, patience, 0.2)


async def effects_of(witness: Witness) -> Counter[str]:
    """How often each event had an effect, states included, by event id."""
    found = await witness.rows("SELECT event_id FROM effects UNION ALL SELECT event_id FROM states")
    return Counter(str(row["event_id"]) for row in found)


async def try_records(installation: Installation, records: Sequence[Made], seed: int, patience: float = 120) -> Tally:
    """Send the made records, each beside good ones of other keys, and judge every fate."""
    rng = Random(f"bystanders {seed}")  # noqa: S311  the same again for the same seed
    tally = Tally()
    bystanders = [good(rng).record for _ in range(len(records) * 3 // 2 + 50)]
    async with running_witness(installation) as witness:
        # Most of what comes is good, or the consumer would rightly stop.
        first, rest = bystanders[: len(records) // 2 + 50], bystanders[len(records) // 2 + 50 :]
        await settle(witness, await witness.send(first), patience)
        mixed: list[Record] = [it for pair in zip((each.record for each in records), rest, strict=True) for it in pair]
        places = await witness.send(mixed)
        await settle(witness, places, patience)
        letters, effects = await witness.letters(), await effects_of(witness)
    for each, place in zip(records, places[::2], strict=True):
        letter = letters.pop(place, None)
        times = effects.pop(each.record.id, 0) if each.record.header("ce_id") else 0
        fate = letter["code"] if letter else APPLIED if times or _leaves_nothing(each) else PASSED
        tally.fates[fate] += 1
        tally.mutations[each.mutation] += 1
        wrong = [] if fate in each.becomes else [f"became {fate} ({letter and letter['error']})"]
        wrong += [f"had {times} effects"] if times > 1 or (letter and times) else []
        if letter:
            kept = (letter["key"], letter["value"], tuple(headers_of(letter["headers"])), letter["kind"])
            if kept != (each.record.key, each.record.value, each.record.headers, "dead"):
                wrong.append("its letter is not what came")
        tally.problems += [f"{each.mutation}: {it}, not {sorted(each.becomes)}: {each.record!r:.800}" for it in wrong]
    tally.problems += [f"a bystander had {effects[it.id]} effects" for it in bystanders if effects[it.id] != 1]
    tally.problems += [f"a letter of nobody: {letter['code']} {letter['error']}" for letter in letters.values()]
    tally.bystanders = len(bystanders)
    extra = set(effects) - {it.id for it in bystanders}
    tally.problems += [f"an effect of nobody: {it}" for it in extra]
    return tally


def _leaves_nothing(each: Made) -> bool:
    """A tombstone of what never was leaves no row."""
    return each.record.value is None and APPLIED in each.becomes
