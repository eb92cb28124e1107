"""The door to the other services, and the only place of the portal that speaks HTTP to them."""

from services.portal.gateway.http import (
    NAMES,
    Done,
    Gateway,
    MadeFact,
    Part,
    Refused,
    ServiceDown,
    Services,
    part,
)

__all__ = [
    "NAMES",
    "Done",
    "Gateway",
    "MadeFact",
    "Part",
    "Refused",
    "ServiceDown",
    "Services",
    "part",
]
