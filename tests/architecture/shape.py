"""One shape for all services, and file names that say what is inside.

A reader who knows one service knows all of them; a file called ``utils`` says nothing and takes in everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import PRODUCT, python_files

MODULES = {"domain", "commands", "repository", "queries", "projections", "reactions", "routes", "settings", "main"}
FOLDERS = {"migrations"}
OWN_PARTS = {
    "portal": {"gateway", "pages", "static", "templates", "wording"},
    "notifications": {"channels", "templates"},
}
NEEDED = {"main.py", "README.md", "__init__.py"}
MIGRATION = re.compile(r"^[0-9]{4}_[a-z0-9_]+\.sql$")
LONGEST = 300
"""Lines. A file is split at about 250; the rest is room for one more function, so that no fix waits for a split."""
BANNED = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "data", "misc", "base", "shared"}


def service_folders(root: Path) -> list[Path]:
    """The folder of every service."""
    services = root / "services"
    return sorted(path for path in services.glob("*") if path.is_dir() and path.name != "__pycache__")


def one_shape(root: Path) -> list[str]:
    """Files of a service that the architecture does not know, and files that it needs."""
    return [problem for service in service_folders(root) for problem in _problems(root, service)]


def _problems(root: Path, service: Path) -> Iterator[str]:
    place = service.relative_to(root)
    modules = MODULES | OWN_PARTS.get(service.name, set())
    for path in sorted(service.iterdir()):
        if path.name in NEEDED | {"__pycache__"}:
            continue
        if not (path.stem in modules if path.suffix == ".py" else path.is_dir() and path.name in modules | FOLDERS):
            yield (
                f"{place / path.name}: a service has no such file. Move its content into one of "
                f"{', '.join(sorted(modules))}, each a file or, when long, a package."
            )
    for name in sorted(NEEDED):
        if not (service / name).exists():
            yield f"{place / name} is missing: every service has one."
    for path in sorted((service / "migrations").glob("*")):
        if MIGRATION.match(path.name) is None and path.name != "__pycache__":
            yield f"{place / 'migrations' / path.name}: call it NNNN_what_it_does.sql."


def one_use_case_a_file(root: Path) -> list[str]:
    """Files of a service in which a reader looks for one screen or rule among many."""
    return [
        f"{source.path}: {lines} lines, more than {LONGEST}. Make it a package of the same name with one use case "
        "(a screen, a list, a decision) a file; inside a package, give one of them a file of its own."
        for source in python_files(root, "services")
        if (lines := len(source.text.splitlines())) > LONGEST
    ]


def telling_names(root: Path) -> list[str]:
    """Modules and packages whose name says nothing."""
    return [
        f"{source.path}: '{part}' says nothing. Name it after what is inside."
        for source in python_files(root, *PRODUCT, "tests")
        for part in source.path.with_suffix("").parts
        if part in BANNED
    ]
