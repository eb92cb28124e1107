"""Every page as its role sees it: axe finds nothing, nothing scrolls sideways, with and without script."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import ConsoleMessage, Page

from taiwa.demo.filling import ROSTER
from tests.browser.town import TOGETHER, MidoriTown, log_in
from tests.installation.browser import DESKTOP, PHONE, Chromium

pytestmark = TOGETHER

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDTHS = (320, 390, 1024, 1366)
LARGEST_PAGE = 80 * 1024


PAGES: dict[str, list[str]] = {
    "staff": ["/", "/leaders", "/consultations", "/consultations/new", "/trainings", "/inbox"],
    "leader": [
        "/",
        "/inbox",
        "/consultations",
        "/consultations > table a",
        "/leaders > table a",
        "/trainings > table a",
    ],
    "section_head": ["/", "/nominations", "/nominations > table a"],
    "hr": ["/", "/coverage", "/coverage?year=2027", "/coverage > a[href^='/nominations/']", "/trainings > table a"],
    "it_policy": ["/", "/consultations?view=all", "/consultations?view=all > table a", "/coverage"],
    "admin": [
        "/",
        "/admin",
        "/admin/accounts?q=髙橋",
        "/admin/sections",
        "/admin/sections > table a",
        "/admin/deliveries",
        "/standing",
        "/late",
        "/integrations",
    ],
}
"""Paths; ``page > link`` follows the first such link of a page."""

ACTS: dict[tuple[str, str], str] = {
    ("staff", "/consultations/new"): "相談を送る",
    ("hr", "/coverage"): "決裁済みとして記録する",
    ("hr", "/coverage?year=2027"): "を開く",
    ("hr", "/trainings > table a"): "修了を記録する",
    ("admin", "/admin"): "何が変わるかを見る",
    ("admin", "/admin/accounts?q=髙橋"): "アカウントを作る",
    ("admin", "/admin/sections > table a"): "登録する",
}
"""The button of what a page is for, where that does not depend on what was done before."""


async def visit(page: Page, place: str) -> None:
    path, _, link = place.partition(" > ")
    answer = await page.goto(path)
    assert answer is not None
    assert answer.status == 200, place
    if link:
        await page.locator("main").locator(link).first.click()
        await page.wait_for_load_state()


async def assert_clean(page: Page, place: str) -> None:
    found = await Axe().run(page, options={"runOnly": RULES})
    violations = [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found.response["violations"]]
    assert not violations, (place, violations)
    assert len((await page.content()).encode()) <= LARGEST_PAGE, place


async def assert_nothing_scrolls_sideways(page: Page, place: str) -> None:
    before = page.viewport_size
    assert before is not None
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": before["height"]})
        over = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0, (place, width, over)
    await page.set_viewport_size(before)


async def assert_good(page: Page, place: str, shot: Path) -> None:
    """At a desk and on a phone: a screenshot is kept, axe finds nothing; at every width nothing scrolls sideways."""
    for width, height in (PHONE, DESKTOP):
        await page.set_viewport_size({"width": width, "height": height})
        await page.screenshot(path=f"{shot}-{width}.png", full_page=True)
        await assert_clean(page, place)
    await assert_nothing_scrolls_sideways(page, place)


def watched(page: Page) -> list[str]:
    """What the browser complains about: a policy that forbids something, a script that fails."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints


@pytest.mark.parametrize("role", PAGES)
async def test_pages_are_accessible_and_fit(town: MidoriTown, chromium: Chromium, screenshots: Path, role: str) -> None:
    async with chromium.page(base_url=town.address) as page:
        complaints = watched(page)
        await log_in(page, role)
        for number, place in enumerate(PAGES[role]):
            await visit(page, place)
            await assert_good(page, place, screenshots / f"{role}-{number}")
        assert not complaints


@pytest.mark.parametrize("role", PAGES)
async def test_pages_are_whole_without_script(town: MidoriTown, chromium: Chromium, role: str) -> None:
    """What each page is for can be sent: its button stands in a form that goes somewhere by itself."""
    async with chromium.page(base_url=town.address, javascript=False) as page:
        await log_in(page, role)
        for place in PAGES[role]:
            await visit(page, place)
            assert await page.locator("h1").count() == 1, place
            assert not await page.locator("[data-scripted]:visible").count(), place
            if word := ACTS.get((role, place)):
                button = page.locator("main form[method=post][action] button[type=submit]:visible", has_text=word)
                assert await button.count(), (place, word)
            buttons = page.locator("main button:not([data-scripted])")
            assert await buttons.evaluate_all("all => all.every(one => one.type === 'submit' && one.form)"), place


async def test_the_preview_of_an_import_is_accessible(town: MidoriTown, chromium: Chromium, screenshots: Path) -> None:
    async with chromium.page(base_url=town.address) as page:
        await log_in(page, "admin")
        await page.goto("/admin")
        await page.get_by_label("職員", exact=True).check()
        await page.locator("input[type=file]").set_input_files(ROSTER / "people.csv")
        await page.get_by_role("button", name="何が変わるかを見る").click()
        await page.get_by_role("heading", name="取り込みの確認").wait_for()
        await assert_good(page, "preview of an import", screenshots / "preview")


async def test_pages_before_login_are_accessible(town: MidoriTown, chromium: Chromium, screenshots: Path) -> None:
    async with chromium.page(base_url=town.address) as page:
        for path in ("/login", "/first-password?token=unknown"):
            await visit(page, path)
            await assert_good(page, path, screenshots / path[1:6])


async def test_the_first_useful_button_needs_no_scrolling(town: MidoriTown, chromium: Chromium) -> None:
    async with chromium.page(base_url=town.address, viewport=DESKTOP) as page:
        await log_in(page, "section_head")
        box = await page.locator("main .btn").first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= DESKTOP[1]


async def test_a_refused_form_is_accessible_and_receives_the_focus(
    town: MidoriTown, chromium: Chromium, screenshots: Path
) -> None:
    async with chromium.page(base_url=town.address) as page:
        await log_in(page, "staff")
        await page.goto("/consultations/new")
        await page.evaluate("document.querySelector('main form').noValidate = true")
        await page.get_by_label("聞きたいこと").fill("題がありません")
        await page.get_by_role("button", name="相談を送る").click()
        await page.get_by_role("alert").wait_for()
        assert await page.evaluate("document.activeElement.getAttribute('role')") == "alert"
        assert await page.get_by_label("聞きたいこと").input_value() == "題がありません"
        assert await page.get_by_label("題", exact=False).first.get_attribute("aria-invalid") == "true"
        await page.screenshot(path=screenshots / "refused-1366.png", full_page=True)
        await assert_clean(page, "refused form")


async def test_targets_are_large_enough_on_a_phone(town: MidoriTown, chromium: Chromium) -> None:
    async with chromium.page(base_url=town.address, viewport=PHONE) as page:
        await log_in(page, "hr")
        await page.goto("/coverage")
        heights = await page.locator("main .btn:visible").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().height)"
        )
        assert heights
        assert min(heights) >= 44
