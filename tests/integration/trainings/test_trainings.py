"""Programmes and completions on a real PostgreSQL; foreign facts applied as the consumer applies them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import httpx
import pytest

from chassis.calendar import at
from chassis.consumer.effects import Effects
from chassis.service import Received
from chassis.testing import MIDORI, OTHER_TOWN, Installation, Running, running, set_civil_clock
from chassis.transaction import new_id
from services.trainings.main import build
from taiwa_contracts.directory import PersonStateV1, SectionCreatedV1
from taiwa_contracts.event import Event
from taiwa_contracts.leaders import (
    AppointmentCorrectedV1,
    LeaderAppointedV1,
    LeaderTermEndedV1,
    LeaderTermExtendedV1,
)

ROADS = new_id()


@dataclass
class Town:
    """One municipality of a running ``trainings`` service."""

    it: Running
    people: dict[str, UUID] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    async def tell(self, *events: Event) -> None:
        records: list[Received[Any]] = []
        for event in events:
            version = self.versions[event.aggregate()] = self.versions.get(event.aggregate(), 0) + 1
            records.append(
                Received(
                    event=event,
                    id=new_id(),
                    type=event.TYPE,
                    municipality=MIDORI,
                    aggregate=event.aggregate(),
                    version=version,
                    occurred_at=at(date(2026, 4, 1), "00:00"),
                    correlation_id=new_id(),
                    causation_id=None,
                    traceparent=None,
                    topic=event.TOPIC,
                    partition=0,
                    offset=0,
                )
            )
        async with self.it.worker.scoped("*") as connection:
            await Effects(self.it.service, self.it.worker).apply(connection, records)

    async def meet(self, name: str) -> None:
        person = self.people[name] = new_id()
        await self.tell(
            PersonStateV1(
                person_id=person, name=name, kana=name, mail=None, section_id=ROADS, post="主事", state_version=1
            )
        )

    async def appoint(self, name: str) -> LeaderAppointedV1:
        event = LeaderAppointedV1(
            appointment_id=new_id(),
            person_id=self.people[name],
            section_id=ROADS,
            fiscal_year=2026,
            effective_from=date(2026, 4, 13),
            ends_on=date(2027, 3, 31),
            word="選任",
        )
        await self.tell(event)
        return event

    def client(self, *roles: str, name: str | None = None, town: str = MIDORI) -> httpx.AsyncClient:
        person = self.people[name] if name else None
        return self.it.client(self.it.caller(*roles, person_id=person, municipality=town))

    async def offer(self, title: str = "DX基礎") -> str:
        answer = await self.client("it_policy").post("/programmes", json={"title": title, "summary": "はじめに"})
        assert answer.status_code == 201, answer.text
        programme_id: str = answer.json()["programme_id"]
        return programme_id

    async def complete(self, programme_id: str, *names: str, on: str = "2026-06-01") -> httpx.Response:
        body = {
            "programme_id": programme_id,
            "person_ids": [str(self.people[name]) for name in names],
            "completed_on": on,
            "source": "attendance",
        }
        return await self.client("hr").post("/completions", json=body)

    async def facts(self) -> list[tuple[str, int, dict[str, Any]]]:
        async with self.it.worker.scoped("*") as connection:
            rows = await connection.fetch("SELECT type, version, payload FROM event_log ORDER BY position")
        return [(row["type"].split(".")[2], row["version"], json.loads(row["payload"])) for row in rows]


@pytest.fixture
async def town(installation: Installation) -> AsyncIterator[Town]:
    """Two people of 道路課, nobody leads yet. It is 1 June."""
    async with running(build, installation, roles=("api",)) as it:
        town = Town(it)
        await set_civil_clock(it, at(date(2026, 6, 1), "10:00"))
        await town.tell(
            SectionCreatedV1(
                section_id=ROADS,
                code="1110",
                name="道路課",
                kind="課",
                appointing_authority="町長",
                display_order=110,
                effective_from=date(2020, 4, 1),
            )
        )
        await town.meet("真壁 理人")
        await town.meet("榊 俊介")
        yield town


async def test_completions_of_many_people_are_published_one_by_one(town: Town) -> None:
    answer = await town.complete(await town.offer(), "真壁 理人", "榊 俊介")
    assert answer.status_code == 201
    facts = await town.facts()
    assert [(kind, version) for kind, version, _ in facts] == [("training-completed", 1), ("training-completed", 1)]
    assert {value["person_id"] for _, _, value in facts} == {str(each) for each in town.people.values()}
    assert (facts[0][2]["programme_title"], facts[0][2]["effective_from"]) == ("DX基礎", "2026-06-01")


async def test_the_same_person_programme_and_day_is_recorded_once(town: Town) -> None:
    programme = await town.offer()
    await town.complete(programme, "真壁 理人")
    again = await town.complete(programme, "榊 俊介", "真壁 理人")
    assert (again.status_code, again.json()["code"]) == (409, "trainings.already_completed")
    assert [each["field"] for each in again.json()["errors"]] == ["person_ids.1"]
    assert len(await town.facts()) == 1
    assert (await town.complete(programme, "真壁 理人", on="2026-05-31")).status_code == 201


async def test_of_many_who_record_the_same_at_once_one_succeeds(town: Town) -> None:
    programme = await town.offer()
    answers = await asyncio.gather(*(town.complete(programme, "真壁 理人", "榊 俊介") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert len(await town.facts()) == 2


async def test_what_cannot_be_right_is_refused(town: Town) -> None:
    programme = await town.offer()
    town.people["誰か"] = new_id()
    refused = {
        "trainings.completed_in_future": await town.complete(programme, "真壁 理人", on="2026-06-02"),
        "trainings.person_unknown": await town.complete(programme, "誰か"),
        "trainings.named_twice": await town.complete(programme, "真壁 理人", "真壁 理人"),
        "trainings.programme_unknown": await town.complete(str(new_id()), "真壁 理人"),
    }
    assert [answer.json()["code"] for answer in refused.values()] == list(refused)
    assert await town.facts() == []


async def test_a_completion_is_revoked_by_a_new_fact_and_may_be_recorded_anew(town: Town) -> None:
    programme = await town.offer()
    [recorded] = (await town.complete(programme, "真壁 理人")).json()["completions"]
    completion = recorded["completion_id"]
    hr = town.client("hr")
    assert (await hr.post(f"/completions/{completion}/revocation")).status_code == 204
    again = await hr.post(f"/completions/{completion}/revocation")
    assert (again.status_code, again.json()["code"]) == (409, "trainings.already_revoked")
    assert [(kind, version) for kind, version, _ in await town.facts()] == [
        ("training-completed", 1),
        ("training-completion-revoked", 2),
    ]
    assert (await town.complete(programme, "真壁 理人")).status_code == 201
    listed = (await hr.get("/completions", params={"programme_id": programme})).json()["items"]
    assert sorted(each["revoked_at"] is None for each in listed) == [False, True]


async def test_only_the_desks_record(town: Town) -> None:
    body = {"title": "DX基礎"}
    for roles in ((), ("leader",), ("section_head",), ("admin",)):
        assert (await town.client(*roles).post("/programmes", json=body)).status_code == 403
    assert (await town.client("it_policy").post("/programmes", json=body)).status_code == 201


async def test_the_desks_see_which_leaders_have_not_completed_yet_and_leaders_have_it_in_their_work(
    town: Town,
) -> None:
    await town.appoint("真壁 理人")
    programme = await town.offer()
    leader = town.client("leader", name="真壁 理人")
    [item] = (await leader.get("/work-items")).json()
    assert (item["kind"], item["title"]) == ("learn", "研修「DX基礎」を受ける")
    assert (await town.client("staff", name="榊 俊介").get("/work-items")).json() == []
    shown = (await town.client("it_policy").get(f"/programmes/{programme}")).json()
    assert [(each["name"], each["section_name"]) for each in shown["leaders_to_go"]] == [("真壁 理人", "道路課")]
    assert (shown["leaders"], shown["leaders_completed"]) == (1, 0)
    assert (await leader.get(f"/programmes/{programme}")).json()["leaders_to_go"] is None
    await town.complete(programme, "真壁 理人")
    assert (await leader.get("/work-items")).json() == []
    [own] = (await leader.get("/programmes")).json()
    assert (own["completed_on"], own["leaders_completed"]) == ("2026-06-01", 1)


async def test_terms_follow_the_leaders_facts(town: Town) -> None:
    programme = await town.offer()
    appointed = await town.appoint("真壁 理人")
    same = appointed.model_dump(include={"appointment_id", "person_id", "section_id"})

    async def leaders(day: date) -> int:
        await set_civil_clock(town.it, at(day, "10:00"))
        count: int = (await town.client("hr").get(f"/programmes/{programme}")).json()["leaders"]
        return count

    assert [await leaders(date(2027, 3, 31)), await leaders(date(2027, 4, 1))] == [1, 0]
    await town.tell(LeaderTermExtendedV1.model_validate({**same, "effective_from": date(2027, 4, 1)}))
    assert await leaders(date(2027, 6, 1)) == 1
    ended = {**same, "effective_from": date(2027, 5, 1), "reason": "successor"}
    await town.tell(LeaderTermEndedV1.model_validate(ended))
    assert await leaders(date(2027, 6, 1)) == 0
    right = {**same, "effective_from": date(2026, 4, 13), "ends_on": date(2027, 8, 31)}
    await town.tell(AppointmentCorrectedV1.model_validate(right))
    assert await leaders(date(2027, 6, 1)) == 1
    await town.tell(AppointmentCorrectedV1.model_validate({**right, "withdrawn": True}))
    assert await leaders(date(2027, 6, 1)) == 0


async def test_staff_see_their_own_completions_only(town: Town) -> None:
    programme = await town.offer()
    await town.complete(programme, "真壁 理人", "榊 俊介")
    own = (await town.client("staff", name="榊 俊介").get("/completions")).json()["items"]
    assert [each["name"] for each in own] == ["榊 俊介"]
    desk = town.client("hr")
    first = (await desk.get("/completions", params={"limit": 1})).json()
    second = (await desk.get("/completions", params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert {each["name"] for each in first["items"] + second["items"]} == {"真壁 理人", "榊 俊介"}


async def test_another_town_sees_and_revokes_nothing(town: Town) -> None:
    programme = await town.offer()
    [recorded] = (await town.complete(programme, "真壁 理人")).json()["completions"]
    completion = recorded["completion_id"]
    foreign = town.client("hr", town=OTHER_TOWN)
    assert (await foreign.get("/programmes")).json() == []
    assert (await foreign.get("/completions")).json()["items"] == []
    assert (await foreign.post(f"/completions/{completion}/revocation")).status_code == 404
