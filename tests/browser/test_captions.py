"""A long caption on the Review screen: it is read without scrolling where the window has room for it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import Page, expect

from leaml.records import Caption
from leaml.store import Store
from leaml.store.database import now
from tests.browser.conftest import App
from tests.browser.test_keys import open_tab
from tests.drawn import COLOUR, PROJECT, SIDE, fill

WORDS = (
    "One large round dot lies a little right of the middle of the picture, upon an even, rather light ground without "
    "any grain. Its edge is sharp all around, and nothing else is to be seen near it. The colour is strong and the "
    "same everywhere, from one side to the other. Neither shadows nor reflections are there, nor any writing, scale or "
    "frame."
)


def test_a_long_caption_is_seen_whole_and_the_buttons_stay_in_the_window(
    tmp_path: Path, serve: Callable[..., App], page: Page
) -> None:
    fill(tmp_path / "work", candidates=2)
    kinds = tuple(replace(kind, definition="By the middle of the dot.") for kind in (SIDE, COLOUR))
    with Store.open(tmp_path / "work") as store:
        store.save_project(replace(PROJECT, question_types=kinds))
        captions = [Caption(image.id, WORDS, "teacher", "Describe.", now()) for image in store.images("pool")]
        store.captions.add(captions)
    open_tab(page, serve(tmp_path / "work", "--no-sample"), "review")
    page.locator("#review-panel [name=filter_type]").select_option("colour")
    caption = page.locator("#review-panel .cap")
    for width, height, whole in ((1440, 900, True), (1440, 760, False)):
        page.set_viewport_size({"width": width, "height": height})
        expect(page.locator("#review-panel .opt")).to_have_count(3)
        expect(caption).to_contain_text(WORDS)
        fades = expect(caption).not_to_have_attribute if whole else expect(caption).to_have_attribute
        fades("data-more", "")
        for act in ("accept", "undo"):
            expect(page.locator(f"#review-panel [data-act={act}]")).to_be_in_viewport(ratio=1)
