"""Commands over HTTP: one transaction, one effect per Idempotency-Key.

Promise: a repeated command with the same key has one effect and the same answer; the same key with another request is
refused (422); while the first is still running the repeat is told so (409). Refusals are not stored: mended, the same
key may be used again. The invariant: the answer is stored in the transaction of its effect.

A transaction-level advisory lock on the key tells a running twin; the table's primary key decides any race. A process
that dies on either side of COMMIT leaves nothing, or all of it: ``tests/resilience/test_crashes.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import asyncpg
from fastapi import Depends, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel

from chassis import failpoints
from chassis.auth import Caller
from chassis.database import Database
from chassis.http.problems import IDEMPOTENCY_HEADER
from chassis.refusals import Refusal
from chassis.transaction import Actor, KeptAnswer, Transaction, new_id

FACTS_HEADER = "Taiwa-Facts"
"""Answers name the facts they made, ``<aggregate>@<version>``, comma separated; others tell by ``GET /applied``."""

_FACTS_SHOWN = 20
_ATTEMPTS = 3


class CommandInProgress(Refusal):
    """The same command is being carried out."""

    code = "request.in_progress"
    status = 409
    ja = "同じ操作を処理しています。少し待ってから画面を開き直してください。"
    en = "A command with this Idempotency-Key is still running; repeat it in a moment."


class IdempotencyKeyReused(Refusal):
    """A key belongs to one command."""

    code = "request.idempotency_key_reused"
    status = 422
    ja = "前の操作と同じ印で別の内容が送られました。画面を開き直してから送ってください。"
    en = "This Idempotency-Key was used for another request; take a fresh one for a new command."


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells one command from another: the operation and the key; and the hash of all that was sent."""

    route: str
    key: str
    request_hash: bytes


_FIND = """
SELECT pg_try_advisory_xact_lock(hashtextextended($1 || ' ' || $2 || ' ' || $3 || ' ' || $4, 0)) AS mine,
       stored.request_hash, stored.status, stored.body, stored.facts
FROM (SELECT) AS one
LEFT JOIN idempotency_keys AS stored
       ON stored.municipality = $1 AND stored.actor = $2 AND stored.route = $3 AND stored.key = $4
"""

UseCase = Callable[[Transaction], Awaitable[BaseModel | None]]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: str
    facts: str

    def response(self, *, repeated: bool) -> Response:
        headers = {FACTS_HEADER: self.facts} if self.facts else {}
        if repeated:
            headers["Idempotency-Replayed"] = "true"
        return Response(self.body, self.status, headers, "application/json" if self.body else None)


class CommandRunner:
    """Carries out one command of one request."""

    def __init__(self, database: Database, fingerprint: Fingerprint, correlation_id: UUID | None = None) -> None:
        self._database = database
        self._fingerprint = fingerprint
        self._correlation_id = correlation_id or new_id()

    def on(self, database: Database) -> CommandRunner:
        """The same command, carried out by another role of the service."""
        return CommandRunner(database, self._fingerprint, self._correlation_id)

    async def run(self, caller: Caller, use_case: UseCase, *, status: int = 200) -> Response:
        """Run the use case in one transaction and answer with its model as JSON (none: 204 without a body).

        Raises:
            Refusal: of the use case, or because of the key.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._attempt(caller, use_case, status)
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
                # Transient by nature: nothing was committed, the same command may simply run again.
                if attempt == _ATTEMPTS:
                    raise
            except asyncpg.UniqueViolationError as error:
                # The twin committed between our look and our store: its answer is there now.
                if error.table_name != "idempotency_keys" or attempt == _ATTEMPTS:
                    raise
        raise CommandInProgress

    async def _attempt(self, caller: Caller, use_case: UseCase, status: int) -> Response:
        it, actor = self._fingerprint, Actor("staff", str(caller.person_id))
        scope = (caller.municipality, actor.id, it.route, it.key)
        async with self._database.transaction(
            caller.municipality, actor, correlation_id=self._correlation_id
        ) as transaction:
            found = await transaction.connection.fetchrow(_FIND, *scope)
            assert found is not None  # noqa: S101  one row always
            if found["request_hash"] is not None:
                if found["request_hash"] != it.request_hash:
                    raise IdempotencyKeyReused
                return _Answer(found["status"], found["body"], found["facts"]).response(repeated=True)
            if not found["mine"]:
                raise CommandInProgress
            result = await use_case(transaction)
            answer = _Answer(
                status if result is not None else 204,
                result.model_dump_json() if result is not None else "",
                ", ".join(f"{aggregate}@{version}" for aggregate, version in transaction.facts[:_FACTS_SHOWN]),
            )
            transaction.keep_answer(
                KeptAnswer(actor.id, it.route, it.key, it.request_hash, answer.status, answer.body, answer.facts)
            )
            await transaction.flush()
            failpoints.reach("api.before_commit")
        failpoints.reach("api.after_commit")
        return answer.response(repeated=False)


async def command_runner(
    request: Request,
    idempotency_key: Annotated[
        str,
        Header(
            alias=IDEMPOTENCY_HEADER,
            min_length=1,
            max_length=200,
            pattern="^[!-~]+$",
            description="a fresh UUID for each new command; the same one for a repeat. Kept for 48 hours",
        ),
    ],
) -> CommandRunner:
    """A dependency: carries out the one command of this request."""
    path = request.url.path
    digest = hashlib.sha256(f"{request.method} {path}?{request.url.query}\n".encode())
    digest.update(await request.body())
    return CommandRunner(
        request.app.state.database,
        Fingerprint(f"{request.method} {path}", idempotency_key, digest.digest()),
        getattr(request.state, "correlation_id", None),
    )


Commands = Annotated[CommandRunner, Depends(command_runner)]
