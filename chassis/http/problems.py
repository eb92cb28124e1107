"""Problem details (RFC 9457) with a stable ``code`` and a sentence in Japanese or English by ``Accept-Language``.

One table turns the three kinds of failure into answers: a refusal into its own status, a transient fault into 503 with
``Retry-After``, anything else into 500 without a trace of its inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from chassis.faults import is_transient
from chassis.refusals import FieldError, Invalid, Refusal

MEDIA_TYPE = "application/problem+json"
IDEMPOTENCY_HEADER = "Idempotency-Key"

_log = structlog.get_logger(__name__)


class ProblemField(BaseModel):
    """What is wrong with one field, or with one cell of a file (``row`` counts from 1, the heading included)."""

    field: str
    message: str
    row: int | None = None


class ProblemArticle(BaseModel):
    """The town's stored article that the refusal rests on."""

    name: str
    text: str | None = None
    fictional: bool = False


class ProblemDetails(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="urn:taiwa:problem:<code>")
    title: str
    status: int
    detail: str
    code: str = Field(description="stable; see the service's README")
    errors: list[ProblemField] = []
    article: ProblemArticle | None = None


def _described(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
    }


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: _described("The Idempotency-Key is missing, or the request is not readable"),
    401: _described("No valid token"),
    403: _described("The role does not allow it"),
    404: _described("There is no such thing in the caller's municipality"),
    409: _described("The present state forbids it"),
    413: _described("The request is too large"),
    422: _described("Fields are wrong, or the Idempotency-Key was used for another request"),
    503: _described("The database is unavailable for a moment; try again"),
}
"""Answers that every operation may give; documented once for all."""


class IdempotencyKeyMissing(Refusal):
    """A command needs a key, so that a repeat has one effect."""

    code = "request.idempotency_key_missing"
    status = 400
    ja = "送信の印（Idempotency-Key）がありません。画面を開き直してから、もう一度送ってください。"
    en = "Send an Idempotency-Key header (a fresh UUID for each new command) so that repeats have one effect."


class Unavailable(Refusal):
    """The database cannot be used for the moment."""

    code = "service.unavailable"
    status = 503
    ja = "ただいま処理できません。入力した内容はそのままで、少し待ってからもう一度送ってください。"
    en = "The database is unavailable for a moment. Repeat the request with the same Idempotency-Key."


class ValueUnfit(Refusal):
    """The last net: a value passed the schema and no column takes it."""

    code = "request.value_unfit"
    status = 422
    ja = "保存できない値があります。大きすぎる数や、使えない文字がないか確かめてください。"
    en = "A value cannot be stored; look for a number out of range or a character that is not text."


class UnexpectedFault(Refusal):
    """A defect of ours."""

    code = "service.fault"
    status = 500
    ja = "処理できませんでした。変更は保存されていません。管理者に時刻を伝えてください。"
    en = "The service failed; nothing was changed. Tell the operator the time and the correlation id."


_SENTENCES = {
    "missing": ("入力してください。", "is required"),
    "extra_forbidden": ("この項目は使えません。", "is not a known field"),
    "uuid_parsing": ("番号の形が正しくありません。一覧から選び直してください。", "is not a UUID"),
    "uuid_type": ("番号の形が正しくありません。一覧から選び直してください。", "is not a UUID"),
    "date_from_datetime_parsing": ("日付は「2026-04-13」の形で入れてください。", "is not a date like 2026-04-13"),
    "date_parsing": ("日付は「2026-04-13」の形で入れてください。", "is not a date like 2026-04-13"),
    "date_type": ("日付は「2026-04-13」の形で入れてください。", "is not a date like 2026-04-13"),
    "int_parsing": ("数字で入れてください。", "is not a whole number"),
    "int_type": ("数字で入れてください。", "is not a whole number"),
    "string_too_short": ("入力してください。", "is too short"),
    "string_too_long": ("長すぎます。短くしてください。", "is too long"),
    "string_type": ("文字で入れてください。", "is not text"),
    "too_short": ("1つ以上選んでください。", "has too few entries"),
    "too_long": ("数が多すぎます。分けて送ってください。", "has too many entries"),
    "literal_error": ("選べない値です。一覧から選び直してください。", "is not one of the allowed values"),
    "json_invalid": ("送られた内容を読み取れません。", "is not valid JSON"),
}


