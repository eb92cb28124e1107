"""What the clients did and were told: one JSON object a line, written as it happens, read by the checker afterwards.

``{"at": seconds, "op": "c3-17", "event": "invoke", "papers": ["p1"], "remind": false}``, then for each attempt one of
``ok`` (with the versions), ``fail`` (a refusal: nothing happened) or ``unknown`` (no answer, or a fault of the server:
it may have happened). The last word on an operation counts; an ``unknown`` was repeated with the same Idempotency-Key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TextIO

Outcome = Literal["ok", "fail", "unknown"]


@dataclass(slots=True)
class Operation:
    """One command as its client saw it. ``versions`` is what an ``ok`` said; ``at`` and ``until`` are seconds."""

    id: str
    papers: tuple[str, ...]
    remind: bool = False
    outcome: Outcome = "unknown"
    versions: dict[str, int] = field(default_factory=dict)
    at: float = 0.0
    until: float | None = None
    attempts: int = 0


class History:
    """Writes the history of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO = path.open("w", encoding="utf-8")

    def note(self, at: float, operation: str, event: str, **more: Any) -> None:
        """Write one line at once: the run itself may be ended."""
        self._file.write(json.dumps({"at": round(at, 3), "op": operation, "event": event, **more}) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def operations(lines: Iterable[str]) -> list[Operation]:
    """What became of each operation."""
    found: dict[str, Operation] = {}
    for line in lines:
        it = json.loads(line)
        if it["event"] == "invoke":
            found[it["op"]] = Operation(it["op"], tuple(it["papers"]), it["remind"], at=it["at"])
            continue
        operation = found[it["op"]]
        operation.attempts += 1
        operation.outcome = it["event"]
        operation.until = it["at"]
        operation.versions = it.get("versions", {})
    return list(found.values())
