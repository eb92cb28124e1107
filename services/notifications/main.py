"""Wires ``notifications``."""

from __future__ import annotations

from pathlib import Path

from chassis.civil_clock import civil_clock_projection
from chassis.service import Loop, Projection, Reaction, Service
from services.notifications import projections, reactions, routes
from services.notifications.channels.mail import MailSender, SmtpServer
from services.notifications.queries.work import work_items
from services.notifications.settings import NotificationsSettings
from taiwa_contracts.consultations import (
    ConsultationAnsweredV1,
    ConsultationAssignedV1,
    ConsultationOpenedV1,
    ConsultationReopenedV1,
    ConsultationResolvedV1,
    ConsultationTextV1,
)
from taiwa_contracts.directory import (
    CivilClockSetV1,
    MunicipalityRegisteredV1,
    PersonStateV1,
    RoleGrantedV1,
    RoleRevokedV1,
    SectionCreatedV1,
    SectionHeadAssignedV1,
    SectionRenamedV1,
)
from taiwa_contracts.leaders import (
    DeputyNamedV1,
    LeaderAppointedV1,
    LeaderTermEndedV1,
    LeaderTermExtendedV1,
    NominationRejectedV1,
    NominationRequestedV1,
)
from taiwa_contracts.notifications import NotificationDeliveredV1, NotificationFailedV1, NotificationHandedOverV1
from taiwa_contracts.trainings import TrainingCompletedV1

SETTINGS = NotificationsSettings

LOOK_EVERY = 0.1
"""Seconds between looks for mails that wait: a welcome leaves well within a second of the appointment."""


def build(settings: NotificationsSettings | None = None) -> Service:
    """The service, ready for ``serve``."""
    settings = settings or SETTINGS()
    sender = MailSender(_smtp_server(settings))
    return Service(
        name="notifications",
        title="Notices about what happened, by in-app inbox and mail",
        settings=settings,
        migrations=Path(__file__).parent / "migrations",
        routers=(routes.router,),
        emits=(NotificationDeliveredV1, NotificationHandedOverV1, NotificationFailedV1),
        projections=(
            civil_clock_projection(CivilClockSetV1, "notifications.civil_clock"),
            Projection("notifications.towns", (MunicipalityRegisteredV1,), projections.apply_towns),
            Projection("notifications.people", (PersonStateV1,), projections.apply_people),
            Projection(
                "notifications.section_names", (SectionCreatedV1, SectionRenamedV1), projections.apply_section_names
            ),
            Projection("notifications.section_heads", (SectionHeadAssignedV1,), projections.apply_section_heads),
            Projection("notifications.desk_members", (RoleGrantedV1, RoleRevokedV1), projections.apply_desk_members),
            Projection("notifications.texts", (ConsultationTextV1,), projections.apply_texts),
        ),
        reactions=(
            Reaction(LeaderAppointedV1, reactions.welcome_new_leader),
            Reaction(LeaderTermEndedV1, reactions.thank_former_leader),
            Reaction(LeaderTermExtendedV1, reactions.ask_leader_to_serve_on),
            Reaction(DeputyNamedV1, reactions.tell_deputy),
            Reaction(NominationRequestedV1, reactions.ask_head_to_nominate),
            Reaction(NominationRejectedV1, reactions.ask_head_to_nominate_again),
            Reaction(TrainingCompletedV1, reactions.congratulate_on_training),
            Reaction(ConsultationOpenedV1, reactions.call_desk),
            Reaction(ConsultationAssignedV1, reactions.tell_assignee),
            Reaction(ConsultationAnsweredV1, reactions.pass_answer_on),
            Reaction(ConsultationResolvedV1, reactions.tell_of_resolution),
            Reaction(ConsultationReopenedV1, reactions.tell_of_reopening),
            Reaction(PersonStateV1, reactions.follow_person),
        ),
        loops=(Loop("mail", sender.run, pause=LOOK_EVERY),),
        work_items=work_items,
    )


def _smtp_server(settings: NotificationsSettings) -> SmtpServer:
    return SmtpServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.mail_from,
        user=settings.smtp_user,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        starttls=settings.smtp_starttls,
        timeout=settings.smtp_timeout,
    )
