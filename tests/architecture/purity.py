"""``domain.py`` is pure: values in, values out. What it needs of the world comes in as an argument.

A decision that reads a clock or a table cannot be tested as a table of cases, and decides differently on replay.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from tests.architecture.source import Source, python_files

OPEN_TO_DOMAIN = ("taiwa_contracts", "chassis.refusals", "chassis.calendar", "chassis.municipality")
WORLDLY = frozenset(
    {
        *("asyncio", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select", "shutil"),
        *("signal", "socket", "sqlite3", "subprocess", "sys", "tempfile", "threading", "time", "urllib"),
    }
)
"""Parts of the standard library that reach outside."""


def pure_domain(root: Path) -> list[str]:
    """Imports of a domain module beyond the standard library's pure part and what chassis opens to it."""
    found = []
    for source in python_files(root, "services"):
        _, service, *inside = source.path.with_suffix("").parts
        if inside[:1] == ["domain"]:
            found += _wrong_imports(source, own=f"services.{service}.domain")
    return found


def _wrong_imports(source: Source, own: str) -> list[str]:
    return [
        source.problem(
            line,
            f"domain imports {module}. Take what it gives as an argument; allowed are the pure standard library and "
            f"{', '.join(OPEN_TO_DOMAIN)}.",
        )
        for line, module in _imports(source.tree)
        if not _allowed(module, own)
    ]


def _imports(tree: ast.Module) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, each.name) for each in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            # "from chassis import refusals" imports the module chassis.refusals
            found += [(node.lineno, f"{module}.{each.name}" if module == "chassis" else module) for each in node.names]
    return list(dict.fromkeys(found))


def _allowed(module: str, own: str) -> bool:
    first = module.partition(".")[0]
    if first in sys.stdlib_module_names:
        return first not in WORLDLY
    return any(module == name or module.startswith(f"{name}.") for name in (*OPEN_TO_DOMAIN, own))
