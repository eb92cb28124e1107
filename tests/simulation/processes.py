"""Processes that can be killed and stopped, and whatever they wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

from tests.simulation.loop import Loop

CURRENT: ContextVar[Process] = ContextVar("process")
"""The process in which the running code runs."""


class Process:
    """One process; its answers from outside arrive through :meth:`deliver`, and not while it is stopped.

    Killed, nothing of it goes on: its tasks are cancelled, and every further thing it asks for fails at once without
    leaving the process, so that clean-up code has no effect outside.
    """

    def __init__(self, loop: Loop, name: str) -> None:
        self.loop = loop
        self.name = name
        self.alive = True
        self.stopped = False
        self.began_at = loop.now
        self.ending = asyncio.Event()
        self.at_death: list[Callable[[], None]] = []
        """What the outside notices: broken sockets."""
        self._parked: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        self.tasks: list[asyncio.Task[Any]] = []

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something as a part of this process."""
        context = copy_context()
        context.run(CURRENT.set, self)
        task = self.loop.create_task(work, context=context)
        self.tasks.append(task)
        return task

    def deliver(self, waiting: asyncio.Future[Any], answer: Any, error: BaseException | None = None) -> None:
        """Give the process what it waits for; later if it is stopped, never if it is dead."""
        if not self.alive or waiting.done():
            return
        if self.stopped:
            self._parked.append((waiting, answer, error))
        elif error is not None:
            waiting.set_exception(error)
        else:
            waiting.set_result(answer)

    def stop(self) -> None:
        """SIGSTOP."""
        self.stopped = True

    def go_on(self) -> None:
        """SIGCONT."""
        self.stopped = False
        parked, self._parked = self._parked, []
        for waiting, answer, error in parked:
            self.deliver(waiting, answer, error)

    def kill(self) -> None:
        """kill -9."""
        if not self.alive:
            return
        self.alive = False
        self.ending.set()
        for notice in self.at_death:
            notice()
        for task in self.tasks:
            task.cancel()
