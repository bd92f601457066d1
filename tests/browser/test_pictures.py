"""Pictures as people see them: there at all wherever the workspace lies, and the same that models are shown."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from playwright.sync_api import Page, expect

from tests.browser.conftest import App
from tests.browser.test_keys import open_tab
from tests.drawn import fill

Serve = Callable[..., App]
SIZE = "image => image.decode().then(() => [image.naturalWidth, image.naturalHeight], () => [0, 0])"


def test_a_workspace_may_have_any_name(tmp_path: Path, serve: Serve, page: Page) -> None:
    fill(tmp_path / "my #1 study 50%20 'a' & b", candidates=4)
    app = serve(tmp_path / "my #1 study 50%20 'a' & b", "--no-sample")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_tab(page, app, "label")
    assert page.locator("#label-panel .seen img").evaluate(SIZE) == [240, 180]
    ahead = (page.locator("#label-panel [data-preload]").get_attribute("data-preload") or "").split(" ")
    page.wait_for_timeout(500)
    files = [unquote(url.split("file=", 1)[1]) for url in asked if "file=" in url]
    assert len(ahead) == 2 and all(Path(file).is_file() for file in files), "those that come next, too"
    assert {unquote(url.split("file=", 1)[1]) for url in ahead} <= set(files)
    page.locator("#tab-review-button").click()
    expect(page.locator("#review-panel .seen img")).to_be_visible()
    assert page.locator("#review-panel .seen img").evaluate(SIZE) == [240, 180]
    page.locator("#tab-project-button").click()
    thumbs = page.locator("#project-panel img")
    expect(thumbs.first).to_be_visible()
    assert all(thumbs.nth(number).evaluate(SIZE) == [240, 180] for number in range(thumbs.count()))
