"""What pages load: our style and script, and htmx out of its package."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from chassis.refusals import NotFound
from services.portal.pages.portal import ASSETS

router = APIRouter(include_in_schema=False)


@router.get("/static/{name}")
async def asset(name: str) -> Response:
    """One file. Its address carries a fingerprint, so browsers keep it."""
    if name not in ASSETS:
        raise NotFound
    path, kind = ASSETS[name]
    return FileResponse(path, media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})
