"""Makes records from real samples by breaking them, any number, the same for the same seed.

Each mutation states what its record must become; a few touch bytes at random, and then only the fates it may have are
known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any
from uuid import UUID

from chassis.testing import OTHER_TOWN
from taiwa_contracts.catalogue import BY_TYPE
from taiwa_contracts.event import Event
from taiwa_contracts.topics import TOPICS
from tests.corpus.record import ABSENT, APPLIED, PASSED, Record
from tests.corpus.samples import KEYED, about, record

INVALID, MISSING, ATTRIBUTE = "event.payload_invalid", "event.attribute_missing", "event.attribute_invalid"
FAILED, AGGREGATE = "event.failed", "event.aggregate_differs"
REQUIRED = ("ce_id", "ce_subject", "ce_time", "ce_sequence", "ce_municipality", "ce_correlationid")
TEXT = "𠮷田 <b>'; -- \u202e\u3099ｶﾞ①"


@dataclass(frozen=True, slots=True)
class Made:
    """A made record and the fates it may have: ``applied``, ``passed`` or codes of its one dead letter."""

    mutation: str
    record: Record
    becomes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Good:
    """The good record that a mutation begins with."""

    event: type[Event]
    value: dict[str, Any]
    record: Record

    def with_value(self, value: bytes | None) -> Record:
        """With another payload."""
        return replace(self.record, value=value)

    def with_fields(self, **fields: object) -> Record:
        """With other fields, known or not."""
        return self.with_value(json.dumps(self.value | fields, ensure_ascii=False).encode())

    def and_more(self, more: str) -> Record:
        """With a piece of JSON before the last brace."""
        return self.with_value((self.record.value or b"")[:-1] + more.encode() + b"}")


Mutation = Callable[[Random, Good], tuple[Record, str | tuple[str, ...]]]


def _uuid(rng: Random) -> UUID:
    return UUID(int=rng.getrandbits(128))


def _cut_short(rng: Random, it: Good) -> tuple[Record, str]:
    value = it.record.value or b""
    return it.with_value(value[: rng.randrange(1, len(value))]), INVALID


def _random_bytes(rng: Random, it: Good) -> tuple[Record, str]:
    return it.with_value(rng.randbytes(rng.choice((1, 10, 100, 1000)))), INVALID


def _a_byte_of_no_utf8(rng: Random, it: Good) -> tuple[Record, str]:
    value = it.record.value or b""
    at = rng.randrange(len(value))
    return it.with_value(value[:at] + rng.choice((b"\xff", b"\xc0\x80", b"\xed\xa0\x80")) + value[at:]), INVALID


def _another_encoding(rng: Random, it: Good) -> tuple[Record, str]:
    text = (it.record.value or b"").decode()
    return it.with_value(text.encode(rng.choice(("utf-16", "utf-16-be", "utf-32", "utf-8-sig")))), INVALID


def _a_name_twice(rng: Random, it: Good) -> tuple[Record, str]:
    name = rng.choice(sorted(it.value))
    space = rng.choice(("", " ", "\n", "\t"))
    return it.and_more(f',"{name}"{space}:{json.dumps(it.value[name])}'), INVALID


def _a_number_that_is_none(rng: Random, it: Good) -> tuple[Record, str]:
    number = rng.choice(("NaN", "Infinity", "-Infinity", "nan", "0x1", "01", "+1", ".5", "1.", "1e", "--1", "1_0"))
    where = rng.choice(("{}", "[1,{}]", '{{"a":{}}}'))
    return it.and_more(',"seal":' + where.format(number)), INVALID


def _half_a_character(rng: Random, it: Good) -> tuple[Record, str]:
    half = rng.choice((r"\ud842", r"\udfb7", r"\ud842\ud842", r"x\ud842x"))
    return it.and_more(f',"seal":"{half}"'), INVALID


def _a_bare_control_character(rng: Random, it: Good) -> tuple[Record, str]:
    return it.and_more(f',"seal":"{chr(rng.randrange(32))}"'), INVALID


def _a_field_of_another_type(rng: Random, it: Good) -> tuple[Record, str]:
    name = rng.choice(sorted(it.value))
    return it.with_fields(**{name: {"a": [rng.random()]}}), INVALID


def _a_field_missing(rng: Random, it: Good) -> tuple[Record, str]:
    name = rng.choice(sorted(name for name, field in it.event.model_fields.items() if field.is_required()))
    value = {each: content for each, content in it.value.items() if each != name}
    return it.with_value(json.dumps(value).encode()), INVALID


def _a_bomb(rng: Random, it: Good) -> tuple[Record, str]:
    depth = rng.choice((250, 1000, 50_000))
    if rng.random() < 0.5:
        return it.and_more(',"seal":' + "[" * depth + "]" * depth), INVALID
    return it.with_value(rng.choice((b"[", b'{"a":', b'[{"a":')) * depth), INVALID


def _too_large(rng: Random, it: Good) -> tuple[Record, str]:
    return it.and_more(f',"seal":"{"x" * rng.randrange(513 * 1024, 900_000)}"'), "event.too_large"


def _no_object(rng: Random, it: Good) -> tuple[Record, str]:
    return it.with_value(rng.choice((b"null", b"true", b"7", b'"x"', b"[]", b"{}", b"", b" ", b"\x00"))), INVALID


def _no_value(_: Random, it: Good) -> tuple[Record, str]:
    return it.with_value(None), APPLIED if it.event.STATE else "event.value_missing"


def _nul_in_a_text(rng: Random, it: Good) -> tuple[Record, tuple[str, ...]]:
    texts = sorted(name for name, content in it.value.items() if isinstance(content, str))
    name = rng.choice(texts)
    return it.with_fields(**{name: f"{it.value[name]}\x00"}), (FAILED, INVALID, AGGREGATE)


def _about_another_thing(rng: Random, it: Good) -> tuple[Record, str]:
    value = about(it.event.TYPE, _uuid(rng))
    return it.with_value(it.event.model_validate(value).write().encode()), AGGREGATE


def _an_attribute_missing(rng: Random, it: Good) -> tuple[Record, str]:
    name = rng.choice(("ce_type", *REQUIRED)).removeprefix("ce_")
    return it.record.but(**{name: rng.choice((None, ABSENT))}), "event.type_missing" if name == "type" else MISSING


def _an_attribute_of_noise(rng: Random, it: Good) -> tuple[Record, str]:
    name = rng.choice(("id", "time", "sequence", "correlationid", "causationid", "subject", "municipality", "versions"))
    return it.record.but(**{name: b"\xff" + rng.randbytes(rng.choice((1, 30, 3000)))}), ATTRIBUTE


def _an_attribute_twice(rng: Random, it: Good) -> tuple[Record, str]:
    header = rng.choice([header for header in it.record.headers if header[0].startswith("ce_")])
    return replace(it.record, headers=(*it.record.headers, header)), ATTRIBUTE


def _an_unknown_version(rng: Random, it: Good) -> tuple[Record, str]:
    version = rng.choice(("2", "7", "99", "0", "x", "1.1", "", "٢", "1 "))
    return it.record.but(type=f"{it.event.family()}.v{version}".encode()), "event.version_unknown"


def _an_unknown_type(rng: Random, it: Good) -> tuple[Record, str]:
    type_ = rng.choice((f"taiwa.x.thing-{rng.random()}.v1".encode(), b"com.example.paid", b"x" * 5000, TEXT.encode()))
    return it.record.but(type=type_), PASSED


def _of_another_town(rng: Random, it: Good) -> tuple[Record, str]:
    code = rng.choice((OTHER_TOWN, "123456", "99999", "*", "", " 999997", "９９９９９７"))
    changed = it.record.but(municipality=code.encode())
    return changed, "event.key_differs" if code == OTHER_TOWN else "event.municipality_invalid"


def _of_another_key(rng: Random, it: Good) -> tuple[Record, str]:
    # Never the same twice: of two foreign records with one key the second would rightly wait behind the first.
    # A compacted topic takes no record without a key: the broker itself refuses it.
    none = () if it.event.STATE else (None,)
    key = rng.choice((*none, b"\x00%d" % rng.getrandbits(64), *map(rng.randbytes, (20, 900, 5000))))
    code = "event.key_missing" if key is None else "event.key_too_long" if len(key) > 1000 else "event.key_differs"
    return replace(it.record, key=key), code


def _a_version_too_far(rng: Random, it: Good) -> tuple[Record, str]:
    version = rng.choice((2, 3, rng.randrange(2, 10**9), 2**63 - 1))
    return it.record.but(sequence=str(version).encode()), APPLIED if it.event.STATE else "event.version_gap"


def _a_version_that_is_none(rng: Random, it: Good) -> tuple[Record, str]:
    version = rng.choice((b"0", b"-1", b"+1", b" 1", b"1.0", b"1e3", b"9" * 19, b"9" * 6000, b"NaN", b"\x00" * 8, b""))
    return it.record.but(sequence=version), ATTRIBUTE


def _a_time_that_is_none(rng: Random, it: Good) -> tuple[Record, str]:
    times = (
        b"2026-02-30T00:00:00Z",
        b"2026-04-14",
        b"1776128400",
        b"",
        b"0001-01-01T00:00:00+14:00",
        b"10000-01-01T00:00Z",
    )
    return it.record.but(time=rng.choice(times)), ATTRIBUTE


def _on_another_topic(rng: Random, it: Good) -> tuple[Record, str]:
    others = [topic.name for topic in TOPICS if topic.name != it.event.TOPIC]
    return replace(it.record, topic=rng.choice(others)), "event.topic_differs"


def _bits_flipped(rng: Random, it: Good) -> tuple[Record, tuple[str, ...]]:
    value = bytearray(it.record.value or b"")
    for _ in range(rng.randrange(1, 4)):
        value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
    return it.with_value(bytes(value)), (APPLIED, INVALID, AGGREGATE, FAILED)


def _bytes_moved(rng: Random, it: Good) -> tuple[Record, tuple[str, ...]]:
    value = it.record.value or b""
    one, two = sorted((rng.randrange(len(value)), rng.randrange(len(value))))
    return it.with_value(value[:one] + value[two:]), (APPLIED, INVALID, AGGREGATE, FAILED)


def _good(_: Random, it: Good) -> tuple[Record, str]:
    return it.record, APPLIED


def _good_with_more(rng: Random, it: Good) -> tuple[Record, str]:
    more = rng.choice((TEXT, 10**50, [1, {"a": None}], "x" * 100_000, True, "NaN: Infinity", '"a" : "a" :'))
    return it.with_fields(seal=more), APPLIED


def _good_in_another_form(rng: Random, it: Good) -> tuple[Record, str]:
    form = rng.choice(
        (
            json.dumps(it.value, indent=2),
            json.dumps(it.value, separators=(" ,\r\n", "\t: ")),
            f" \n{json.dumps(it.value, ensure_ascii=False)}\t ",
            json.dumps(dict(reversed(it.value.items()))),
        )
    )
    return it.with_value(form.encode()), APPLIED


def _good_with_odd_headers(rng: Random, it: Good) -> tuple[Record, str]:
    odd = (
        ("x-note", None),
        ("x-note", b"\xff"),
        ("", b""),
        ("traceparent", b"\xff"),
        ("x\x00", b"1"),
        ("ce_versions", b"1,2"),
    )
    return replace(it.record, headers=(*it.record.but().headers, *rng.sample(odd, rng.randrange(1, len(odd))))), APPLIED


MUTATIONS: tuple[Mutation, ...] = (
    _cut_short,
    _random_bytes,
    _a_byte_of_no_utf8,
    _another_encoding,
    _a_name_twice,
    _a_number_that_is_none,
    _half_a_character,
    _a_bare_control_character,
    _a_field_of_another_type,
    _a_field_missing,
    _a_bomb,
    _no_object,
    _no_value,
    _nul_in_a_text,
    _about_another_thing,
    _an_attribute_missing,
    _an_attribute_of_noise,
    _an_attribute_twice,
    _an_unknown_version,
    _an_unknown_type,
    _of_another_town,
    _of_another_key,
    _a_version_too_far,
    _a_version_that_is_none,
    _a_time_that_is_none,
    _on_another_topic,
    _bits_flipped,
    _bytes_moved,
    _good,
    _good_with_more,
    _good_in_another_form,
    _good_with_odd_headers,
)
RARE: tuple[Mutation, ...] = (_too_large,)
"""Half a megabyte each."""


def good(rng: Random) -> Good:
    """A good record of some type, about a thing of its own."""
    type_ = rng.choice(KEYED)
    value = about(type_, _uuid(rng))
    return Good(BY_TYPE[type_], value, record(type_, value, event_id=_uuid(rng)))


def made(seed: int, count: int) -> Iterator[Made]:
    """As many records as wanted."""
    rng = Random(seed)  # noqa: S311  the same again for the same seed, which is the point
    for number in range(count):
        mutation = rng.choice(RARE) if number % 200 == 199 else rng.choice(MUTATIONS)
        it, becomes = mutation(rng, good(rng))
        fates = frozenset((becomes,) if isinstance(becomes, str) else becomes)
        yield Made(mutation.__name__.lstrip("_").replace("_", " "), it, fates)
