"""One real message per event version, made once and kept for ever: what is out there stays readable."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from taiwa_contracts.catalogue import BY_TYPE
from taiwa_contracts.event import Event

REQUIRED_HEADERS = (
    "ce_specversion",
    "ce_id",
    "ce_type",
    "ce_source",
    "ce_subject",
    "ce_time",
    "ce_sequence",
    "ce_municipality",
    "ce_correlationid",
    "content-type",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A record as it travels: topic without prefix, key, headers and value; texts, where Kafka has bytes."""

    topic: str
    key: str
    headers: dict[str, str]
    value: dict[str, Any]

    def payload(self) -> bytes:
        """The value as the record's bytes."""
        return json.dumps(self.value, ensure_ascii=False, separators=(",", ":")).encode()


def read(folder: Path) -> dict[str, Sample]:
    """Every sample below ``folder``, by type (the file's name)."""
    return {path.stem: Sample(**json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json"))}


def problems(samples: Mapping[str, Sample]) -> list[str]:
    """What is wrong between the samples and the models; each sentence tells the fix."""
    found = [
        f"{name} has no sample: put one real message of it into contracts/samples/{name}.json"
        for name in BY_TYPE
        if name not in samples
    ]
    for name, sample in samples.items():
        event = BY_TYPE.get(name)
        if event is None:
            found.append(
                f"samples/{name}.json: the catalogue lost {name}. Put the event back: old records stay readable"
            )
            continue
        found += [f"samples/{name}.json: {problem}" for problem in _wrong(event, sample)]
    found += [problem for event in BY_TYPE.values() for problem in _unread_versions(event, samples)]
    return found


def _unread_versions(event: type[Event], samples: Mapping[str, Sample]) -> Iterator[str]:
    """Samples of older versions that this one cannot be made of."""
    for name, read_as in event.readers().items():
        if name in samples and name != event.TYPE:
            try:
                read_as(samples[name].payload())
            except ValueError as error:
                yield f"samples/{name}.json: {event.__name__}.from_previous cannot read it; mend it: {error}"


def _wrong(event: type[Event], sample: Sample) -> Iterator[str]:
    headers = sample.headers
    missing = [header for header in REQUIRED_HEADERS if header not in headers]
    if missing:
        yield f"headers are missing: {', '.join(missing)}"
        return
    try:
        fact = event.read(sample.payload())
    except ValidationError as error:
        yield f"{event.__name__} can no longer read it; mend the model, not the sample: {error}"
        return
    aggregate = fact.aggregate()
    expected = {
        "topic": (sample.topic, event.TOPIC),
        "ce_type": (headers["ce_type"], event.TYPE),
        "ce_subject": (headers["ce_subject"], aggregate),
        "key": (sample.key, f"{headers['ce_municipality']}/{aggregate}"),
    }
    for what, (is_now, should_be) in expected.items():
        if is_now != should_be:
            yield f"{what} is {is_now} and should be {should_be}"
