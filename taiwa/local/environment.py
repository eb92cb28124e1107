"""The variables of an embedded installation: what its services, and commands that work on it, are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from taiwa.local.ports import LOOPBACK
from taiwa.local.state import State
from taiwa.secret_values import SIGNING_KEY
from taiwa.services import SERVICES

DEMO_MUNICIPALITY = "999997"
"""みどり町: a valid check digit of no real prefecture."""

DEFAULT_PORTS: dict[str, int] = {
    "portal": 8100,
    "directory": 8101,
    "leaders": 8102,
    "trainings": 8103,
    "consultations": 8104,
    "notifications": 8105,
    "mail": 8025,
    "smtp": 1025,
    "postgres": 8132,
    "kafka": 8192,
    "kafka-controller": 8193,
}
"""Everything listens on 127.0.0.1 only."""

Kind = Literal["demo", "production"]


def base_url(ports: Mapping[str, int], part: str) -> str:
    """Where a part answers HTTP."""
    return f"http://{LOOPBACK}:{ports[part]}"


def variables(state: State, ports: Mapping[str, int], kind: Kind) -> dict[str, str]:
    """Return all ``TAIWA_`` variables, secrets as names of files.

    Args:
        state: the folder, for the secrets.
        ports: a port for every part.
        kind: ``demo`` has the simulated clock, ``production`` has not.
    """
    told = {
        "TAIWA_ENVIRONMENT": kind,
        "TAIWA_POSTGRES_HOST": LOOPBACK,
        "TAIWA_POSTGRES_PORT": str(ports["postgres"]),
        "TAIWA_POSTGRES_ADMIN_PASSWORD_FILE": str(state.root / "postgres" / "superuser.password"),
        "TAIWA_KAFKA": f"{LOOPBACK}:{ports['kafka']}",
        "TAIWA_SIMULATED_CLOCK": str(kind == "demo").lower(),
        "TAIWA_LOG_FORMAT": "text",
        "TAIWA_DIRECTORY_URL": base_url(ports, "directory"),
        "TAIWA_DIRECTORY_SIGNING_KEY_FILE": str(state.secret(SIGNING_KEY)),
        "TAIWA_NOTIFICATIONS_SMTP_HOST": LOOPBACK,
        "TAIWA_NOTIFICATIONS_SMTP_PORT": str(ports["smtp"]),
        "TAIWA_NOTIFICATIONS_MAIL_FROM": "taiwa@town.midori.example" if kind == "demo" else "taiwa@localhost",
        "TAIWA_PORTAL_PUBLIC_URL": base_url(ports, "portal"),
    }
    if kind == "demo":
        told["TAIWA_PORTAL_MUNICIPALITY"] = DEMO_MUNICIPALITY
        told["TAIWA_PORTAL_CONTACT"] = "みどり町 総合政策課 情報システム戦略係（内線 235）"
    for service in SERVICES:
        told[f"TAIWA_{service.upper()}_PORT"] = str(ports[service])
        told[f"TAIWA_{service.upper()}_DATABASE_PASSWORD_FILE"] = str(state.secret(f"{service}.password"))
        if service != "portal":
            told[f"TAIWA_PORTAL_{service.upper()}_URL"] = base_url(ports, service)
    return told
