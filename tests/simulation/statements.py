"""What each statement of the product does, told for the simulated PostgreSQL.

The key is the product's own constant, so a statement that changes its text stays known, and one that changes its
meaning fails the contract suite, which runs it on the real server too. A statement that is not here stops the schedule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from chassis import dead_letters, repair, timers, transaction
from chassis.consumer import ledger
from chassis.operations import acts, letters, stops
from chassis.relay import fitting
from chassis.relay import log as relay_log
from tests.mutants import relay as mutant_relay
from tests.simulation.postgres import Content, Key, Row, Server, Statement, Transaction, Waits, row_type, rows_of

STATEMENTS: dict[str, Statement] = {}

_LOG = ("event_log", "the table")
"""The lock of the whole table."""


def statement(*texts: str) -> Callable[[Statement], Statement]:
    """Says what these texts do."""

    def note(does: Statement) -> Statement:
        for text in texts:
            STATEMENTS[text] = does
        return does

    return note


def parts(snapshot: str) -> tuple[int, list[int]]:
    """``xmax`` and ``xip`` of a snapshot's text."""
    _, xmax, xip = snapshot.split(":")
    return int(xmax), [int(xid) for xid in xip.split(",") if xid]


def visible(xid: int, snapshot: str) -> bool:
    """``pg_visible_in_snapshot``."""
    xmax, xip = parts(snapshot)
    return xid < xmax and xid not in xip


def inserted(text: str) -> Callable[[Server, tuple[Any, ...]], Iterator[Content]]:
    """The rows that an INSERT writes, read from its text: of values, or of arrays side by side."""
    columns = [name.strip().strip('"') for name in text.partition("(")[2].partition(")")[0].split(",")]
    if values := re.search(r"VALUES \((.*)\)\s*$", text, re.DOTALL):
        made = [_expression(each, ()) for each in _separated(values[1])]
        return lambda server, given: iter(
            [{name: of(server, given, 0) for name, of in zip(columns, made, strict=True)}]
        )
    found = re.search(r"SELECT (.*?)\nFROM unnest\((.*?)\)\s+AS \w+ \((.*?)\)", text, re.DOTALL)
    assert found is not None, f"an INSERT of another form; teach it in statements.py:\n{text}"
    expressions, arrays, names = found.groups()
    sources = tuple(
        (name.strip(), int(each.strip().partition("::")[0][1:]) - 1)
        for name, each in zip(names.split(","), arrays.split(","), strict=True)
    )
    each_row = [_expression(each, sources) for each in _separated(expressions)]
    first = sources[0][1]

    def rows(server: Server, given: tuple[Any, ...]) -> Iterator[Content]:
        for place in range(len(given[first])):
            yield {name: of(server, given, place) for name, of in zip(columns, each_row, strict=True)}

    return rows


def _separated(text: str) -> list[str]:
    """Split at commas that stand in no parentheses."""
    return [each.strip() for each in re.split(r",(?![^()]*\))", text)]


def _expression(text: str, sources: Sequence[tuple[str, int]]) -> Callable[[Server, tuple[Any, ...], int], Any]:
    """What one expression of an INSERT gives: a parameter, an array's element, a literal, a time from now on."""
    if parameter := re.fullmatch(r"\$(\d+)(::\w+)?", text):
        at = int(parameter[1]) - 1
        return lambda _, given, __: given[at]
    if text.partition(".")[0] in {"e", "t"}:
        array = dict(sources)[text.partition(".")[2]]
        return lambda _, given, place: given[array][place]
    if wait := re.fullmatch(r"clock_timestamp\(\) \+ \$(\d+)::interval", text):
        after = int(wait[1]) - 1
        return lambda server, given, _: None if given[after] is None else server.clock() + given[after]
    literal = {"true": True, "false": False, "NULL": None}.get(text, text.strip("'"))
    return lambda _, __, ___: literal


# The relay

_READ_COLUMNS = re.sub(r"convert_to\(.*?'UTF8'\) AS ", "~", relay_log._COLUMNS).split(",")
_COLUMNS = tuple(name.strip().lstrip("~") for name in _READ_COLUMNS)
_AS_BYTES = tuple("~" in name for name in _READ_COLUMNS)
_PAGE_ROW = row_type(*_COLUMNS)
_OPEN_ROW = row_type(*_COLUMNS, "taken", "taken_at")


