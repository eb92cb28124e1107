"""What a service is made of. ``services.<name>.main.build(settings)`` returns a :class:`Service`; ``serve`` runs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar
from uuid import UUID

from fastapi import APIRouter, FastAPI

from chassis.settings import ServiceSettings
from chassis.transaction import Connection, Fact, Transaction

if TYPE_CHECKING:
    from chassis.auth import Caller
    from chassis.database import Database
    from chassis.http.views import View
    from chassis.http.work_items import WorkItem

E = TypeVar("E")
Key = tuple[str, str]
"""(municipality, aggregate)"""


class ReadableFact(Fact, Protocol):
    """An event class a consumer can read; ``taiwa_contracts.event.Event`` has all of it."""

    AGGREGATE: ClassVar[str]
    STATE: ClassVar[bool]

    @classmethod
    def read(cls, payload: str | bytes) -> Any:
        """Parse a payload, ignoring unknown fields; raises ``ValueError`` when it cannot."""

    @classmethod
    def readers(cls) -> dict[str, Callable[[str | bytes], Any]]:
        """By type: how a payload of this version, and of each one before, is read as this version."""


@dataclass(slots=True)
class Received(Generic[E]):
    """One record of a topic, parsed. ``event`` is ``None`` only on a state topic: the state was erased.

    ``type`` is the one it is read as: a record of an older major version comes as the version that is wanted here.
    Nobody changes one; it is not frozen because making a frozen one costs as much as parsing its headers.
    """

    event: E
    id: UUID
    type: str
    municipality: str
    aggregate: str
    version: int
    occurred_at: datetime
    correlation_id: UUID
    causation_id: UUID | None
    traceparent: str | None
    topic: str
    partition: int
    offset: int

    @property
    def aggregate_id(self) -> str:
        """The part of the aggregate after its kind."""
        return self.aggregate.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Projection:
    """A copy of foreign facts, rebuildable: set-based, no emit, no timer, no sending.

    ``name``   ``<service>.<table>``
    ``events`` event classes it is made from
    ``apply``  gets the connection (scope ``*``) and the records of one partition batch in order, only of ``events``;
               must bear records it has applied already where the topic is compacted (upsert by ``state_version``).
               Names its tables without a schema: a rebuild gives it others of the same names
    ``tables`` what it writes, and nobody else but projections that name it too; empty: the table of its name
    """

    name: str
    events: tuple[type[ReadableFact], ...]
    apply: Callable[[Connection, Sequence[Received[Any]]], Awaitable[None]]
    tables: tuple[str, ...] = ()

    @property
    def written(self) -> tuple[str, ...]:
        """The tables it writes."""
        return self.tables or (self.name.rpartition(".")[2],)


@dataclass(frozen=True, slots=True)
class Reaction:
    """Acts once on a foreign event: translates it into an own command. Never replayed by a rebuild."""

    event: type[ReadableFact]
    react: Callable[[Transaction, Received[Any]], Awaitable[None]]

    @property
    def name(self) -> str:
        """Says what we do, for example ``welcome_new_leader``."""
        return getattr(self.react, "__name__", "reaction")


@dataclass(frozen=True, slots=True)
class TimerHandler:
    """Runs when a timer ``name`` is due. Gets the aggregate ``<kind>/<id>``; re-checks state, late is a no-op."""

    name: str
    run: Callable[[Transaction, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class StateSource:
    """Where the relay reads the present row of a state topic when it publishes.

    ``read`` gets a connection (scope ``*``) and keys, and gives the JSON payload of each; a key that is missing in the
    answer was erased and is published as a tombstone.
    """

    state: type[ReadableFact]
    read: Callable[[Connection, Sequence[Key]], Awaitable[Mapping[Key, str]]]


@dataclass(frozen=True, slots=True)
class Loop:
    """Work of its own beside relay, consumer and timers, for example sending mail. Runs in role ``consumer``.

    ``run`` gets the worker database and does one round; it gives the number of things done. 0 makes the loop wait
    ``pause`` seconds (machine time).
    """

    name: str
    run: Callable[[Database], Awaitable[int]]
    pause: float = 0.5


@dataclass(frozen=True, slots=True)
class Service:
    """Everything ``serve`` needs to run a service in any of its roles."""

    name: str
    title: str
    settings: ServiceSettings
    migrations: Path
    routers: tuple[APIRouter, ...] = ()
    emits: tuple[type[ReadableFact], ...] = ()
    projections: tuple[Projection, ...] = ()
    reactions: tuple[Reaction, ...] = ()
    timers: tuple[TimerHandler, ...] = ()
    states: tuple[StateSource, ...] = ()
    loops: tuple[Loop, ...] = ()
    work_items: Callable[[View, Caller], Awaitable[list[WorkItem]]] | None = None
    resources: Mapping[str, object] = field(default_factory=dict)
    """Own objects that routes reach as ``request.app.state.resources[name]`` (a token issuer, an HTTP client)."""
    extend: Callable[[FastAPI], None] | None = None
    """Called last on the new application, for a service that answers with pages instead of JSON."""

    @property
    def consumes(self) -> tuple[type[ReadableFact], ...]:
        """Every event class that a projection or a reaction needs, each once."""
        events = [event for projection in self.projections for event in projection.events]
        return tuple(dict.fromkeys([*events, *(reaction.event for reaction in self.reactions)]))
