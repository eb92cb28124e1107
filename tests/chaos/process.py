"""A warm process from which the members are forked, so that a restart after kill -9 costs no imports.

It reads orders, one JSON object a line (service, roles, port, settings, given …), forks, and answers
``{"pid": …}``; when a child ends it says ``{"ended": pid, "code": …}``. It has one thread and no event loop.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import traceback
from types import SimpleNamespace
from typing import Any

import uvloop

from chassis import failpoints
from chassis.serve import serve
from chassis.settings import InstallationSettings
from tests.chaos.catalogue import make
from tests.mutants import apply_from_environment


def stand_still(pid: int, _: int) -> None:
    """In place of dying: stop here once, and go on when woken."""
    os.kill(pid, signal.SIGSTOP)
    failpoints._armed = None


def be_member(order: dict[str, Any]) -> None:
    """Serve until killed; never returns to the caller's code."""
    code = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        if order["failpoint"]:
            # Named in the environment a fail-point is read at import, which was long ago here.
            failpoints._armed = failpoints._parse(order["failpoint"])
            if order["freeze"]:
                setattr(failpoints, "os", SimpleNamespace(getpid=os.getpid, kill=stand_still))  # noqa: B010  its own os
        settings = InstallationSettings.model_validate_json(order["settings"])
        roles = set(order["roles"])
        service = make(order["service"], settings, order["port"], order["given"], api="api" in roles)
        uvloop.run(serve([(service, roles)]))
        code = 0
    except BaseException:  # noqa: BLE001  a child never returns into its parent's loop
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def say(answer: dict[str, int]) -> None:
    """One line to whoever gives the orders."""
    os.write(1, json.dumps(answer).encode() + b"\n")


def bury(children: set[int]) -> None:
    """Tell of children that have ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        children.discard(pid)
        say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def fork(order: dict[str, Any]) -> int:
    """The id of the child; the child itself never comes back from here."""
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        be_member(order)
    return pid


def main() -> None:
    """Fork on demand until standard input ends, which also happens where the harness dies."""
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to all of a terminal; the children are ended in order
        signal.signal(number, signal.SIG_IGN)
    apply_from_environment()
    gc.collect()
    gc.freeze()
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    orders = b""
    children: set[int] = set()
    while True:
        ready, _, _ = select.select([0, ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
        bury(children)
        if 0 not in ready:
            continue
        got = os.read(0, 65536)
        if not got:  # whoever gave the orders is gone
            for child in children:
                os.kill(child, signal.SIGKILL)
            return
        *lines, orders = (orders + got).split(b"\n")
        for line in lines:
            pid = fork(json.loads(line))
            children.add(pid)
            say({"pid": pid})


if __name__ == "__main__":
    main()
