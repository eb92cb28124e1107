"""相談: ask, answer, resolve."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from services.portal.gateway import Refused, ServiceDown, part
from services.portal.pages.desk import Desk, Visitor
from services.portal.pages.forms import Form, refused_at
from services.portal.queries import staff
from services.portal.queries.consultations import Case, CaseDesk, CaseSummary, Category
from services.portal.queries.parts import Listed

router = APIRouter(prefix="/consultations", include_in_schema=False)

DESKS = ("hr", "it_policy")
_VIEWS: Mapping[str, Mapping[str, str]] = {
    "mine": {"mine": "true"},
    "hr": {"desk": "hr"},
    "it_policy": {"desk": "it_policy"},
    "all": {},
}
_STATES = ("open", "waiting_requester", "answered", "resolved")


@router.get("")
async def consultations(
    desk: Visitor,
    view: Annotated[str, Query(max_length=20)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """The visitor's consultations, or those of a desk."""
    own_desk = next((each for each in DESKS if desk.identity.has(each)), None)
    chosen = view if own_desk and view in _VIEWS else (own_desk or "mine")
    state = state if state in _STATES else ""
    cases = await part(
        desk.services.read(
            "consultations",
            "/consultations",
            Listed[CaseSummary],
            {**_VIEWS[chosen], "state": state, "cursor": cursor},
        )
    )
    return await desk.page(
        "consultations.html", cases=cases, chosen=chosen, state=state, own_desk=own_desk, states=_STATES
    )


async def _ask(desk: Desk, form: Form, status: int = 200) -> Response:
    categories = await part(desk.services.glance("consultations", "/categories", list[Category]))
    return await desk.page("consultation_new.html", status=status, forms={"ask": form}, categories=categories)


@router.get("/new")
async def ask_page(desk: Visitor) -> Response:
    """Ask anything; a category may be left out."""
    return await _ask(desk, Form())


@router.post("")
async def ask(desk: Visitor) -> Response:
    """Open a consultation."""
    submission = await desk.submission()
    form = submission.form()
    for name, sentence in (("title", "題を入れてください。"), ("body", "聞きたいことを入れてください。")):
        if not submission.text(name):
            form.errors[name] = sentence
    if form.errors:
        return await _ask(desk, form, 422)
    body = {"title": submission.text("title"), "body": _lines(submission.text("body"))}
    if submission.text("category"):
        body["category"] = submission.text("category")
    try:
        done = await desk.services.command("consultations", "/consultations", submission.key, body)
    except (Refused, ServiceDown) as error:
        return await _ask(desk, form, refused_at(form, error))
    case = Case.model_validate(done.body)
    return await desk.done(
        f"/consultations/{case.consultation_id}",
        f"相談を受け付けました。{case.desk_label}が答えます。",
        done,
        audience="notifications",
    )


def _lines(text: str) -> str:
    """Browsers send CR LF; everybody else keeps LF."""
    return text.replace("\r\n", "\n")


async def _thread(desk: Desk, consultation_id: UUID, forms: Mapping[str, Form], status: int = 200) -> Response:
    case, desks, absences = await asyncio.gather(
        part(desk.services.read("consultations", f"/consultations/{consultation_id}", Case)),
        part(_desks(desk)),
        staff.absences(desk.services),
    )
    if case.content is None:
        return await desk.page("missing.html", status=404, title="相談", sentence=case.missing, back="/consultations")
    written = forms.get("write")
    kinds = [kind for kind in ("answer", "question", "reply", "note") if kind in case.content.may]
    said = written.value("kind") if written else ""
    return await desk.page(
        "consultation.html",
        status=status,
        forms={name: forms.get(name, Form()) for name in ("write", "step", "assign")},
        case=case.content,
        desks=desks.content or [],
        absences=absences,
        kinds=kinds,
        kind=said if said in kinds else (kinds[0] if kinds else ""),
    )


async def _desks(desk: Desk) -> list[CaseDesk]:
    if not desk.identity.has(*DESKS):
        return []
    return await desk.services.glance("consultations", "/desks", list[CaseDesk])


@router.get("/{consultation_id}")
async def consultation(desk: Visitor, consultation_id: UUID) -> Response:
    """One consultation."""
    return await _thread(desk, consultation_id, {})


_SAID = {
    "answer": "答えを送りました。",
    "question": "質問を返しました。返事を待ちます。",
    "reply": "返事を送りました。",
    "note": "メモを残しました。",
}


@router.post("/{consultation_id}/entries")
async def write(desk: Visitor, consultation_id: UUID) -> Response:
    """Answer, ask back, reply or note; the requester's last word may close the case too."""
    submission = await desk.submission()
    form = submission.form()
    kind, text = submission.text("kind"), _lines(submission.text("body"))
    if not text:
        form.errors["body"] = "本文を入れてください。"
    if kind not in _SAID:
        form.message = "だれに書くかを選んでください。"
    if form.is_refused:
        return await _thread(desk, consultation_id, {"write": form}, 422)
    try:
        done = await desk.services.command(
            "consultations",
            f"/consultations/{consultation_id}/entries",
            submission.key,
            {"kind": kind, "body": text},
        )
    except (Refused, ServiceDown) as error:
        return await _thread(desk, consultation_id, {"write": form}, refused_at(form, error))
    audience = "" if kind == "note" else "notifications"
    return await desk.done(f"/consultations/{consultation_id}#end", _SAID[kind], done, audience=audience)


async def _step(desk: Desk, consultation_id: UUID, step: str, sentence: str, name: str = "step") -> Response:
    submission = await desk.submission()
    form = submission.form()
    body: dict[str, Any] = {}
    if submission.text("version").isdigit():
        body["version"] = int(submission.text("version"))
    if submission.text("person_id"):
        body["person_id"] = submission.text("person_id")
    try:
        done = await desk.services.command(
            "consultations", f"/consultations/{consultation_id}/{step}", submission.key, body
        )
    except (Refused, ServiceDown) as error:
        return await _thread(desk, consultation_id, {name: form}, refused_at(form, error))
    return await desk.done(f"/consultations/{consultation_id}", sentence, done, audience="notifications")


@router.post("/{consultation_id}/assignment")
async def assign(desk: Visitor, consultation_id: UUID) -> Response:
    """Give the consultation an owner."""
    return await _step(desk, consultation_id, "assignment", "担当を決めました。", "assign")


@router.post("/{consultation_id}/resolution")
async def resolve(desk: Visitor, consultation_id: UUID) -> Response:
    """Close the consultation."""
    return await _step(desk, consultation_id, "resolution", "解決にしました。")


@router.post("/{consultation_id}/reopening")
async def reopen(desk: Visitor, consultation_id: UUID) -> Response:
    """Open it again."""
    return await _step(desk, consultation_id, "reopening", "もう一度相談にしました。")
