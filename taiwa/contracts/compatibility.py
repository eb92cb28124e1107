"""Within a published version only optional additions are allowed. Pure, apart from reading the frozen schemas.

A field that goes, a field that must be there, another type or a narrowed set of values breaks readers of old records
(the log is kept for ever); a widened set of values breaks readers that are already out. Each needs a new version
beside the old one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taiwa.contracts.schemas import Schema

_ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated", "$id", "$schema", "$defs"})
_PLACE = {"x-topic": "topic", "x-aggregate": "aggregate", "x-key": "key"}


def published(folder: Path) -> dict[str, dict[str, Schema]]:
    """The schemas of every release, by release and type."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def problems(frozen: Mapping[str, Schema], present: Mapping[str, Schema]) -> list[str]:
    """What in ``present`` breaks somebody who reads or holds records of ``frozen``; each sentence tells the fix."""
    found = []
    for name, old in frozen.items():
        new = present.get(name)
        if new is None:
            found.append(f"{name} is gone. Put it back: records of it are kept for ever and must stay readable.")
            continue
        fix = f"Put it back, or publish {_next_version(name)} beside it."
        for key, word in _PLACE.items():
            if old.get(key) != new.get(key):
                found.append(f"{name}: the {word} changed from {old.get(key)} to {new.get(key)}. {fix}")
        found += [f"{name}: {change}. {fix}" for change in _object("", old, new, old, new)]
    return found


def _next_version(name: str) -> str:
    family, _, version = name.rpartition(".v")
    return f"{family}.v{int(version) + 1}"


def _object(path: str, old: Schema, new: Schema, old_root: Schema, new_root: Schema) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    required_before, required_after = set(old.get("required", ())), set(new.get("required", ()))
    for field in before:
        if field not in after:
            yield f"field {path + field} was removed"
            continue
        if field in required_after - required_before:
            yield f"field {path + field} was optional and is now required"
        if field in required_before - required_after:
            yield f"field {path + field} was always there and is now optional"
        yield from _value(path + field, before[field], after[field], old_root, new_root)
    for field in after:
        if field not in before and field in required_after:
            yield f"new field {path + field} is required (a new field needs a default)"


def _value(path: str, old: Schema, new: Schema, old_root: Schema, new_root: Schema) -> Iterator[str]:
    before, after = _resolved(old, old_root), _resolved(new, new_root)
    if "properties" in before and "properties" in after:
        yield from _object(f"{path}.", before, after, old_root, new_root)
    elif "items" in before and "items" in after:
        yield from _value(f"{path}[]", before["items"], after["items"], old_root, new_root)
    elif (old_one := _nullable(before)) is not None and (new_one := _nullable(after)) is not None:
        yield from _value(path, old_one, new_one, old_root, new_root)
    elif (values_before := _values(before)) is not None and (values_after := _values(after)) is not None:
        yield from _set_of_values(path, values_before, values_after)
    elif _bare(before) != _bare(after):
        yield f"field {path} changed from {_words(before)} to {_words(after)}"


def _set_of_values(path: str, before: list[Any], after: list[Any]) -> Iterator[str]:
    gone = [str(value) for value in before if value not in after]
    added = [str(value) for value in after if value not in before]
    if gone:
        yield f"field {path} no longer allows {', '.join(gone)} (records that hold it are kept for ever)"
    if added:
        yield f"field {path} newly allows {', '.join(added)} (readers that are out refuse it)"


def _resolved(schema: Schema, root: Schema) -> Schema:
    reference = schema.get("$ref")
    return schema if reference is None else root["$defs"][reference.removeprefix("#/$defs/")]


def _nullable(schema: Schema) -> Schema | None:
    """The other half of ``X or null``."""
    choices: list[Schema] = schema.get("anyOf", [])
    others = [choice for choice in choices if choice != {"type": "null"}]
    return others[0] if len(choices) == len(others) + 1 and len(others) == 1 else None


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _bare(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name not in _ANNOTATIONS}


def _words(schema: Schema) -> str:
    return json.dumps(_bare(schema), ensure_ascii=False)
