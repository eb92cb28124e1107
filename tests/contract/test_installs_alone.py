"""``taiwa-contracts`` is what integrators install: it must need nothing of the product."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

from taiwa_contracts.leaders import LeaderAppointedV1
from tests.contract.repository import CONTRACTS, ROOT, SAMPLES

PYDANTIC = {"annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"}
READ = f"""
import json, sys
from taiwa_contracts.catalogue import BY_TYPE
sample = json.load(open(sys.argv[1], encoding="utf-8"))
print(BY_TYPE[{LeaderAppointedV1.TYPE!r}].read(json.dumps(sample["value"])))
"""


def uv(*arguments: str, **environment: str) -> None:
    """Run uv without network: its cache has all that installing the product needed."""
    own = ROOT / ".tools" / "bin" / "uv"
    program = os.environ.get("UV") or shutil.which("uv") or (str(own) if own.exists() else None)
    assert program, "uv is missing: run `make .tools/bin/uv`"
    result = subprocess.run(
        [program, "--offline", *arguments],
        env=os.environ | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_the_wheel_depends_on_pydantic_only(tmp_path: Path) -> None:
    source = tmp_path / "contracts"  # a copy, so that nothing is left in the repository
    shutil.copytree(CONTRACTS, source, ignore=shutil.ignore_patterns("__pycache__"))
    uv("build", "--wheel", "--out-dir", str(source / "dist"), str(source))
    with zipfile.ZipFile(next((source / "dist").glob("*.whl"))) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    assert metadata.get_all("Requires-Dist") == ["pydantic>=2.12"]


def test_the_contracts_read_a_message_where_nothing_else_is_installed(tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    uv(
        *("sync", "--frozen", "--package", "taiwa-contracts", "--no-dev", "--no-editable"),
        UV_PROJECT_ENVIRONMENT=str(environment),
        UV_PYTHON=sys.executable,
    )
    sample = CONTRACTS / "samples" / f"{LeaderAppointedV1.TYPE}.json"
    read = subprocess.run(
        [str(environment / "bin" / "python"), "-I", "-c", READ, str(sample)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert read.stdout.strip() == str(LeaderAppointedV1.read(SAMPLES[LeaderAppointedV1.TYPE].payload()))
    site = next(environment.glob("lib/python*/site-packages"))
    installed = {path.name.partition("-")[0] for path in site.glob("*.dist-info")}
    assert installed == PYDANTIC | {"taiwa_contracts"}
