"""Names of the topics, without the installation's prefix, and what each promises."""

from __future__ import annotations

from dataclasses import dataclass

PARTITIONS = 12
"""Fixed at creation for every topic: the order within a key rests on it."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One Kafka topic. ``compacted``: only the newest record of a key stays. ``internal``: not for integrators."""

    name: str
    title: str
    compacted: bool = False
    internal: bool = False


DIRECTORY = Topic("directory.events", "Facts about municipalities, sections, people, rules and the calendar")
PEOPLE = Topic("directory.people", "Present state of every person, with name and mail address", compacted=True)
LEADERS = Topic("leaders.events", "Facts about nominations, appointments, deputies and coverage")
TRAININGS = Topic("trainings.events", "Facts about completed trainings")
CONSULTATIONS = Topic("consultations.events", "Facts about consultations, without their text")
TEXTS = Topic("consultations.texts", "Texts of questions and replies", compacted=True, internal=True)
NOTIFICATIONS = Topic("notifications.events", "Facts about notices handed over, delivered or failed")

TOPICS: tuple[Topic, ...] = (DIRECTORY, PEOPLE, LEADERS, TRAININGS, CONSULTATIONS, TEXTS, NOTIFICATIONS)
