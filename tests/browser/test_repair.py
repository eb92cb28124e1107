"""What could not be processed, what stands still and what was late: seen and mended by an administrator."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from playwright.async_api import Page, expect

from chassis.clocks import machine_now
from chassis.testing import MIDORI, eventually
from chassis.transaction import new_id
from taiwa_contracts.trainings import TrainingCompletedV1
from tests.browser.test_pages import assert_good, watched
from tests.browser.town import TOGETHER, MidoriTown, log_in
from tests.browser.visitor import told, visitor
from tests.installation.browser import Chromium

pytestmark = TOGETHER

PATIENCE = 20.0


async def put_poison(town: MidoriTown) -> str:
    """A completion that lacks a field, and one behind it; gives its aggregate."""
    completion = uuid4()
    aggregate = f"{TrainingCompletedV1.AGGREGATE}/{completion}"
    for version in (1, 2):
        headers = {
            "ce_specversion": "1.0",
            "ce_id": str(uuid4()),
            "ce_type": TrainingCompletedV1.TYPE,
            "ce_source": "/taiwa/trainings",
            "ce_subject": aggregate,
            "ce_time": machine_now().isoformat(),
            "ce_sequence": str(version),
            "ce_municipality": MIDORI,
            "ce_correlationid": str(uuid4()),
        }
        await town.services["notifications"].installation.put(
            TrainingCompletedV1.TOPIC,
            f"{MIDORI}/{aggregate}".encode(),
            f'{{"completion_id": "{completion}", "effective_from": "令和8年4月13日", "colour": "red"}}'.encode(),
            [(name, value.encode()) for name, value in headers.items()],
        )
    return aggregate


async def listed(page: Page, aggregate: str, *, held: int = 0) -> None:
    """Wait until the list shows it, with so many behind it."""

    async def there() -> bool:
        await page.goto("/integrations?service=notifications")
        row = page.get_by_role("row").filter(has_text=aggregate)
        return bool(await row.count()) and (not held or f"{held}件" in await row.inner_text())

    await eventually(there, timeout=PATIENCE)


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
async def test_a_letter_is_looked_at_and_discarded_with_a_reason(
    town: MidoriTown, chromium: Chromium, screenshots: Path, *, javascript: bool
) -> None:
    aggregate = await put_poison(town)
    async with chromium.page(base_url=town.address, javascript=javascript) as page:
        complaints = watched(page)
        await log_in(page, "admin")
        await listed(page, aggregate, held=1)
        if javascript:
            await assert_good(page, "/integrations", screenshots / "repair-list")
        row = page.get_by_role("row").filter(has_text=aggregate)
        await expect(row).to_contain_text("研修を修了した")
        await expect(row).to_contain_text("中身が決まりどおりではありません")
        await row.get_by_role("link", name="中身を確かめる").click()
        fields = page.get_by_role("region", name="中身と、決まりとの違い")
        await expect(fields.get_by_role("row").filter(has_text="effective_from")).to_contain_text("違います")
        await expect(fields.get_by_role("row").filter(has_text="person_id")).to_contain_text("ありません")
        await expect(fields.get_by_role("row").filter(has_text="colour")).to_contain_text("決まりにない")
        await expect(page.get_by_role("region", name="記録")).to_contain_text("中身を見た")
        if javascript:
            await assert_good(page, "letter", screenshots / "repair-letter")
        await page.get_by_role("link", name="破棄する").click()
        if javascript:
            await assert_good(page, "discard", screenshots / "repair-discard")
        await page.get_by_label("破棄する理由").fill("試験用の記録でした")
        await page.get_by_role("button", name="破棄する").click()
        await expect(page.get_by_role("status")).to_contain_text("破棄しました")
        # The one behind it is poisonous too: it comes to the front by itself.
        await listed(page, aggregate)
        row = page.get_by_role("row").filter(has_text=aggregate)
        await row.get_by_role("link", name="中身を確かめる").click()
        await page.get_by_label("直したこと").fill("送り元に連絡しました")
        await page.get_by_role("button", name="やり直す").click()
        await expect(page.get_by_role("status")).to_contain_text("やり直しています")
        await listed(page, aggregate)
        await page.goto("/integrations?service=notifications")
        await page.get_by_role("link", name="この条件のものをまとめてやり直す").click()
        await expect(page.get_by_role("button", name=re.compile(r"件をやり直す"))).to_be_visible()
        if javascript:
            await assert_good(page, "replay", screenshots / "repair-replay")
        await page.get_by_role("button", name=re.compile(r"件をやり直す")).click()
        await expect(page.get_by_role("status")).to_contain_text("件をやり直しています")
        assert not complaints


async def test_discarding_without_a_reason_is_refused_on_the_page(town: MidoriTown) -> None:
    aggregate = await put_poison(town)
    async with visitor(town.address, "admin") as admin:

        async def link() -> str | None:
            page = await admin.http.get("/integrations", params={"service": "notifications"})
            row = page.text.partition(aggregate)[0].rpartition("<tr")[2]
            found = re.search(r'href="(/integrations/notifications/[0-9a-f-]{36})"', row)
            return found[1] if aggregate in page.text and found else None

        path = await eventually(link, timeout=PATIENCE)
        form = await admin.form(f"{path}/discard", f"{path}/discard")
        refused = await admin.http.post(f"{path}/discard", data={**form, "reason": " "})
        assert refused.status_code == 422
        assert "破棄する理由を入れてください" in told(refused)


@asynccontextmanager
async def stopped(town: MidoriTown) -> AsyncIterator[None]:
    """A while in which a partition of trainings stands still, of a consumer that does not run: none clears it."""
    worker = town.services["trainings"].worker
    async with worker.scoped("*") as connection:
        await connection.execute(
            "INSERT INTO stops (consumer, scope, topic, partition, reason, command) "
            "VALUES ('rebuild:trainings.people', 'paused', 'directory.people', 11, 'OSError: 山田太郎', 'taiwa doctor')"
        )
    try:
        yield
    finally:
        async with worker.scoped("*") as connection:
            await connection.execute("DELETE FROM stops WHERE partition = 11")


async def test_what_stands_still_is_told_and_let_go_on(town: MidoriTown, chromium: Chromium, screenshots: Path) -> None:
    async with chromium.page(base_url=town.address, javascript=False) as page, stopped(town):
        await log_in(page, "admin")
        await page.goto("/standing")
        row = page.get_by_role("row").filter(has_text="続けて失敗したため")
        await expect(row).to_contain_text("研修")
        await expect(page.locator("main")).not_to_contain_text("山田")
        await page.goto("/integrations")
        states = page.get_by_role("region", name="受け手の状態")
        await expect(states.get_by_role("row").filter(has_text="研修")).to_contain_text("続けて失敗したため")
        await expect(states.get_by_role("row").filter(has_text="お知らせ")).to_contain_text("0件")
        async with town.without("consultations"):
            await page.goto("/integrations")
            await expect(states.get_by_role("row").filter(has_text="相談")).to_contain_text("わかりません")
            await page.goto("/standing")
            await expect(page.get_by_role("row").filter(has_text="返事がありません")).to_contain_text("相談")
            await page.screenshot(path=screenshots / "repair-standing-1366.png", full_page=True)
            await page.set_viewport_size({"width": 390, "height": 844})
            await page.screenshot(path=screenshots / "repair-standing-390.png", full_page=True)
        await page.goto("/standing")
        await page.get_by_role("row").filter(has_text="続けて失敗したため").get_by_role("button").click()
        await expect(page.get_by_role("status")).to_contain_text("再開しました")
        await expect(page.get_by_role("row").filter(has_text="続けて失敗したため")).to_have_count(0)


async def be_late(town: MidoriTown) -> str:
    """As after a power cut of 19 minutes: a mail came late and twice, a term ended late; gives a person's name."""
    milliseconds = int((machine_now() - timedelta(minutes=19)).timestamp() * 1000)
    cause = UUID(int=(milliseconds << 80) | (new_id().int & ((1 << 80) - 1)))
    async with town.services["notifications"].worker.scoped("*") as connection:
        row = await connection.fetchrow(
            """
            UPDATE deliveries SET cause_event_id = $1, settled_at = clock_timestamp(), repeated_at = clock_timestamp()
            WHERE delivery_id = (
                SELECT delivery_id FROM deliveries WHERE channel = 'mail' AND state = 'handed_over'
                ORDER BY settled_at DESC LIMIT 1
            )
            RETURNING (SELECT name FROM people AS p WHERE p.municipality = deliveries.municipality
                       AND p.person_id = deliveries.person_id) AS name
            """,
            cause,
        )
    async with town.services["leaders"].worker.scoped("*") as connection:
        await connection.execute(
            """
            INSERT INTO late_timers (municipality, aggregate, name, due_at, ran_at)
            SELECT municipality, 'appointment/' || appointment_id, 'end_term', $1,
                   $1::timestamptz + interval '21 minutes'
            FROM appointments LIMIT 1 ON CONFLICT DO NOTHING
            """,
            machine_now() - timedelta(minutes=30),
        )
    assert row is not None
    return str(row["name"])


