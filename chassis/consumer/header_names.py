"""Reads records whose header has a name that is no UTF-8, at which aiokafka 0.14 breaks off.

Kafka takes any bytes as a name. aiokafka decodes strictly and raises out of ``getmany``: at the same record for ever,
for all partitions of the process. Such a batch is read again by aiokafka's own Python reader with names that bear any
byte (``surrogateescape``), from the record on where it broke off. Other batches cost nothing more: only where one
begins is a call of ours.

Proven by ``tests/integration/messaging/test_header_names.py``.
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy


class _AnyName(bytes):
    """A piece of a batch; as a name it decodes whatever it holds."""

    __slots__ = ()

    def decode(self, encoding: str = "utf-8", _errors: str = "strict") -> str:
        return super().decode(encoding, "surrogateescape")


class _AnyNames(bytearray):
    """The bytes of a batch; its pieces are such that names can be decoded."""

    def __getitem__(self, place: Any) -> Any:
        piece = super().__getitem__(place)
        return _AnyName(piece) if isinstance(place, slice) else piece


class _BatchOfAnyNames(_DefaultRecordBatchPy):  # type: ignore[misc]  # final, and the only reader of batches there is
    """A batch read in Python."""

    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        if not isinstance(self._buffer, _AnyNames):
            self._buffer = _AnyNames(self._buffer)


class _RecordsOfAnyNames(_MemoryRecordsPy):  # type: ignore[misc]  # as above
    """Batches read in Python, from the one on that holds ``since``: reading an earlier one again would turn back.

    Headers came with the format of these batches, so no older one can be among them.
    """

    def __init__(self, given: bytes, since: int) -> None:
        super().__init__(given)
        while self._next_slice is not None and _BatchOfAnyNames(self._next_slice).next_offset <= since:
            self._cache_next()

    def next_batch(self, *_: int) -> Any:
        piece = self._next_slice
        self._cache_next()
        return None if piece is None else _BatchOfAnyNames(piece)


class _Records:
    """The batches of one answer, with their bytes at hand."""

    __slots__ = ("bytes", "has_next", "next_batch", "size_in_bytes")

    def __init__(self, given: bytes) -> None:
        records = MemoryRecords(given)
        self.bytes = given
        self.has_next, self.next_batch, self.size_in_bytes = records.has_next, records.next_batch, records.size_in_bytes


class _PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """The records of one answer, in order."""

    _records: Any
    _records_iterator: Any
    next_fetch_offset: int

    def __next__(self) -> Any:
        try:
            return next(self._records_iterator)
        except StopIteration:
            self._records_iterator = None
            raise
        except UnicodeDecodeError:
            if not isinstance(self._records, _Records):
                raise
            self._records = _RecordsOfAnyNames(self._records.bytes, self.next_fetch_offset)
            self._records_iterator = self._unpack_records()  # passes over what that batch gave before
            return next(self)


def bear_any_name() -> None:
    """Let every consumer of this process read such records. May be called again."""
    fetcher.MemoryRecords = _Records
    fetcher.PartitionRecords = _PartitionRecords
