"""Generates and checks what the contracts publish beside their models; behind ``taiwa contracts check|export``.

``schemas/``, ``asyncapi.yaml`` and the catalogue in ``README.md`` are generated from the models. ``samples/`` (one real
message per event version) and ``published/`` (the schemas of every release) are kept for ever and only checked.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from taiwa.contracts import asyncapi, catalogue_table, compatibility, samples, schemas

__all__ = ["check", "export", "freeze"]

_EXPORT = "run `taiwa contracts export` and commit the result"


def _generated(root: Path) -> dict[Path, str]:
    """Path and text of every generated file."""
    contracts = root / "contracts"
    readme = contracts / "README.md"
    texts = {contracts / "schemas" / f"{name}.json": schemas.text(schema) for name, schema in schemas.every().items()}
    texts[contracts / "asyncapi.yaml"] = asyncapi.text(_release(root), samples.read(contracts / "samples"))
    texts[readme] = catalogue_table.put_into(readme.read_text(encoding="utf-8"))
    return texts


def _strays(root: Path) -> list[Path]:
    """Schema files of types that the catalogue does not hold."""
    known = set(schemas.every())
    return [path for path in sorted((root / "contracts" / "schemas").glob("*.json")) if path.stem not in known]


def _release(root: Path) -> str:
    """The release of the contracts, as their ``pyproject.toml`` states it."""
    project = tomllib.loads((root / "contracts" / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def export(root: Path) -> list[Path]:
    """Write every generated file below ``root``, the repository; return those that changed or went away."""
    changed = []
    for path, text in _generated(root).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    for path in _strays(root):
        path.unlink()
        changed.append(path)
    return changed


def check(root: Path) -> list[str]:
    """Every problem of the contracts below ``root``, one sentence each that tells the fix. Empty: all is well."""
    contracts = root / "contracts"
    found = [
        f"{path.relative_to(root)} is not what the models say: {_EXPORT}"
        for path, text in _generated(root).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    found += [f"{path.relative_to(root)} belongs to no event: {_EXPORT}" for path in _strays(root)]
    found += samples.problems(samples.read(contracts / "samples"))
    released = compatibility.published(contracts / "published")
    if _release(root) not in released:
        found.append(
            f"contracts/published holds no schemas of release {_release(root)}: run `python -m taiwa.contracts freeze`"
        )
    for release, frozen in released.items():
        found += [f"since release {release}: {problem}" for problem in compatibility.problems(frozen, schemas.every())]
    return found


def freeze(root: Path) -> Path:
    """Keep the present schemas as those of the present release, for every later check.

    Raises:
        FileExistsError: this release is frozen already; raise the version in ``contracts/pyproject.toml`` first.
    """
    path = root / "contracts" / "published" / f"{_release(root)}.json"
    if path.exists():
        raise FileExistsError(
            f"release {_release(root)} is frozen already: raise the version in contracts/pyproject.toml"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(schemas.text(schemas.every()), encoding="utf-8")
    return path
