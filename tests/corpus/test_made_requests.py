"""Made requests to every operation of every service are refused, change nothing and tell nothing."""

from __future__ import annotations

from collections import Counter

import pytest

from chassis.testing import Installation, running
from tests.corpus.request_trial import try_requests, walked
from tests.integration.operations import WALKS, Walk

EACH = 250


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.service)
async def test_each_made_request_is_refused_and_changes_nothing(installation: Installation, walk: Walk) -> None:
    answers: Counter[str] = Counter()
    async with running(walk.main.build, installation, roles=("api",), settings=walk.settings) as it:
        problems = await try_requests(await walked(it, walk), walk, seed=1, wanted=EACH, answers=answers)
    assert not problems, "\n".join(problems[:20])
    assert sum(answers.values()) == EACH
