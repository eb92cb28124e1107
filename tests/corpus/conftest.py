"""An installation of its own for every test that asks for one."""

from tests.integration.conftest import installation

__all__ = ["installation"]
