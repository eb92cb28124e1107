"""Folders for servers that run as another account."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of its own, not below pytest's: every new session of pytest closes that one to other accounts."""
    with tempfile.TemporaryDirectory(prefix="taiwa-chaos-", ignore_cleanup_errors=True) as name:
        yield Path(name)
