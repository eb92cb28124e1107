"""Small disks for the servers, so that they can be filled up: a tmpfs each, which only root may mount."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTES = 700
"""More than a run writes, less than what would be missed in memory."""


def not_permitted() -> str:
    """Why no small disk can be made here; empty: it can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "only root may mount a small disk"
    with tempfile.TemporaryDirectory(prefix="taiwa-disk-") as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
        made = subprocess.run(command, check=False, capture_output=True, text=True)
        if made.returncode != 0:
            return f"a small disk cannot be mounted here: {made.stderr.strip()}"
        subprocess.run(["umount", folder], check=False, capture_output=True)
    return ""


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own for a folder, while the block runs."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=0711", "tmpfs", str(folder)],
        check=True,
        capture_output=True,
    )
    try:
        yield
    finally:
        # Lazily: a server that was killed this moment may still hold a file.
        subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)


def fill(folder: Path) -> int:
    """Leave no byte free; gives how many megabytes that took."""
    ballast = folder / "ballast"
    written = 0
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            block = b"\0" * size
            with contextlib.suppress(OSError):
                while True:
                    written += file.write(block)
    return written >> 20


def free(folder: Path) -> None:
    """Take the ballast away."""
    (folder / "ballast").unlink(missing_ok=True)
