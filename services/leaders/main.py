"""Wires ``leaders``: the only place that constructs."""

from __future__ import annotations

from pathlib import Path

from chassis.civil_clock import civil_clock_projection
from chassis.service import Projection, Reaction, Service, TimerHandler
from services.leaders import reactions
from services.leaders.projections import sections, staff, town
from services.leaders.queries.work import work_items
from services.leaders.routes import appointments, calls
from services.leaders.settings import LeadersSettings
from taiwa_contracts.directory import (
    AbsenceRecordedV1,
    CalendarChangedV1,
    CivilClockSetV1,
    FiscalYearOpenedV1,
    PersonStateV1,
    RuleChangedV1,
    SectionChangedV1,
    SectionClosedV1,
    SectionCreatedV1,
    SectionHeadAssignedV1,
    SectionRenamedV1,
    StaffChangedV1,
    StaffJoinedV1,
    StaffLeftV1,
    StaffTransferredV1,
    TransferRevertedV1,
)
from taiwa_contracts.leaders import (
    AppointmentCorrectedV1,
    CoverageLostV1,
    CoverageRestoredV1,
    DeputyEndedV1,
    DeputyNamedV1,
    LeaderAppointedV1,
    LeaderNominatedV1,
    LeaderTermEndedV1,
    LeaderTermExtendedV1,
    NominationRejectedV1,
    NominationRequestedV1,
)

SETTINGS = LeadersSettings


def build(settings: LeadersSettings | None = None) -> Service:
    """The service, ready for ``serve``."""
    return Service(
        name="leaders",
        title="The yearly call for DX推進リーダー, decisions, appointments as period records, coverage",
        settings=settings or SETTINGS(),
        migrations=Path(__file__).parent / "migrations",
        routers=(calls.router, appointments.router),
        emits=(
            NominationRequestedV1,
            LeaderNominatedV1,
            NominationRejectedV1,
            LeaderAppointedV1,
            AppointmentCorrectedV1,
            LeaderTermExtendedV1,
            LeaderTermEndedV1,
            DeputyNamedV1,
            DeputyEndedV1,
            CoverageLostV1,
            CoverageRestoredV1,
        ),
        projections=(
            civil_clock_projection(CivilClockSetV1, "leaders.civil_clock"),
            Projection("leaders.sections", (SectionCreatedV1, SectionClosedV1), sections.apply_sections),
            Projection("leaders.section_names", (SectionCreatedV1, SectionRenamedV1), sections.apply_section_names),
            Projection(
                "leaders.section_attributes", (SectionCreatedV1, SectionChangedV1), sections.apply_section_attributes
            ),
            Projection("leaders.section_heads", (SectionHeadAssignedV1,), sections.apply_section_heads),
            Projection("leaders.people", (PersonStateV1,), staff.apply_people),
            Projection(
                "leaders.memberships",
                (StaffJoinedV1, StaffChangedV1, StaffTransferredV1, TransferRevertedV1, StaffLeftV1),
                staff.apply_memberships,
            ),
            Projection("leaders.absences", (AbsenceRecordedV1,), staff.apply_absences),
            Projection("leaders.rules", (RuleChangedV1,), town.apply_rules),
            Projection("leaders.calendars", (CalendarChangedV1,), town.apply_calendars),
            Projection("leaders.fiscal_years", (FiscalYearOpenedV1,), town.apply_fiscal_years),
        ),
        reactions=(
            Reaction(StaffLeftV1, reactions.end_terms_of_leaver),
            Reaction(StaffTransferredV1, reactions.end_terms_of_transferred),
            Reaction(StaffChangedV1, reactions.end_terms_of_changed),
            Reaction(TransferRevertedV1, reactions.restore_terms_of_returned),
            Reaction(SectionCreatedV1, reactions.ask_founded_section),
            Reaction(SectionHeadAssignedV1, reactions.ask_new_head),
            Reaction(SectionClosedV1, reactions.end_terms_of_closed_section),
            Reaction(RuleChangedV1, reactions.review_coverage_by_new_rule),
        ),
        timers=(
            TimerHandler("ask_head", reactions.ask_head_on_its_day),
            TimerHandler("begin_term", reactions.begin_term_on_its_day),
            TimerHandler("end_term", reactions.end_term_on_its_day),
            TimerHandler("end_deputy", reactions.end_deputy_on_its_day),
            TimerHandler("review_coverage", reactions.review_coverage_on_its_day),
        ),
        work_items=work_items,
    )
