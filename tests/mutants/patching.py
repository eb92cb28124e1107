"""Replaces attributes of modules and classes, and puts them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Undo = Callable[[], None]


def replace(*changes: tuple[Any, str, Any]) -> Undo:
    """Set ``(owner, name, stand-in)``; an attribute that is not there is a mistake of the mutant's."""
    before = [(owner, name, owner.__dict__[name]) for owner, name, _ in changes]
    for owner, name, stand_in in changes:
        setattr(owner, name, stand_in)

    def undo() -> None:
        for owner, name, real in before:
            setattr(owner, name, real)

    return undo