async def test_after_a_power_cut_the_page_says_what_was_late_and_for_whom(
    town: MidoriTown, chromium: Chromium, screenshots: Path
) -> None:
    name = await be_late(town)
    async with chromium.page(base_url=town.address) as page:
        await log_in(page, "admin")
        await page.goto("/late")
        row = page.get_by_role("region", name=re.compile("お知らせ")).get_by_role("row").filter(has_text=name).first
        await expect(row).to_contain_text("19分")
        await expect(row).to_contain_text("同じメール（同じMessage-ID）をもう一度送りました")
        timers = page.get_by_role("region", name=re.compile("期限どおりに動かなかった処理"))
        await expect(timers.get_by_role("row").filter(has_text="任期の終わり")).to_contain_text("21分")
        await assert_good(page, "/late", screenshots / "repair-late")
        await page.pdf(path=screenshots / "repair-late.pdf", format="A4")


async def lose_address(town: MidoriTown) -> str:
    """A mail has failed because its recipient has no address; gives a person's name."""
    async with town.services["notifications"].worker.scoped("*") as connection:
        row = await connection.fetchrow(
            """
            UPDATE deliveries SET state = 'failed', reason = 'no_address'
            WHERE delivery_id = (
                SELECT delivery_id FROM deliveries JOIN people USING (municipality, person_id)
                WHERE channel = 'mail' AND state = 'handed_over' AND name IS NOT NULL
                ORDER BY delivery_id LIMIT 1
            )
            RETURNING (SELECT name FROM people AS p WHERE p.municipality = deliveries.municipality
                       AND p.person_id = deliveries.person_id) AS name
            """
        )
    assert row is not None
    return str(row["name"])