def shown(it: Content) -> tuple[Any, ...]:
    """A row of the event log as the relay reads it."""
    key = f"{it['municipality']}/{it['aggregate']}"
    values = [key if name == "key" else it.get(name) for name in _COLUMNS]
    return tuple(
        str(value).encode() if as_bytes and value is not None else value
        for value, as_bytes in zip(values, _AS_BYTES, strict=True)
    )


def _window(
    server: Server, prev: str, lower_bound: int, last: int, limit: int, since: datetime, seen: str | None
) -> list[Content]:
    xmax, xip = parts(prev)
    found = [
        it
        for it in server.log
        if it["recorded_at"] >= since
        and ((it["xid"] >= xmax and it["position"] > lower_bound) or (it["xid"] in xip and it["position"] > last))
        and (seen is None or visible(it["xid"], seen))
    ]
    return sorted(found, key=lambda it: it["position"])[:limit]


@statement(relay_log._OPEN)
def open_window(
    server: Server, _: Transaction, prev: str, lower_bound: int, last: int, limit: int, since: datetime
) -> list[Row]:
    tail = (server.snapshot(), server.clock())
    rows = [_OPEN_ROW((*shown(it), *tail)) for it in _window(server, prev, lower_bound, last, limit, since, None)]
    return rows or [_OPEN_ROW((*(None,) * len(_COLUMNS), *tail))]


@statement(relay_log._PAGE)
def next_page(
    server: Server, _: Transaction, prev: str, lower_bound: int, last: int, limit: int, since: datetime, cur: str
) -> list[Row]:
    return [_PAGE_ROW(shown(it)) for it in _window(server, prev, lower_bound, last, limit, since, cur)]


@statement(mutant_relay.ABOVE)
def above(server: Server, _: Transaction, last: int, limit: int) -> list[Row]:
    """Not the product's: what a relay without windows would send."""
    found = sorted((it for it in server.log if it["position"] > last), key=lambda it: it["position"])
    return [_PAGE_ROW(shown(it)) for it in found[:limit]]


@statement(mutant_relay.BY_TRANSACTION)
def by_transaction(server: Server, _: Transaction, prev: str) -> list[Row]:
    """Not the product's: what a relay that orders by transaction ids would send."""
    found = [it for it in server.log if not visible(it["xid"], prev)]
    made, tail = row_type(*_COLUMNS, "taken"), server.snapshot()
    return [made((*shown(it), tail)) for it in sorted(found, key=lambda it: (it["xid"], it["position"]))]


@statement(relay_log._READ)
def read_place(server: Server, tx: Transaction) -> list[Row]:
    found = server.get(tx, "relay_place", ())
    return [] if found is None else rows_of([found], *found)


@statement(relay_log._OF_ANOTHER_CLUSTER)
def of_another_cluster(server: Server, _: Transaction) -> list[Row]:
    xmax = server.ended + 1
    return [row_type("exists")((any(it["xid"] >= xmax for it in server.log),))]


@statement(relay_log._SAVE)
def save_place(server: Server, tx: Transaction, *values: Any) -> list[Row]:
    server.lock(tx, "relay_place", ())
    floor = server.position
    names = (
        *("prev", "prev_floor", "prev_taken_at", "cur", "cur_floor", "cur_taken_at", "last"),
        *("system_identifier", "cluster_id"),
    )
    server.put(tx, "relay_place", (), dict(zip(names, values, strict=True)))
    return [row_type("floor")((floor,))]


@statement("SELECT event_log_floor($1)")
def read_floor(server: Server, tx: Transaction, known: int) -> list[Row]:
    floor = server.position
    if floor != known:
        server.xid(tx)
    return [row_type("floor")((floor,))]


@statement(fitting._UNKNOWN)
def unknown_events(server: Server, _: Transaction, *columns: Sequence[Any]) -> list[Row]:
    known = {(it["municipality"], it["aggregate"], it["version"], it["event_id"]) for it in server.log}
    missing = [it for it in zip(*columns, strict=True) if it not in known]
    return [row_type("aggregate", "version")((it[1], it[2])) for it in missing[:1]]


@statement("SELECT system_identifier FROM pg_control_system()")
def read_identifier(server: Server, _: Transaction) -> list[Row]:
    return [row_type("system_identifier")((server.identifier,))]


