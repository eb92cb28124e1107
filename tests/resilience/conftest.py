"""Everything here runs on own names, as the integration tests do."""

from __future__ import annotations

from tests.integration.conftest import installation

__all__ = ["installation"]