@pytest.mark.parametrize(("role", "javascript"), [("admin", True), ("hr", False)], ids=["admin", "hr, no script"])
async def test_who_has_no_address_is_told_otherwise_and_is_nobody_s_work_any_more(
    town: MidoriTown, chromium: Chromium, screenshots: Path, *, role: str, javascript: bool
) -> None:
    name = await lose_address(town)
    work = re.compile("メールアドレスのない職員 1人を確かめる")
    async with chromium.page(base_url=town.address, javascript=javascript) as page:
        complaints = watched(page)
        await log_in(page, role)
        await page.get_by_role("listitem").filter(has_text=work).get_by_role("link", name="手当てする").click()
        row = page.get_by_role("row").filter(has_text=name)
        await expect(row).to_contain_text("メールアドレスの登録がありません")
        await expect(row.get_by_role("button", name="もう一度送る")).to_have_count(0)
        if javascript:
            await assert_good(page, "addresses", screenshots / "repair-addresses")
        await row.get_by_role("button", name="ほかの方法で伝えた").click()
        await expect(page.get_by_role("status")).to_contain_text("伝えたことを記録しました")
        await expect(page.get_by_role("row").filter(has_text=name)).to_have_count(0)
        await page.goto("/")
        await expect(page.get_by_role("listitem").filter(has_text=work)).to_have_count(0)
        assert not complaints


async def test_the_coverage_board_prints_on_paper(town: MidoriTown, chromium: Chromium, screenshots: Path) -> None:
    """What can only be clicked is left out; every section's row is there and nothing is cut at the edge."""
    async with chromium.page(base_url=town.address) as page:
        await log_in(page, "hr")
        await page.goto("/coverage")
        rows = await page.locator("main .tbl tbody tr").count()
        await page.emulate_media(media="print")
        await page.set_viewport_size({"width": 1032, "height": 702})  # A4 across between its margins, 96 dpi
        await page.screenshot(path=screenshots / "print-coverage.png", full_page=True)
        await page.pdf(path=screenshots / "print-coverage.pdf", prefer_css_page_size=True)
        assert await page.locator("main .tbl tbody tr:visible").count() == rows
        for gone in ("main .btn", ".nav", "main .bar", "main input"):
            assert await page.locator(f"{gone}:visible").count() == 0, gone
        over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0
