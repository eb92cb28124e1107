"""Every hand-picked request is refused as its table says, changes nothing and tells nothing; the good ones succeed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import count
from uuid import UUID

from chassis.testing import Installation, Running, running
from tests.corpus.request import send
from tests.corpus.request_tables import Forge, Ground, RequestCase, consultation_cases, directory_cases
from tests.corpus.request_trial import stored, walked
from tests.integration.operations import WALKS


def keys() -> Iterable[str]:
    return (f"corpus-{number}" for number in count())


async def refused(it: Running, cases: Iterable[RequestCase]) -> list[str]:
    """Make the requests that must be refused, all before and nothing after; gives what is not as the table says."""
    found = []
    before = await stored(it)
    for case in cases:
        answer = await send(it.app, case.request)
        wrong = answer.problems()
        if (answer.status, answer.code) != (case.status, case.code):
            wrong.append(f"{answer.status} {answer.code}, not {case.status} {case.code}: {answer.body[:200]!r}")
        found += [f"{case.name}: {problem}" for problem in wrong]
    after = await stored(it)
    found += [f"rows of {table} changed" for table in before if before[table] != after[table]]
    return found


async def succeeded(it: Running, cases: Iterable[RequestCase]) -> list[str]:
    """Make the good requests."""
    answers = [(case, await send(it.app, case.request)) for case in cases]
    return [
        f"{case.name}: {answer.status} {answer.body[:200]!r} {answer.raised}, not {case.status}"
        for case, answer in answers
        if answer.status != case.status
    ]


async def try_all(it: Running, cases: list[RequestCase]) -> None:
    assert Counter(case.name for case in cases).most_common(1)[0][1] == 1
    wrong = await refused(it, [case for case in cases if case.code])
    wrong += await succeeded(it, [case for case in cases if not case.code])
    assert not wrong, "\n".join(wrong)


async def test_every_request_to_consultations_is_answered_as_its_table_says(installation: Installation) -> None:
    walk = next(walk for walk in WALKS if walk.service == "consultations")
    async with running(walk.main.build, installation, roles=("api",), settings=walk.settings) as it:
        world = await walked(it, walk)
        forge = Forge(installation, UUID(world.person("真壁 理人")), UUID(world.person("道路課")), ("staff", "leader"))
        cases = list(consultation_cases(Ground(forge, iter(keys()))))
        assert len(cases) >= 200
        await try_all(it, cases)


async def test_every_request_to_directory_is_answered_as_its_table_says(installation: Installation) -> None:
    walk = next(walk for walk in WALKS if walk.service == "directory")
    async with running(walk.main.build, installation, roles=("api",), settings=walk.settings) as it:
        world = await walked(it, walk)
        forge = Forge(installation, UUID(world["髙橋 一郎"]), None, ("staff", "hr"))
        await try_all(it, list(directory_cases(Ground(forge, iter(keys())), world["person_id"])))
