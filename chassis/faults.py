"""Tells the three kinds of failure apart, in one place: refusal, transient fault, poison.

Transient: the same work may succeed in a moment (a connection, a serialization conflict, a deadlock, a timeout).
Everything else that is raised while applying an event is permanent: that event becomes a dead letter. A refusal
raised by a reaction is permanent too: the rule will say the same the next time. :class:`NotYet` is neither: the
reaction waits for another fact.

Proven by ``tests/unit/chassis/messaging/test_faults.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
from aiokafka.errors import KafkaError

_TRANSIENT: tuple[type[BaseException], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a session that was terminated in the middle of a statement
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby that is just being promoted
    KafkaError,
    OSError,
    TimeoutError,
)


class NotYet(Exception):  # noqa: N818  says when, not what went wrong
    """Raised by a reaction that truly must wait for another fact.

    The event is tried again by itself; later events of its key are held; the partition goes on.
    """


class Permanent(Exception):  # noqa: N818  the opposite of transient
    """Raised by a projection or reaction that knows the event can never be applied: it becomes a dead letter."""


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help."""
    if isinstance(error, ValueError):  # asyncpg: a value that does not fit its parameter is an InterfaceError too
        return False
    return isinstance(error, _TRANSIENT)


def pauses(first: float = 0.1, longest: float = 10.0, total: float = 45.0) -> Iterator[float]:
    """Seconds to wait before each new attempt: doubling from ``first`` to ``longest``, together at most ``total``."""
    pause, spent = first, 0.0
    while spent + pause <= total:
        yield pause
        spent += pause
        pause = min(pause * 2, longest)
