"""What may not stand in a file that is kept: one machine's paths, registries' hosts, unfinished work, muted checks.

The product installs through whatever index a town's network offers; a host written down works here and nowhere else.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import Source, kept_files, python_files

WRITTEN_BY_TOOLS = {"uv.lock"}
"""Lock files name the host their tool resolved against; the tool itself reads it under the user's settings."""

MACHINE_PATH = re.compile(r"(?<![\w.$}~/-])/(?:(?:work|root)/|home/\w|tmp/\w)")
REGISTRY = re.compile(
    r"\b(pypi\.org|pythonhosted\.org|registry\.npmjs\.org|registry\.yarnpkg\.com|repo1?\.maven\.(?:org|apache\.org)|"
    r"registry-1\.docker\.io|index\.docker\.io|ghcr\.io|quay\.io|proxy\.golang\.org|static\.crates\.io|deb\.debian\.org)"
)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
MUTED = re.compile(r"#\s*(noqa(:\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*)?|type:\s*ignore(\[[\w, -]+\])?)\s*$")
LEFT_OUT = re.compile(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b")


def of_no_machine(root: Path, paths: list[Path] | None = None) -> list[str]:
    """Paths of one machine and hosts of package registries in text files; ``paths``: those git keeps."""
    found = []
    for path in kept_files(root) if paths is None else paths:
        if path.name in WRITTEN_BY_TOOLS:
            continue
        for number, line in enumerate(_lines(root / path), 1):
            if match := MACHINE_PATH.search(line):
                found.append(
                    f"{path}:{number}: '{match.group()}' is a path of one machine. Make it relative or a setting."
                )
            if match := REGISTRY.search(line):
                found.append(
                    f"{path}:{number}: '{match.group()}' is a registry's host. Leave it to the tool's settings."
                )
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return []


def finished_and_unmuted(root: Path) -> list[str]:
    """Notes of unfinished work, checks muted without a reason, tests that are left out."""
    found = []
    for source in python_files(root, "chassis", "contracts", "services", "taiwa", "tests"):
        for line, comment in _comments(source):
            if UNFINISHED.search(comment):
                found.append(source.problem(line, "unfinished work. Finish it, or file an issue."))
            if MUTED.search(comment):
                found.append(source.problem(line, "a muted check. Name the rule and say why, on the same line."))
        if source.path.parts[0] == "tests":
            found += [
                source.problem(number, "a test that is left out. Make it run everywhere, or delete it.")
                for number, line in enumerate(source.text.splitlines(), 1)
                if LEFT_OUT.search(line) and "LEFT_OUT" not in line
            ]
    return found


def _comments(source: Source) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
