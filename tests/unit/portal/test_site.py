"""The site as a whole: what it loads, what it forbids, that every form is verified."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from services.portal.gateway.http import _facts
from services.portal.pages import web
from services.portal.pages.portal import ASSETS, HERE, _environment
from services.portal.routes import routers
from services.portal.routes.home import place_of

TEMPLATES = sorted((HERE / "templates").glob("*.html"))
STYLE = 'style="'
OUTSIDE = re.compile(r"""(?:src|href|action)=["'](?:https?:)?//""")


def posting() -> Iterator[APIRoute]:
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute) and "POST" in (route.methods or ()):
                yield route


def test_htmx_comes_out_of_its_package() -> None:
    assert b"htmx" in ASSETS["htmx.js"][0].read_bytes()


def test_the_style_sheet_stays_small() -> None:
    assert ASSETS["app.css"][0].stat().st_size <= 25 * 1024


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_no_inline_style_or_script_and_loads_nothing_from_outside(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert STYLE not in text
    assert "<style" not in text
    assert not re.search(r"\son\w+=", text)
    assert not re.search(r"<script(?![^>]*src=)", text)
    assert not OUTSIDE.search(text)
    assert "|safe" not in text


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_is_well_formed(template: Path) -> None:
    _environment().get_template(template.name)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_form_that_posts_carries_its_token(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    for form in re.findall(r'<form[^>]*method="post".*?</form>', text, re.DOTALL):
        assert "p.once(" in form or "proof()" in form, form[:120]


@pytest.mark.parametrize("route", list(posting()), ids=lambda route: str(route.path))
def test_every_form_is_verified(route: APIRoute) -> None:
    source = inspect.getsource(route.endpoint)
    helpers = ("desk.submission()", "_sent(request)", "_step(", "_command(")
    assert any(helper in source for helper in helpers)


def test_the_policy_allows_nothing_but_this_origin() -> None:
    directives = dict(each.strip().split(" ", 1) for each in web.CONTENT_SECURITY_POLICY.split(";"))
    assert directives.pop("default-src") == "'none'"
    assert set(directives.values()) == {"'self'", "'none'"}


def test_facts_of_an_answer_are_read() -> None:
    facts = _facts("leaders", "appointment/1@3, section-call/2@1, broken")
    assert [(fact.aggregate, fact.version) for fact in facts] == [("appointment/1", 3), ("section-call/2", 1)]


def test_work_leads_to_its_page() -> None:
    assert place_of("consultation", "7") == "/consultations/7"
    assert place_of("something new", "7") == "/"
