"""The first journey through the portal: by a browser with script, and by one without."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect

from chassis.testing import eventually
from taiwa.demo.filling import ROSTER
from taiwa.demo.story import Login
from tests.browser.town import LOGINS, TOGETHER, MidoriTown, log_in
from tests.browser.visitor import told, visitor
from tests.installation.browser import Chromium

pytestmark = TOGETHER

PATIENCE = 20_000
"""Milliseconds in which a fact must have travelled; all the town shares this machine."""


async def reloaded(page: Page, path: str, text: str) -> None:
    """Open a page until it shows a text."""

    async def there() -> bool:
        await page.goto(path)
        return text in await page.locator("main").inner_text()

    await eventually(there, timeout=PATIENCE / 1000)


async def delivered(page: Page, *, javascript: bool) -> None:
    """Wait until a page says that the notices are there; without script it is its link that asks again."""
    said = page.locator("#delivery")
    if not javascript and "お知らせを届けました" not in await said.inner_text():
        await said.get_by_role("link", name="届いたか確かめる").click()
        await reloaded(page, page.url, "お知らせを届けました")
    await expect(said).to_contain_text("お知らせを届けました", timeout=PATIENCE)


async def invite(town: MidoriTown, chromium: Chromium, name: str, login: str, *, javascript: bool) -> Login:
    """An administrator makes an account for somebody, who sets a password by the link; gives what they log in with."""
    account = Login("staff", "", login, name)
    async with chromium.page(base_url=town.address, javascript=javascript) as admin:
        await log_in(admin, "admin")
        await admin.goto("/admin/accounts")
        await admin.get_by_label("職員をさがす").fill(name)
        await admin.get_by_role("button", name="さがす").click()
        await admin.get_by_role("radio", name=name).check()
        await admin.get_by_label("ログインID").fill(login)
        await admin.get_by_role("button", name="アカウントを作る").click()
        link = await admin.get_by_role("region", name="一度だけ使えるリンク").locator("code").inner_text()
    async with chromium.page(base_url=town.address, javascript=javascript) as invited:
        await invited.goto(f"/first-password?{link.partition('?')[2]}")
        await invited.get_by_label("新しいパスワード", exact=False).first.fill(account.password)
        await invited.get_by_label("新しいパスワード（もう一度）").fill(account.password)
        await invited.get_by_role("button", name="このパスワードにする").click()
        await expect(invited.get_by_role("status")).to_contain_text("パスワードを決めました")
    return account


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
async def test_somebody_who_gets_an_account_sets_a_password_and_is_in(
    town: MidoriTown, chromium: Chromium, *, javascript: bool
) -> None:
    name, login = ("河野 修", "kouno") if javascript else ("近藤 涼子", "kondou")
    account = await invite(town, chromium, name, login, javascript=javascript)
    async with chromium.page(base_url=town.address, javascript=javascript) as page:
        await log_in(page, account)
        await expect(page.get_by_role("banner")).to_contain_text(name)


@dataclass(frozen=True)
class Called:
    """A section that has yet to name its leaders; somebody without a login gets an account first."""

    section: str
    head: str
    leader: str
    beside: str
    document: str
    logins: tuple[str, str] | None = None


@pytest.mark.parametrize(
    ("called", "javascript"),
    [
        (Called("道路課", LOGINS["section_head"].name, LOGINS["staff"].name, "花岡 敦子", "総務第57号"), True),
        (Called("上下水道課", "灰谷 庄司", "仁科 大樹", "塚越 康夫", "総務第58号", ("haitani", "nishina")), False),
    ],
    ids=["script", "no script"],
)
async def test_a_nomination_is_decided_and_the_leader_is_welcomed(
    town: MidoriTown, chromium: Chromium, screenshots: Path, called: Called, *, javascript: bool
) -> None:
    as_head: Login = LOGINS["section_head"]
    as_leader: Login = LOGINS["staff"]
    if called.logins is not None:
        as_head = await invite(town, chromium, called.head, called.logins[0], javascript=javascript)
        as_leader = await invite(town, chromium, called.leader, called.logins[1], javascript=javascript)
    async with chromium.page(base_url=town.address, javascript=javascript) as head:
        await log_in(head, as_head)
        await head.get_by_role("link", name=f"{called.section}のリーダーを選ぶ", exact=True).click()
        await head.get_by_label(called.leader).check()
        await head.get_by_label(called.beside).check()
        await head.get_by_role("button", name="この人を選んで送る").click()
        await expect(head.get_by_role("status")).to_contain_text("2人の選出を送りました")
        await expect(head.get_by_role("heading", name="選んだ人 2人")).to_be_visible()
        await head.screenshot(path=screenshots / f"journey-nominated-{javascript}.png", full_page=True)
    async with chromium.page(base_url=town.address, javascript=javascript) as hr:
        await log_in(hr, "hr")
        await hr.goto("/coverage")
        for box in await hr.get_by_role("checkbox").all():
            await box.uncheck()
        await hr.get_by_role("checkbox", name=f"{called.section}を選ぶ").check()
        await hr.get_by_label("文書番号").fill(called.document)
        await hr.get_by_role("button", name="決裁済みとして記録する").click()
        await expect(hr.get_by_role("status")).to_contain_text("1課の決裁を記録しました")
        row = hr.get_by_role("row").filter(has_text=called.section).first
        await expect(row).to_contain_text("選任済み")
        await expect(row).to_contain_text(called.document)
        await expect(row).to_contain_text("齋藤 ことね")
        await hr.screenshot(path=screenshots / f"journey-decided-{javascript}.png", full_page=True)
        await delivered(hr, javascript=javascript)
    async with chromium.page(base_url=town.address, javascript=javascript) as leader:
        await log_in(leader, as_leader)
        await reloaded(leader, "/inbox", f"{called.section}のDX推進リーダーに選任されました")
        await reloaded(leader, "/leaders", called.leader)
        await expect(leader.get_by_role("region", name="わたしの課のリーダー")).to_contain_text(called.leader)
        await leader.screenshot(path=screenshots / f"journey-welcomed-{javascript}.png", full_page=True)
        await leader.goto("/inbox")
        await leader.get_by_role("button", name="すべて読んだことにする").click()
        await expect(leader.get_by_role("status")).to_contain_text("すべて読んだことにしました")
        await expect(leader.locator("#unread .count")).to_have_count(0)
        await expect(leader.get_by_role("button", name="すべて読んだことにする")).to_have_count(0)


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
async def test_a_question_is_asked_answered_and_resolved(
    town: MidoriTown, chromium: Chromium, screenshots: Path, *, javascript: bool
) -> None:
    title = f"庁舎の外で地図を見る方法 {uuid4().hex[:6]}"
    async with (
        chromium.page(base_url=town.address, javascript=javascript) as leader,
        chromium.page(base_url=town.address, javascript=javascript) as desk,
    ):
        await log_in(leader, "leader")
        await leader.get_by_role("link", name="相談する").first.click()
        await leader.get_by_label("題", exact=False).first.fill(title)
        await leader.get_by_label("聞きたいこと").fill("現場で地図を見たいです。\n端末は足りますか。")
        await leader.get_by_role("button", name="相談を送る").click()
        await expect(leader.get_by_role("status")).to_contain_text("相談を受け付けました")
        await log_in(desk, "it_policy")
        await reloaded(desk, "/", title)
        await desk.get_by_role("link", name=title).first.click()
        await desk.get_by_label("本文").fill("貸出用の端末が3台あります。")
        await desk.get_by_role("button", name="答えを送る").click()
        await expect(desk.get_by_role("status")).to_contain_text("答えを送りました")
        await delivered(desk, javascript=javascript)
        await reloaded(leader, "/inbox", title)
        await reloaded(leader, "/", title)
        await leader.get_by_role("link", name=title).first.click()
        await expect(leader.get_by_text("貸出用の端末が3台あります。")).to_be_visible()
        await leader.screenshot(path=screenshots / f"journey-answered-{javascript}.png", full_page=True)
        await leader.get_by_role("button", name="解決にする").click()
        await expect(leader.get_by_role("status")).to_contain_text("解決にしました")
        await expect(leader.get_by_role("button", name="もう一度相談する")).to_be_visible()


async def test_without_script_a_link_tells_whether_the_notices_are_there(town: MidoriTown, chromium: Chromium) -> None:
    async with chromium.page(base_url=town.address, javascript=False) as hr:
        await log_in(hr, "hr")
        await hr.goto("/trainings")
        await hr.locator("table a").last.click()
        await hr.get_by_role("checkbox").first.check()
        async with town.without("notifications"):
            await hr.get_by_role("button", name="修了を記録する").click()
            await hr.locator("#delivery").get_by_role("link", name="届いたか確かめる").click()
            await expect(hr.get_by_role("heading", name="届いたか確かめる")).to_be_visible()
            await expect(hr.locator("#delivery")).to_contain_text("お知らせを届けています")
        await delivered(hr, javascript=False)


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
async def test_a_completed_training_is_recorded_and_told(
    town: MidoriTown, chromium: Chromium, screenshots: Path, *, javascript: bool
) -> None:
    async with chromium.page(base_url=town.address, javascript=javascript) as hr:
        await log_in(hr, "hr")
        await hr.goto("/trainings")
        await hr.locator("table a").last.click()
        person = hr.get_by_role("checkbox").first
        name = (await hr.locator("label.pick").first.inner_text()).splitlines()[0]
        await expect(hr.get_by_role("row").filter(has_text=name)).to_have_count(0)
        await person.check()
        await hr.get_by_role("button", name="修了を記録する").click()
        await expect(hr.get_by_role("status")).to_contain_text("1人の修了を記録しました")
        await expect(hr.get_by_role("row").filter(has_text=name)).to_be_visible()
        await hr.screenshot(path=screenshots / f"journey-trained-{javascript}.png", full_page=True)
        await delivered(hr, javascript=javascript)


async def test_a_form_sent_twice_at_once_has_one_effect(town: MidoriTown) -> None:
    title = f"二度押し {uuid4().hex[:6]}"
    async with visitor(town.address, "leader") as it:
        fields = {**await it.form("/consultations/new", "/consultations"), "title": title, "body": "同じ送信です。"}
        answers = await asyncio.gather(*(it.http.post("/consultations", data=fields) for _ in range(2)))
        assert {answer.status_code for answer in answers} == {303}
        assert len({answer.headers["location"] for answer in answers}) == 1
        assert (await it.http.get("/consultations")).text.count(f">{title}</a>") == 1


async def test_deciding_what_is_decided_is_refused_with_a_sentence(town: MidoriTown) -> None:
    leaders = town.services["leaders"]
    async with leaders.worker.scoped("*") as connection:
        decided = await connection.fetchval(
            "SELECT section_call_id FROM section_calls WHERE state = 'decided' ORDER BY section_call_id LIMIT 1"
        )
    async with visitor(town.address, "hr") as it:
        fields = await it.form("/coverage", "/coverage/decisions?year=2026")
        answer = await it.http.post(
            "/coverage/decisions?year=2026",
            data={**fields, "section_call_ids": [str(decided)], "decided_by_post": "総務課長"},
        )
        assert answer.status_code == 409
        assert "できませんでした" in told(answer)


async def test_a_future_decision_is_told_at_its_field(town: MidoriTown) -> None:
    async with visitor(town.address, "hr") as it:
        fields = await it.form("/coverage", "/coverage/decisions?year=2026")
        board = (await it.http.get("/coverage")).text
        waiting = board.partition('name="section_call_ids" value="')[2].partition('"')[0]
        answer = await it.http.post(
            "/coverage/decisions?year=2026",
            data={**fields, "section_call_ids": [waiting], "decided_on": "2026-12-01"},
        )
        assert answer.status_code == 422
        assert "決裁日が今日より後です" in answer.text


@asynccontextmanager
async def absent(town: MidoriTown, role: str, from_on: str) -> AsyncIterator[None]:
    """A while in which a role's person will be away from a day on."""
    directory, name = town.services["directory"], LOGINS[role].name
    async with directory.client(directory.caller("hr")) as hr:
        (person,) = (await hr.get("/people", params={"q": name})).json()["items"]
        recorded = await hr.post("/absences", json={"person_id": person["person_id"], "from_on": from_on})
        try:
            yield
        finally:
            await hr.post(f"/absences/{recorded.json()['absence_id']}/withdrawal")