@statement("SELECT pg_try_advisory_lock($1)")
def try_lock(server: Server, tx: Transaction, lock: int) -> list[Row]:
    mine = server.advisory.setdefault(lock, tx.session) is tx.session
    return [row_type("locked")((mine,))]


@statement(relay_log.HELD)
def holds_lock(server: Server, tx: Transaction, lock: int) -> list[Row]:
    return [row_type("held")((server.advisory.get(lock) is tx.session,))]


# Transactions of commands, reactions and timers


@statement("SELECT set_config('taiwa.municipality', $1, true)")
def enter(server: Server, _: Transaction, municipality: str) -> list[Row]:
    return [row_type("set_config")((municipality,))]


@statement("SELECT civil_at, machine_at FROM civil_clock")
def read_clock(server: Server, tx: Transaction) -> list[Row]:
    return rows_of([it for _, it in server.rows(tx, "civil_clock")], "civil_at", "machine_at")


def _append(text: str) -> None:
    """Events of one statement; positions in their order."""
    rows = inserted(text)

    @statement(text)
    def does(server: Server, tx: Transaction, *values: Any) -> int:
        if server.locked_by_another(tx, *_LOG):
            raise Waits(_LOG)
        count = 0
        for content in rows(server, values):
            xid, position = server.draw(tx)
            tx.events.append({"xid": xid, "position": position, "recorded_at": server.clock(), **content})
            count += 1
        return count


for _text in (transaction._APPEND, transaction._APPEND_ONE, transaction._APPEND_IN_VERSIONS):
    _append(_text)


@statement(transaction._SCHEDULE)
def schedule(
    server: Server,
    tx: Transaction,
    aggregates: Sequence[str],
    names: Sequence[str],
    due: Sequence[datetime],
    municipality: str,
    correlation_id: UUID,
) -> int:
    keys = [(municipality, *each) for each in zip(aggregates, names, strict=True)]
    for key in keys:
        server.lock(tx, "timers", key)
    for key, due_at in zip(keys, due, strict=True):
        server.put(tx, "timers", key, _timer(*key, due_at, correlation_id, 0, None, None))
    return len(keys)


def _timer(
    municipality: str,
    aggregate: str,
    name: str,
    due_at: datetime,
    correlation_id: UUID,
    attempts: int,
    retry_at: datetime | None,
    failed_at: datetime | None,
) -> Content:
    return {
        "municipality": municipality,
        "aggregate": aggregate,
        "name": name,
        "due_at": due_at,
        "correlation_id": correlation_id,
        "attempts": attempts,
        "retry_at": retry_at,
        "failed_at": failed_at,
    }


@statement(transaction._CANCEL)
def cancel(server: Server, tx: Transaction, aggregates: Sequence[str], names: Sequence[str], municipality: str) -> int:
    keys = [(municipality, *each) for each in zip(aggregates, names, strict=True)]
    there = [key for key in keys if server.get(tx, "timers", key) is not None]
    for key in there:
        server.lock(tx, "timers", key)
    gone = [key for key in there if server.get(tx, "timers", key) is not None]
    for key in gone:
        server.put(tx, "timers", key, None)
    return len(gone)


# Timers


@statement(timers._CLAIM)
def claim(server: Server, tx: Transaction, now: datetime, names: Sequence[str], limit: int) -> list[Row]:
    machine = server.clock()
    due = [
        (key, it)
        for key, it in server.rows(tx, "timers")
        if it["due_at"] <= now
        and it["failed_at"] is None
        and (it["retry_at"] is None or it["retry_at"] <= machine)
        and it["name"] in names
        and not server.locked_by_another(tx, "timers", key)
    ]
    due = sorted(due, key=lambda each: each[1]["due_at"])[:limit]
    for key, _ in due:
        server.put(tx, "timers", key, None)
    columns = ("municipality", "aggregate", "name", "due_at", "correlation_id", "attempts")
    return rows_of([it for _, it in due], *columns)


@statement(timers._PUT_BACK)
def put_back(
    server: Server,
    tx: Transaction,
    municipality: str,
    aggregate: str,
    name: str,
    due_at: datetime,
    correlation_id: UUID,
    attempts: int,
    retry_in: timedelta,
    dead: bool,
) -> int:
    key = (municipality, aggregate, name)
    server.lock(tx, "timers", key)
    if server.get(tx, "timers", key) is not None:
        return 0
    now = server.clock()
    content = _timer(*key, due_at, correlation_id, attempts, now + retry_in, now if dead else None)
    server.put(tx, "timers", key, content)
    return 1


