"""Facts published by ``notifications``. Handed over and delivered are two facts."""

from __future__ import annotations

from typing import ClassVar, Literal
from uuid import UUID

from taiwa_contracts import topics
from taiwa_contracts.event import Event, PersonId, Text

Channel = Literal["in_app", "mail"]


class _DeliveryFact(Event, abstract=True):
    TOPIC: ClassVar[str] = topics.NOTIFICATIONS.name
    AGGREGATE: ClassVar[str] = "delivery"
    KEY: ClassVar[tuple[str, ...]] = ("delivery_id",)
    delivery_id: UUID
    cause_event_id: UUID
    person_id: PersonId
    channel: Channel
    template: Text


class NotificationHandedOverV1(_DeliveryFact):
    """The next station took the notice over (mail: SMTP 250). Whether it arrived is not known."""

    TYPE: ClassVar[str] = "taiwa.notifications.notification-handed-over.v1"


class NotificationDeliveredV1(_DeliveryFact):
    """The channel itself proves arrival (in-app: the notice stands in the recipient's inbox)."""

    TYPE: ClassVar[str] = "taiwa.notifications.notification-delivered.v1"


class NotificationFailedV1(_DeliveryFact):
    """The notice was given up; ``reason`` is a stable code such as ``no_address`` or ``smtp_550``."""

    TYPE: ClassVar[str] = "taiwa.notifications.notification-failed.v1"
    reason: Text


EVENTS: tuple[type[Event], ...] = (NotificationHandedOverV1, NotificationDeliveredV1, NotificationFailedV1)
