"""The base of every event: a past fact, its type, its topic, its key and its schema version.

An event's payload is the JSON of one of these models. Everything about the *record* (id, municipality, version,
time, causation) travels beside it as CloudEvents 1.0 attributes, never inside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, ClassVar, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
"""A short text that may travel: a title, a name of a section or post. 1 to 500 characters."""

Day = date
"""A civil day of the town (Asia/Tokyo), ISO 8601 ``YYYY-MM-DD``."""

Instant = AwareDatetime
"""A moment with its offset, ISO 8601."""

PersonId = UUID
SectionId = UUID
FiscalYear = int
"""The year in which the fiscal year starts: 2026 is 1 April 2026 to 31 March 2027 (令和8年度)."""

_TYPE = re.compile(r"^taiwa\.(?P<owner>[a-z]+)\.(?P<name>[a-z-]+)\.v(?P<version>[1-9][0-9]*)$")


_SPACES = b" \n\t\r"
_N, _I = b"NI"


def _needs_a_second_look(text: bytes, fields: int) -> bool:
    """Whether a payload may hold what pydantic lets pass: a name that stands twice, NaN in a field it ignores.

    Every name has its colon: no more colons than fields were read, and none stands twice. Where values hold colons too,
    those behind a quote are counted, unless a space hides one. Single bytes are looked for first, which costs next to
    nothing, and our own relay writes no space but in texts.
    """
    return (
        text.count(b":") != fields
        and (text.count(b'":') != fields or any(it in text and bytes((it, 58)) in text for it in _SPACES))
    ) or ((_N in text and b"NaN" in text) or (_I in text and b"Infinity" in text))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _refuse_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


class Event(BaseModel):
    """A past fact that one service publishes.

    A concrete event states four things as class variables:

    ``TYPE``       CloudEvents type, ``taiwa.<owner>.<kebab-name>.v<major>``
    ``TOPIC``      Kafka topic without the installation's prefix, ``<owner>.events`` for facts
    ``AGGREGATE``  kind of the aggregate whose order is kept, for example ``appointment``
    ``KEY``        names of the fields that identify the aggregate, joined by ``:`` (none: one for the municipality)

    Writing forbids unknown fields; reading (:meth:`read`) ignores them, so that a producer may add optional fields
    within a version.

    A new major version is a new class beside the old one. It states ``PREVIOUS``, the class before it, and how it is
    made from one (:meth:`from_previous`): the only place where that is said. Whoever wants the new version is given
    old records as new ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]
    AGGREGATE: ClassVar[str]
    KEY: ClassVar[tuple[str, ...]]
    STATE: ClassVar[bool] = False
    PREVIOUS: ClassVar[type[Event] | None] = None

    def __init_subclass__(cls, *, abstract: bool = False) -> None:
        """Take ``abstract`` from the class statement; pydantic hands it on to the check below."""
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(cls, *, abstract: bool = False, **kwargs: object) -> None:
        """Refuse a declaration that forgets one of the four statements, or whose fields do not exist.

        ``class _StaffFact(Event, abstract=True)`` only shares fields and is no event.

        Raises:
            TypeError: the declaration is incomplete; the message says what is missing.
        """
        super().__pydantic_init_subclass__(**kwargs)
        if abstract:
            return
        for name in ("TYPE", "TOPIC", "AGGREGATE", "KEY"):
            if not hasattr(cls, name):
                raise TypeError(f"{cls.__name__} must state {name}")
        if _TYPE.match(cls.TYPE) is None:
            raise TypeError(f"{cls.__name__}.TYPE must look like taiwa.<owner>.<name>.v<major>, not {cls.TYPE!r}")
        missing = [field for field in cls.KEY if field not in cls.model_fields]
        if missing:
            raise TypeError(f"{cls.__name__}.KEY names unknown fields: {', '.join(missing)}")
        cls._check_previous()

    @classmethod
    def _check_previous(cls) -> None:
        before, wanted = cls.PREVIOUS, f"{cls.family()}.v{cls.schema_version() - 1}"
        if before is None:
            if cls.schema_version() > 1:
                raise TypeError(f"{cls.__name__} must state PREVIOUS, the class of {wanted}")
            return
        if wanted != before.TYPE:
            raise TypeError(f"{cls.__name__}.PREVIOUS must be the class of {wanted}, not of {before.TYPE}")
        if (cls.TOPIC, cls.AGGREGATE, cls.KEY, cls.STATE) != (before.TOPIC, before.AGGREGATE, before.KEY, before.STATE):
            raise TypeError(
                f"{cls.__name__} must keep topic, aggregate and key of {before.__name__}: order rests on them"
            )
        if cls.from_previous.__func__ is Event.from_previous.__func__:  # type: ignore[attr-defined]  # of a classmethod
            raise TypeError(f"{cls.__name__} must say in from_previous how it is made from {before.__name__}")

    @classmethod
    def owner(cls) -> str:
        """Name of the service that publishes this event."""
        return cls.TYPE.split(".")[1]

    @classmethod
    def family(cls) -> str:
        """The type without its major version: ``taiwa.leaders.leader-appointed``."""
        return cls.TYPE.rpartition(".v")[0]

    @classmethod
    def schema_version(cls) -> int:
        """The major version, 1 or more. Within it only optional additions are allowed."""
        return int(cls.TYPE.rpartition(".v")[2])

    def aggregate(self) -> str:
        """``<kind>/<id>``: the unit within which versions are dense and order is kept. It is ``ce_subject``."""
        if len(self.KEY) == 1:  # nearly every event; said without a loop, because every record read asks for it
            return f"{self.AGGREGATE}/{getattr(self, self.KEY[0])}"
        return f"{self.AGGREGATE}/{':'.join(str(getattr(self, field)) for field in self.KEY) or 'only'}"

    def write(self) -> str:
        """The payload as compact JSON text; non-ASCII characters stand as they are."""
        return self.model_dump_json()

    @classmethod
    def read(cls, payload: str | bytes) -> Self:
        """Parse a payload and ignore fields this version does not know. Strict: ``"2026"`` and ``true`` are no year.

        Raises:
            ValueError: not JSON (a number that is NaN or infinite, a name that stands twice, bad UTF-8 included);
                as pydantic.ValidationError where a field is missing or of the wrong type.
        """
        text = payload.encode() if isinstance(payload, str) else payload
        event = cls.model_validate_json(text, strict=True, extra="ignore")
        if _needs_a_second_look(text, len(event.__pydantic_fields_set__)):
            json.loads(text, object_pairs_hook=_refuse_twice, parse_constant=_refuse_constant)
        return event

    @classmethod
    def from_previous(cls, previous: Any) -> Self:
        """This version of a fact that was written in the version before (``PREVIOUS``).

        What the old one did not say is ``None`` or the default that was meant; nothing is looked up.
        """
        raise NotImplementedError(f"{cls.__name__} has no version before it")

    @classmethod
    def readers(cls) -> dict[str, Callable[[str | bytes], Self]]:
        """By type: how a payload of this version, and of each one before, is read as this version.

        Each raises ``ValueError`` as :meth:`read` does.
        """
        found: dict[str, Callable[[str | bytes], Self]] = {cls.TYPE: cls.read}
        if cls.PREVIOUS is not None:
            found |= {type_: cls._reading_from(read) for type_, read in cls.PREVIOUS.readers().items()}
        return found

    @classmethod
    def _reading_from(cls, read: Callable[[str | bytes], Event]) -> Callable[[str | bytes], Self]:
        return lambda payload: cls.from_previous(read(payload))


class State(Event, abstract=True):
    """The full present state of one thing on a compacted topic; ``None`` as the record's value means erased.

    Consumers upsert by ``state_version`` (greater wins); it is outside the dense-version rule of facts.
    """

    STATE: ClassVar[bool] = True
    state_version: int