@statement("SELECT make_event_log_partitions()")
def make_partitions(_: Server, __: Transaction) -> int:
    return 0


# The consumer's ledger

_OFFSET = ("topic", "partition", "next", "cluster_id", "generation", "open_letters", "acts_from", "rebased_from")


def _offset_keys(consumer: str, topics: Sequence[str], partitions: Sequence[int]) -> list[tuple[str, str, int]]:
    return sorted({(consumer, *each) for each in zip(topics, partitions, strict=True)})


@statement(ledger._LOCK)
def lock_offsets(
    server: Server, tx: Transaction, consumer: str, topics: Sequence[str], partitions: Sequence[int]
) -> list[Row]:
    keys = [it for it in _offset_keys(consumer, topics, partitions) if server.get(tx, "offsets", it) is not None]
    for key in keys:
        server.lock(tx, "offsets", key)
    return rows_of([it for it in (server.get(tx, "offsets", key) for key in keys) if it is not None], *_OFFSET)


@statement(ledger._LOCK.replace("FOR UPDATE", ""))
def read_offsets(
    server: Server, tx: Transaction, consumer: str, topics: Sequence[str], partitions: Sequence[int]
) -> list[Row]:
    """Not the product's: what a consumer without the lock would send."""
    keys = _offset_keys(consumer, topics, partitions)
    return rows_of([it for it in (server.get(tx, "offsets", key) for key in keys) if it is not None], *_OFFSET)


@statement(ledger._TAKE)
def take_offsets(
    server: Server,
    tx: Transaction,
    consumer: str,
    topics: Sequence[str],
    partitions: Sequence[int],
    beginnings: Sequence[int],
    cluster_id: str,
    generations: Sequence[int],
) -> int:
    wanted = list(zip(topics, partitions, beginnings, generations, strict=True))
    keys = [(consumer, topic, partition) for topic, partition, _, _ in wanted]
    new = [key for key in keys if server.get(tx, "offsets", key) is None]
    for key in new:
        server.lock(tx, "offsets", key)
    for key, (topic, partition, begin, generation) in zip(keys, wanted, strict=True):
        if key in new and server.get(tx, "offsets", key) is None:
            content = dict(zip(_OFFSET, (topic, partition, begin, cluster_id, generation, 0, 0, 0), strict=True))
            server.put(tx, "offsets", key, content)
    return len(new)


def _move(
    server: Server,
    tx: Transaction,
    consumer: str,
    topics: Sequence[str],
    partitions: Sequence[int],
    nexts: Sequence[int],
    more_letters: Sequence[int],
) -> int:
    moves = list(zip(topics, partitions, nexts, more_letters, strict=True))
    for topic, partition, _, _ in moves:
        server.lock(tx, "offsets", (consumer, topic, partition))
    for topic, partition, next_offset, more in moves:
        key = (consumer, topic, partition)
        row = server.get(tx, "offsets", key)
        if row is not None:
            acts_from = row["acts_from"] if row["acts_from"] > next_offset else 0
            changed = {
                **row,
                "next": next_offset,
                "open_letters": row["open_letters"] + more,
                "acts_from": acts_from,
            }
            server.put(tx, "offsets", key, changed)
    return len(moves)


STATEMENTS[ledger._MOVE] = _move


@statement(ledger._ADVANCE_AND_MOVE)
def advance_and_move(server: Server, tx: Transaction, consumer: str, *values: Any) -> int:
    moves, (municipalities, owners, aggregates, versions, events) = values[:4], values[4:]
    keys = [(consumer, *each) for each in zip(municipalities, owners, aggregates, strict=True)]
    for key in keys:
        server.lock(tx, "versions", key)
    moved = _move(server, tx, consumer, *moves)
    for key, version, event_id in zip(keys, versions, events, strict=True):
        server.put(tx, "versions", key, {"version": version, "event_id": event_id})
    return moved


_VERSION_ROW = row_type("municipality", "owner", "aggregate", "version", "event_id")


