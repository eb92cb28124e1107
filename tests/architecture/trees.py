"""Tiny repositories, written for one test each."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent


def write(root: Path, path: str, text: str = "") -> Path:
    """Write one file below ``root``, the indentation of the test taken off; gives ``root``."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return root
