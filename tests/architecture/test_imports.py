"""The import contracts hold, and each of them can fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.trees import write

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("chassis", "services", "services/leaders", "services/trainings", "taiwa", "taiwa_contracts")
MODULES = ("main", "settings", "routes", "reactions", "commands", "repository", "queries", "projections", "domain")


def lint_imports(root: Path) -> str:
    """The verdict of import-linter on the packages below ``root``, under the repository's contracts."""
    result = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts:" in result.stdout, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """Empty packages of the right shape."""
    for package in PACKAGES:
        write(tmp_path, f"{package}/__init__.py")
    for module in MODULES:
        write(tmp_path, f"services/leaders/{module}.py")
    shutil.copy(ROOT / ".importlinter", tmp_path)
    return tmp_path


def test_the_repository_keeps_every_import_contract() -> None:
    assert " 0 broken" in lint_imports(ROOT)


def test_the_right_shape_breaks_none(installation: Path) -> None:
    write(installation, "services/leaders/main.py", "from services.leaders import routes, settings")
    write(installation, "services/leaders/routes.py", "from services.leaders import commands, queries")
    write(installation, "services/leaders/commands.py", "from services.leaders import domain, repository")
    assert " 0 broken" in lint_imports(installation)


@pytest.mark.parametrize(
    ("path", "statement", "contract"),
    [
        ("taiwa_contracts/leaders.py", "import chassis", "taiwa_contracts stands alone"),
        ("chassis/relay.py", "import taiwa_contracts", "chassis knows no event"),
        ("chassis/serve.py", "import services.leaders", "chassis knows no event"),
        ("services/trainings/main.py", "import services.leaders.main", "services never import each other"),
        ("services/leaders/main.py", "import taiwa", "services do not know the command line"),
        ("services/leaders/domain.py", "import asyncpg", "domain.py decides"),
        ("services/leaders/commands.py", "from services.leaders import routes", "inside a service"),
        ("services/leaders/domain.py", "from services.leaders import repository", "inside a service"),
        ("services/leaders/main.py", "import aiokafka", "Kafka clients are imported by chassis only"),
        ("taiwa/events.py", "from faststream import FastStream", "Kafka clients are imported by chassis only"),
        ("services/leaders/routes.py", "from services.leaders import settings", "settings are read in main.py"),
    ],
)
def test_a_forbidden_import_is_found(installation: Path, path: str, statement: str, contract: str) -> None:
    write(installation, path, statement)
    broken = [line for line in lint_imports(installation).splitlines() if line.endswith("BROKEN")]
    assert any(line.startswith(contract) for line in broken), broken


def test_a_domain_that_reaches_outside_through_another_module_is_found(installation: Path) -> None:
    write(installation, "chassis/refusals.py", "import asyncpg")
    write(installation, "services/leaders/domain.py", "from chassis import refusals")
    assert "chassis.refusals -> asyncpg" in lint_imports(installation)


def test_a_cycle_is_found(installation: Path) -> None:
    write(installation, "chassis/relay.py", "from chassis import consumer")
    write(installation, "chassis/consumer.py", "from chassis import relay")
    assert "no cycles between siblings BROKEN" in lint_imports(installation)
