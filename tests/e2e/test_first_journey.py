"""The first journey: an appointment, a completed training and a question, from the browser into other services.

One demo town, one story in order: 道路課's head names two leaders, 総務課 records the decision, the leader is welcomed,
completes a training, asks, is answered and resolves. Each step is done in the browser by the person whose work it is.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import uuid4

import asyncpg
import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from playwright.async_api import Page, expect

from chassis.testing import eventually
from taiwa.api import Person
from taiwa.services import SERVICES
from taiwa_contracts.topics import TOPICS
from tests.e2e.journey import LEADERS_ADDRESS, ROSTER, WELCOME, is_mailed
from tests.installation.browser import PHONE, Chromium
from tests.installation.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("demo"), pytest.mark.timeout(300)]

LEADER = "真壁 理人"
TITLE = "道路の写真を現場から送りたい"
ANSWER = "町の端末からなら送れます。手順書を共有フォルダーに置きました。"


@asynccontextmanager
async def at_the_desk_of(
    demo: Demo, chromium: Chromium, role: str, *, javascript: bool = True, phone: bool = False
) -> AsyncIterator[Page]:
    """The portal in the browser of the demo's person of a role, logged in."""
    login = demo.login(role)
    viewport = {"viewport": PHONE} if phone else {}
    async with chromium.page(base_url=demo.portal, javascript=javascript, **viewport) as page:
        await page.goto("/login")
        if await page.get_by_label("団体コード").count():
            await page.get_by_label("団体コード").fill(login["municipality"])
        await page.get_by_label("ログインID").fill(login["login"])
        await page.get_by_label("パスワード").fill(login["password"])
        await page.get_by_role("button", name="ログインする").click()
        await expect(page.get_by_role("heading", name="今日の仕事", level=1)).to_be_visible()
        yield page


@asynccontextmanager
async def speaking_for(demo: Demo, role: str) -> AsyncIterator[Person]:
    """The demo's person of a role at the public API."""
    login = demo.login(role)
    async with httpx.AsyncClient(trust_env=False) as http:
        person = Person(demo.services, login["municipality"], login["login"], http)
        await person.log_in(login["password"])
        yield person


async def has_notice(person: Person, words: str) -> bool:
    """Whether the person's inbox has a notice with these words."""
    return words in json.dumps(await person.read("notifications", "/inbox"), ensure_ascii=False)


async def test_a_leader_is_named_decided_welcomed_taught_asks_and_is_answered(demo: Demo, chromium: Chromium) -> None:
    await the_head_names_two_leaders(demo, chromium)
    await the_decision_is_recorded(demo, chromium)
    await the_leader_is_welcomed_everywhere(demo, chromium)
    await a_completed_training_reaches_the_leader(demo, chromium)
    await the_leader_asks_from_a_phone(demo, chromium)
    await the_desk_finds_it_among_todays_work_and_answers(demo, chromium)
    await the_leader_reads_the_answer_and_resolves(demo, chromium)
    the_facts_stand_on_the_topics(demo)


async def the_head_names_two_leaders(demo: Demo, chromium: Chromium) -> None:
    async with at_the_desk_of(demo, chromium, "section_head", javascript=False) as page:
        await page.get_by_role("link", name="選出", exact=True).first.click()
        await page.get_by_role("link", name="リーダーを選ぶ").first.click()
        await page.get_by_label(LEADER).check()
        others = page.get_by_role("checkbox").and_(page.locator(":not(:checked)"))
        await others.first.check()
        await page.get_by_role("button", name="この人を選んで送る").click()
        await expect(page.get_by_text("決裁待ち").first).to_be_visible()
        await expect(page.get_by_text("選んだ人 2人")).to_be_visible()


async def the_decision_is_recorded(demo: Demo, chromium: Chromium) -> None:
    async with at_the_desk_of(demo, chromium, "hr") as page:
        await page.get_by_role("link", name="選出・配置").first.click()
        for box in await page.locator("input.pick-row").all():
            await box.set_checked("道路課" in (await box.get_attribute("aria-label") or ""))
        await page.get_by_label("決裁者の職").fill("総務課長")
        await page.get_by_label("文書番号").fill("総務第57号")
        await page.get_by_role("button", name="決裁済みとして記録する").click()
        row = page.get_by_role("row").filter(has_text="道路課")
        await expect(row.get_by_text("選任済み")).to_be_visible()
        await expect(row.get_by_text("総務第57号")).to_be_visible()


