"""The repository as the contract tests see it."""

from __future__ import annotations

from pathlib import Path

from taiwa.contracts import samples

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "contracts"
SAMPLES = samples.read(CONTRACTS / "samples")
