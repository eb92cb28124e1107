"""管理: sections and people from CSV, with a preview before anything changes."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Query
from fastapi.responses import Response
from starlette.datastructures import UploadFile

from chassis.clocks import machine_now
from chassis.refusals import Forbidden
from services.portal import repository
from services.portal.gateway import Refused, ServiceDown
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.forms import Form, refused_at
from services.portal.queries.imports import Imported

router = APIRouter(prefix="/admin", include_in_schema=False)

KINDS = {"sections": "課・所属", "people": "職員"}
_PATIENCE_SECONDS = 60.0
_ERRORS_SHOWN = 50


def _admin_only(desk: Desk) -> None:
    if not desk.identity.has("admin"):
        raise Forbidden


async def _page(desk: Desk, form: Form, status: int = 200, **more: Any) -> Response:
    content: dict[str, Any] = {"row_errors": [], "row_errors_left": 0, "kinds": KINDS, **more}
    return await desk.page("admin.html", status=status, forms={"file": form}, **content)


@router.get("")
async def admin(desk: Visitor) -> Response:
    """What an administrator does here."""
    _admin_only(desk)
    return await _page(desk, Form())


async def _import(desk: Desk, kind: str, content: bytes, key: str, effective_from: str, *, dry_run: bool) -> Imported:
    query = {"dry_run": "true"} if dry_run else {}
    if effective_from:
        query["effective_from"] = effective_from
    done = await desk.services.command(
        "directory", f"/{kind}/imports", key, file=content, patience=_PATIENCE_SECONDS, query=query
    )
    return Imported.model_validate(done.body)


async def _refused(desk: Desk, form: Form, error: Refused | ServiceDown) -> Response:
    status = refused_at(form, error)
    rows: list[Any] = []
    if isinstance(error, Refused):
        rows = [each for each in error.problem.errors if each.row is not None]
        if rows:
            form.errors.clear()
    return await _page(
        desk, form, status, row_errors=rows[:_ERRORS_SHOWN], row_errors_left=max(len(rows) - _ERRORS_SHOWN, 0)
    )


@router.post("/imports")
async def preview(desk: Visitor) -> Response:
    """Take a file and show what it would change; nothing changes yet."""
    _admin_only(desk)
    submission = await desk.submission()
    form, kind = submission.form(), submission.text("kind")
    file = submission.content.get("file")
    content = await file.read() if isinstance(file, UploadFile) else b""
    if kind not in KINDS:
        form.errors["kind"] = "取り込むものを選んでください。"
    if not content:
        form.errors["file"] = "CSVファイルを選んでください。"
    if form.errors:
        return await _page(desk, form, 422)
    effective_from = submission.text("effective_from")
    try:
        found = await _import(desk, kind, content, submission.key, effective_from, dry_run=True)
    except (Refused, ServiceDown) as error:
        return await _refused(desk, form, error)
    upload_id, database = uuid4(), desk.request.app.state.database
    async with database.scoped(desk.session.municipality) as connection:
        await repository.add_upload(connection, desk.session, upload_id, kind, content, now=machine_now())
    return await desk.page(
        "import_preview.html",
        forms={"apply": Form()},
        found=found,
        kind=kind,
        kinds=KINDS,
        upload_id=upload_id,
        effective_from=effective_from,
        file_name=file.filename if isinstance(file, UploadFile) else "",
    )


@router.post("/imports/{upload_id}")
async def apply(desk: Visitor, upload_id: UUID, effective_from: Annotated[str, Query(max_length=10)] = "") -> Response:
    """Import the file that was previewed."""
    _admin_only(desk)
    submission = await desk.submission()
    form, database = submission.form(), desk.request.app.state.database
    async with database.scoped(desk.session.municipality) as connection:
        upload = await repository.find_upload(connection, desk.session, upload_id)
    if upload is None:
        form.message = "ファイルがもうありません。もう一度選んでください。"
        return await _page(desk, form, 404)
    kind, content = upload
    try:
        found = await _import(
            desk, kind, content, submission.key, submission.text("effective_from") or effective_from, dry_run=False
        )
    except (Refused, ServiceDown) as error:
        return await _refused(desk, form, error)
    return await desk.done(
        "/admin",
        f"{KINDS[kind]}を取り込みました。新しく加えた {found.created}件、変えた {found.changed}件、"
        f"同じだった {found.unchanged}件。",
    )
