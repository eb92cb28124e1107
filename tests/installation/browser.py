"""A real Chromium: found on the machine, else installed by playwright, else by apt, else a clear refusal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from playwright.async_api import Page, async_playwright

NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
DESKTOP = (1366, 768)
PHONE = (390, 844)


@dataclass(frozen=True, slots=True)
class Chromium:
    """How to start the browser. ``executable`` is ``None`` where playwright's own download is used."""

    executable: str | None

    @asynccontextmanager
    async def page(
        self,
        *,
        base_url: str | None = None,
        viewport: tuple[int, int] = DESKTOP,
        javascript: bool = True,
    ) -> AsyncIterator[Page]:
        """Start a browser of its own and open one page as a member of staff in Japan sees it."""
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=self.executable, args=list(ARGUMENTS))
            try:
                context = await browser.new_context(
                    base_url=base_url,
                    viewport={"width": viewport[0], "height": viewport[1]},
                    java_script_enabled=javascript,
                    locale="ja-JP",
                    timezone_id="Asia/Tokyo",
                )
                yield await context.new_page()
            finally:
                await browser.close()


def find() -> Chromium:
    """Find or install a Chromium.

    Raises:
        RuntimeError: none is there and none could be installed; the message names the commands.
    """
    for name in (os.environ.get("BROWSER", ""), *NAMES):
        path = shutil.which(name) if name else None
        if path and _answers(path):
            return Chromium(path)
    if _runs([sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]):
        return Chromium(None)
    packages = ["chromium-headless-shell", "fonts-ipafont-gothic"]
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _runs(["apt-get", "update"])
        _runs(["apt-get", "install", "-y", "--no-install-recommends", *packages])
        path = shutil.which(packages[0])
        if path:
            return Chromium(path)
    raise RuntimeError(
        "No Chromium: run `python -m playwright install --only-shell chromium`, or "
        f"`apt-get install {' '.join(packages)}` as root, or name an installed one in BROWSER.",
    )


def _answers(path: str) -> bool:
    """Some systems ship a launcher of that name that only tells how to install the real one."""
    return _runs([path, "--version"])


def _runs(command: list[str]) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True, timeout=300).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