@statement(ledger._VERSIONS)
def read_versions(server: Server, tx: Transaction, consumer: str, *columns: Sequence[str]) -> list[Row]:
    found = []
    for key in zip(*columns, strict=True):
        row = server.get(tx, "versions", (consumer, *key))
        if row is not None:
            found.append(_VERSION_ROW((*key, row["version"], row["event_id"])))
    return found


_STOP = ("scope", "reason", "command", "topic", "partition")


@statement(ledger._STOPS)
def read_stops(server: Server, tx: Transaction, consumer: str) -> list[Row]:
    return rows_of([it for key, it in server.rows(tx, "stops") if key[0] == consumer], *_STOP)


@statement(ledger._STOP)
def write_stop(
    server: Server, tx: Transaction, consumer: str, scope: str, topic: str, partition: int, reason: str, command: str
) -> int:
    content = {"scope": scope, "topic": topic, "partition": partition, "reason": reason, "command": command}
    server.put(tx, "stops", (consumer, topic, partition), {**content, "stopped_at": server.clock()})
    return 1


@statement(ledger._CLEAR)
def clear_stop(server: Server, tx: Transaction, consumer: str, topic: str, partition: int) -> int:
    return _delete(server, tx, "stops", [(consumer, topic, partition)])


def _delete(server: Server, tx: Transaction, table: str, keys: Iterable[Key]) -> int:
    there = [key for key in keys if server.get(tx, table, key) is not None]
    for key in there:
        server.lock(tx, table, key)
    gone = [key for key in there if server.get(tx, table, key) is not None]
    for key in gone:
        server.put(tx, table, key, None)
    return len(gone)


# Dead letters

_LETTER = dict.fromkeys(("municipality", "event_id", "type", "aggregate", "version", "topic", "partition", "retry_at"))


def _write_letter(text: str) -> None:
    rows = inserted(text)

    @statement(text)
    def does(server: Server, tx: Transaction, *values: Any) -> int:
        (content,) = rows(server, values)
        letter = {**_LETTER, "attempts": 1, "closed_at": None, "outcome": None, **content}
        server.put(tx, "dead_letters", letter["id"], letter)
        return 1


_write_letter(dead_letters._WRITE)
_write_letter(dead_letters._WRITE_TIMER)


def open_letters(server: Server, tx: Transaction, consumer: str) -> list[Content]:
    """Open rows that hold, in the order of keys and offsets."""
    found = [
        it
        for _, it in server.rows(tx, "dead_letters")
        if it["consumer"] == consumer and it["closed_at"] is None and it["holds"]
    ]
    return sorted(found, key=lambda it: (it["topic"], it["partition"], it["key"], it["offset"]))


@statement(dead_letters._HELD_KEYS)
def held_keys(
    server: Server, tx: Transaction, consumer: str, topics: Sequence[str], partitions: Sequence[int]
) -> list[Row]:
    wanted = list(zip(topics, partitions, strict=True))
    counts: dict[tuple[str, int, bytes], int] = {}
    for it in open_letters(server, tx, consumer):
        if (it["topic"], it["partition"]) in wanted:
            place = (it["topic"], it["partition"], it["key"])
            counts[place] = counts.get(place, 0) + 1
    made = row_type("topic", "partition", "key", "held")
    return [made((*place, count)) for place, count in counts.items()]


@statement(dead_letters._HEADS)
def heads(server: Server, tx: Transaction, consumer: str) -> list[Row]:
    now = server.clock()
    first: dict[tuple[str, int, bytes], Content] = {}
    for it in open_letters(server, tx, consumer):
        first.setdefault((it["topic"], it["partition"], it["key"]), it)
    due = [it for it in first.values() if it["kind"] == "held" or (it["kind"] == "deferred" and it["retry_at"] <= now)]
    return rows_of(due[:100], "id", "topic", "partition", "kind")


@statement(dead_letters._OPEN_LETTER)
def open_letter(server: Server, tx: Transaction, letter: UUID) -> list[Row]:
    it = server.get(tx, "dead_letters", letter)
    if it is None or it["closed_at"] is not None or it["kind"] not in {"held", "deferred"}:
        return []
    place = (it["topic"], it["partition"], it["key"])
    before = [
        other
        for other in open_letters(server, tx, it["consumer"])
        if (other["topic"], other["partition"], other["key"]) == place and other["offset"] < it["offset"]
    ]
    return [] if before else rows_of([it], *it)


