"""HTTP of ``leaders``: parse, authorise by role, call, map. Finer authorisation is decided by the domain."""

from fastapi import APIRouter

from services.leaders.routes import appointments, calls

router = APIRouter()
router.include_router(calls.router)
router.include_router(appointments.router)

__all__ = ["router"]
