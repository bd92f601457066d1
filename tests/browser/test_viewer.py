"""The image viewer: zoom, pan, brightness and contrast by wheel, drag and keys; nothing else on the page moves."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from leaml.data.folder import import_folder
from leaml.records import QuestionType
from leaml.store import Store
from tests.browser.conftest import App
from tests.browser.test_keys import open_tab, press
from tests.drawn import fill
from tests.video.test_frames import clip

Serve = Callable[..., App]


@pytest.fixture
def app(tmp_path: Path, serve: Serve) -> App:
    fill(tmp_path / "work", candidates=8)
    return serve(tmp_path / "work", "--no-sample")


def open_image(page: Page, app: App, tab: str) -> Locator:
    """Return a screen once its image is in sight: before that there is nothing to move."""
    open_tab(page, app, tab)
    panel = page.locator(f"#{tab}-panel")
    expect(panel.locator(".image img").first).to_have_js_property("complete", True)
    return panel


def view(panel: Locator) -> tuple[float, float, float, str]:
    """Return scale, x and y of the image as it is painted, and its filter."""
    found = panel.locator(".image img").evaluate(
        "n => { const s = getComputedStyle(n), m = new DOMMatrix(s.transform); return [m.a, m.e, m.f, s.filter] }"
    )
    return found[0], found[1], found[2], found[3]


def middle(panel: Locator) -> tuple[float, float]:
    box = panel.locator(".seen").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize(("tab", "width"), [("label", 1440), ("review", 900)])
def test_zoom_and_pan(app: App, page: Page, tab: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 1000})
    panel = open_image(page, app, tab)
    places = [panel.locator(selector).first.bounding_box() for selector in (".image", ".ask", ".tools")]
    page.keyboard.press("z")
    assert view(panel) == (2, 0, 0, "none")
    expect(panel.locator("[data-local=zoom]")).to_have_attribute("aria-pressed", "true")
    expect(panel.locator(".scale")).to_have_text("2.0\N{MULTIPLICATION SIGN}")
    page.keyboard.press("ArrowLeft")
    assert view(panel)[1] == 60, "what lies left comes into sight"
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    assert 60 < view(panel)[1] <= 450, "never past the image's edge"
    page.keyboard.press("z")
    assert view(panel) == (1, 0, 0, "none")

    x, y = middle(panel)
    page.mouse.move(x, y + 100)
    page.mouse.wheel(0, -200)
    page.wait_for_function("name => document.querySelector(`#${name}-panel .zoomed`)", arg=tab)
    scale, _, shift, _ = view(panel)
    assert 1.2 < scale < 2 and shift == pytest.approx(-100 * (scale - 1), abs=1), "the place under the pointer stays"
    page.mouse.down()
    page.mouse.move(x, y + 130, steps=3)
    page.mouse.up()
    assert view(panel)[2] == pytest.approx(shift + 30, abs=1)
    page.keyboard.press("+")
    assert view(panel)[0] == pytest.approx(scale * 1.4)
    for _ in range(5):
        page.keyboard.press("-")
    assert view(panel) == (1, 0, 0, "none")
    page.mouse.dblclick(x, y)
    assert view(panel)[0] == 2
    page.keyboard.press("z")
    page.mouse.move(x, y - 100)
    page.keyboard.press("z")
    assert view(panel)[::2] == (2, pytest.approx(100, abs=1)), "Z as well zooms at the pointer"
    assert [panel.locator(selector).first.bounding_box() for selector in (".image", ".ask", ".tools")] == places


def test_brightness_and_contrast_by_keys_and_by_dragging(app: App, page: Page) -> None:
    panel = open_image(page, app, "label")
    expect(panel.locator(".light")).to_be_hidden()
    page.keyboard.press("c")
    slider = panel.get_by_label("Brightness")
    expect(slider).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "101%")
    assert view(panel)[3] == "brightness(1.01) contrast(1)"
    panel.get_by_role("button", name="Reset").click()
    assert view(panel)[3] == "none"
    x, y = middle(panel)
    page.mouse.move(x, y)
    page.mouse.down(button="right")
    page.mouse.move(x + 40, y - 20, steps=2)
    page.mouse.up(button="right")
    assert view(panel)[3] == "brightness(1.1) contrast(1.2)"
    page.mouse.move(x, y)
    assert view(panel)[3] == "brightness(1.1) contrast(1.2)", "only while the button is held"
    page.keyboard.press("Escape")
    expect(panel.locator(".light")).to_be_hidden()
    assert view(panel)[3] == "brightness(1.1) contrast(1.2)", "closed, and kept"


def test_the_same_image_keeps_the_view_and_the_next_starts_anew(app: App, page: Page) -> None:
    panel = open_image(page, app, "label")
    page.keyboard.press("z")
    page.keyboard.press("u")  # nothing to undo: the card is drawn again
    expect(panel.locator(".saved")).to_have_text(re.compile("nothing of yours"))
    assert view(panel)[0] == 2
    expect(panel.locator(".scale")).to_have_text("2.0\N{MULTIPLICATION SIGN}")
    press(page, "label", "1", "Enter")
    assert view(panel) == (1, 0, 0, "none")
    expect(panel.locator(".scale")).to_have_text("1.0\N{MULTIPLICATION SIGN}")
    press(page, "label", "u")
    assert view(panel)[0] == 1


def test_keys_still_answer_after_a_slider_was_used(app: App, page: Page) -> None:
    open_tab(page, app, "label")
    page.keyboard.press("c")
    expect(page.locator("#label-panel").get_by_label("Brightness")).to_be_focused()
    press(page, "label", "1", "Enter")
    expect(page.locator("#label-panel .eyebrow").first).to_contain_text("1 of 40")


def test_arrows_move_the_slider_on_compare_too(app: App, page: Page) -> None:
    open_tab(page, app, "compare")
    panel = page.locator("#compare-panel")
    shown = panel.locator(".where").inner_text()
    page.keyboard.press("c")
    page.keyboard.press("ArrowRight")
    expect(panel.get_by_label("Brightness")).to_have_attribute("aria-valuetext", "101%")
    expect(panel.locator(".where")).to_have_text(shown)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(panel.get_by_role("dialog")).to_contain_text("ask both models")


def open_clips(tmp_path: Path, serve: Serve, page: Page, ending: str, codec: str) -> Locator:
    """Return the Label screen of a project of eight clips."""
    (tmp_path / "clips").mkdir()
    for number in range(8):
        clip(tmp_path / "clips" / f"{number}.{ending}", 40 + number, codec=codec, size=(320, 180))
    with Store.open(tmp_path / "work") as store:
        which = QuestionType("which", "Which?", ("a", "b"))
        import_folder(store, tmp_path / "clips", name="Clips", question_types=[which])
    open_tab(page, serve(tmp_path / "work", "--no-sample"), "label")
    return page.locator("#label-panel")


def test_a_clip_is_its_frames_and_plays(tmp_path: Path, serve: Serve, page: Page) -> None:
    panel = open_clips(tmp_path, serve, page, "webm", "libvpx")
    frames, large, player = panel.locator(".frame"), panel.locator(".seen img"), panel.locator("video")
    expect(frames).to_have_count(8)
    expect(frames.nth(4)).to_have_attribute("aria-pressed", "true")
    before = large.get_attribute("src")
    page.keyboard.press(".")
    expect(frames.nth(5)).to_have_attribute("aria-pressed", "true")
    assert large.get_attribute("src") != before
    frames.nth(0).click()
    page.keyboard.press(",")
    expect(frames.nth(0)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("z")
    expect(panel.locator("[data-local=zoom]")).to_have_attribute("aria-pressed", "true")

    page.keyboard.press("p")
    expect(player).to_be_visible()
    page.wait_for_function("document.querySelector('#label-panel video').currentTime > 0")
    page.keyboard.press("p")
    expect(player).to_be_hidden()
    assert player.evaluate("video => video.paused")
    page.keyboard.press("p")
    press(page, "label", "s")
    expect(player).to_be_hidden()
    expect(frames.nth(4)).to_have_attribute("aria-pressed", "true")


def test_a_clip_that_the_browser_cannot_play_shows_its_frames(tmp_path: Path, serve: Serve, page: Page) -> None:
    panel = open_clips(tmp_path, serve, page, "avi", "mpeg4")
    page.keyboard.press("p")
    expect(panel.locator(".unplayable")).to_be_visible()
    expect(panel.locator("video")).to_be_hidden()
    expect(panel.locator(".frame")).to_have_count(8)
    page.keyboard.press(".")
    expect(panel.locator(".unplayable")).to_be_hidden()