@statement(dead_letters._CLOSE)
def close_letter(server: Server, tx: Transaction, letter: UUID, outcome: str) -> int:
    return change(server, tx, letter, closed_at=server.clock(), outcome=outcome)


@statement(dead_letters._KEEP)
def keep_letter(
    server: Server,
    tx: Transaction,
    letter: UUID,
    kind: str,
    code: str,
    error: str,
    attempts: int,
    wait: timedelta | None,
) -> int:
    retry_at = None if wait is None else server.clock() + wait
    return change(server, tx, letter, kind=kind, code=code, error=error, attempts=attempts, retry_at=retry_at)


def change(server: Server, tx: Transaction, letter: UUID, **changes: Any) -> int:
    """Change a letter's row."""
    server.lock(tx, "dead_letters", letter)
    row = server.get(tx, "dead_letters", letter)
    if row is None:
        return 0
    server.put(tx, "dead_letters", letter, {**row, **changes})
    return 1


# Operators


@statement(letters._OPEN)
def read_open_letter(server: Server, tx: Transaction, letter: UUID) -> list[Row]:
    it = server.get(tx, "dead_letters", letter)
    if it is None or it["closed_at"] is not None or it["kind"] not in {"dead", "deferred"}:
        return []
    columns = ("id", "consumer", "source", "kind", "municipality", "event_id", "type", "aggregate", "version")
    return rows_of([it], *columns, "topic", "partition", "holds")


@statement(letters._LOCK_PARTITION)
def lock_partition(server: Server, tx: Transaction, consumer: str, topic: str, partition: int) -> int:
    key = (consumer, topic, partition)
    if server.get(tx, "offsets", key) is not None:
        server.lock(tx, "offsets", key)
    return 1


@statement(letters._TRY_NOW)
def try_now(server: Server, tx: Transaction, letter: UUID) -> int:
    server.lock(tx, "dead_letters", letter)
    if not read_open_letter(server, tx, letter):
        return 0
    return change(server, tx, letter, kind="deferred", retry_at=server.clock(), attempts=0)


@statement(letters._CLOSE)
def close_open_letter(server: Server, tx: Transaction, letter: UUID, outcome: str) -> list[Row]:
    server.lock(tx, "dead_letters", letter)
    it = server.get(tx, "dead_letters", letter)
    if it is None or it["closed_at"] is not None:
        return []
    change(server, tx, letter, closed_at=server.clock(), outcome=outcome)
    return [row_type("closed")((True,))]


@statement(letters._RUN_TIMER_AGAIN)
def run_timer_again(server: Server, tx: Transaction, *key: str) -> int:
    if server.get(tx, "timers", key) is None:
        return 0
    server.lock(tx, "timers", key)
    it = server.get(tx, "timers", key)
    if it is not None:
        server.put(tx, "timers", key, {**it, "failed_at": None, "retry_at": None, "attempts": 0})
    return 1


@statement(letters._ONE_LETTER_LESS)
def one_letter_less(server: Server, tx: Transaction, *key: Any) -> int:
    server.lock(tx, "offsets", key)
    it = server.get(tx, "offsets", key)
    if it is not None:
        server.put(tx, "offsets", key, {**it, "open_letters": it["open_letters"] - 1})
    return 1


@statement(letters._ADVANCE)
def advance(
    server: Server,
    tx: Transaction,
    consumer: str,
    municipality: str,
    topic: str,
    aggregate: str,
    version: int,
    event_id: UUID,
) -> int:
    key = (consumer, municipality, topic.partition(".")[0], aggregate)
    server.lock(tx, "versions", key)
    known = server.get(tx, "versions", key)
    if known is not None and known["version"] >= version:
        return 0
    server.put(tx, "versions", key, {"version": version, "event_id": event_id})
    return 1


@statement(stops._CLEAR)
def resume(server: Server, tx: Transaction, *key: Any) -> list[Row]:
    return [row_type("cleared")((True,))] if _delete(server, tx, "stops", [key]) else []


@statement(repair._LOCK_LOG)
def lock_log(server: Server, tx: Transaction) -> int:
    """Waits for whoever has written into it."""
    server.lock(tx, *_LOG)
    for session in server.sessions:
        other = session.begun
        if other is not None and other is not tx and other.events:
            raise Waits(other.locks[0])
    return 0


