"""Dead letters: the list, one of them with its record, and what somebody did."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel


class SetAside(BaseModel):
    """A dead letter in a list."""

    id: str
    consumer: str
    source: str
    kind: str
    type: str | None
    aggregate: str | None
    version: int | None
    topic: str | None
    partition: int | None
    offset: int | None
    code: str
    error: str
    attempts: int
    written_at: datetime
    retry_at: datetime | None
    held_behind: int


class HeldBehind(BaseModel):
    """A record that waits behind a dead letter."""

    id: str
    type: str | None
    aggregate: str | None
    version: int | None
    written_at: datetime


class LetterHeader(BaseModel):
    """One header of a record."""

    name: str
    value: str | None
    encoding: str


class LetterField(BaseModel):
    """One field of a payload; ``state``: fits, missing, wrong, unknown."""

    name: str
    state: str
    expected: str
    given: str | None
    problem: str


class LetterPayload(BaseModel):
    """A record's bytes, and how they differ from the schema."""

    value: str | None
    encoding: str
    size: int
    schema_type: str | None
    fields: list[LetterField]


class Letter(SetAside):
    """One dead letter, open or closed."""

    closed_at: datetime | None
    outcome: str | None
    headers: list[LetterHeader]
    payload: LetterPayload | None
    held: list[HeldBehind]


class OperatorAct(BaseModel):
    """What somebody did to a dead letter or a stop."""

    act: str
    operator_kind: str
    operator: str
    reason: str
    acted_at: datetime


class Acted(BaseModel):
    """How many a command acted on, or would."""

    count: int
    more: bool = False
