"""Hand-picked records for topics: what a broken, old, foreign or hostile producer may write, and good ones beside them.

Most are an appointment with one thing wrong. ``$A``, ``$P`` and ``$S`` stand for ids that are the case's own, so that
no case waits behind another. A row is: what it is, what it must become, what is different.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID, uuid5

from chassis.testing import MIDORI, OTHER_TOWN
from taiwa_contracts.leaders import LeaderAppointedV1
from tests.corpus.record import ABSENT, APPLIED, PASSED, SKIPPED, Case, Header, Record, changed
from tests.corpus.samples import EVERY_TYPE, about, record

NAMES = UUID("0f6b0c0e-6a53-4b0e-9b8e-5d1f6a3c9a01")

INVALID, MISSING, ATTRIBUTE = "event.payload_invalid", "event.attribute_missing", "event.attribute_invalid"
KEY_DIFFERS, UNKNOWN, FAILED = "event.key_differs", "event.version_unknown", "event.failed"
TYPE_MISSING, TOWN, ELSEWHERE = "event.type_missing", "event.municipality_invalid", "event.topic_differs"
AGGREGATE, KEY_LONG, GAP = "event.aggregate_differs", "event.key_too_long", "event.version_gap"

GOOD = (
    '{"appointment_id":"$A","person_id":"$P","section_id":"$S","fiscal_year":2026,'
    '"effective_from":"2026-04-14","ends_on":"2027-03-31","word":"選任"}'
).encode()
OPEN = GOOD[:-1]
"""The good payload without its last brace, to go on from."""


def but(old: str, new: str | bytes) -> bytes:
    """The good payload with one piece of it replaced."""
    assert GOOD.count(old.encode()) == 1, old
    return GOOD.replace(old.encode(), new if isinstance(new, bytes) else new.encode())


def noise(length: int) -> bytes:
    """Bytes that no compression makes shorter, always the same."""
    return hashlib.shake_256(b"taiwa").digest(length)


VALUES: tuple[tuple[str, str, bytes | None], ...] = (
    # good ones: what a reader must bear
    ("a good appointment", APPLIED, GOOD),
    ("a field more, as a newer producer writes it", APPLIED, OPEN + b',"seal":"red"}'),
    ("an object more", APPLIED, OPEN + b',"seal":{"colour":"red","sides":[1,2,3]}}'),
    ("every optional field null", APPLIED, OPEN + b',"decided_on":null,"decided_by_post":null,"document_number":null}'),
    ("every optional field given", APPLIED, OPEN + ',"decided_on":"2026-04-13","document_number":"第1号"}'.encode()),
    ("spaces and line breaks between", APPLIED, GOOD.replace(b",", b" ,\r\n\t ").replace(b":", b" : ")),
    ("line breaks around", APPLIED, b" \r\n\t" + GOOD + b"\n \r\t"),
    ("characters as escapes", APPLIED, but("選任", r"\u9078\u4efb")),
    ("a character of two escapes", APPLIED, but("選任", r"\ud842\udfb7")),
    ("a character of four bytes", APPLIED, but("選任", "𠮷田")),
    ("a name written with escapes", APPLIED, but('"word"', r'"\u0077ord"')),
    ("a combining character", APPLIED, but("選任", "か\u3099")),
    ("text from right to left", APPLIED, but("選任", "\u202eおわり\u202c")),
    ("a text of 500 characters, the longest", APPLIED, but("選任", "任" * 500)),
    ("a text that says NaN", APPLIED, but("選任", "NaN or Infinity")),
    ("a text full of colons and quotes", APPLIED, but("選任", r"\":\":\" :")),
    ("a text that looks like SQL", APPLIED, but("選任", "'); DROP TABLE effects; --")),
    ("a text that looks like HTML", APPLIED, but("選任", "<script>alert(1)</script>")),
    ("a leap day", APPLIED, but("2027-03-31", "2028-02-29")),
    ("the last day there is", APPLIED, but("2027-03-31", "9999-12-31")),
    ("the first day there is", APPLIED, but("2026-04-14", "0001-01-01")),
    ("a whole number of fifty digits in an unknown field", APPLIED, OPEN + b',"seal":' + b"9" * 50 + b"}"),
    ("a number beyond floats in an unknown field", APPLIED, OPEN + b',"seal":1e400}'),
    ("an unknown field 100 deep", APPLIED, OPEN + b',"seal":' + b"[" * 100 + b"]" * 100 + b"}"),
    ("an unknown field of 400 KB", APPLIED, OPEN + b',"seal":"' + b"x" * 400_000 + b'"}'),
    ("NUL in an unknown field, which nobody reads", APPLIED, OPEN + rb',"seal":"\u0000"}'),
    ("the id in capitals", APPLIED, but("$P", "019D18F4-FD17-7E35-B50C-1D6674F3B1BC")),
    # no JSON
    ("no value on a topic without tombstones", "event.value_missing", None),
    ("nothing", INVALID, b""),
    ("a space", INVALID, b" "),
    ("a NUL byte", INVALID, b"\x00"),
    ("a line break", INVALID, b"\n"),
    ("plain words", INVALID, "道路課の真壁さん".encode()),
    ("half of it", INVALID, GOOD[: len(GOOD) // 2]),
    ("all but the last byte", INVALID, GOOD[:-1]),
    ("all but the first byte", INVALID, GOOD[1:]),
    ("twice in a row", INVALID, GOOD + GOOD),
    ("two lines of it", INVALID, GOOD + b"\n" + GOOD),
    ("a brace too many", INVALID, GOOD + b"}"),
    ("a NUL byte behind it", INVALID, GOOD + b"\x00"),
    ("a comma behind it", INVALID, GOOD + b","),
    ("XML", INVALID, b"<appointment id='$A'/>"),
    ("HTML of an error page", INVALID, b"<!doctype html><title>502 Bad Gateway</title>"),
    ("a form", INVALID, b"appointment_id=$A&fiscal_year=2026"),
    ("YAML", INVALID, b"appointment_id: $A\nfiscal_year: 2026\n"),
    ("CSV", INVALID, b"appointment_id,fiscal_year\r\n$A,2026\r\n"),
    ("an Avro object", INVALID, b"Obj\x01\x04\x14avro.codec\x08null"),
    ("a Confluent schema id before it", INVALID, b"\x00\x00\x00\x00\x07" + GOOD),
    ("gzip", INVALID, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56\x4a\x2c\x28\xc8"),
    ("a pickle", INVALID, b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07sys\x94."),
    ("random bytes", INVALID, noise(512)),
    ("all 256 bytes", INVALID, bytes(range(256))),
    # JSON, no object
    ("null", INVALID, b"null"),
    ("true", INVALID, b"true"),
    ("a number", INVALID, b"2026"),
    ("a text", INVALID, b'"$A"'),
    ("the object as a text", INVALID, json.dumps(GOOD.decode()).encode()),
    ("an empty list", INVALID, b"[]"),
    ("a list of it", INVALID, b"[" + GOOD + b"]"),
    ("an empty object", INVALID, b"{}"),
    ("it inside another object", INVALID, b'{"data":' + GOOD + b"}"),
    ("a structured CloudEvent", INVALID, b'{"specversion":"1.0","id":"$A","data":' + GOOD + b"}"),
    # dialects of JSON
    ("a comma at the end", INVALID, OPEN + b",}"),
    ("two commas", INVALID, GOOD.replace(b",", b",,", 1)),
    ("no comma", INVALID, GOOD.replace(b",", b" ", 1)),
    ("no colon", INVALID, GOOD.replace(b":", b" ", 1)),
    ("equals signs", INVALID, GOOD.replace(b":", b"=")),
    ("single quotes", INVALID, GOOD.replace(b'"', b"'")),
    ("names without quotes", INVALID, but('"word"', "word")),
    ("a comment", INVALID, but('"word"', '/* 呼び名 */"word"')),
    ("a comment to the end of the line", INVALID, but('"word"', '// x\n"word"')),
    ("NaN", INVALID, but("2026,", "NaN,")),
    ("NaN in an unknown field", INVALID, OPEN + b',"seal":NaN}'),
    ("NaN deep in an unknown field", INVALID, OPEN + b',"seal":{"a":[1,NaN]}}'),
    ("Infinity in an unknown field", INVALID, OPEN + b',"seal":Infinity}'),
    ("-Infinity in an unknown field", INVALID, OPEN + b',"seal":-Infinity}'),
    ("nan in small letters", INVALID, OPEN + b',"seal":nan}'),
    ("undefined", INVALID, OPEN + b',"seal":undefined}'),
    ("None", INVALID, OPEN + b',"seal":None}'),
    ("True", INVALID, OPEN + b',"seal":True}'),
    ("a plus sign", INVALID, but("2026,", "+2026,")),
    ("a zero in front", INVALID, but("2026,", "02026,")),
    ("a hexadecimal number", INVALID, but("2026,", "0x7ea,")),
    ("a number without its beginning", INVALID, OPEN + b',"seal":.5}'),
    ("a number without its end", INVALID, OPEN + b',"seal":5.}'),
    ("an exponent without digits", INVALID, OPEN + b',"seal":1e}'),
    ("two minus signs", INVALID, OPEN + b',"seal":--1}'),
    ("digits in groups", INVALID, but("2026,", "2_026,")),
    ("digits of full width", INVALID, but("2026,", "２０２６,")),
    ("a bare line break in a text", INVALID, but("選任", "選\n任")),
    ("a bare tab in a text", INVALID, but("選任", "選\t任")),
    ("a bare NUL in a text", INVALID, but("選任", "選\x00任")),
    ("a bare escape character in a text", INVALID, but("選任", "選\x1b[31m任")),
    ("an unknown escape", INVALID, but("選任", r"選\x任")),
    ("an escape with too few digits", INVALID, but("選任", r"\u90")),
    ("a backslash at the end of a text", INVALID, but("選任", "選任\\")),
    ("a text without its end", INVALID, OPEN + b',"seal":"x}'),
    # encodings
    ("a byte order mark before it", INVALID, b"\xef\xbb\xbf" + GOOD),
    ("UTF-16", INVALID, GOOD.decode().encode("utf-16")),
    ("UTF-16 without a mark", INVALID, GOOD.decode().encode("utf-16-le")),
    ("UTF-32", INVALID, GOOD.decode().encode("utf-32")),
    ("CP932", INVALID, GOOD.decode().encode("cp932")),
    ("EUC-JP", INVALID, GOOD.decode().encode("euc-jp")),
    ("Latin-1", INVALID, but("選任", b"Stra\xdfe")),
    ("UTF-7, which nobody can tell from ASCII", APPLIED, GOOD.decode().encode("utf-7")),
    ("a byte that is no UTF-8", INVALID, but("選任", b"\xff")),
    ("a character cut in the middle", INVALID, but("選任", "選".encode()[:2])),
    ("a NUL of two bytes, as Java writes it", INVALID, but("選任", b"\xc0\x80")),
    ("a slash of three bytes", INVALID, but("選任", b"\xe0\x80\xaf")),
    ("half a character in bytes", INVALID, but("選任", b"\xed\xa0\x80")),
    ("a character of two halves in bytes", INVALID, but("選任", b"\xed\xa1\x82\xed\xbe\xb7")),
    ("beyond the last character", INVALID, but("選任", b"\xf4\x90\x80\x80")),
    ("bad UTF-8 in an unknown field", INVALID, OPEN + b',"seal":"\xff"}'),
    ("half a character as an escape", INVALID, but("選任", r"\ud842")),
    ("the second half of a character", INVALID, but("選任", r"\udfb7")),
    ("two first halves", INVALID, but("選任", r"\ud842\ud842")),
    ("half a character in an unknown field", INVALID, OPEN + rb',"seal":"\ud842 "}'),
    ("half a character in a name", INVALID, OPEN + rb',"\ud842 ":1}'),
    # names that stand twice
    ("a name twice", INVALID, OPEN + b',"fiscal_year":2027}'),
    ("a name twice with the same value", INVALID, OPEN + b',"fiscal_year":2026}'),
    ("the key's own field twice", INVALID, OPEN + b',"appointment_id":"$P"}'),
    ("a name twice, once with escapes", INVALID, OPEN + rb',"fiscal\u005fyear":2027}'),
    ("a name twice, with a space before its colon", INVALID, OPEN + b',"fiscal_year" :2027}'),
    ("a name twice, with a line break before its colon", INVALID, OPEN + b',"fiscal_year"\n:2027}'),
    ("an unknown name twice", INVALID, OPEN + b',"seal":1,"seal":2}'),
    ("a name twice deep in an unknown field", INVALID, OPEN + b',"seal":[{"a":1,"a":2}]}'),
    # numbers
    ("a year of fifty digits", APPLIED, but("2026,", "9" * 50 + ",")),
    ("a year of five thousand digits", INVALID, but("2026,", "9" * 5000 + ",")),
    ("a year with a fraction", INVALID, but("2026,", "2026.5,")),
    ("a year that is a float", INVALID, but("2026,", "2026.0,")),
    ("a year with an exponent", INVALID, but("2026,", "2.026e3,")),
    ("a year as a text", INVALID, but("2026,", '"2026",')),
    ("a year as a text with a space", INVALID, but("2026,", '" 2026",')),
    ("a year that is true", INVALID, but("2026,", "true,")),
    ("a year that is null", INVALID, but("2026,", "null,")),
    ("a year that is a list", INVALID, but("2026,", "[2026],")),
    ("a year that is an object", INVALID, but("2026,", "{},")),
    # texts
    ("a text of 501 characters", INVALID, but("選任", "任" * 501)),
    ("an empty text", INVALID, but("選任", "")),
    ("a text that is a number", INVALID, but('"選任"', "1")),
    ("a text that is null", INVALID, but('"選任"', "null")),
    ("a text that is a list", INVALID, but('"選任"', '["選任"]')),
    ("a text that is an object", INVALID, but('"選任"', '{"ja":"選任"}')),
    ("NUL in a text, which no column takes", FAILED, but("選任", r"選\u0000任")),
    ("a text that is NUL", FAILED, but("選任", r"\u0000")),
    # ids
    ("an id that is none", INVALID, but("$P", "somebody")),
    ("an empty id", INVALID, but("$P", "")),
    ("an id of 35 characters", INVALID, but("$P", "019d18f4-fd17-7e35-b50c-1d6674f3b1b")),
    ("an id of 37 characters", INVALID, but("$P", "019d18f4-fd17-7e35-b50c-1d6674f3b1bc1")),
    ("an id with NUL, whose reason tells the character", INVALID, but("$P", r"\u0000")),
    ("an id with NUL inside", INVALID, but("$P", r"019d18f4-fd17-7e35-b50c\u00001d6674f3b1bc")),
    ("an id of full width", INVALID, but("$P", "０１９d18f4-fd17-7e35-b50c-1d6674f3b1bc")),
    ("an id that is a number", INVALID, but('"$P"', "12345678")),
    ("an id that is null", INVALID, but('"$P"', "null")),
    ("an id that is a list of numbers", INVALID, but('"$P"', "[1,2,3,4]")),
    # days
    ("a day that is none", INVALID, but("2027-03-31", "来年の年度末")),
    ("an empty day", INVALID, but("2027-03-31", "")),
    ("30 February", INVALID, but("2027-03-31", "2027-02-30")),
    ("29 February of no leap year", INVALID, but("2027-03-31", "2027-02-29")),
    ("month 13", INVALID, but("2027-03-31", "2027-13-01")),
    ("month 0", INVALID, but("2027-03-31", "2027-00-01")),
    ("day 0", INVALID, but("2027-03-31", "2027-03-00")),
    ("day 32", INVALID, but("2027-03-31", "2027-03-32")),
    ("the year 0", INVALID, but("2027-03-31", "0000-01-01")),
    ("a year before Christ", INVALID, but("2027-03-31", "-0044-03-15")),
    ("a year of five digits", INVALID, but("2027-03-31", "10000-01-01")),
    ("a year of two digits", INVALID, but("2027-03-31", "27-03-31")),
    ("slashes", INVALID, but("2027-03-31", "2027/03/31")),
    ("dots", INVALID, but("2027-03-31", "31.03.2027")),
    ("no dashes", INVALID, but("2027-03-31", "20270331")),
    ("a Japanese date", INVALID, but("2027-03-31", "令和9年3月31日")),
    ("a week", INVALID, but("2027-03-31", "2027-W13-3")),
    ("a day with a time", INVALID, but("2027-03-31", "2027-03-31T00:00:00Z")),
    ("a day with a space behind", INVALID, but("2027-03-31", "2027-03-31 ")),
    ("a day as seconds", INVALID, but('"2027-03-31"', "1806451200")),
    ("a day as the count of days", INVALID, but('"2027-03-31"', "20908")),
    ("a day that is null", INVALID, but('"2027-03-31"', "null")),
    # what is missing
    ("no year", INVALID, but('"fiscal_year":2026,', "")),
    ("no person", INVALID, but('"person_id":"$P",', "")),
    ("no appointment, which is the key", INVALID, but('"appointment_id":"$A",', "")),
    ("no day", INVALID, but('"effective_from":"2026-04-14",', "")),
    ("names in capitals", INVALID, but('"word"', '"WORD"')),
    ("names in another style", INVALID, but('"fiscal_year"', '"fiscalYear"')),
    ("a name with a space", INVALID, but('"word"', '"word "')),
    # the payload speaks of another thing than the record
    ("another appointment than the key's", AGGREGATE, but("$A", "019d89bc-1ce0-793f-a0ae-25c0883e39a9")),
    ("the person's id as the appointment's", AGGREGATE, but("$A", "$P")),
    # depth and size
    ("lists 250 deep in an unknown field", INVALID, OPEN + b',"seal":' + b"[" * 250 + b"]" * 250 + b"}"),
    ("objects 300 deep in an unknown field", INVALID, OPEN + b',"seal":' + b'{"a":' * 300 + b"1" + b"}" * 301),
    ("100,000 lists that never close", INVALID, b"[" * 100_000),
    ("100,000 objects that never close", INVALID, b'{"a":' * 100_000),
    ("lists 100,000 deep", INVALID, OPEN + b',"seal":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ("a NaN 100,000 deep", INVALID, OPEN + b',"seal":' + b"[" * 100_000 + b"NaN" + b"]" * 100_000 + b"}"),
    ("50,000 unknown fields", APPLIED, OPEN + b"".join(b',"f%d":0' % number for number in range(35_000)) + b"}"),
    ("a byte over 512 KiB", "event.too_large", OPEN + b" " * (512 * 1024 + 1 - len(GOOD)) + b"}"),
    ("1 MB of text", "event.too_large", but("選任", "x" * 1_000_000)),
    ("1 MB of spaces", "event.too_large", b" " * 1_000_000),
    ("1 MB of noise", "event.too_large", noise(1_000_000)),
)
"""Other payloads of an appointment whose key and headers are good."""

_TYPE = LeaderAppointedV1.TYPE.encode()
_FAMILY = _TYPE.rpartition(b".")[0]

TYPES: tuple[tuple[str, str, bytes | None], ...] = (
    ("no type", TYPE_MISSING, ABSENT),
    ("a null type", TYPE_MISSING, None),
    ("an empty type", TYPE_MISSING, b""),
    ("a type that is no UTF-8", ATTRIBUTE, b"taiwa.leaders.\xff"),
    ("version 2 of a type that is read in version 1", UNKNOWN, _FAMILY + b".v2"),
    ("version 10", UNKNOWN, _FAMILY + b".v10"),
    ("version 0", UNKNOWN, _FAMILY + b".v0"),
    ("version 01", UNKNOWN, _FAMILY + b".v01"),
    ("version 1.0", UNKNOWN, _FAMILY + b".v1.0"),
    ("version -1", UNKNOWN, _FAMILY + b".v-1"),
    ("version one", UNKNOWN, _FAMILY + b".vone"),
    ("a version without a number", UNKNOWN, _FAMILY + b".v"),
    ("a version of a thousand digits", UNKNOWN, _FAMILY + b".v" + b"9" * 1000),
    ("a space behind the version", UNKNOWN, _FAMILY + b".v1 "),
    ("a line break behind the version", UNKNOWN, _FAMILY + b".v1\n"),
    ("NUL behind the version", UNKNOWN, _FAMILY + b".v1\x00"),
    ("a type nobody knows", PASSED, b"taiwa.leaders.leader-crowned.v1"),
    ("version 7 of a type nobody knows", PASSED, b"taiwa.leaders.leader-crowned.v7"),
    ("a type of another system", PASSED, b"com.example.payroll.paid"),
    ("a type without a version", PASSED, _FAMILY),
    ("a type in capitals", PASSED, _TYPE.upper()),
    ("a space before the type", PASSED, b" " + _TYPE),
    ("a type that is NUL", PASSED, b"\x00"),
    ("a type of one dot", PASSED, b"."),
    ("a type that looks like SQL", PASSED, b"'; DROP TABLE versions; --"),
    ("a type of 10,000 characters", PASSED, b"x" * 10_000),
    ("a type in Japanese", PASSED, "選任".encode()),
    ("another type of the same topic, whose fields are missing", INVALID, b"taiwa.leaders.leader-term-ended.v1"),
    ("another type of the same topic, whose fields are there", AGGREGATE, b"taiwa.leaders.coverage-lost.v1"),
    ("a type of another topic", ELSEWHERE, b"taiwa.directory.staff-left.v1"),
    ("a state on a topic of facts", ELSEWHERE, b"taiwa.directory.person-state.v1"),
)
"""Other types of a record that is good otherwise."""


def _one(name: str, value: bytes | None) -> dict[str, bytes | None]:
    return {name: value}


ATTRIBUTES: tuple[tuple[str, str, dict[str, bytes | None]], ...] = (
    *(
        (f"{attribute} {word}", MISSING, _one(attribute, value))
        for attribute in ("ce_id", "ce_subject", "ce_time", "ce_sequence", "ce_municipality", "ce_correlationid")
        for word, value in (("is missing", ABSENT), ("is null", None))
    ),
    *(
        (f"{attribute} is no UTF-8", ATTRIBUTE, _one(attribute, b"\xff\xfe"))
        for attribute in ("ce_id", "ce_subject", "ce_time", "ce_sequence", "ce_municipality", "ce_correlationid")
    ),
    *(
        (f"{attribute} is empty", ATTRIBUTE, _one(attribute, b""))
        for attribute in ("ce_id", "ce_time", "ce_sequence", "ce_correlationid")
    ),
    *(
        (f"{attribute} is 100 KB of noise", ATTRIBUTE, _one(attribute, noise(100_000)))
        for attribute in ("ce_id", "ce_time", "ce_sequence", "ce_correlationid", "ce_causationid")
    ),
    ("ce_specversion is missing", "event.specversion_unknown", {"ce_specversion": ABSENT}),
    ("ce_specversion is null", "event.specversion_unknown", {"ce_specversion": None}),
    ("ce_specversion is 0.3", "event.specversion_unknown", {"ce_specversion": b"0.3"}),
    ("ce_specversion is 1", "event.specversion_unknown", {"ce_specversion": b"1"}),
    ("ce_specversion has a space behind it", "event.specversion_unknown", {"ce_specversion": b"1.0 "}),
    ("ce_id is no UUID", ATTRIBUTE, {"ce_id": b"42"}),
    ("ce_id is a digit short", ATTRIBUTE, {"ce_id": b"019d89bc-1ce0-77d6-8cc5-1c8b298f3b9"}),
    ("ce_id is a digit long", ATTRIBUTE, {"ce_id": b"019d89bc-1ce0-77d6-8cc5-1c8b298f3b911"}),
    ("ce_id has NUL behind it", ATTRIBUTE, {"ce_id": b"019d89bc-1ce0-77d6-8cc5-1c8b298f3b91\x00"}),
    ("ce_id is NUL", ATTRIBUTE, {"ce_id": b"\x00"}),
    ("ce_id of full width", ATTRIBUTE, {"ce_id": "０１９d89bc-1ce0-77d6-8cc5-1c8b298f3b91".encode()}),
    ("ce_time is a word", ATTRIBUTE, {"ce_time": b"yesterday"}),
    ("ce_time has no offset", ATTRIBUTE, {"ce_time": b"2026-04-14T09:00:00"}),
    ("ce_time is a day", ATTRIBUTE, {"ce_time": b"2026-04-14"}),
    ("ce_time is in seconds", ATTRIBUTE, {"ce_time": b"1776128400"}),
    ("ce_time is on 30 February", ATTRIBUTE, {"ce_time": b"2026-02-30T09:00:00+09:00"}),
    ("ce_time is at 25 o'clock", ATTRIBUTE, {"ce_time": b"2026-04-14T25:00:00+09:00"}),
    ("ce_time has a leap second", ATTRIBUTE, {"ce_time": b"2026-06-30T23:59:60Z"}),
    ("ce_time is in the year 10000", ATTRIBUTE, {"ce_time": b"10000-01-01T00:00:00Z"}),
    ("ce_time has an offset of two days", ATTRIBUTE, {"ce_time": b"2026-04-14T09:00:00+48:00"}),
    ("ce_time ends before it begins, in UTC", ATTRIBUTE, {"ce_time": b"0001-01-01T00:00:00+14:00"}),
    ("ce_time ends after the last day, in UTC", ATTRIBUTE, {"ce_time": b"9999-12-31T23:59:59-14:00"}),
    (
        "ce_time has NUL behind it, which reads as if it were not there",
        APPLIED,
        {"ce_time": b"2026-04-14T09:00:00Z\x00"},
    ),
    ("ce_time in UTC", APPLIED, {"ce_time": b"2026-04-14T00:00:00Z"}),
    ("ce_time with nanoseconds", APPLIED, {"ce_time": b"2026-04-14T00:00:00.123456789+00:00"}),
    ("ce_time long ago", APPLIED, {"ce_time": b"1868-10-23T00:00:00+09:00"}),
    ("ce_sequence is 0", ATTRIBUTE, {"ce_sequence": b"0"}),
    ("ce_sequence is -1", ATTRIBUTE, {"ce_sequence": b"-1"}),
    ("ce_sequence has a plus sign", ATTRIBUTE, {"ce_sequence": b"+1"}),
    ("ce_sequence has a space", ATTRIBUTE, {"ce_sequence": b" 1"}),
    ("ce_sequence has a line break", ATTRIBUTE, {"ce_sequence": b"1\n"}),
    ("ce_sequence has groups", ATTRIBUTE, {"ce_sequence": b"1_0"}),
    ("ce_sequence is a float", ATTRIBUTE, {"ce_sequence": b"1.0"}),
    ("ce_sequence has an exponent", ATTRIBUTE, {"ce_sequence": b"1e0"}),
    ("ce_sequence is hexadecimal", ATTRIBUTE, {"ce_sequence": b"0x1"}),
    ("ce_sequence of full width", ATTRIBUTE, {"ce_sequence": "１".encode()}),
    ("ce_sequence in Arabic digits", ATTRIBUTE, {"ce_sequence": "١".encode()}),
    ("ce_sequence is a word", ATTRIBUTE, {"ce_sequence": b"first"}),
    ("ce_sequence is NaN", ATTRIBUTE, {"ce_sequence": b"NaN"}),
    ("ce_sequence of eight bytes, as some clients write numbers", ATTRIBUTE, {"ce_sequence": b"\0\0\0\0\0\0\0\1"}),
    ("ce_sequence is one beyond bigint", ATTRIBUTE, {"ce_sequence": b"9223372036854775808"}),
    ("ce_sequence has 5,000 digits", ATTRIBUTE, {"ce_sequence": b"9" * 5000}),
    ("ce_sequence is the greatest bigint", GAP, {"ce_sequence": b"9223372036854775807"}),
    ("ce_sequence is 2 and nothing was before", GAP, {"ce_sequence": b"2"}),
    ("ce_correlationid is no UUID", ATTRIBUTE, {"ce_correlationid": b"request 7"}),
    ("ce_correlationid is NUL", ATTRIBUTE, {"ce_correlationid": b"\x00"}),
    ("ce_causationid is no UUID", ATTRIBUTE, {"ce_causationid": b"because"}),
    ("ce_causationid is no UTF-8", ATTRIBUTE, {"ce_causationid": b"\xff"}),
    ("ce_causationid is null", APPLIED, {"ce_causationid": None}),
    ("ce_causationid is empty", APPLIED, {"ce_causationid": b""}),
    ("ce_causationid is an id", APPLIED, {"ce_causationid": b"019d89bc-1ce0-77d6-8cc5-1c8b298f3b91"}),
    ("traceparent is null", APPLIED, {"traceparent": None}),
    ("traceparent is garbage", APPLIED, {"traceparent": b"00-garbage"}),
    ("traceparent is no ASCII", APPLIED, {"traceparent": "追跡".encode()}),
    ("traceparent is no UTF-8", APPLIED, {"traceparent": b"\xff\xfe"}),
    ("traceparent is NUL", APPLIED, {"traceparent": b"\x00"}),
    ("traceparent has 10,000 characters", APPLIED, {"traceparent": b"0" * 10_000}),
    ("ce_source is missing", APPLIED, {"ce_source": ABSENT}),
    ("ce_source is null", APPLIED, {"ce_source": None}),
    ("content-type is missing", APPLIED, {"content-type": ABSENT}),
    ("content-type is null", APPLIED, {"content-type": None}),
    ("a header nobody knows", APPLIED, {"x-note": b"seen"}),
    ("a null header nobody knows", APPLIED, {"x-note": None}),
    ("a header of 100 KB", APPLIED, {"x-note": noise(100_000)}),
    ("a header without a name", APPLIED, {"": b"nameless"}),
    ("a header with NUL in its name", APPLIED, {"x\x00note": b"1"}),
    ("a header in Japanese", APPLIED, {"見出し": "値".encode()}),
    ("a header in capitals is another one", APPLIED, {"CE_TYPE": b"taiwa.other.v1"}),
)
"""Other headers of a record that is good otherwise."""

TWICE: tuple[tuple[str, str, tuple[Header, ...]], ...] = (
    ("ce_id twice", ATTRIBUTE, (("ce_id", b"019d89bc-1ce0-77d6-8cc5-1c8b298f3b91"),)),
    ("ce_id twice, the second null", ATTRIBUTE, (("ce_id", None),)),
    ("ce_type twice", ATTRIBUTE, (("ce_type", b"taiwa.leaders.leader-term-ended.v1"),)),
    ("ce_type twice, the same", ATTRIBUTE, (("ce_type", _TYPE),)),
    ("ce_municipality twice", ATTRIBUTE, (("ce_municipality", OTHER_TOWN.encode()),)),
    ("ce_sequence twice", ATTRIBUTE, (("ce_sequence", b"2"),)),
    ("a header nobody knows twice", APPLIED, (("x-note", b"1"), ("x-note", b"2"))),
    ("500 headers", APPLIED, tuple((f"x-{number}", b"") for number in range(500))),
)
"""Headers that come behind the good ones."""

TOWNS: tuple[tuple[str, str, bytes, bytes], ...] = (
    ("of another town, key and all", APPLIED, OTHER_TOWN.encode(), OTHER_TOWN.encode()),
    ("of another town by its header", KEY_DIFFERS, OTHER_TOWN.encode(), MIDORI.encode()),
    ("of another town by its key", KEY_DIFFERS, MIDORI.encode(), OTHER_TOWN.encode()),
    ("of every town", TOWN, b"*", b"*"),
    ("of no town", TOWN, b"", b""),
    ("a code with a wrong check digit", TOWN, b"999998", b"999998"),
    ("a code of five digits", TOWN, b"99999", b"99999"),
    ("a code of seven digits", TOWN, b"9999977", b"9999977"),
    ("a code with a space", TOWN, b" 999997", b" 999997"),
    ("a code with a line break", TOWN, b"999997\n", b"999997\n"),
    ("a code with NUL", TOWN, b"999997\x00", b"999997\x00"),
    ("a code of full width", TOWN, "９９９９９７".encode(), "９９９９９７".encode()),
    ("the town's name", TOWN, "みどり町".encode(), "みどり町".encode()),
    ("a code that looks like SQL", TOWN, b"' OR '1'='1", b"' OR '1'='1"),
    ("a code of 100 KB", TOWN, b"9" * 800, b"9" * 800),
)
"""Municipality in the header, and in the key."""

KEYS: tuple[tuple[str, str, bytes | None], ...] = (
    ("no key", "event.key_missing", None),
    ("an empty key", KEY_DIFFERS, b""),
    ("a key of nobody", KEY_DIFFERS, b"somebody else"),
    ("a key of the town alone", KEY_DIFFERS, b"999997"),
    ("a key of the aggregate alone", KEY_DIFFERS, b"appointment/$A"),
    ("a key of another appointment", KEY_DIFFERS, b"999997/appointment/$P"),
    ("a key of another kind", KEY_DIFFERS, b"999997/deputy/$A"),
    ("a key in capitals", KEY_DIFFERS, b"999997/APPOINTMENT/$A"),
    ("a key with a space behind", KEY_DIFFERS, b"999997/appointment/$A "),
    ("a key with NUL behind", KEY_DIFFERS, b"999997/appointment/$A\x00"),
    ("a key with a byte order mark", KEY_DIFFERS, b"\xef\xbb\xbf999997/appointment/$A"),
    ("a key in quotes", KEY_DIFFERS, b'"999997/appointment/$A"'),
    ("a key that is no UTF-8", KEY_DIFFERS, b"\xff\xfe\xfd"),
    ("a key that is NUL", KEY_DIFFERS, b"\x00"),
    ("a key of a thousand bytes", KEY_DIFFERS, noise(1000)),
    ("a key longer than an index takes", KEY_LONG, noise(3000)),
    ("a key of 100 KB", KEY_LONG, noise(100_000)),
)
"""Other keys of a record that is good otherwise."""

SUBJECTS: tuple[tuple[str, str, bytes], ...] = (
    ("an empty aggregate", AGGREGATE, b""),
    ("an aggregate without a kind", AGGREGATE, b"$A"),
    ("an aggregate without an id", AGGREGATE, b"appointment/"),
    ("an aggregate of another kind", AGGREGATE, b"deputy/$A"),
    ("an aggregate of another appointment", AGGREGATE, b"appointment/$P"),
    ("an aggregate with a space behind", AGGREGATE, b"appointment/$A "),
    ("an aggregate in capitals", AGGREGATE, b"APPOINTMENT/$A"),
    ("an aggregate with NUL, which no column takes", ATTRIBUTE, b"appointment/$A\x00"),
    ("an aggregate that is NUL", ATTRIBUTE, b"\x00"),
    ("an aggregate longer than an index takes", KEY_LONG, b"appointment/" + noise(3000).hex().encode()),
)
"""Other aggregates, in the header and in the key alike."""

VERSIONS: tuple[tuple[str, str, int, bytes, bool], ...] = (
    ("the next version", APPLIED, 2, b"3", False),
    ("the same event again", SKIPPED, 2, b"2", True),
    ("an older event again", SKIPPED, 2, b"1", True),
    ("an older version of another event", SKIPPED, 2, b"1", False),
    ("the same version of another event", "event.version_conflict", 2, b"2", False),
    ("a version too far", GAP, 2, b"4", False),
    ("a version much too far", GAP, 2, b"1000000", False),
)
"""Good records before, the version, and whether the id is that version's own."""

