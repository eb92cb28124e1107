"""Wires ``trainings``: the only place that constructs."""

from __future__ import annotations

from pathlib import Path

from chassis.civil_clock import civil_clock_projection
from chassis.service import Projection, Service
from services.trainings import projections, queries, routes
from services.trainings.settings import TrainingsSettings
from taiwa_contracts.directory import CivilClockSetV1, PersonStateV1, SectionCreatedV1, SectionRenamedV1
from taiwa_contracts.leaders import (
    AppointmentCorrectedV1,
    LeaderAppointedV1,
    LeaderTermEndedV1,
    LeaderTermExtendedV1,
)
from taiwa_contracts.trainings import TrainingCompletedV1, TrainingCompletionRevokedV1

SETTINGS = TrainingsSettings


def build(settings: TrainingsSettings | None = None) -> Service:
    """The service, ready for ``serve``."""
    return Service(
        name="trainings",
        title="Training programmes and who completed them",
        settings=settings or SETTINGS(),
        migrations=Path(__file__).parent / "migrations",
        routers=(routes.router,),
        emits=(TrainingCompletedV1, TrainingCompletionRevokedV1),
        projections=(
            civil_clock_projection(CivilClockSetV1, "trainings.civil_clock"),
            Projection("trainings.people", (PersonStateV1,), projections.apply_people),
            Projection(
                "trainings.section_names", (SectionCreatedV1, SectionRenamedV1), projections.apply_section_names
            ),
            Projection(
                "trainings.leader_terms",
                (LeaderAppointedV1, AppointmentCorrectedV1, LeaderTermExtendedV1, LeaderTermEndedV1),
                projections.apply_leader_terms,
            ),
        ),
        work_items=queries.work_items,
    )
