"""JSON Schema (draft 2020-12) of every event version, as a reader sees it."""

from __future__ import annotations

import json
from typing import Any

from taiwa_contracts.catalogue import EVENTS
from taiwa_contracts.event import Event

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(event: type[Event]) -> Schema:
    """Schema of one event version.

    It is open: a reader must ignore fields it does not know, because a producer may add optional ones within a
    version. ``x-topic``, ``x-aggregate`` and ``x-key`` say where the record travels and what keeps its order.
    """
    body = _without_noise(event.model_json_schema(mode="serialization"))
    return {
        "$schema": DIALECT,
        "$id": f"urn:taiwa:{event.TYPE}",
        "title": event.__name__,
        "description": description(event),
        "x-topic": event.TOPIC,
        "x-aggregate": event.AGGREGATE,
        "x-key": list(event.KEY),
        **{name: value for name, value in body.items() if name not in {"title", "description"}},
    }


def every() -> dict[str, Schema]:
    """Schema of every event version in the catalogue, by its CloudEvents type."""
    return {event.TYPE: schema_of(event) for event in EVENTS}


def description(event: type[Event]) -> str:
    """What the event says, in Markdown: the model's docstring."""
    return (event.__doc__ or "").replace("``", "`").strip().replace("\n    ", "\n")


def text(schema: Schema | dict[str, Schema]) -> str:
    """A schema as the text of a file."""
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def _without_noise(schema: Schema) -> Schema:
    """Drop what pydantic adds and a reader must not rely on: generated titles, the closedness of the write side."""
    cleaned: Schema = {}
    for name, value in schema.items():
        if name == "additionalProperties" and value is False:
            continue
        if name in {"properties", "$defs"}:
            cleaned[name] = {field: _without_title(_without_noise(inner)) for field, inner in value.items()}
        elif isinstance(value, dict):
            cleaned[name] = _without_noise(value)
        elif isinstance(value, list):
            cleaned[name] = [_without_noise(item) if isinstance(item, dict) else item for item in value]
        else:
            cleaned[name] = value
    return cleaned


def _without_title(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "title"}
