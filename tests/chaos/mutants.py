"""Where the nemesis aims to show each mistake of :mod:`tests.mutants`: it is worth its verdicts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aim:
    """``faults`` of the nemesis, or ``die:<fail-point>`` and ``freeze:<fail-point>``; ``seconds``: no new one after."""

    faults: tuple[str, ...]
    seconds: float = 20.0


AIMS = {
    "commit_first": Aim(("die:consumer.before_transaction",)),
    "position_above_last": Aim(("locks", "open-write")),
    "no_version_check": Aim(("die:relay.after_ack_before_save",)),
    # One is enough, and takes half a minute: another process takes the partitions once the session is over.
    "no_offset_lock": Aim(("freeze:consumer.before_commit",), seconds=1.0),
    "transaction_id_order": Aim(("locks", "delay")),
    "save_before_ack": Aim(("die:relay.after_send_before_ack",)),
    "timer_outside_its_transaction": Aim(("die:timers.after_claim",)),
}

SIMULATED_ONLY = {
    "nobody_is_held": "shows behind a dead letter, and no fault makes one",
    "holes_are_losses": "shows on a compacted topic, and the two services have none",
    "holes_are_never_losses": "the same",
}
"""What the simulation alone catches, and why."""
