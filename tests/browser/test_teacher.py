"""A teacher is chosen, tested and used from the page, against a real OpenAI-compatible server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from leaml.choices import Choices, read_choices
from leaml.labelling.experts import label_from_references
from leaml.models.backbone import BUNDLED_PATH
from leaml.store import Store
from leaml.teacher.book import read_lines
from leaml.teacher.config import TeacherConfig
from tests.browser.conftest import App
from tests.drawn import fill
from tests.teacher.servers import RealServer

Serve = Callable[..., App]
PATIENCE_MS = 300_000
"""A model is loaded meanwhile, on a machine that may be busy."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    started = RealServer(tmp_path)
    started.start()
    yield started
    started.kill()


@pytest.mark.timeout(1800)
def test_a_server_is_tested_chosen_and_asked_by_the_next_run(
    tmp_path: Path, serve: Serve, page: Page, server: RealServer
) -> None:
    fill(tmp_path / "work", pool=5, test=1)
    with Store.open(tmp_path / "work") as store:
        label_from_references(store, count=2, seed=0)
    app = serve(tmp_path / "work", "--no-sample", "--generator-steps", "1")
    page.goto(app.url)
    card = page.locator("#project-panel .choices")
    expect(card).to_contain_text("Nothing needs to be chosen to begin")
    expect(card.locator("[name=choice_source]")).to_be_hidden()
    card.get_by_text("Choose others").click()
    expect(card.locator("#test-teacher")).to_be_hidden()
    card.locator("[name=choice_source]").select_option("server")
    card.locator("[name=choice_url]").fill(server.url)
    card.locator("[name=choice_served]").fill("nobody/nothing")
    card.locator("#test-teacher").click()
    expect(card.locator(".note.bad")).to_contain_text("Name one of these", timeout=PATIENCE_MS)
    expect(card.locator("[name=choice_url]")).to_have_value(server.url)
    card.locator("[name=choice_served]").fill(str(BUNDLED_PATH))
    card.locator("#test-teacher").click()
    expect(card.locator(".note", has_text="first caption in")).to_be_visible(timeout=PATIENCE_MS)
    card.locator("#save-choices").click()
    expect(card.locator(".note", has_text="Saved")).to_be_visible(timeout=PATIENCE_MS)
    expect(card).to_contain_text("million weights. Training needs about")
    saved = TeacherConfig("server", str(BUNDLED_PATH), server.url)
    assert read_choices(tmp_path / "work") == Choices(teacher=saved)
    train_until_described(page)
    (book,) = (tmp_path / "work" / "cache" / "captions").iterdir()
    lines = read_lines(book)
    assert len(lines) >= 3 and all(line["text"] for line in lines)


def train_until_described(page: Page) -> None:
    """Start the generator, see the captions come, and stop it."""
    page.locator("#tab-train-button").click()
    page.locator("#train-generator").click()
    captions = page.locator("#generator-panel .steps li").first
    expect(captions).to_have_class("done", timeout=PATIENCE_MS)
    page.locator("#cancel-run").click()
    expect(page.locator("#resume-run")).to_be_visible(timeout=PATIENCE_MS)


def test_nothing_is_sent_to_another_computer_before_somebody_agrees(tmp_path: Path, serve: Serve, page: Page) -> None:
    fill(tmp_path / "work", pool=3, test=1)
    app = serve(tmp_path / "work", "--no-sample")
    page.goto(app.url)
    card = page.locator("#project-panel .choices")
    card.get_by_text("Choose others").click()
    card.locator("[name=choice_source]").select_option("server")
    card.locator("[name=choice_url]").fill("https://teacher.invalid/v1")
    card.locator("[name=choice_served]").fill("large")
    card.locator("#test-teacher").click()
    expect(card).to_contain_text("which is another computer. May it?")
    card.get_by_role("button", name="Send it to teacher.invalid").click()
    expect(card.locator(".note.bad")).to_contain_text("teacher.invalid cannot be reached", timeout=60_000)
