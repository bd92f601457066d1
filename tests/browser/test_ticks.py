"""What an open page asks for by itself: what is on the open tab, and the header's counts once runs were looked at."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from app.main import HEADER_TICK_S
from app.train import TICK_S
from leaml.config import GeneratorConfig, generator_run
from leaml.records import Candidate, ImageId, RunId
from leaml.snapshot import MANIFEST
from leaml.tables import write_rows
from tests.browser.conftest import App
from tests.browser.test_keys import open_tab, press
from tests.drawn import SIDE, fill

RUN = RunId("r0002")
Event = tuple[str, str]
WATCHED_S = 1.3 * HEADER_TICK_S
EVENTS = """() => {
  const names = new Map(window.gradio_config.components.map((part) => [part.id, part.props.elem_id || part.type]));
  return window.gradio_config.dependencies.map(({ id, targets: [[part, name]] }) => [id, names.get(part), name]);
}"""


@pytest.fixture
def app(tmp_path: Path, serve: Callable[..., App]) -> App:
    fill(tmp_path / "work", candidates=8)
    return serve(tmp_path / "work", "--no-sample")


class Sent:
    """The events that a page sends, by the element and the event's name."""

    def __init__(self, page: Page) -> None:
        """Listen to an open page."""
        self._page, self._ids = page, list[int]()
        self._names: dict[int, Event] = {number: (part, name) for number, part, name in page.evaluate(EVENTS)}
        page.on("request", self._note)

    def within(self, seconds: float) -> Counter[Event]:
        """Return how often it sends which within so many seconds from now; `wake` only follows what was pressed."""
        self._ids.clear()
        self._page.wait_for_timeout(1000 * seconds)
        return Counter(event for number in self._ids if (event := self._names[number])[1] != "wake")

    def _note(self, request: Request) -> None:
        if "queue/join" in request.url:
            sent: dict[str, Any] = request.post_data_json
            self._ids.append(sent["fn_index"])


def test_only_the_open_tab_asks_how_its_things_stand(app: App, page: Page) -> None:
    open_train(page, app)
    sent, header = Sent(page), ("header", "tick")
    for tab, own in {"train": ["generator-panel"], "compare": ["compare-table"], "label": []}.items():
        page.locator(f"#tab-{tab}-button").click()
        page.wait_for_timeout(1500)
        seen = sent.within(WATCHED_S)
        assert set(seen) == {header, *((part, "tick") for part in own)} and seen[header] <= 2, tab


def test_who_reviews_asks_for_nothing_else(app: App, page: Page) -> None:
    """So the crowd of benchmarks/review sends what so many pages send."""
    open_tab(page, app, "review")
    sent = Sent(page)
    page.wait_for_timeout(1500)
    press(page, "review", "a")
    assert sent.within(WATCHED_S) == {}


def open_train(page: Page, app: App) -> None:
    page.goto(f"{app.url}/#train")
    expect(page.locator("#generator-panel .screen")).to_be_visible()


def test_a_page_that_opens_on_train_asks(app: App, page: Page) -> None:
    open_train(page, app)
    assert ("generator-panel", "tick") in Sent(page).within(WATCHED_S)


def test_who_waits_on_another_tab_sees_what_a_run_has_made(tmp_path: Path, app: App, page: Page) -> None:
    open_train(page, app)
    page.wait_for_timeout(1500 * TICK_S)
    page.locator("#tab-label-button").click()
    expect(page.get_by_role("tab", name="Review 8")).to_be_visible()
    finish_a_run(app.workspace, tmp_path / "made")
    expect(page.get_by_role("tab", name="Review 4")).to_be_visible()
    page.locator("#tab-review-button").click()
    expect(page.locator("#review-panel .ask")).to_contain_text("Round 2", ignore_case=True)


def finish_a_run(workspace: Path, made: Path) -> None:
    """Put in place what a worker leaves that has written four pairs of the second round."""
    images = [ImageId(path.stem) for path in sorted((workspace / "images").iterdir())[:4]]
    kind, even = SIDE, (0.5, 0.5)
    rows = [
        Candidate(f"r0002-{image}", image, kind.question, kind.options, "left", kind.id, -0.5, 0.5, even, RUN, 2)
        for image in images
    ]
    (made / "output").mkdir(parents=True)
    (made / "data").mkdir()
    (made / "data" / MANIFEST).write_text(json.dumps({"round": 1}))
    (made / "config.json").write_text(json.dumps(generator_run(GeneratorConfig(round=2)).to_json()))
    write_rows(made / "output" / "candidates.parquet", rows, Candidate)
    (made / "outcome.json").write_text(json.dumps({"status": "done", "error": "", "seconds": 1.0, "stages": {}}))
    (workspace / "runs").mkdir(exist_ok=True)
    made.rename(workspace / "runs" / RUN)
