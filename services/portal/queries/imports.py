"""What an import does or did."""

from __future__ import annotations

from pydantic import BaseModel


class Imported(BaseModel):
    """What an import does or did."""

    created: int
    changed: int
    unchanged: int
    dry_run: bool
    encoding: str = ""