async def the_leader_is_welcomed_everywhere(demo: Demo, chromium: Chromium) -> None:
    async with speaking_for(demo, "staff") as leader:
        await eventually(lambda: has_notice(leader, WELCOME))

        async def is_known_to_consultations() -> bool:
            return leader.person_id in json.dumps(await leader.read("consultations", "/leaders"))

        await eventually(is_known_to_consultations)

        async def is_leader() -> bool:
            await leader.log_in(demo.login("staff")["password"])
            return "leader" in leader.roles

        await eventually(is_leader)
    async with httpx.AsyncClient(trust_env=False) as http:
        await eventually(lambda: is_mailed(http, demo.mail, LEADERS_ADDRESS, WELCOME))
    async with at_the_desk_of(demo, chromium, "staff") as page:
        await page.get_by_role("link", name="お知らせ").first.click()
        await expect(page.get_by_role("heading", name=WELCOME)).to_be_visible()


async def a_completed_training_reaches_the_leader(demo: Demo, chromium: Chromium) -> None:
    async with at_the_desk_of(demo, chromium, "hr") as page:
        await page.get_by_role("link", name="研修", exact=True).first.click()
        await page.get_by_role("link", name="DX基礎研修").first.click()
        await page.get_by_label(LEADER).check()
        await page.get_by_role("button", name="修了を記録する").click()
        await expect(page.get_by_role("status")).to_contain_text("1人の修了を記録しました")
    async with speaking_for(demo, "staff") as leader:
        await eventually(lambda: has_notice(leader, "DX基礎研修"))


async def the_leader_asks_from_a_phone(demo: Demo, chromium: Chromium) -> None:
    async with at_the_desk_of(demo, chromium, "staff", phone=True) as page:
        await page.get_by_role("link", name="相談する").first.click()
        await page.get_by_label("題").fill(TITLE)
        await page.get_by_label("聞きたいこと").fill("現場で撮った写真を、庁舎に戻らずに送る方法はありますか。")
        await page.get_by_role("button", name="相談を送る").click()
        await expect(page.get_by_role("heading", name=TITLE, level=1)).to_be_visible()


async def the_desk_finds_it_among_todays_work_and_answers(demo: Demo, chromium: Chromium) -> None:
    async with at_the_desk_of(demo, chromium, "it_policy") as page:
        await page.get_by_role("link", name=TITLE).first.click()
        await page.get_by_role("button", name="自分が担当する").click()
        await page.get_by_label("本文").fill(ANSWER)
        await page.get_by_role("button", name="答えを送る").click()
        await expect(page.get_by_text(ANSWER)).to_be_visible()
        await expect(page.get_by_text("回答あり").first).to_be_visible()


async def the_leader_reads_the_answer_and_resolves(demo: Demo, chromium: Chromium) -> None:
    async with speaking_for(demo, "staff") as leader:
        await eventually(lambda: has_notice(leader, "手順書を共有フォルダーに"))
    async with at_the_desk_of(demo, chromium, "staff") as page:
        await page.get_by_role("link", name=TITLE).first.click()
        await page.get_by_role("button", name="解決にする").click()
        await expect(page.get_by_text("解決").first).to_be_visible()
        await expect(page.get_by_role("button", name="もう一度相談する")).to_be_visible()


def the_facts_stand_on_the_topics(demo: Demo) -> None:
    """``taiwa events tail`` shows them as CloudEvents, in JSON that any client reads."""
    for name in ("LeaderAppointed", "TrainingCompleted", "ConsultationOpened", "ConsultationResolved"):
        event = demo.asked("events", "tail", "--from-start", "--type", name, "--count", "1")
        assert event["specversion"] == "1.0"
        assert event["municipality"] == demo.login("hr")["municipality"]
        assert LEADER not in json.dumps(event, ensure_ascii=False), "names travel on the state topic only"


