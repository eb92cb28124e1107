"""What the rules read: Python files as syntax trees, the repository's files, and problems with their place."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PRODUCT = ("chassis", "contracts/taiwa_contracts", "services", "taiwa")


@dataclass(frozen=True)
class Source:
    """One Python file; ``path`` is relative to the repository."""

    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    def problem(self, line: int, what: str) -> str:
        """One sentence with its place, as editors understand it."""
        return f"{self.path}:{line}: {what}"


def python_files(root: Path, *folders: str) -> Iterator[Source]:
    """Every Python file below the folders; one that is missing holds none."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            yield Source(path.relative_to(root), path.read_text(encoding="utf-8"))


def kept_files(root: Path) -> list[Path]:
    """Files that are, or would be, committed, relative to ``root``."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
        text=True,
    )
    paths = sorted({Path(name) for name in listing.stdout.split("\0") if name})
    return [path for path in paths if (root / path).is_file()]


def dotted(node: ast.expr) -> str:
    """``datetime.datetime.now`` for the attribute chain of that name, else an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return ""


def imported_names(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: ``{"dt": "datetime", "now_of": "chassis.clocks.machine_now"}``."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                whole = each.name if each.asname else each.name.partition(".")[0]
                names[each.asname or whole] = whole
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return names


def calls(tree: ast.Module) -> Iterator[tuple[int, str, ast.Call]]:
    """Every call by its full name, imports resolved: line, ``asyncio.sleep``, the node."""
    names = imported_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := dotted(node.func)):
            first, _, rest = name.partition(".")
            yield node.lineno, ".".join(filter(None, (names.get(first, first), rest))), node
