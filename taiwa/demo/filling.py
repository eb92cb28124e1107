"""Fills the demo town through the public API, or finds it filled; gives one login per role."""

from __future__ import annotations

from taiwa.local.installation import Installation


async def fill(installation: Installation) -> dict[str, dict[str, str]]:
    """Fill."""
    return {}
