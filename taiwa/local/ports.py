"""TCP ports on the loopback interface: whether one is free, and who holds it when not."""

from __future__ import annotations

import errno
import random
import socket
import time

import psutil

from taiwa.mendable import Mendable

LOOPBACK = "127.0.0.1"

GIVEN = range(10_000, 32_000)
"""Where free ports are looked for: below those that systems give to outgoing connections (from 32768 or 49152)."""


def free_port() -> int:
    """Return a port nobody listens on now. Another process may take it before you do.

    Drawn at random, so that two who look at once hardly get the same; not from the system, whose next outgoing
    connection may get the same one.

    Raises:
        OSError: none of those that were tried is free.
    """
    for port in random.sample(GIVEN, 500):
        if is_free(port):
            return port
    raise OSError(errno.EADDRINUSE, f"no free port found in {GIVEN.start}-{GIVEN.stop - 1} on {LOOPBACK}")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do it: a connection that lingers in TIME_WAIT does not stand in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def is_open(port: int) -> bool:
    """Tell whether somebody accepts connections on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


def holder(port: int) -> str:
    """Name the process that listens on the port as ``name (pid 123)``, or ``""`` where it cannot be known."""
    try:
        connections = psutil.net_connections(kind="inet")
    except psutil.AccessDenied:
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.NoSuchProcess:
                return ""
    return ""


def require_free(port: int, purpose: str, option: str) -> None:
    """Refuse to go on where the port is taken.

    Args:
        port: the port wanted on 127.0.0.1.
        purpose: who wants it, for example ``PostgreSQL``.
        option: how the command chooses another port, up to the number: ``--port kafka=``.

    Raises:
        Mendable: the port is in use; the message names the process where the system tells it.
    """
    if is_free(port):
        return
    by = holder(port)
    raise Mendable(
        f"Port {port} on {LOOPBACK}, wanted for {purpose}, is in use{f' by {by}' if by else ''}.",
        f"Stop that process, or choose another port: {option}{port + 1000}",
    )


def wait_open(port: int, deadline: float) -> bool:
    """Wait until the port accepts connections or ``time.monotonic()`` passes ``deadline``; tell which."""
    while time.monotonic() < deadline:
        if is_open(port):
            return True
        time.sleep(0.05)
    return False
