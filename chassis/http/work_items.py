"""``GET /work-items``: what a service wants from a person today; one schema, so that the portal shows all alike."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

Kind = Literal["nominate", "decide", "assign", "answer", "confirm", "learn", "read", "mend"]


class Target(BaseModel):
    """The thing to act on."""

    kind: str = Field(description="aggregate kind, for example `consultation`")
    id: str


class WorkItem(BaseModel):
    """One thing that waits for this person. ``title`` and ``note`` are Japanese, ready to show."""

    id: str = Field(description="unique within the service, stable while the work waits")
    kind: Kind
    title: str
    note: str = ""
    due_at: datetime | None = None
    since: datetime
    target: Target
