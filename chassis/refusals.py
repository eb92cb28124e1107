"""Refusals: the caller asked for something that a rule forbids. Pure, so that a domain may raise them.

Three kinds of failure have three outcomes: a refusal is answered (4xx) and changes nothing; a transient fault is
retried; a poison event becomes a dead letter. Only refusals are raised by domain code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field (or one cell of a file); texts say what to do."""

    field: str
    ja: str
    en: str
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Article:
    """The stored article a refusal cites; ``text`` as the town stored it."""

    name: str
    text: str | None
    fictional: bool = False


class Refusal(Exception):  # noqa: N818  a refusal is an answer, not an error
    """Says that a rule forbids the request. Subclasses state the fact: ``NotAwaitingDecision``.

    ``code``   stable, ``<service>.<snake_case>``; part of the public API
    ``status`` HTTP status: 403, 404, 409 (the state forbids it) or 422 (the request is wrong)
    ``ja``/``en`` one sentence each that says what to do; ``{name}`` is filled from ``values``
    """

    code: ClassVar[str] = "request.refused"
    status: ClassVar[int] = 409
    ja: ClassVar[str] = "この操作はできません。"
    en: ClassVar[str] = "This request is refused."

    def __init__(
        self,
        *,
        errors: Sequence[FieldError] = (),
        article: Article | None = None,
        **values: object,
    ) -> None:
        super().__init__(self.code)
        self.errors = tuple(errors)
        self.article = article
        self.values = values

    def sentence(self, language: str) -> str:
        """The sentence for the caller in ``ja`` or ``en``."""
        return (self.ja if language == "ja" else self.en).format(**self.values)

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence('en')}"


class NotFound(Refusal):
    """There is no such thing in the caller's municipality, or the caller may not know of it."""

    code = "request.not_found"
    status = 404
    ja = "見つかりませんでした。一覧から選び直してください。"
    en = "There is no such thing. Choose it from its list."


class Forbidden(Refusal):
    """The caller's role does not allow it."""

    code = "auth.forbidden"
    status = 403
    ja = "この操作をする権限がありません。必要なときは総合政策課にご相談ください。"
    en = "Your role does not allow this. Ask the municipality's administrator for it."


class ConcurrentChange(Refusal):
    """Somebody else changed the same thing first."""

    code = "request.concurrent_change"
    status = 409
    ja = "ほかの人が先に変更しました。画面を開き直して、内容を確かめてください。"
    en = "Somebody else changed this first. Read it again and decide anew."


class Invalid(Refusal):
    """Fields of the request are wrong; ``errors`` lists them all."""

    code = "request.invalid"
    status = 422
    ja = "入力に直すところがあります。項目ごとの説明を見てください。"
    en = "Some fields need mending; see errors."


@dataclass(slots=True)
class Problems:
    """Collects field errors so that the caller learns all of them at once."""

    errors: list[FieldError] = field(default_factory=list)

    def add(self, field_name: str, *, ja: str, en: str, row: int | None = None) -> None:
        """Note one thing that is wrong."""
        self.errors.append(FieldError(field_name, ja, en, row))

    def refuse_any(self, refusal: type[Refusal] = Invalid) -> None:
        """Raise ``refusal`` with all that was noted; nothing noted, nothing happens."""
        if self.errors:
            raise refusal(errors=self.errors)
