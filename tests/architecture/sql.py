"""Values are bound, never written into SQL.

A name with a quote in it once is enough. ``CREATE ROLE`` and ``SET`` take no parameters, so this looks at statements
that do: SELECT, INSERT, UPDATE, DELETE, MERGE, WITH.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import PRODUCT, dotted, python_files

STATEMENT = re.compile(
    r"^\s*(SELECT|INSERT\s+INTO|UPDATE\s.*\sSET|DELETE\s+FROM|MERGE\s+INTO|WITH)\s", re.IGNORECASE | re.DOTALL
)
"""``UPDATE 3`` is no statement but PostgreSQL's answer to one."""


def bound_values(root: Path) -> list[str]:
    """SQL put together from anything but constants."""
    return [
        source.problem(
            line,
            f"SQL is put together with {what}. Bind the value ($1, $2 …); a piece of SQL is a constant with an "
            "upper-case name.",
        )
        for source in python_files(root, *PRODUCT)
        for line, what in _put_together(source.tree)
    ]


def _put_together(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and _begins_like_sql(node):
            for part in node.values:
                if isinstance(part, ast.FormattedValue) and not _constant(part.value):
                    yield node.lineno, ast.unparse(part.value)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
            if _begins_like_sql(node.left) and not _constant(node.right):
                yield node.lineno, ast.unparse(node.right)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
            if _begins_like_sql(node.func.value) and not all(map(_constant, values)):
                yield node.lineno, ".format()"


def _begins_like_sql(node: ast.expr) -> bool:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    text = "".join(
        part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "?" for part in parts
    )
    return STATEMENT.match(text) is not None


def _constant(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant) or (isinstance(node, ast.Call) and dotted(node.func) == "len"):
        return True
    return dotted(node).rpartition(".")[2].isupper()
