"""A reader who follows a link lands on the line the text speaks of."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.source_links import ROOT, SourceLink, links_of, pages


def test_every_link_to_a_line_leads_to_what_it_says() -> None:
    problems = [problem for page in pages() for link in links_of(page) if (problem := link.problem())]
    assert not problems, "\n".join(problems)


def test_every_relative_link_of_the_docs_leads_to_a_file() -> None:
    missing = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages()
        for target in _relative_targets(page)
        if not (page.parent / target).exists()
    ]
    assert not missing, "\n".join(missing)


def test_a_link_whose_line_has_moved_is_noticed() -> None:
    page = ROOT / "README.md"
    target = Path(__file__)
    assert SourceLink(page, target, 1, "A reader who follows").problem() is None
    moved = SourceLink(page, target, 2, "A reader who follows").problem()
    assert moved is not None
    assert "stands in [1" in moved


def _relative_targets(page: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)\s]+?)(?:#[^)\s]*)?(?: \"[^\"]*\")?\)", page.read_text(encoding="utf-8"))
    return [target for target in targets if target and "://" not in target and not target.startswith(("#", "mailto:"))]
