"""AsyncAPI 3.0 of every topic that integrators may read, from the catalogue and the samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from taiwa.contracts.samples import REQUIRED_HEADERS, Sample
from taiwa.contracts.schemas import schema_of
from taiwa_contracts.catalogue import EVENTS
from taiwa_contracts.event import Event
from taiwa_contracts.topics import PARTITIONS, TOPICS, Topic

_BINDING = "0.5.0"
_DAY_MS = 86_400_000
_HEADERS: dict[str, tuple[str, Any]] = {
    "ce_specversion": ("CloudEvents version.", "1.0"),
    "ce_id": ("Id of the event (UUIDv7). The same id is the same event, delivered again.", None),
    "ce_type": ("Type and major version of the event.", None),
    "ce_source": ("The service that published it.", None),
    "ce_subject": ("The aggregate, `<kind>/<id>`: order is promised within it.", None),
    "ce_time": ("When it happened, in the time of the town.", None),
    "ce_sequence": (
        "Version of the aggregate: 1, 2, 3 … without holes (on compacted topics: the state's version).",
        None,
    ),
    "ce_municipality": ("全国地方公共団体コード of the town, 6 digits.", None),
    "ce_correlationid": ("The same for all that followed from one request.", None),
    "ce_causationid": ("Id of the event or request that caused this one; absent where nothing did.", None),
    "ce_versions": (
        "Major versions in which the same fact is told, as in 1,2: act on the newest you know. Absent: in this one.",
        None,
    ),
    "content-type": ("Of the value.", "application/json"),
    "traceparent": ("W3C trace context of the request that caused it.", None),
}


def text(release: str, samples: Mapping[str, Sample]) -> str:
    """The document as YAML."""
    return yaml.safe_dump(document(release, samples), allow_unicode=True, sort_keys=False, width=110)


def document(release: str, samples: Mapping[str, Sample]) -> dict[str, Any]:
    """The document. ``samples`` by type give each message its example."""
    topics = [topic for topic in TOPICS if not topic.internal]
    events = [event for event in EVENTS if event.TOPIC in {topic.name for topic in topics}]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "taiwa",
            "version": release,
            "description": "What happens in a municipality's network of DX推進リーダー, as events. Records are "
            "CloudEvents 1.0 in binary mode; the key of a record is `<municipality>/<aggregate>`. Delivery is at least "
            "once, in order per key. Topics bear the installation's prefix, where it has one.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic, events) for topic in topics},
        "operations": {
            f"publish_{topic.name.replace('.', '_')}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{topic.name}"},
                "summary": f"taiwa publishes to {topic.name}; integrators only read.",
            }
            for topic in topics
        },
        "components": {
            "schemas": {event.__name__: _payload(event) for event in events},
            "messages": {event.__name__: _message(event, samples.get(event.TYPE)) for event in events},
            "messageTraits": {"cloudEvent": {"headers": _headers()}},
        },
    }


def _channel(topic: Topic, events: list[type[Event]]) -> dict[str, Any]:
    configuration: dict[str, Any] = {"cleanup.policy": ["compact" if topic.compacted else "delete"], "retention.ms": -1}
    if topic.compacted:
        configuration["max.compaction.lag.ms"] = _DAY_MS
    erased = " A record without a value says that the thing was erased." if topic.compacted else ""
    return {
        "address": topic.name,
        "title": topic.title,
        "description": f"{topic.title}.{erased}",
        "messages": {
            event.__name__: {"$ref": f"#/components/messages/{event.__name__}"}
            for event in events
            if topic.name == event.TOPIC
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": PARTITIONS,
                "topicConfiguration": configuration,
                "bindingVersion": _BINDING,
            }
        },
    }


def _message(event: type[Event], sample: Sample | None) -> dict[str, Any]:
    description = schema_of(event)["description"]
    message = {
        "name": event.TYPE,
        "title": event.__name__,
        "summary": " ".join(description.partition("\n\n")[0].split()),
        "contentType": "application/json",
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        "bindings": {"kafka": {"key": _record_key(event), "bindingVersion": _BINDING}},
    }
    if sample is not None:
        message["examples"] = [{"name": event.TYPE, "headers": sample.headers, "payload": sample.value}]
    return message


def _record_key(event: type[Event]) -> dict[str, Any]:
    fields = ":".join(f"<{field}>" for field in event.KEY) or "only"
    return {"type": "string", "description": f"<municipality>/{event.AGGREGATE}/{fields}"}


def _payload(event: type[Event]) -> dict[str, Any]:
    return {name: value for name, value in schema_of(event).items() if name not in {"$schema", "$id"}}


def _headers() -> dict[str, Any]:
    properties = {
        name: {"type": "string", "description": meaning, **({} if constant is None else {"const": constant})}
        for name, (meaning, constant) in _HEADERS.items()
    }
    return {"type": "object", "required": list(REQUIRED_HEADERS), "properties": properties}