_NOT_GIVEN = {"missing", "string_too_short"}


def language_of(request: Request) -> str:
    """``ja`` when the caller prefers it, else ``en``: the first of the two named in ``Accept-Language``."""
    for part in request.headers.get("accept-language", "").split(","):
        tag = part.partition(";")[0].strip().lower()[:2]
        if tag in {"ja", "en"}:
            return tag
    return "en"


def problem(refusal: Refusal, language: str, *, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer for a refusal."""
    body = ProblemDetails(
        type=f"urn:taiwa:problem:{refusal.code}",
        title=type(refusal).__name__,
        status=refusal.status,
        detail=refusal.sentence(language),
        code=refusal.code,
        errors=[
            ProblemField(field=each.field, message=each.ja if language == "ja" else each.en, row=each.row)
            for each in refusal.errors
        ],
        article=refusal.article
        and ProblemArticle(name=refusal.article.name, text=refusal.article.text, fictional=refusal.article.fictional),
    )
    return JSONResponse(
        body.model_dump(mode="json", exclude_none=True),
        status_code=refusal.status,
        media_type=MEDIA_TYPE,
        headers={"Content-Language": language, **(headers or {})},
    )


def _field_error(error: dict[str, Any]) -> FieldError:
    place = [str(part) for part in error["loc"] if part not in {"body", "query", "path", "header"}]
    ja, en = _SENTENCES.get(error["type"], ("この値は使えません。入れ直してください。", str(error["msg"])))
    return FieldError(".".join(place) or "body", ja, en)


def refusal_for_validation(errors: Sequence[dict[str, Any]]) -> Refusal:
    """The refusal for what pydantic found in a request."""
    if any(error["type"] in _NOT_GIVEN and error["loc"][-1] == IDEMPOTENCY_HEADER for error in errors):
        return IdempotencyKeyMissing()
    return Invalid(errors=[_field_error(error) for error in errors])


_UNFIT = (asyncpg.DataError, asyncpg.exceptions.UntranslatableCharacterError)


def _is_unfit(error: Exception) -> bool:
    """A value that no column takes: a number out of range, a character PostgreSQL cannot store."""
    # asyncpg raises its own DataError, an InterfaceError that is a ValueError, before anything is sent.
    return isinstance(error, _UNFIT) or (isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError))


def install(app: FastAPI) -> None:
    """Register the handlers."""

    async def refused(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Refusal)  # noqa: S101  registered for this class only
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}  # noqa: PLR2004  RFC 9110 names it for 401
        return problem(error, language_of(request), headers=headers)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101  registered for this class only
        return problem(refusal_for_validation(error.errors()), language_of(request))

    async def http_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101  registered for this class only
        return problem(_from_starlette(error), language_of(request), headers=dict(error.headers or {}))

    async def database_fault(request: Request, error: Exception) -> JSONResponse:
        if _is_unfit(error):
            _log.warning("value_unfit", exc_info=error)
            return problem(ValueUnfit(), language_of(request))
        if not is_transient(error):
            raise error
        _log.warning("transient_fault", fault=type(error).__name__)
        return problem(Unavailable(), language_of(request), headers={"Retry-After": "2"})

    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http_error)
    for kind in (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        app.add_exception_handler(kind, database_fault)


def _from_starlette(error: HTTPException) -> Refusal:
    refusal = Refusal()
    sentences = {
        404: ("request.no_such_path", "ページが見つかりませんでした。", "There is no such path; see /openapi.json."),
        405: ("request.method_not_allowed", "この操作はできません。", "This path does not take that method."),
    }
    code, ja, en = sentences.get(
        error.status_code, ("request.unreadable", "送られた内容を読み取れません。", str(error.detail))
    )
    refusal.code, refusal.status, refusal.ja, refusal.en = code, error.status_code, ja, en.replace("{", "(")  # type: ignore[misc]  # one instance of its own
    return refusal
