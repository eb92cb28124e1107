"""Every event of the product, found by its CloudEvents type."""

from __future__ import annotations

from taiwa_contracts import consultations, directory, leaders, notifications, trainings
from taiwa_contracts.event import Event

EVENTS: tuple[type[Event], ...] = (
    *directory.EVENTS,
    *leaders.EVENTS,
    *trainings.EVENTS,
    *consultations.EVENTS,
    *notifications.EVENTS,
)

BY_TYPE: dict[str, type[Event]] = {event.TYPE: event for event in EVENTS}
