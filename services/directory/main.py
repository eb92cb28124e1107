"""Builds directory: the only place that constructs."""

from __future__ import annotations

from pathlib import Path

from chassis.service import Projection, Service, StateSource, TimerHandler
from services.directory.commands.departures import DEPART, depart
from services.directory.commands.heads import ANNOUNCE, announce_head
from services.directory.commands.signing import Signer
from services.directory.commands.transfers import TAKE_EFFECT, take_planned_effect
from services.directory.projections import apply_leader_terms
from services.directory.queries.work import present_states, work_items
from services.directory.routes import ROUTERS
from services.directory.settings import DirectorySettings
from taiwa_contracts.directory import EVENTS, PersonStateV1
from taiwa_contracts.leaders import (
    AppointmentCorrectedV1,
    LeaderAppointedV1,
    LeaderTermEndedV1,
    LeaderTermExtendedV1,
)

SETTINGS = DirectorySettings


def build(settings: DirectorySettings | None = None) -> Service:
    """The service, ready to be served.

    Raises:
        ValueError: the given signing key is not a private Ed25519 JWK.
    """
    settings = settings or DirectorySettings()
    given = settings.signing_key.get_secret_value() if settings.signing_key else None
    signer = Signer(given, may_generate=settings.installation.environment != "production")
    terms = (LeaderAppointedV1, AppointmentCorrectedV1, LeaderTermExtendedV1, LeaderTermEndedV1)
    return Service(
        name="directory",
        title="団体・所属・職員・年度・決まり・ログイン",
        settings=settings,
        migrations=Path(__file__).parent / "migrations",
        routers=ROUTERS,
        emits=EVENTS,
        projections=(Projection("directory.leader_terms", terms, apply_leader_terms),),
        timers=(
            TimerHandler(TAKE_EFFECT, take_planned_effect),
            TimerHandler(DEPART, depart),
            TimerHandler(ANNOUNCE, announce_head),
        ),
        states=(StateSource(PersonStateV1, present_states),),
        work_items=work_items,
        resources={"signer": signer},
    )
