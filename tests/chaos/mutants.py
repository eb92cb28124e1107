"""Programs that are wrong in one known way, each with the fault that must show it: the nemesis is worth its verdicts.

A mutant is a copy of the tree in which one piece of text is replaced; the services run from that copy.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.ground import ROOT

COPIED = ("chassis", "contracts", "services", "taiwa", "tests")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong program. ``faults`` of the nemesis, or ``die:<fail-point>`` and ``freeze:<fail-point>``."""

    name: str
    about: str
    file: str
    changes: tuple[tuple[str, str], ...]
    faults: tuple[str, ...]
    seconds: float = 25.0
    """Of faults; together with coming to rest less than a minute."""


MUTANTS = {
    it.name: it
    for it in (
        Mutant(
            "save-before-ack",
            "the relay saves its place before the broker acknowledged",
            "chassis/relay/loop.py",
            (
                (
                    'failpoints.reach("relay.after_fetch")\n',
                    'failpoints.reach("relay.after_fetch"); await log.save(page.after)\n',
                ),
            ),
            ("die:relay.after_send_before_ack",),
        ),
        Mutant(
            "commit-first",
            "the consumer commits the offset before the effects",
            "chassis/consumer/batch.py",
            (
                (
                    "            reacted = await self._effects.apply(\n",
                    (
                        "            await ledger.settle(connection, moved)\n"
                        "            await connection.execute(\"COMMIT; BEGIN; SET LOCAL taiwa.municipality = '*'\")\n"
                        "            reacted = await self._effects.apply(\n"
                    ),
                ),
            ),
            ("die:consumer.after_projections", "die:consumer.after_reactions"),
        ),
        Mutant(
            "no-version-check",
            "the consumer applies whatever comes, old versions too",
            "chassis/consumer/decide.py",
            (
                (
                    (
                        "    if fact and (subject.version < current or (subject.version, subject.event_id) == known):\n"
                        "        return _SKIP\n"
                    ),
                    "",
                ),
                (
                    "    problem = subject.problem or (_discontinuity(subject.version, current) if fact else None)\n",
                    "    problem = subject.problem\n",
                ),
            ),
            ("die:relay.after_ack_before_save",),
        ),
        Mutant(
            "no-offset-lock",
            "the consumer reads its offset without locking the row",
            "chassis/consumer/ledger.py",
            (("ORDER BY topic, partition FOR UPDATE\n", "ORDER BY topic, partition\n"),),
            ("freeze:consumer.before_commit", "freeze:consumer.after_projections"),
            seconds=35.0,
        ),
        Mutant(
            "position-over-last",
            "the relay looks beyond the last position only, and forgets whoever was open then",
            "chassis/relay/log.py",
            (
                (
                    "       AND position + 0 > $3 AND {{visible}}\n",
                    "       AND position + 0 > $3 AND false AND {{visible}}\n",
                ),
            ),
            ("locks", "open-write"),
        ),
        Mutant(
            "transaction-order",
            "the relay publishes in the order of transaction ids",
            "chassis/relay/log.py",
            (
                (
                    "AS both_branches ORDER BY position LIMIT $4) AS page ON true\nORDER BY page.position\n",
                    "AS both_branches ORDER BY position LIMIT $4) AS page ON true\nORDER BY md5(page.event_id::text)\n",
                ),
            ),
            ("locks", "delay"),
        ),
        Mutant(
            "timer-outside",
            "a timer is taken in one transaction and takes effect in another",
            "chassis/timers.py",
            (
                (
                    '            failpoints.reach("timers.after_claim")\n',
                    (
                        "            await connection.execute(\"COMMIT; BEGIN; SET LOCAL taiwa.municipality = '*'\")\n"
                        '            failpoints.reach("timers.after_claim")\n'
                    ),
                ),
            ),
            ("die:timers.after_claim", "die:timers.after_effect"),
        ),
    )
}


def changed(mutant: Mutant) -> str:
    """The wrong text of its file.

    Raises:
        ValueError: the text that is to be replaced does not stand there (once); the mutant must follow the code.
    """
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    for old, new in mutant.changes:
        if text.count(old) != 1:
            raise ValueError(f"mutant {mutant.name}: this stands {text.count(old)} times in {mutant.file}: {old!r}")
        text = text.replace(old, new)
    return text


def make_tree(mutant: Mutant, folder: Path) -> Path:
    """Copy the tree and make it wrong; gives the copy's root."""
    wrong = changed(mutant)
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / mutant.file).write_text(wrong, encoding="utf-8")
    return folder
