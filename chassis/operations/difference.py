"""A payload against the schema of its type, field by field. Pure.

Chassis knows no event. What it knows is the class a service wants: how it reads a payload, and, where it is a pydantic
model, its JSON Schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from chassis.service import ReadableFact

State = Literal["fits", "missing", "wrong", "unknown"]
"""``unknown``: the schema has no such field; a reader ignores it."""

_SHOWN = 500
"""Characters of one field's value that are shown."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``expected`` is a word of JSON Schema (``string``, ``uuid``, ``date``…), ``given`` JSON text."""

    name: str
    state: State
    expected: str = ""
    given: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """``type`` is what it was compared with: the record's own, or the newest major version of it that is wanted.

    ``fields`` is empty where the payload is no JSON object, or nobody wants the type.
    """

    type: str | None
    fields: tuple[Field, ...] = ()


def difference(type_: str | None, value: bytes | None, wanted: Sequence[type[ReadableFact]]) -> Difference:
    """Compare a record's payload with what a service wants of its type."""
    kind = _nearest(type_, wanted)
    if kind is None:
        return Difference(None)
    given = _object(value)
    if given is None or value is None:
        return Difference(kind.TYPE)
    schema = _schema(kind)
    expected, required = schema.get("properties", {}), set(schema.get("required", ()))
    problems = _problems(kind, value)
    names = [*expected, *(name for name in given if name not in expected)]
    fields = tuple(
        _field(name, given, _word(expected.get(name), schema), problems, known=name in expected or not expected)
        for name in names
        if name in given or name in required or name in problems
    )
    return Difference(kind.TYPE, fields)


def _field(name: str, given: Mapping[str, Any], expected: str, problems: Mapping[str, str], *, known: bool) -> Field:
    if name not in given:
        return Field(name, "missing", expected)
    text = json.dumps(given[name], ensure_ascii=False)
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    if not known:
        return Field(name, "unknown", expected, text)
    problem = problems.get(name, "")
    return Field(name, "wrong" if problem else "fits", expected, text, problem)


def _nearest(type_: str | None, wanted: Sequence[type[ReadableFact]]) -> type[ReadableFact] | None:
    family = (type_ or "").rpartition(".v")[0]
    same = [kind for kind in wanted if family and kind.TYPE.rpartition(".v")[0] == family]
    return max(same, key=lambda kind: (type_ == kind.TYPE, len(kind.TYPE), kind.TYPE), default=None)


def _object(value: bytes | None) -> dict[str, Any] | None:
    try:
        content = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _schema(kind: type[ReadableFact]) -> Mapping[str, Any]:
    return kind.model_json_schema(mode="serialization") if issubclass(kind, BaseModel) else {}


def _problems(kind: type[ReadableFact], value: bytes) -> dict[str, str]:
    """What the reader says, by field; without the values it met."""
    try:
        kind.read(value)
    except ValidationError as error:
        found: dict[str, str] = {}
        for each in error.errors(include_input=False, include_url=False):
            place = [str(part) for part in each["loc"]]
            if place:
                found.setdefault(place[0], ": ".join([*place[1:2], each["msg"]]))
        return found
    except (ValueError, RecursionError):
        return {}
    return {}


def _word(field: Mapping[str, Any] | None, schema: Mapping[str, Any]) -> str:
    """What a field must be, in one word; choices are joined by a bar."""
    if field is None:
        return ""
    if "$ref" in field:
        return _word(schema.get("$defs", {}).get(str(field["$ref"]).rpartition("/")[2]), schema)
    if "enum" in field:
        return "|".join(str(each) for each in field["enum"])
    if "const" in field:
        return str(field["const"])
    if "anyOf" in field:
        words = [_word(each, schema) for each in field["anyOf"]]
        return "|".join(dict.fromkeys(word for word in words if word))
    return str(field.get("format") or field.get("type") or "")
