"""Every service answers as its OpenAPI says, whatever is sent, and never with a fault.

First the walk: each operation succeeds at least once, and what it answers fits its schema. Then requests made up from
the schema by schemathesis, right ones and wrong ones: one of each with the token of each role, all of them with all
roles at once. The seed is fixed: a failure comes again; ``TAIWA_TEST_EXAMPLES`` asks for more than the few that a test
run has time for.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import cycle, islice
from typing import Any
from uuid import uuid4

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chassis.http.problems import IDEMPOTENCY_HEADER
from chassis.testing import Installation, Running, running
from tests.integration.operations import WALKS, Walk, World

ROLES = ("staff", "leader", "section_head", "it_policy", "hr", "finance", "adviser", "executive", "admin")
EXAMPLES = int(os.environ.get("TAIWA_TEST_EXAMPLES", "5"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LAST = {"POST /civil-clock"}
"""What would change the time for the requests after it."""

WITHOUT_KEY = {"POST /tokens", "POST /tokens/refresh", "POST /tokens/revocation", "POST /passwords"}
"""Nobody is logged in yet, or nobody any more: there is no actor whose key it could be."""

Operation = APIOperation[Any, Any, Any, Any]
Request = Case[Any]

by_name = pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.service)


@by_name
async def test_every_operation_succeeds_and_answers_as_described(installation: Installation, walk: Walk) -> None:
    async with running(walk.main.build, installation, roles=("api",), settings=walk.settings) as it:
        operations = described(it)
        world = World(it)
        await walk.settle(world)
        succeeded = set()
        for step in walk.steps:
            if step.before is not None:
                await step.before(world)
            answer = await step.succeed(world)
            operations[step.operation].validate_response(answer)
            succeeded.add(step.operation)
        assert set(operations) == succeeded, "give each operation a step in tests/integration/operations"


@by_name
async def test_every_command_takes_an_idempotency_key(installation: Installation, walk: Walk) -> None:
    async with running(walk.main.build, installation, roles=("api",), settings=walk.settings) as it:
        keyless = {
            name
            for name, operation in described(it).items()
            if not name.startswith("GET ") and IDEMPOTENCY_HEADER not in {header.name for header in operation.headers}
        }
        assert keyless == (WITHOUT_KEY if walk.service == "directory" else set())


@by_name
async def test_no_request_of_any_role_brings_a_fault_or_an_undescribed_answer(
    installation: Installation, walk: Walk
) -> None:
    async with running(walk.main.build, installation, roles=("api",), settings=walk.settings) as it:
        world = World(it)
        await walk.settle(world)
        for step in walk.steps:
            if step.before is not None:
                await step.before(world)
            await step.succeed(world)
        faults: dict[str, str] = {}
        for name, operation in sorted(described(it).items(), key=lambda item: item[0] in LAST):
            right, wrong = (made_up(operation, mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE))
            assert right, name
            each_role = [
                ((role,), case)
                for cases in (right, wrong)
                for role, case in zip(ROLES, islice(cycle(cases), len(ROLES)), strict=bool(cases))
            ]
            for number, (roles, case) in enumerate([*each_role, *((ROLES, case) for case in (*right, *wrong))]):
                try:
                    await try_case(world, case, roles, known_ids=number % 2 == 0)
                except BaseExceptionGroup as failures:
                    faults.setdefault(name, "; ".join(str(failure) for failure in failures.exceptions))
        assert not faults, "\n\n".join(f"{name}: {fault}" for name, fault in faults.items())


def described(it: Running) -> dict[str, Operation]:
    """The operations of a service's OpenAPI by method and path."""
    schema = schemathesis.openapi.from_dict(it.app.openapi())
    found: list[Any] = list(schema.get_all_operations())
    operations = [result.ok() for result in found]
    return {f"{operation.method.upper()} {operation.path}": operation for operation in operations}


def made_up(operation: Operation, mode: GenerationMode) -> list[Request]:
    """Requests to an operation, right or wrong ones by its schema; none where nothing can be wrong with them."""
    cases: list[Request] = []

    @seed(2026)
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: Request) -> None:
        cases.append(case)

    with suppress(Unsatisfiable):  # nothing can be wrong with a request that takes nothing
        collect()
    return cases


async def try_case(world: World, case: Request, roles: tuple[str, ...], *, known_ids: bool) -> None:
    """Send it as somebody with these roles; ``known_ids``: to things that are there."""
    if known_ids and case.path_parameters:
        for name in case.path_parameters:
            if name in world.ids:
                case.path_parameters[name] = str(world.ids[name])
    prepared = requests.Request(**case.as_transport_kwargs(base_url="http://service.test")).prepare()
    client = world.it.client(world.it.caller(*roles), faults_raise=False)
    headers = {name: str(value) for name, value in prepared.headers.items() if name.lower() != "authorization"}
    if IDEMPOTENCY_HEADER in headers:
        headers[IDEMPOTENCY_HEADER] = str(uuid4())
    body: Any = prepared.body
    answer = await client.request(
        str(prepared.method),
        str(prepared.url),
        headers=headers,
        content=body.encode() if isinstance(body, str) else body,
    )
    case.validate_response(answer, checks=CHECKS)
