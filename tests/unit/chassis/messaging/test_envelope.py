"""CloudEvents attributes: what is written is read back; anything else is told apart and never crashes."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.envelope import Unreadable, read, readable_parts

KEY = b"999997/thing/a"
ID, CORRELATION, CAUSE = uuid4(), uuid4(), uuid4()
GOOD: dict[str, bytes | None] = {
    "ce_specversion": b"1.0",
    "ce_id": str(ID).encode(),
    "ce_type": b"taiwa.source.thing-made.v1",
    "ce_source": b"/taiwa/source",
    "ce_subject": b"thing/a",
    "ce_time": b"2026-04-01T09:00:00+09:00",
    "ce_sequence": b"7",
    "ce_municipality": b"999997",
    "ce_correlationid": str(CORRELATION).encode(),
    "ce_causationid": str(CAUSE).encode(),
    "traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


def test_every_attribute_is_read() -> None:
    it = read(KEY, GOOD.items())
    assert (it.id, it.correlation_id, it.causation_id) == (ID, CORRELATION, CAUSE)
    assert (it.municipality, it.aggregate, it.version) == ("999997", "thing/a", 7)
    assert it.occurred_at == datetime(2026, 4, 1, tzinfo=UTC)
    assert it.traceparent is not None


def test_what_need_not_be_there_may_be_null_or_absent() -> None:
    it = read(KEY, {**GOOD, "ce_causationid": None, "traceparent": None, "ce_source": None, "x": None}.items())
    assert it.causation_id is None
    assert it.traceparent is None


def test_the_whole_installation_is_no_municipality_but_may_stand_there() -> None:
    assert read(b"000000/thing/a", {**GOOD, "ce_municipality": b"000000"}.items()).municipality == "000000"


@pytest.mark.parametrize(
    "name", ["ce_id", "ce_subject", "ce_time", "ce_sequence", "ce_municipality", "ce_correlationid"]
)
def test_a_required_attribute_that_is_null_is_missing(name: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(KEY, {**GOOD, name: None}.items())
    assert caught.value.code == "event.attribute_missing"
    assert caught.value.holds


@pytest.mark.parametrize(("key", "changes"), [(None, {}), (KEY, {"ce_type": None})])
def test_without_key_or_type_nobody_is_held(key: bytes | None, changes: dict[str, bytes | None]) -> None:
    with pytest.raises(Unreadable) as caught:
        read(key, {**GOOD, **changes}.items())
    assert not caught.value.holds


@pytest.mark.parametrize("code", [b"123456", b"99999", b"9999977", "９９９９９７".encode(), b""])
def test_a_wrong_municipality_is_not_read(code: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read(code + b"/thing/a", {**GOOD, "ce_municipality": code}.items())
    assert caught.value.code == "event.municipality_invalid"


@pytest.mark.parametrize(
    ("name", "value"),
    [("ce_sequence", b"0"), ("ce_sequence", b"-1"), ("ce_time", b"2026-04-01T09:00:00"), ("ce_causationid", b"x")],
)
def test_impossible_values_are_not_read(name: str, value: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read(KEY, {**GOOD, name: value}.items())
    assert caught.value.code == "event.attribute_invalid"


@given(
    st.one_of(st.none(), st.binary(max_size=20), st.just(KEY)),
    st.lists(st.tuples(st.sampled_from([*GOOD, "other"]), st.one_of(st.none(), st.binary(max_size=40)))),
)
def test_no_bytes_make_it_crash(key: bytes | None, headers: list[tuple[str, bytes | None]]) -> None:
    mixed = [*GOOD.items(), *headers]
    with contextlib.suppress(Unreadable):
        read(key, mixed)
    readable_parts(mixed)


def test_a_dead_letter_keeps_what_could_be_read() -> None:
    assert readable_parts(GOOD.items()) == ("999997", ID, "taiwa.source.thing-made.v1")
    assert readable_parts([("ce_municipality", b"123456"), ("ce_id", b"\xff")]) == (None, None, None)


def test_ids_are_ids() -> None:
    assert isinstance(read(KEY, GOOD.items()).id, UUID)