@pytest.mark.parametrize(
    ("role", "place"),
    [
        ("leader", "/leaders"),
        ("leader", "/leaders > table a"),
        ("leader", "/coverage"),
        ("it_policy", "/consultations?view=all > table a"),
    ],
)
async def test_who_will_be_away_is_shown_where_others_count_on_them(town: MidoriTown, role: str, place: str) -> None:
    path, _, link = place.partition(" > ")
    away = "9月7日から不在"
    async with absent(town, role, "2026-09-07"), visitor(town.address, "hr") as it:
        page = await it.http.get(path)
        if link:
            addresses = re.findall(rf'href="({re.escape(path.partition("?")[0])}/[0-9a-f-]{{36}})"', page.text)
            pages = [await it.http.get(address) for address in dict.fromkeys(addresses)]
        else:
            pages = [page]
        assert any(away in told(each) for each in pages)


async def test_the_board_is_given_as_csv_for_excel(town: MidoriTown) -> None:
    async with visitor(town.address, "hr") as it:
        answer = await it.http.get("/coverage/board.csv?year=2026")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.content.startswith(b"\xef\xbb\xbf")
        assert len(answer.content.decode("utf-8-sig").strip().splitlines()) == 18


async def test_a_file_is_previewed_before_it_is_imported(town: MidoriTown) -> None:
    content = (ROSTER / "people.csv").read_bytes()
    async with visitor(town.address, "admin") as it:
        fields = await it.form("/admin", "/admin/imports")
        preview = await it.http.post(
            "/admin/imports", data={**fields, "kind": "people"}, files={"file": ("people.csv", content, "text/csv")}
        )
        assert preview.status_code == 200, told(preview)
        assert "まだ何も変わっていません" in preview.text
        action = preview.text.partition('action="/admin/imports/')[2].partition('"')[0]
        token = preview.text.partition('name="form_token" value="')[2].partition('"')[0]
        done = await it.http.post(
            f"/admin/imports/{action}", data={"form_token": token, "key": str(uuid4())}, follow_redirects=True
        )
        assert "職員を取り込みました" in done.text


