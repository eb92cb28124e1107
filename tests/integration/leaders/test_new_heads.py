"""A head who comes after the call: asked too, once, while the section owes an answer."""

from __future__ import annotations

from datetime import date
from typing import Any

from taiwa_contracts.directory import SectionHeadAssignedV1
from tests.integration.leaders.town import Town

OFFICE = "議会事務局"


async def heads(town: Town, section: str, name: str | None, day: date = date(2026, 4, 2)) -> None:
    """From ``day`` on somebody (or nobody) heads the section, as directory says."""
    await town.tell(
        SectionHeadAssignedV1(
            section_id=town.sections[section],
            head_person_id=town.people[name] if name else None,
            head_post="局長",
            effective_from=day,
        )
    )


async def requests(town: Town, section: str) -> list[dict[str, Any]]:
    """What the section was asked, in order."""
    asked = await town.facts("nomination-requested")
    return [each for each in asked if each["value"]["section_id"] == str(town.sections[section])]


async def test_a_head_assigned_after_the_call_is_asked_by_its_closing_date(town: Town) -> None:
    calls = await town.call()
    await town.hire("黒田 綾", OFFICE, post="局長")
    await town.on(date(2026, 4, 2))
    await heads(town, OFFICE, "黒田 綾")
    first, second = await requests(town, OFFICE)
    assert (first["value"]["head_person_id"], first["version"]) == (None, 1)
    assert (second["value"]["head_person_id"], second["version"]) == (str(town.people["黒田 綾"]), 2)
    assert (second["value"]["closes_on"], second["actor_kind"]) == ("2026-04-10", "reaction")
    seen = (await town.head("黒田 綾").get(f"/section-calls/{calls[OFFICE]}")).json()
    assert len(seen["requests"]) == 2
    assert (await town.board())["rows"][OFFICE]["warning"] is None
    assert (await town.name("黒田 綾", calls[OFFICE], "黒田 綾")).status_code == 201


async def test_the_same_head_told_twice_is_asked_once(town: Town) -> None:
    await town.call()
    await town.hire("黒田 綾", OFFICE, post="局長")
    await town.on(date(2026, 4, 3))
    await heads(town, OFFICE, "黒田 綾", date(2026, 4, 2))
    await heads(town, OFFICE, "黒田 綾", date(2026, 4, 3))
    await heads(town, OFFICE, None, date(2026, 4, 3))
    await heads(town, OFFICE, "黒田 綾", date(2026, 4, 3))
    assert len(await requests(town, OFFICE)) == 2


async def test_a_section_that_has_answered_or_is_settled_does_not_bother_its_new_head(town: Town) -> None:
    calls = await town.call()
    await town.on(date(2026, 4, 2))
    await town.name("轟 武", calls["道路課"], "真壁 理人")
    await heads(town, "道路課", "榊 俊介")
    await town.name("有馬 静江", calls["福祉課"], "渡邉 るい")
    assert (await town.decide(calls["福祉課"], on=date(2026, 4, 2))).status_code == 201
    await heads(town, "福祉課", "髙木 善継")
    assert [len(await requests(town, section)) for section in ("道路課", "福祉課")] == [1, 1]


async def test_a_late_section_gives_its_new_head_five_open_days_and_stays_late(town: Town) -> None:
    await town.call()
    await town.hire("黒田 綾", OFFICE, post="局長")
    await town.on(date(2026, 4, 13))
    await heads(town, OFFICE, "黒田 綾", date(2026, 4, 13))
    [_, second] = await requests(town, OFFICE)
    assert second["value"]["closes_on"] == "2026-04-20"
    row = (await town.board())["rows"][OFFICE]
    assert (row["status"], row["late_working_days"]) == ("late", 1)


async def test_a_head_of_a_later_day_is_asked_on_that_day(town: Town) -> None:
    await town.call()
    await town.hire("黒田 綾", OFFICE, post="局長")
    await heads(town, OFFICE, "黒田 綾", date(2026, 4, 6))
    assert len(await requests(town, OFFICE)) == 1
    await town.on(date(2026, 4, 6), "00:01")
    await town.run_timers()
    assert len(await requests(town, OFFICE)) == 2


async def test_an_answer_for_a_year_gone_by_is_asked_of_nobody(town: Town) -> None:
    await town.call()
    await town.hire("黒田 綾", OFFICE, post="局長")
    await town.on(date(2027, 4, 1))
    await heads(town, OFFICE, "黒田 綾", date(2027, 4, 1))
    assert len(await requests(town, OFFICE)) == 1
