"""Real PostgreSQL, real Kafka and a real browser for the tests.

PostgreSQL and Kafka come, in this order, from a given address (``TAIWA_TEST_POSTGRES``, a superuser's URL, and
``TAIWA_TEST_KAFKA``, bootstrap servers), from testcontainers where ``TAIWA_TEST_CONTAINERS=1`` and an engine runs, or
from the embedded parts. They start when a test first asks, once per run, whatever the number of xdist workers, and the
controller stops them at the end.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.installation import backing, browser

# A machine under load is no reason to call a property flaky.
settings.register_profile("taiwa", deadline=None)
settings.load_profile("taiwa")

RUN_VARIABLE = "TAIWA_TEST_RUN"


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder in which the workers of this run agree on what is started; workers inherit its name."""
    if not hasattr(config, "workerinput"):
        os.environ[RUN_VARIABLE] = tempfile.mkdtemp(prefix="taiwa-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what this run started."""
    if not hasattr(config, "workerinput"):
        run = Path(os.environ.pop(RUN_VARIABLE))
        backing.stop_all(run)
        shutil.rmtree(run, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """A superuser's URL of a real PostgreSQL 18; databases and roles are shared, so name yours uniquely."""
    return backing.postgres(Path(os.environ[RUN_VARIABLE]))


@pytest.fixture(scope="session")
def kafka() -> str:
    """Bootstrap servers of a real Kafka; topics and groups are shared, so name yours uniquely."""
    return backing.kafka(Path(os.environ[RUN_VARIABLE]))


@pytest.fixture(scope="session")
def server_folder() -> Callable[[str], Path]:
    """Makes a folder in which a server of a test's own may keep its data; it goes with the run.

    Not one of pytest's: each new run of pytest closes those to everybody else, and PostgreSQL, which does not run as
    root, would lose its files under way.
    """
    return lambda name: Path(tempfile.mkdtemp(prefix=f"{name}-", dir=os.environ[RUN_VARIABLE]))


@pytest.fixture(scope="session")
def chromium() -> browser.Chromium:
    """A real Chromium; ``async with chromium.page(...) as page`` opens it fresh for one test."""
    return browser.find()
