"""Links from the documentation to a line of source, and whether that line still says what the text claims.

A link is written ``[words](path/to/file.py#L12 "what stands there")``: the title is a piece of that line.
``python -m tests.docs.source_links`` moves the numbers of links whose line has moved.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"\]\((?P<path>[^)#\s\"]+)#L(?P<line>[0-9]+)(?: \"(?P<title>[^\"]*)\")?\)")


@dataclass(frozen=True, slots=True)
class SourceLink:
    """One link: where it stands, where it leads, what should stand there."""

    page: Path
    target: Path
    line: int
    title: str | None

    def problem(self) -> str | None:
        """What is wrong with it and how to mend it; nothing: it is right."""
        place = f"{self.page.relative_to(ROOT)} links to {self.target.name}#L{self.line}"
        if self.title is None:
            return f'{place} without a title; write (path#L{self.line} "a piece of that line")'
        if not self.target.is_file():
            return f"{place}, which does not exist"
        lines = self.target.read_text(encoding="utf-8").splitlines()
        if self.line <= len(lines) and self.title in lines[self.line - 1]:
            return None
        return (
            f"{place}, but {self.title!r} stands in {self.found() or 'no line'}; run python -m tests.docs.source_links"
        )

    def found(self) -> list[int]:
        """Lines of the target, counted from 1, in which the title stands."""
        lines = self.target.read_text(encoding="utf-8").splitlines() if self.target.is_file() else []
        return [number for number, text in enumerate(lines, 1) if self.title and self.title in text]


def pages() -> list[Path]:
    """Every Markdown page that git tracks."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / name for name in listed.stdout.splitlines()]


def links_of(page: Path) -> list[SourceLink]:
    """The source links of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        SourceLink(page, (page.parent / match["path"]).resolve(), int(match["line"]), match["title"])
        for match in _LINK.finditer(text)
    ]


def mend(page: Path) -> int:
    """Move the numbers of links whose title stands in exactly one other line; gives how many moved."""
    text = page.read_text(encoding="utf-8")
    moved = 0

    def moved_link(match: re.Match[str]) -> str:
        nonlocal moved
        link = SourceLink(page, (page.parent / match["path"]).resolve(), int(match["line"]), match["title"])
        places = link.found()
        if link.problem() is None or not places:
            return match[0]
        moved += 1
        return match[0].replace(f"#L{link.line}", f"#L{min(places, key=lambda at: abs(at - link.line))}")

    page.write_text(_LINK.sub(moved_link, text), encoding="utf-8")
    return moved


if __name__ == "__main__":
    sys.stdout.write(f"{sum(mend(page) for page in pages())} links moved\n")
