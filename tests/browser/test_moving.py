"""Moving about the page: Back and Forward, a header that stays, warnings that go, and pairs that come meanwhile."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app import text
from tests.browser.conftest import App
from tests.browser.test_keys import open_tab, press
from tests.browser.test_ticks import finish_a_run
from tests.drawn import fill


@pytest.fixture
def app(tmp_path: Path, serve: Callable[..., App]) -> App:
    fill(tmp_path / "work")
    return serve(tmp_path / "work", "--no-sample")


def open_screen(page: Page) -> str:
    """Return the id of the tab that is open."""
    return str(page.locator("#tabs [role=tab][aria-selected=true]").get_attribute("id"))


def test_back_and_forward_go_through_the_screens(app: App, page: Page) -> None:
    page.goto(app.url)
    expect(page.locator("#project-panel .screen")).to_be_visible()
    for name in ("label", "review"):
        page.locator(f"#tab-{name}-button").click()
        expect(page.locator(f"#{name}-panel .screen")).to_be_visible()
    for step, name in ((page.go_back, "label"), (page.go_back, "project"), (page.go_forward, "label")):
        step()
        expect(page.locator(f"#{name}-panel .screen").first).to_be_visible()
        assert (page.url.partition("#")[2], open_screen(page)) == (name, f"tab-{name}-button")
    page.reload()
    expect(page.locator("#label-panel .screen")).to_be_visible()


def test_the_header_stays_where_a_long_screen_is_scrolled(app: App, page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 500})
    page.goto(app.url)
    expect(page.locator("#project-panel .screen")).to_be_visible()
    page.mouse.move(700, 400)
    page.mouse.wheel(0, 300)
    page.wait_for_function("scrollY > 200")
    for part in (".brand", "#tabs>.tab-wrapper"):
        box = page.locator(part).bounding_box()
        assert box is not None and box["y"] == 0


def test_a_warning_goes_when_the_next_thing_is_done(app: App, page: Page) -> None:
    open_tab(page, app, "label")
    page.keyboard.press("Enter")
    expect(page.locator(".toast-body")).to_be_visible()
    expect(page.locator("#label-panel")).not_to_have_attribute("data-busy", "1")
    press(page, "label", "1", "Enter")
    expect(page.locator(".toast-body")).to_have_count(0, timeout=3_000)


def test_who_waits_for_pairs_on_review_sees_them_come(tmp_path: Path, app: App, page: Page) -> None:
    open_tab(page, app, "review")
    expect(page.locator("#review-panel")).to_contain_text(text.REVIEW_EMPTY_TITLE)
    finish_a_run(app.workspace, tmp_path / "made")
    expect(page.locator("#review-panel .ask")).to_be_visible()