@statement(repair._UNPUBLISHED_ABOVE)
def unpublished_above(server: Server, _: Transaction, floor: int, prev: str) -> list[Row]:
    xip = parts(prev)[1]
    return [row_type("least")((min([floor, *(it["position"] - 1 for it in server.log if it["xid"] in xip)]),))]


@statement(repair._SNAPSHOT)
def take_snapshot(server: Server, _: Transaction) -> list[Row]:
    return [row_type("taken", "at")((server.snapshot(), server.clock()))]


@statement(repair._PUBLISH_AGAIN)
def publish_again(server: Server, tx: Transaction, floor: int) -> int:
    changed = {it["position"]: {**it, "xid": server.xid(tx)} for it in server.log if it["position"] > floor}
    tx.changes.update(changed)
    return len(changed)


@statement(repair._BE_OLD)
def be_old(server: Server, tx: Transaction, floor: int, taken: str) -> int:
    xmin = int(taken.partition(":")[0])
    found = [it for it in server.log if it["position"] <= floor and it["xid"] >= xmin]
    tx.changes.update({it["position"]: {**it, "xid": 1} for it in found})
    return len(found)


@statement(repair._FORGET_PLACE)
def forget_place(server: Server, tx: Transaction) -> int:
    return _delete(server, tx, "relay_place", [()])


@statement(repair._COUNT)
def count_events(server: Server, _: Transaction, topics: Sequence[str]) -> list[Row]:
    return [row_type("count")((sum(it["topic"] in topics for it in server.log),))]


@statement(repair._HOLDERS)
def end_holder(server: Server, tx: Transaction, lock: int) -> list[Row]:
    holder = server.advisory.get(lock)
    if holder is not None and holder is not tx.session:
        holder.cut()
    return []


@statement(repair._BEGIN_AGAIN)
def begin_again(
    server: Server,
    tx: Transaction,
    consumer: str,
    cluster_id: str,
    topics: Sequence[str],
    generations: Sequence[int],
) -> int:
    now = dict(zip(topics, generations, strict=True))
    keys = [key for key, it in server.rows(tx, "offsets") if key[0] == consumer and it["topic"] in now]
    for key in keys:
        server.lock(tx, "offsets", key)
    for key in keys:
        row = server.get(tx, "offsets", key)
        assert row is not None
        changed = {
            "next": 0,
            "cluster_id": cluster_id,
            "generation": now[row["topic"]],
            "acts_from": 0 if row["rebased_from"] else row["acts_from"],
            "rebased_from": 0,
        }
        server.put(tx, "offsets", key, {**row, **changed})
    return len(keys)


@statement(repair._OFFSETS)
def offsets_of(server: Server, tx: Transaction, consumer: str) -> list[Row]:
    keys = sorted(key for key, _ in server.rows(tx, "offsets") if key[0] == consumer)
    for key in keys:
        server.lock(tx, "offsets", key)
    return rows_of([it for it in (server.get(tx, "offsets", key) for key in keys) if it is not None], *_OFFSET)


@statement(repair._GO_ON_FROM)
def go_on_from(
    server: Server,
    tx: Transaction,
    consumer: str,
    act: bool,
    topics: Sequence[str],
    partitions: Sequence[int],
    told: Sequence[int],
) -> int:
    for topic, partition, until in zip(topics, partitions, told, strict=True):
        key = (consumer, topic, partition)
        row = server.get(tx, "offsets", key)
        assert row is not None
        acts_from = row["acts_from"] if act else max(row["acts_from"], until)
        server.put(tx, "offsets", key, {**row, "rebased_from": until, "acts_from": acts_from})
    return len(topics)


@statement(acts._NOTE)
def note_act(_: Server, __: Transaction, *___: Any) -> int:
    """On record; read by nobody here."""
    return 0


@statement(repair._FORGET_STOP)
def forget_stop(server: Server, tx: Transaction, consumer: str, command: str) -> int:
    named = [(key, it["command"]) for key, it in server.rows(tx, "stops") if key[0] == consumer]
    return _delete(server, tx, "stops", [key for key, its in named if its == command])


@statement(repair._FORGET_LETTERS)
def forget_letters(server: Server, tx: Transaction, consumer: str, topics: Sequence[str]) -> int:
    forgotten = [
        it
        for _, it in server.rows(tx, "dead_letters")
        if it["consumer"] == consumer
        and it["topic"] in topics
        and it["closed_at"] is None
        and it["aggregate"] is not None
    ]
    for it in forgotten:
        change(server, tx, it["id"], closed_at=server.clock())
        if it["holds"]:
            one_letter_less(server, tx, consumer, it["topic"], it["partition"])
    return len(forgotten)


