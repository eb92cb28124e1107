"""Facts that hold from a day on, of which the newest told counts.

A correction is told later and may begin earlier: on the 3rd somebody is said to head the section since the 3rd, on the
8th somebody else since the 1st. From the 1st on the newer fact holds, and the older one never did. So among the facts
of one aggregate the version decides, and the day only says where each begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from chassis.service import Received


def standing(records: Iterable[Received[Any]], begins: Callable[[Any], date]) -> list[Received[Any]]:
    """Those of the records, given in order, that hold on any day by what the others say.

    ``begins`` gives the day from which an event holds. The days of one aggregate rise in what is returned, so after
    :func:`superseded` each row holds until the next one begins.
    """
    found: list[Received[Any]] = []
    earliest: dict[tuple[str, str], date] = {}
    for record in reversed(list(records)):
        key, day = (record.municipality, record.aggregate), begins(record.event)
        if key not in earliest or day < earliest[key]:
            earliest[key] = day
            found.append(record)
    return found[::-1]


_SUPERSEDED = """
DELETE FROM {table} AS it USING unnest($1::text[], $2::uuid[], $3::date[]) AS newer (municipality, {key}, from_on)
WHERE it.municipality = newer.municipality AND it.{key} = newer.{key} AND it.from_on >= newer.from_on
"""

_ENDS = """
UPDATE {table} AS it SET until_on = newer.from_on - 1
FROM (
    SELECT municipality, {key}, version,
           min(from_on) OVER (PARTITION BY municipality, {key} ORDER BY version
                              ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS from_on
    FROM {table} WHERE (municipality, {key}) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))
) AS newer
WHERE it.municipality = newer.municipality AND it.{key} = newer.{key} AND it.version = newer.version
  AND it.until_on IS DISTINCT FROM newer.from_on - 1
"""


def superseded(table: str, key: str) -> str:
    """SQL that drops from ``table`` what newer facts take the place of: $1 municipalities, $2 ids, $3 days.

    The table has a row for each day on which something begins: ``municipality``, ``key`` (the column with the id),
    ``from_on``. What holds on a day is the last row that has begun.
    """
    return _SUPERSEDED.format(table=table, key=key)


def ends(table: str, key: str) -> str:
    """SQL that sets ``until_on`` (inclusive) of every fact in ``table`` about the things $1 (municipalities), $2 (ids).

    The table has one row a fact: ``municipality``, ``key`` (the column with the id), ``version``, ``from_on``,
    ``until_on``. A fact that never held ends before it begins, so no day finds it.
    """
    return _ENDS.format(table=table, key=key)