async def test_an_event_is_shown_while_it_happens_and_none_before_it(demo: Demo) -> None:
    asked: list[str] = []
    with demo.begin("events", "tail", "--type", "ConsultationOpened", "--count", "1", "--json") as tail:
        async with speaking_for(demo, "leader") as leader:

            async def is_shown() -> bool:
                # Only the tail itself knows from when on it listens.
                question = {"title": "今の様子", "body": f"{len(asked) + 1}度目にききます。"}
                opened = await leader.send("consultations", "/consultations", str(uuid4()), question)
                asked.append(opened["consultation_id"])
                return tail.poll() is not None

            await eventually(is_shown, timeout=60, pause=0.5)
        output, errors = tail.communicate()
    assert tail.returncode == 0, errors
    assert json.loads(output)["subject"].removeprefix("consultation/") in asked


async def test_commands_work_on_the_running_installation(demo: Demo) -> None:
    before = datetime.fromisoformat(demo.asked("clock", "show")["civil_at"])
    advanced = demo.asked("clock", "advance", "--by", "30m")
    # It goes on by itself as well.
    assert datetime.fromisoformat(advanced["civil_at"]) - before >= timedelta(minutes=30)
    assert demo.asked("topics") == []
    assert demo.asked("migrate") == {name: [] for name in SERVICES}
    rebased = demo.asked("relay", "rebase", "leaders")
    assert rebased["service"] == "leaders"
    admin = demo.login("admin")
    imported = demo.asked(
        *("import", "people", str(ROSTER / "people.csv"), "--municipality", admin["municipality"]),
        *("--login", admin["login"], "--password", admin["password"]),
    )
    assert (imported["created"], imported["changed"], imported["unchanged"]) == (0, 0, 217)
    assert demo.asked("service", "status")["leaders"] == "ready"


@pytest.mark.parametrize("role", ["staff", "leader", "section_head", "hr", "it_policy", "admin"])
async def test_everybody_of_the_demo_can_log_in(demo: Demo, role: str) -> None:
    async with speaking_for(demo, role) as person:
        assert role in person.roles
        assert isinstance(await person.read("leaders", "/work-items"), list)


async def test_the_ready_file_says_where_everything_is(demo: Demo) -> None:
    assert {*demo.ready} == {"portal", "services", "kafka", "postgres", "mail", "logins", "seconds"}
    assert {*demo.ready["logins"]} == {"staff", "leader", "section_head", "hr", "it_policy", "admin"}
    assert {"postgres", "kafka", "services", "town", "total"} <= {*demo.ready["seconds"]}
    assert all(seconds >= 0 for seconds in demo.ready["seconds"].values())
    assert {*demo.ready["services"]} == {*SERVICES}
    async with httpx.AsyncClient(trust_env=False) as http:
        for each in demo.ready["services"].values():
            described = (await http.get(each["openapi"])).json()
            assert described["openapi"].startswith("3.")
            assert (await http.get(f"{each['api']}/health/ready")).status_code == 200
    connection = await asyncpg.connect(demo.ready["postgres"])
    databases = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
    await connection.close()
    assert {*SERVICES} <= databases
    admin = AIOKafkaAdminClient(bootstrap_servers=demo.ready["kafka"])
    await admin.start()
    try:
        assert {topic.name for topic in TOPICS} <= {*await admin.list_topics()}
    finally:
        await admin.close()


async def test_a_service_that_stands_still_is_named_and_the_rest_works(demo: Demo, chromium: Chromium) -> None:
    assert demo.taiwa("service", "stop", "trainings").returncode == 0
    try:
        async with at_the_desk_of(demo, chromium, "leader") as page:
            await expect(page.get_by_text("今つながりません").first).to_be_visible()
            await page.get_by_role("link", name="相談する").first.click()
            await page.get_by_label("題").fill("研修の画面が開きません")
            await page.get_by_label("聞きたいこと").fill(f"いつ直りますか。{uuid4()}")
            await page.get_by_role("button", name="相談を送る").click()
            await expect(page.get_by_role("heading", name="研修の画面が開きません", level=1)).to_be_visible()
    finally:
        assert demo.taiwa("service", "start", "trainings").returncode == 0
