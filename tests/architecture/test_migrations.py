"""squawk reads every migration before it meets a table with rows in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.trees import write

ROOT = Path(__file__).resolve().parents[2]


def squawk(root: Path, *files: Path) -> str:
    """What squawk finds in the files under the configuration in ``root``; empty when nothing."""
    program = str(Path(sys.executable).with_name("squawk"))
    result = subprocess.run(
        [program, "--reporter", "gcc", *map(str, files)], cwd=root, capture_output=True, text=True, check=False
    )
    return "" if result.returncode == 0 else result.stdout + result.stderr


def test_every_migration_of_the_repository_passes() -> None:
    assert squawk(ROOT, *sorted(ROOT.glob("chassis/migrations/*.sql"))) == ""
    assert squawk(ROOT, *sorted(ROOT.glob("services/*/migrations/*.sql"))) == ""


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("ALTER TABLE people ADD COLUMN left_on date NOT NULL;", "adding-required-field"),
        ("ALTER TABLE people DROP COLUMN kana;", "ban-drop-column"),
        ("ALTER TABLE people RENAME COLUMN kana TO reading;", "renaming-column"),
        ("CREATE TABLE talks (id uuid PRIMARY KEY, held_at timestamp NOT NULL);", "prefer-timestamp-tz"),
        ("CREATE TABLE talks (id uuid PRIMARY KEY, title varchar(80) NOT NULL);", "prefer-text-field"),
        ("ALTER TABLE people ADD CONSTRAINT named CHECK (name <> '');", "constraint-missing-not-valid"),
    ],
)
def test_a_migration_that_breaks_a_running_service_is_found(tmp_path: Path, sql: str, rule: str) -> None:
    shutil.copy(ROOT / ".squawk.toml", tmp_path)
    assert rule in squawk(write(tmp_path, "0002_change.sql", sql), tmp_path / "0002_change.sql")
