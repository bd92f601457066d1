"""Takes the screenshots of the README: `python -m docs.screenshots --workspace FOLDER`.

The workspace should hold a finished round with pairs left to review, as `python -m leaml loop --keep FOLDER` leaves it.
"""

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.chromium import find_chromium, playwright_chromium
from tests.browser.conftest import FLAGS, start_app, stop_app

TARGET = Path(__file__).parent / "screenshots"
SCREENS = ("project", "label", "train", "review", "compare")
WIDTHS = {1440: 900, 900: 1200}
"""Width and height of the window, pixels."""
SETTLED_MS = 2500


def main() -> None:
    """Open each screen in each width and save what is seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    workspace = parser.parse_args().workspace
    TARGET.mkdir(exist_ok=True)
    app = start_app(workspace, "--no-sample", log=workspace / "screenshots.log")
    try:
        with sync_playwright() as playwright:
            chromium = find_chromium() or playwright_chromium()
            browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            for width, height in WIDTHS.items():
                page = browser.new_page(viewport={"width": width, "height": height})
                page.goto(app.url)
                page.locator("#project-panel .screen").wait_for()
                for screen in SCREENS:
                    page.locator(f"#tab-{screen}-button").click()
                    page.wait_for_timeout(SETTLED_MS)
                    if screen == "compare":
                        page.keyboard.press("Enter")  # asks both models
                        page.locator("#compare-panel").get_by_text("Reference answer").wait_for(timeout=120_000)
                        page.wait_for_timeout(SETTLED_MS)  # the bars grow
                    page.screenshot(path=TARGET / f"{screen}_{width}.jpg", type="jpeg", quality=88)
    finally:
        stop_app(app)


if __name__ == "__main__":
    main()
