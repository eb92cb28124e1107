"""The real messages of ``contracts/samples`` as records, each about a thing of its own."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

from chassis.testing import MIDORI
from taiwa_contracts.catalogue import BY_TYPE, EVENTS
from taiwa_contracts.event import Event
from tests.corpus.record import Header, Record

SAMPLES = Path(__file__).resolve().parents[2] / "contracts" / "samples"
EVERY_TYPE = tuple(sorted(event.TYPE for event in EVENTS))
KEYED = tuple(type_ for type_ in EVERY_TYPE if BY_TYPE[type_].KEY)
"""Types of which a town has many aggregates; of the others it has one."""


@cache
def sample(type_: str) -> dict[str, Any]:
    """The file, parsed."""
    found: dict[str, Any] = json.loads((SAMPLES / f"{type_}.json").read_text(encoding="utf-8"))
    return found


def about(type_: str, thing: UUID) -> dict[str, Any]:
    """The sample's payload, as one about this thing."""
    event = BY_TYPE[type_]
    value = dict(sample(type_)["value"])
    for field in event.KEY:
        kind = event.model_fields[field].annotation
        if kind is UUID:
            value[field] = str(thing)
        elif kind is int:
            value[field] = thing.int % 10**9
        elif not get_args(kind):  # a text; one of a few words stays
            value[field] = thing.hex
    return value


def record(type_: str, value: dict[str, Any], *, event_id: UUID, version: int = 1) -> Record:
    """The record of a payload, with the sample's headers."""
    event: type[Event] = BY_TYPE[type_]
    it = event.model_validate(value)
    town = sample(type_)["headers"]["ce_municipality"] if not event.KEY else MIDORI
    given = sample(type_)["headers"] | {
        "ce_id": str(event_id),
        "ce_subject": it.aggregate(),
        "ce_sequence": str(version),
        "ce_municipality": town,
    }
    headers: tuple[Header, ...] = tuple((name, text.encode()) for name, text in given.items())
    return Record(event.TOPIC, f"{town}/{it.aggregate()}".encode(), it.write().encode(), headers)
