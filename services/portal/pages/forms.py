"""Forms: what was typed, whether it is ours, what a service refuses of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from fastapi import Request
from starlette.datastructures import FormData

from chassis.http.problems import ProblemArticle, ProblemDetails
from services.portal.domain import FormForeign, is_own_form
from services.portal.gateway import NAMES, Refused, ServiceDown


@dataclass(slots=True)
class Form:
    """A form as the page shows it: what was typed, what is wrong with it, and the key of its one effect."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    key: str = field(default_factory=lambda: str(uuid4()))
    errors: dict[str, str] = field(default_factory=dict)
    message: str = ""
    article: ProblemArticle | None = None

    def value(self, name: str, default: str = "") -> str:
        """What was typed into a field."""
        typed = self.values.get(name)
        return typed[-1] if typed else default

    def chosen(self, name: str, default: Iterable[str] = ()) -> Sequence[str]:
        """What was ticked in a group; ``default`` in a form that was not sent yet."""
        return self.values.get(name, ()) if self.values else list(default)

    @property
    def is_refused(self) -> bool:
        """Whether something is to be mended."""
        return bool(self.errors or self.message)

    def refuse(self, problem: ProblemDetails, places: Mapping[str, str] | None = None) -> Form:
        """Put a service's refusal at the fields; ``places`` maps its field names to the form's."""
        for each in problem.errors:
            name = each.field.split(".")[0]
            place = (places or {}).get(name, name)
            self.errors.setdefault(place, each.message)
        self.message = problem.detail
        self.article = problem.article
        # Refusals are not stored under a key, but an answer may be: a mended form is a new command.
        self.key = str(uuid4())
        return self

    def uncertain(self, down: ServiceDown) -> Form:
        """Say that a service did not answer; the key stays, so that sending again has one effect."""
        self.message = (
            f"「{NAMES[down.service]}」から返事がありません。入力した内容はそのままです。"
            "少し待ってから、もう一度送ってください（二重にはなりません）。"
        )
        return self


@dataclass(frozen=True, slots=True)
class Submission:
    """What was sent from one of our own forms."""

    content: FormData
    key: str

    def text(self, name: str) -> str:
        """A field's text without blanks around it."""
        value = self.content.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """All values of a group."""
        return [value for value in self.content.getlist(name) if isinstance(value, str)]

    def ids(self, name: str) -> list[str]:
        """All values of a group of things to act on; what is no id was not on our page."""
        return [value for value in self.texts(name) if _is_id(value)]

    def form(self) -> Form:
        """The form as it was filled in, to be shown again."""
        names = {name for name in self.content if name not in {"form_token", "key"}}
        return Form({name: self.texts(name) for name in names}, self.key)


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _key(text: object) -> str:
    try:
        return str(UUID(str(text)))
    except ValueError:
        return str(uuid4())


async def read_submission(request: Request, secret: str) -> Submission:
    """Read a form and verify that it is one of ours.

    Raises:
        FormForeign: the token is not the session's, or the browser says that another site sent it.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise FormForeign
    content = await request.form(max_files=1, max_fields=1000)
    if not is_own_form(secret, str(content.get("form_token", ""))):
        raise FormForeign
    return Submission(content, _key(content.get("key")))


def refused_at(form: Form, error: Refused | ServiceDown, places: Mapping[str, str] | None = None) -> int:
    """Put what went wrong with a command into its form; gives the page's status."""
    if isinstance(error, Refused):
        form.refuse(error.problem, places)
        return error.problem.status
    form.uncertain(error)
    return 503
