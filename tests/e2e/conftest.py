"""A running demo for the stories of a module."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.installation.demo import Demo, Start


@pytest.fixture(scope="module")
def demo(server_folder: Callable[[str], Path]) -> Iterator[Demo]:
    """Start the demo once for a module of stories; stop it as Ctrl-C does.

    While writing stories, ``TAIWA_TEST_DEMO`` names the ready file of a demo that runs already (``TAIWA_STATE``: its
    folder).
    """
    if given := os.environ.get("TAIWA_TEST_DEMO"):
        yield Demo(json.loads(Path(given).read_text()), Path(os.environ["TAIWA_STATE"]))
        return
    with Start(server_folder("demo")) as start:
        start.wait_ready()
        yield start.demo
        start.interrupt()
