"""Wires ``consultations``."""

from __future__ import annotations

from pathlib import Path

from chassis.civil_clock import civil_clock_projection
from chassis.service import Projection, Service, StateSource
from services.consultations import projections, repository, routes
from services.consultations.queries.work import work_items
from services.consultations.settings import ConsultationsSettings
from taiwa_contracts.consultations import (
    ConsultationAnsweredV1,
    ConsultationAssignedV1,
    ConsultationOpenedV1,
    ConsultationReopenedV1,
    ConsultationResolvedV1,
    ConsultationTextV1,
)
from taiwa_contracts.directory import (
    CalendarChangedV1,
    CivilClockSetV1,
    PersonStateV1,
    RoleGrantedV1,
    RoleRevokedV1,
    SectionChangedV1,
    SectionClosedV1,
    SectionCreatedV1,
    SectionHeadAssignedV1,
    SectionRenamedV1,
)
from taiwa_contracts.leaders import (
    AppointmentCorrectedV1,
    LeaderAppointedV1,
    LeaderTermEndedV1,
    LeaderTermExtendedV1,
)

SETTINGS = ConsultationsSettings


def build(settings: ConsultationsSettings | None = None) -> Service:
    """The service, ready for ``serve``."""
    settings = settings or SETTINGS()
    return Service(
        name="consultations",
        title="Consultations (相談) between leaders and the desks, with routing and an answer clock",
        settings=settings,
        migrations=Path(__file__).parent / "migrations",
        routers=(routes.router,),
        emits=(
            ConsultationOpenedV1,
            ConsultationAssignedV1,
            ConsultationAnsweredV1,
            ConsultationResolvedV1,
            ConsultationReopenedV1,
            ConsultationTextV1,
        ),
        projections=(
            civil_clock_projection(CivilClockSetV1, "consultations.civil_clock"),
            Projection("consultations.people", (PersonStateV1,), projections.apply_people),
            Projection(
                "consultations.sections",
                (SectionCreatedV1, SectionChangedV1, SectionClosedV1),
                projections.apply_sections,
            ),
            Projection(
                "consultations.section_names", (SectionCreatedV1, SectionRenamedV1), projections.apply_section_names
            ),
            Projection("consultations.section_heads", (SectionHeadAssignedV1,), projections.apply_section_heads),
            Projection(
                "consultations.leader_terms",
                (LeaderAppointedV1, AppointmentCorrectedV1, LeaderTermExtendedV1, LeaderTermEndedV1),
                projections.apply_leader_terms,
            ),
            Projection("consultations.desk_members", (RoleGrantedV1, RoleRevokedV1), projections.apply_desk_members),
            Projection("consultations.calendars", (CalendarChangedV1,), projections.apply_calendars),
        ),
        states=(StateSource(ConsultationTextV1, repository.read_texts),),
        work_items=work_items,
    )
