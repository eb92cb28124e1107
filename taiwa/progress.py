"""What the person at the terminal sees: steps with their seconds, and prefixed lines of the services."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")


class Progress:
    """Shows steps and log lines on one console and remembers how long each step took.

    Args:
        console: where to show.
        quiet: steps are remembered, not shown, and log lines neither.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._colours: dict[str, str] = {}
        self._lock = threading.Lock()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[None]:
        """Run one step; its seconds are added to ``seconds[name]``."""
        began = time.monotonic()
        if not self._quiet:
            self._console.print(f"[dim]…[/] {title}", highlight=False)
        yield
        took = time.monotonic() - began
        self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 2)
        if not self._quiet:
            self._console.print(f"[green]✓[/] {title}  [dim]{took:.1f} s[/]", highlight=False)

    def say(self, text: str) -> None:
        """Show one line of our own."""
        if not self._quiet:
            self._console.print(text, highlight=False)

    def line(self, name: str, line: str) -> None:
        """Show one line of a service behind its name; may be called from any thread."""
        if self._quiet or not line:
            return
        with self._lock:
            colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            shown = Text(f"{name:>13} │ ", style=colour)
            shown.append(Text.from_ansi(line))
            self._console.print(shown, soft_wrap=True)
