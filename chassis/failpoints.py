"""Named places where a test may kill the process, to prove what a crash there leaves behind.

Promise: without ``TAIWA_FAILPOINT`` a fail-point costs one comparison and does nothing; in production naming one is
refused at the start. ``TAIWA_FAILPOINT=relay.after_ack_before_save`` kills at the first time that place is reached,
``…:3`` at the third. The process ends by SIGKILL: no handler runs, as when the power fails.

Proven by ``tests/resilience/test_crashes.py``.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

VARIABLE = "TAIWA_FAILPOINT"

NAMES = frozenset(
    {
        "api.before_commit",
        "api.after_commit",
        "relay.after_fetch",
        "relay.after_send_before_ack",
        "relay.after_ack_before_save",
        "relay.after_save",
        "consumer.before_transaction",
        "consumer.after_projections",
        "consumer.after_reactions",
        "consumer.before_commit",
        "consumer.after_commit",
        "consumer.after_dead_letter",
        "timers.after_claim",
        "timers.after_effect",
        "timers.after_commit",
        "loop.after_side_effect",
    }
)
"""Every place there is. A misspelt name must not make a test pass."""


@dataclass(slots=True)
class _Armed:
    name: str
    remaining: int


def _parse(text: str) -> _Armed:
    name, _, count = text.partition(":")
    if name not in NAMES:
        raise ValueError(f"{VARIABLE}: there is no fail-point {name!r}; known: {', '.join(sorted(NAMES))}")
    return _Armed(name, int(count or 1))


_armed: _Armed | None = _parse(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def refuse_in_production(environment: str) -> None:
    """Raise when a fail-point is named in production.

    Raises:
        ValueError: with the sentence that mends it.
    """
    if environment == "production" and os.environ.get(VARIABLE):
        raise ValueError(f"{VARIABLE} is for tests only; unset it in production")


def reach(name: str) -> None:
    """Die here if this is the place that was named, and its turn."""
    if _armed is None or _armed.name != name:
        return
    _armed.remaining -= 1
    if _armed.remaining <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
