"""Take the pictures of the documentation: `python -m tests.browser.screenshots --workspace DIR`.

DIR holds a project on which the loop has been walked, such as one kept by `python -m leaml loop --keep DIR`. The app
is started on it, so nothing else may have it open; nothing in it is changed.
"""

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.browser.chromium import find_chromium, playwright_chromium
from tests.browser.conftest import FLAGS, ROOT, start_app, stop_app

TABS = ("project", "label", "train", "review", "compare")
LIMIT_BYTES = 400_000
SETTLE_MS = 2500


def main() -> None:
    """Take one picture of each screen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        app = start_app(arguments.workspace, "--no-sample", log=Path(folder) / "app.log")
        try:
            with sync_playwright() as playwright:
                chromium = find_chromium() or playwright_chromium()
                browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
                page = browser.new_page(viewport={"width": arguments.width, "height": arguments.height})
                page.goto(app.url)
                page.locator("#project-panel .screen").wait_for()
                for tab in TABS:
                    show(page, tab)
                    save(page.screenshot(full_page=tab in ("train", "compare")), arguments.out / f"{tab}.png")
                browser.close()
        finally:
            stop_app(app)


def show(page: Page, tab: str) -> None:
    """Open a screen and wait until it is drawn; Compare has its two models answer."""
    page.locator(f"#tab-{tab}-button").click()
    page.wait_for_timeout(SETTLE_MS)
    if tab == "compare" and page.locator("#compare-panel [data-act=ask]").count():
        page.locator("#compare-panel [data-act=ask]").click()
        page.locator(".answer .ans").nth(1).wait_for(timeout=120_000)
    page.mouse.move(0, 0)


def save(png: bytes, path: Path) -> None:
    """Write the picture, with fewer colours where it would be too large."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (0, 256, 128, 64):
        reduced = picture.quantize(colours, dither=Image.Dither.NONE) if colours else picture
        reduced.save(path, optimize=True)
        if path.stat().st_size <= LIMIT_BYTES:
            break
    print(f"{path} {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
