"""Moving about the page: Back and Forward, what stays in its place, warnings that go, and what comes meanwhile."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app import choice_text, text
from app.train_html import MethodView, RunView, loss_line, methods_card, runs_card
from leaml.config import MODEL_STAGES, GeneratorConfig, generator_run
from leaml.records import Interval
from tests.browser.conftest import ROOT, App
from tests.browser.test_keys import open_tab, press
from tests.browser.test_ticks import finish_a_run
from tests.drawn import fill
from tests.runs import put_run, worked_on


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


def test_no_tab_moves_when_another_is_chosen(tmp_path: Path, serve: Callable[..., App], page: Page) -> None:
    fill(tmp_path / "work", candidates=8)
    open_tab(page, serve(tmp_path / "work", "--no-sample"), "label")
    press(page, "label", "1", "Enter")
    expect(page.get_by_role("tab", name="Label 1")).to_be_visible()
    tabs = page.locator("#tabs [role=tab]").all()
    places = [tab.bounding_box() for tab in tabs]
    for tab in tabs:
        tab.click()
        expect(tab).to_have_css("font-weight", "600")
        assert [other.bounding_box() for other in tabs] == places


def test_all_reasons_are_inside_a_short_window(tmp_path: Path, serve: Callable[..., App], page: Page) -> None:
    fill(tmp_path / "work", candidates=8)
    page.set_viewport_size({"width": 900, "height": 700})
    open_tab(page, serve(tmp_path / "work", "--no-sample"), "review")
    page.keyboard.press("r")
    for reason in page.locator("#review-panel .panel.reject button").all():
        expect(reason).to_be_in_viewport(ratio=1)


def run(name: str, kind: str = "lora", **more: object) -> RunView:
    return RunView("r0002", kind, name, "", MODEL_STAGES, {}, started_at=0.0, **more)  # type: ignore[arg-type]


def drawn(page: Page, html: str, part: str) -> float:
    """Return how high a part of some HTML is in the app's style."""
    style = (ROOT / "assets" / "app.css").read_text()
    page.set_content(f'<style>{style}</style><div class="gradio-container">{html}</div>')
    box = page.locator(part).bounding_box()
    assert box is not None
    return box["height"]


@pytest.mark.parametrize(("width", "inside"), [(870, 780), (900, 810), (1366, 803), (1440, 843)])
def test_the_line_above_the_losses_keeps_its_height(page: Page, width: int, inside: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    generator = run("running", kind="generator")
    heads = [loss_line(None, {}), loss_line(generator, dict.fromkeys(("question_loss", "caption_loss"), 1.0))]
    heads.append(loss_line(generator, dict.fromkeys(("question_loss", "caption_loss", "wrong_image_loss"), 1.0)))
    assert len({drawn(page, f'<div style="width:{inside}px">{head}</div>', ".losses") for head in heads}) == 1


@pytest.mark.parametrize("width", [900, 1440])
def test_rows_of_the_train_screen_keep_their_height(page: Page, width: int) -> None:

    right, learnt = Interval(0.68, 0.64, 0.72), "40 labels + 200 pairs"
    at_work = run("running", stage="finetune", step=6, total=60)
    states: list[tuple[RunView | None, Interval | None]] = [(None, None), (run("queued"), None), (at_work, None)]
    states += [(run("done", took=9.0), right), (run("queued"), right), (at_work, right)]
    page.set_viewport_size({"width": width, "height": 900})
    found: dict[str, set[float]] = {".top": set(), ".method": set(), ".runs tr:last-child": set()}
    for view, accuracy in states:
        row = MethodView("lora", view, None, accuracy, 532, learnt)
        busy = text.ALL_AGAIN if view and view.active else ""
        cards = methods_card([row], ready=1, why_not=busy, coming=None if busy else "compare")
        html = f'<div class="screen stack">{cards}{runs_card([view or run("done", took=9.0)])}</div>'
        for part, heights in found.items():
            heights.add(drawn(page, html, part))
        for part in (".method > div", ".act"):
            wide = "nodes => nodes.filter(n => n.scrollWidth > n.clientWidth + 1).map(n => n.textContent)"
            assert page.locator(part).evaluate_all(wide) == []
    assert [len(heights) for heights in found.values()] == [1, 1, 1], found


def test_who_waits_for_a_training_on_project_sees_its_end(tmp_path: Path, app: App, page: Page) -> None:
    folder = put_run(app.workspace, "r0003", generator_run(GeneratorConfig(round=2)), done=False)
    with worked_on(folder):
        page.goto(app.url)
        step = page.locator("#project-panel .loop li", has_text=text.STEPS["train"][0])
        expect(step).to_contain_text(text.AT_WORK)
        finish_a_run(app.workspace, tmp_path / "made")
    expect(step).not_to_contain_text(text.AT_WORK)
    expect(step).to_contain_text("4 pairs")


def test_a_slow_button_says_wherever_one_looks_that_others_wait(app: App, page: Page) -> None:
    page.goto(app.url)
    panel = page.locator("#project-panel")
    panel.get_by_text(choice_text.CHANGE).click()
    panel.locator("#estimate").click()
    said = panel.get_by_text(choice_text.WORKING)
    expect(said).to_be_visible()
    page.evaluate("scrollTo(0, 0)")
    expect(said).to_be_in_viewport()
    other = panel.locator("[data-act=fill]")
    expect(other).to_have_css("opacity", "0.5")
    expect(said).to_be_hidden(timeout=120_000)
    expect(other).to_have_css("opacity", "1")
    expect(panel.locator(".choices")).to_contain_text("million weights. Training needs about")