_PERSON = '{"state_version":1,"person_id":"$A","name":"真壁 理人","kana":"マカベ リヒト","mail":null,'
STATE = (_PERSON + '"section_id":"$S","post":"主事","left":false}').encode()

STATES: tuple[tuple[str, str, bytes | None, dict[str, bytes | None]], ...] = (
    ("a good state", APPLIED, STATE, {}),
    ("a tombstone", APPLIED, None, {}),
    ("a state whose record has version 900", APPLIED, STATE, {"ce_sequence": b"900"}),
    ("an unknown type on a state topic", PASSED, STATE, {"ce_type": b"taiwa.directory.pet-state.v1"}),
    ("an unknown tombstone on a state topic", PASSED, None, {"ce_type": b"taiwa.directory.pet-state.v1"}),
    ("a state in version 2", UNKNOWN, STATE, {"ce_type": b"taiwa.directory.person-state.v2"}),
    ("a fact on a state topic", ELSEWHERE, STATE, {"ce_type": b"taiwa.directory.staff-left.v1"}),
    ("a fact's tombstone on a state topic", ELSEWHERE, None, {"ce_type": b"taiwa.directory.staff-left.v1"}),
    ("an empty state", INVALID, b"", {}),
    ("a state that is null", INVALID, b"null", {}),
    ("a state without its version", INVALID, STATE.replace(b'"state_version":1,', b""), {}),
    ("a state whose version is a text", INVALID, STATE.replace(b":1,", b':"1",'), {}),
    ("a state whose version is beyond bigint", FAILED, STATE.replace(b":1,", b":9223372036854775808,"), {}),
    ("a state with NUL in a name", FAILED, STATE.replace("真壁".encode(), rb"\u0000"), {}),
    ("a state of another person than the key's", AGGREGATE, STATE.replace(b"$A", b"$P"), {}),
    ("a state with a name twice", INVALID, STATE[:-1] + b',"post":"x"}', {}),
    ("a state with half a character", INVALID, STATE.replace("真壁".encode(), rb"\ud842"), {}),
    ("a tombstone without a type", TYPE_MISSING, None, {"ce_type": ABSENT}),
    ("a tombstone of a wrong town", TOWN, None, {"ce_municipality": b"123456"}),
)
"""Records of directory.people: payload and headers."""