async def test_a_broken_file_is_told_row_by_row(town: MidoriTown) -> None:
    content = (
        "職員番号,氏名,フリガナ,所属コード,職,職員の種類,常勤,メール,兼務所属コード,採用日\n"
        "90001,架空 太郎,カクウ タロウ,9999,主事,正規,常勤,,,2026-04-01\n"
    )
    async with visitor(town.address, "admin") as it:
        fields = await it.form("/admin", "/admin/imports")
        answer = await it.http.post(
            "/admin/imports",
            data={**fields, "kind": "people"},
            files={"file": ("people.csv", content.encode("cp932"), "text/csv")},
        )
        assert answer.status_code == 422
        assert "2行目" in answer.text
        assert "所属コード" in answer.text


@pytest.mark.parametrize(
    ("service", "path", "sentence"),
    [
        ("consultations", "/", "「相談」は今つながりません"),
        ("notifications", "/inbox", "「お知らせ」は今つながりません"),
        ("leaders", "/coverage", "「選出・配置」は今つながりません"),
    ],
)
async def test_a_service_that_is_down_is_told_and_the_rest_works(
    town: MidoriTown, service: str, path: str, sentence: str
) -> None:
    async with visitor(town.address, "hr") as it:
        async with town.without(service):
            answer = await it.http.get(path)
            assert sentence in answer.text
            assert (await it.http.get("/trainings")).status_code == 200
        assert sentence not in (await it.http.get(path)).text