@statement(repair._FORGET_STOPS)
def forget_stops(server: Server, tx: Transaction, consumer: str) -> int:
    named = [(key, it["command"]) for key, it in server.rows(tx, "stops") if key[0] == consumer]
    return _delete(server, tx, "stops", [key for key, command in named if command.startswith("taiwa republish ")])


# The toy services of the simulation

TOUCH = "UPDATE things SET version = version + 1 WHERE thing_id = $1 RETURNING version"
EFFECT = 'INSERT INTO effects (thing_id, version, event_id, partition, "offset") VALUES ($1, $2, $3, $4, $5)'
COPY = "INSERT INTO copies (thing_id, version) SELECT * FROM unnest($1::text[], $2::bigint[])"
OWN = "UPDATE owners SET name = $2, version = version + 1 WHERE owner = $1 RETURNING version"
OWNERS = "SELECT owner, name, version FROM owners WHERE owner = ANY ($1) AND name IS NOT NULL"
COPY_OWNER = "INSERT INTO owner_copies (owner, name, version) VALUES ($1, $2, $3) -- unless a newer one is there"
SET_CLOCK = "INSERT INTO civil_clock (civil_at, machine_at) VALUES ($1, $2)"
NOTE = "INSERT INTO notes (aggregate, what) VALUES ($1, $2)"


@statement(TOUCH)
def touch(server: Server, tx: Transaction, thing: str) -> list[Row]:
    server.lock(tx, "things", thing)
    row = server.get(tx, "things", thing)
    version = 1 if row is None else row["version"] + 1
    server.put(tx, "things", thing, {"version": version})
    return [row_type("version")((version,))]


@statement(EFFECT)
def write_effect(
    server: Server, tx: Transaction, thing: str, version: int, event_id: UUID, partition: int, offset: int
) -> int:
    server.serial += 1
    content = {"thing": thing, "version": version, "event": event_id, "partition": partition, "offset": offset}
    server.put(tx, "effects", server.serial, content)
    return 1


@statement(COPY)
def copy_things(server: Server, tx: Transaction, things: Sequence[str], versions: Sequence[int]) -> int:
    for thing, version in zip(things, versions, strict=True):
        server.put(tx, "copies", thing, {"version": version})
    return len(things)


@statement(OWN)
def change_owner(server: Server, tx: Transaction, owner: str, name: str | None) -> list[Row]:
    server.lock(tx, "owners", owner)
    row = server.get(tx, "owners", owner)
    version = 1 if row is None else row["version"] + 1
    server.put(tx, "owners", owner, {"owner": owner, "name": name, "version": version})
    return [row_type("version")((version,))]


@statement(OWNERS)
def read_owners(server: Server, tx: Transaction, owners: Sequence[str]) -> list[Row]:
    found = [it for _, it in server.rows(tx, "owners") if it["owner"] in owners and it["name"] is not None]
    return rows_of(found, "owner", "name", "version")


@statement(COPY_OWNER)
def copy_owner(server: Server, tx: Transaction, owner: str, name: str | None, version: int) -> int:
    server.lock(tx, "owner_copies", owner)
    known = server.get(tx, "owner_copies", owner)
    if known is not None and known["version"] > version:
        return 0
    server.put(tx, "owner_copies", owner, {"name": name, "version": version})
    return 1


@statement(SET_CLOCK)
def set_clock(server: Server, tx: Transaction, civil_at: datetime, machine_at: datetime) -> int:
    server.put(tx, "civil_clock", (), {"civil_at": civil_at, "machine_at": machine_at})
    return 1


@statement(NOTE)
def write_note(server: Server, tx: Transaction, aggregate: str, what: str) -> int:
    server.serial += 1
    server.put(tx, "notes", server.serial, {"aggregate": aggregate, "what": what})
    return 1


POISON = "INSERT INTO effects (thing_id) VALUES ($1) -- breaks a constraint"


@statement(POISON)
def break_constraint(_: Server, __: Transaction, thing: str) -> int:
    raise asyncpg.CheckViolationError(f"the check forbids {thing}")