AWKWARD = (("x\x00y", b"\x00"), ("", None), ("x", b"1"), ("x", b"2"), ("z", noise(300)))
"""Headers that are hard to keep; a dead letter keeps them."""


def own(name: str, mark: str) -> bytes:
    """An id of a case: the same in every run, and no other case's."""
    return str(uuid5(NAMES, f"{mark} {name}")).encode()


def filled(name: str, text: bytes | None) -> bytes | None:
    """With the case's own ids in place of ``$A``, ``$P`` and ``$S``."""
    if text is None:
        return None
    for mark in ("A", "P", "S"):
        text = text.replace(b"$" + mark.encode(), own(name, mark))
    return text


def headers_of(name: str, type_: str, subject: bytes, version: int = 1) -> tuple[Header, ...]:
    """The headers of a good record."""
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", own(name, f"event {version}")),
        ("ce_type", type_.encode()),
        ("ce_source", b"/taiwa/" + type_.split(".")[1].encode()),
        ("ce_subject", subject),
        ("ce_time", b"2026-04-14T09:00:00+09:00"),
        ("ce_sequence", b"%d" % version),
        ("ce_municipality", MIDORI.encode()),
        ("ce_correlationid", own(name, "correlation")),
        ("content-type", b"application/json"),
    )


def good(name: str, version: int = 1) -> Record:
    """The good record that a case differs from, in any version of its aggregate."""
    subject = b"appointment/" + own(name, "A")
    return Record(
        LeaderAppointedV1.TOPIC,
        MIDORI.encode() + b"/" + subject,
        filled(name, GOOD),
        headers_of(name, LeaderAppointedV1.TYPE, subject, version),
    )


