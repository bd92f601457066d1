"""Pictures as people see them: there at all wherever the workspace lies, and the same that models are shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from leaml.data.images import image_row, open_rgb
from leaml.data.items import copy_item, read_item
from leaml.records import ImageRow
from leaml.store import Store
from tests.browser.conftest import App
from tests.browser.test_keys import open_tab
from tests.drawn import PROJECT, fill

Serve = Callable[..., App]
SIZE = "image => image.decode().then(() => [image.naturalWidth, image.naturalHeight], () => [0, 0])"
ROWS = """async image => {
    await image.decode();
    const board = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext('2d');
    board.drawImage(image, 0, 0);
    const { data, width, height } = board.getImageData(0, 0, image.naturalWidth, image.naturalHeight);
    return Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => data[4 * (y * width + x)]));
}"""
"""The red of each pixel, by rows, as the browser paints them."""


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


def test_people_and_models_see_a_turned_photograph_alike(tmp_path: Path, serve: Serve, page: Page) -> None:
    photo, exif = Image.new("RGB", (200, 100), "white"), Image.Exif()
    photo.paste("navy", (0, 0, 100, 100))
    exif[0x0112] = 6
    row = open_single(tmp_path, serve, page, photo, "photo.jpg", exif=exif)
    seen = np.asarray(open_rgb(tmp_path / "work" / row.path))[..., 0].astype(int)
    assert page.locator("#label-panel .seen img").evaluate(SIZE) == [row.width, row.height] == [100, 200]
    assert seen[:90].max() < 30 and seen[110:].min() > 220, "dark above, light below"
    assert np.abs(np.array(page.locator("#label-panel .seen img").evaluate(ROWS)) - seen).max() <= 3


def test_people_see_a_tiff_of_16_bits_as_models_do(tmp_path: Path, serve: Serve, page: Page) -> None:
    values = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))
    row = open_single(tmp_path, serve, page, Image.fromarray(values), "scan.tif")
    image = page.locator("#label-panel .seen img")
    assert image.evaluate(SIZE) == [64, 48] and row.path.endswith(".tif")
    seen = np.asarray(open_rgb(tmp_path / "work" / row.path))[..., 0]
    assert np.array_equal(np.array(image.evaluate(ROWS)), seen) and seen[0, 0] == 0 and seen[0, -1] == 255

    for file in (tmp_path / "work" / "images").glob("*.png"):  # as an older version leaves a workspace
        file.unlink()
    page.reload()
    page.locator("#tab-label-button").click()
    expect(image).to_be_visible()
    assert image.evaluate(SIZE) == [64, 48] and len(list((tmp_path / "work" / "images").iterdir())) == 2


def test_people_see_a_turned_webp_as_models_do(tmp_path: Path, serve: Serve, page: Page) -> None:
    """Chromium itself does not turn it."""
    exif, picture = Image.Exif(), Image.new("RGB", (200, 100), "white")
    picture.paste("navy", (0, 0, 100, 100))
    exif[0x0112] = 6
    row = open_single(tmp_path, serve, page, picture, "photo.webp", exif=exif, lossless=True)
    seen = np.asarray(open_rgb(tmp_path / "work" / row.path))[..., 0]
    assert seen.shape == (200, 100)
    assert np.array_equal(np.array(page.locator("#label-panel .seen img").evaluate(ROWS)), seen)


def open_single(tmp_path: Path, serve: Serve, page: Page, picture: Image.Image, name: str, **settings: Any) -> ImageRow:
    """Open Label on a project of one picture, and return its row."""
    picture.save(tmp_path / name, **settings)
    with Store.open(tmp_path / "work") as store:
        item = read_item(tmp_path / name)
        row = image_row(item, name=name, group="g", split="pool")
        copy_item(item, store.workspace, row)
        store.import_project(PROJECT, [row])
    open_tab(page, serve(tmp_path / "work", "--no-sample"), "label")
    return row
