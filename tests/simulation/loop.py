"""An event loop whose time is computed: the product's own coroutines run on it, each run of a seed like the one before.

What is ready runs in the order in which it became ready; when nothing is, time jumps to the next moment at which
something happens. All chance comes from the latencies that the fakes draw, so a schedule is a function of its seed.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from heapq import heappop, heappush
from typing import Any, TypeVar, cast

T = TypeVar("T")


class StuckError(Exception):
    """Nothing will ever happen again, and the schedule is not at its end."""


class _Handle:
    __slots__ = ("arguments", "callback", "cancelled_", "context")

    def __init__(self, callback: Callable[..., object], arguments: tuple[Any, ...], context: Context | None) -> None:
        self.callback = callback
        self.arguments = arguments
        self.context = context
        self.cancelled_ = False

    def cancel(self) -> None:
        self.cancelled_ = True

    def cancelled(self) -> bool:
        return self.cancelled_

    def run(self) -> None:
        if self.cancelled_:
            return
        if self.context is None:
            self.callback(*self.arguments)
        else:
            self.context.run(self.callback, *self.arguments)


class Loop:
    """As much of asyncio's event loop as tasks, futures, locks, events and timeouts need."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self.faults: list[str] = []
        """What would have been logged as an exception nobody retrieved."""
        self.born: Callable[[asyncio.Task[Any]], object] = lambda _: None
        """Told of every new task."""
        self._ready: deque[_Handle] = deque()
        self._later: list[tuple[float, int, _Handle]] = []
        self._count = 0

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        handle = _Handle(callback, args, context if context is not None else copy_context())
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        return self._put(when, _Handle(callback, args, context if context is not None else copy_context()))

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def after(self, delay: float, callback: Callable[..., object], *arguments: Any) -> _Handle:
        """Call without a context of its own: what servers and networks do."""
        return self._put(self.now + delay, _Handle(callback, arguments, None))

    def _put(self, when: float, handle: _Handle) -> _Handle:
        self._count += 1
        heappush(self._later, (when, self._count, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=cast("asyncio.AbstractEventLoop", self))

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None, **_: object
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=cast("asyncio.AbstractEventLoop", self), name=name, context=context)
        if context is None:
            self.born(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if "exception" in context:
            self.faults.append(f"{context['message']}: {context['exception']!r}")

    def run(self, main: Coroutine[Any, Any, T], steps: int = 1_000_000) -> T:
        """Run until ``main`` is done.

        Raises:
            StuckError: nothing is left to happen, or it takes more than ``steps`` steps.
        """
        with self.running():
            task = self.create_task(main)
            while not task.done():
                self.turn()
                if self.steps > steps:
                    raise StuckError(f"{steps} steps and no end")
            result: T = task.result()
            return result

    def settle(self, tasks: list[asyncio.Task[Any]], steps: int = 10_000) -> None:
        """End tasks that were cancelled; those that will not are forgotten."""
        with self.running():
            limit = self.steps + steps
            while self.steps < limit and not all(task.done() for task in tasks):
                try:
                    self.turn()
                except StuckError:
                    return

    @contextlib.contextmanager
    def running(self) -> Any:
        """Be the running loop of this thread; the one before, if any, is put back."""
        before = events._get_running_loop()
        events._set_running_loop(None)
        events._set_running_loop(cast("asyncio.AbstractEventLoop", self))
        try:
            yield
        finally:
            events._set_running_loop(before)

    def turn(self) -> None:
        """Run what is ready; else let time pass."""
        ready = self._ready
        if not ready:
            later = self._later
            while later and later[0][2].cancelled_:
                heappop(later)
            if not later:
                raise StuckError("nothing will happen any more")
            when, _, handle = heappop(later)
            self.now = max(self.now, when)
            self.steps += 1
            handle.run()
        while ready:
            self.steps += 1
            ready.popleft().run()