def cases() -> Iterator[Case]:
    """Every hand-picked case of the topics."""
    for name, becomes, value in VALUES:
        yield Case(name, becomes, replace(good(name), value=filled(name, value)))
    for name, becomes, type_ in TYPES:
        yield Case(name, becomes, good(name).but(type=type_), holds=becomes != TYPE_MISSING)
    for name, becomes, attributes in ATTRIBUTES:
        it = good(name)
        yield Case(name, becomes, replace(it, headers=changed(it.headers, attributes)))
    for name, becomes, more in TWICE:
        it = good(name)
        yield Case(name, becomes, replace(it, headers=(*it.headers, *more)))
    for name, becomes, said, keyed in TOWNS:
        it = good(name).but(municipality=said)
        yield Case(name, becomes, replace(it, key=keyed + b"/appointment/" + own(name, "A")))
    for name, becomes, key in KEYS:
        holds = becomes not in {KEY_LONG, "event.key_missing"}
        yield Case(name, becomes, replace(good(name), key=filled(name, key)), holds=holds)
    for name, becomes, given in SUBJECTS:
        subject = filled(name, given) or b""
        it = replace(good(name).but(subject=subject), key=MIDORI.encode() + b"/" + subject)
        yield Case(name, becomes, it, holds=becomes != KEY_LONG)
    for name, becomes, before, version, same in VERSIONS:
        it = good(name, int(version) if same else 10**9).but(sequence=version)
        yield Case(name, becomes, it, before=before)
    for name, becomes, value, attributes in STATES:
        subject = b"person/" + own(name, "A")
        headers = changed(headers_of(name, "taiwa.directory.person-state.v1", subject), attributes)
        town = dict(headers)["ce_municipality"] or b""
        it = Record("directory.people", town + b"/" + subject, filled(name, value), headers)
        yield Case(name, becomes, it, holds=becomes != TYPE_MISSING)
    yield from _awkward()
    yield from _samples()


def _awkward() -> Iterator[Case]:
    for name, value in (("a broken payload with awkward headers", b"{"), ("a NUL with awkward headers", b"\x00")):
        it = good(name)
        yield Case(name, INVALID, replace(it, value=value, headers=(*AWKWARD, *it.headers, *AWKWARD)))
    name = "good, with awkward headers"
    yield Case(name, APPLIED, replace(good(name), headers=(*AWKWARD, *good(name).headers)))


def _samples() -> Iterator[Case]:
    """The real message of every event version, about a thing of its own."""
    for type_ in EVERY_TYPE:
        name = f"the sample of {type_}"
        thing, event_id = uuid5(NAMES, name), uuid5(NAMES, f"event of {name}")
        yield Case(name, APPLIED, record(type_, about(type_, thing), event_id=event_id))
