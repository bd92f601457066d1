"""The whole loop on a part of the sample project, as a newcomer walks it: label, train, review, fine-tune, compare."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from leaml.data.project_folder import SAMPLES, import_project
from leaml.store import Store
from tests.browser.conftest import App, stop_app
from tests.browser.test_keys import open_tab, press

SHORT = ("--generator-steps", "8", "--finetune-steps", "3")
TRAINING_MS = 1_200_000
"""Patience, not expectation: each stage takes seconds on an idle machine."""
POOL, TEST = 56, 8
"""Images of either side: all of the sample's take ten minutes on one core, most of it spent in looking at images."""


@pytest.mark.timeout(3600)
def test_the_whole_loop_on_the_sample(tmp_path: Path, serve: Callable[..., App], page: Page) -> None:
    with Store.open(tmp_path / "work") as store:
        import_project(store, part_of_the_sample(tmp_path / "part"))
    app = serve(tmp_path / "work", *SHORT)
    label_some_then_forty(page, app)
    train_and_reload(page, app)
    review_some(page)
    finetune_all(page)
    compare(page)
    stop_app(app)
    with Store.open(app.workspace) as store:
        assert len(store.labels("pool")) == 40
        assert not store.labels("test"), "no test image is ever labelled"
        assert {model.method for model in store.results.models()} == {
            "zero_shot",
            "full_finetune",
            "lora",
            "leaml",
            "leaml_reviewed",
        }
        counts = store.queue.counts()
    assert (counts.accepted, counts.edited, counts.rejected) == (3, 1, 1)


def part_of_the_sample(folder: Path) -> Path:
    """Write a project folder with the sample's first images of either side and all that is said about them."""
    sample = SAMPLES["blood_smears"]
    (folder / "images").mkdir(parents=True)
    shutil.copy(sample / "project.json", folder)
    lines = {
        name: (sample / name).read_text().splitlines() for name in ("images.jsonl", "captions.jsonl", "reference.jsonl")
    }
    rows = [json.loads(line) for line in lines["images.jsonl"]]
    kept = set[str]()
    for split, count in (("pool", POOL), ("test", TEST)):
        kept |= {row["file"] for row in [row for row in rows if row["split"] == split][:count]}
    for name, own in lines.items():
        (folder / name).write_text("\n".join(line for line in own if json.loads(line)["file"] in kept) + "\n")
    for name in kept:
        shutil.copy(sample / "images" / name, folder / "images")
    return folder


def label_some_then_forty(page: Page, app: App) -> None:
    """Label three by keys, then let the reference answers do the rest."""
    open_tab(page, app, "label")
    for _ in range(3):
        press(page, "label", "1", "Enter")
    page.get_by_role("button", name="Label 37 for me from the reference answers").first.click()
    expect(page.locator("#label-panel .eyebrow").first).to_contain_text("40 of 40")
    page.get_by_role("button", name="Go to Train").first.click()


def train_and_reload(page: Page, app: App) -> None:
    """Start the generator, reload the page in the middle, cancel, resume, and see it end."""
    leaml_row = page.locator("[data-method-row=leaml]")
    expect(leaml_row.get_by_role("button")).to_be_disabled()
    expect(leaml_row).to_contain_text("train the generator first")
    page.locator("#train-generator").click()
    expect(page.locator("#generator-panel .steps li.on")).to_be_visible(timeout=TRAINING_MS)
    page.reload()
    page.locator("#tab-train-button").click()
    expect(page.locator("#cancel-run")).to_be_visible(timeout=30_000)
    expect(page.locator("#generator-panel .steps li.on")).to_contain_text("Question generator", timeout=TRAINING_MS)
    expect(page.locator("#loss-plot .scatterlayer .trace").first).to_be_attached(timeout=TRAINING_MS)
    page.locator("#cancel-run").click()
    expect(page.locator("#resume-run")).to_be_visible(timeout=TRAINING_MS)
    page.locator("#resume-run").click()
    expect(page.locator("#generator-panel")).to_contain_text("usable pairs", timeout=TRAINING_MS)
    see_the_mask(page)


def see_the_mask(page: Page) -> None:
    """Read every cell and the largest rows; nothing overlaps in a narrow window or a wide one."""
    mask = page.locator("#mask-panel")
    expect(mask.locator("td[title]")).to_have_count(6 * 7)
    expect(mask.locator("td[title]").first).to_have_text(re.compile(r"^10% \d+(\.\d+)?%$"))
    rows = mask.locator(".largest li")
    expect(rows).to_have_count(8)
    expect(rows.first).to_have_text(re.compile(r"layer \d · \w+ · row \d+0\.\d+%$"))
    expect(mask).to_contain_text("What stays frozen: the part that looks at the image")
    expect(mask).to_contain_text("1 weight: an embedding")
    for width in (900, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        cut = "nodes => nodes.filter(n => n.scrollWidth > n.clientWidth + 1).map(n => n.textContent)"
        assert mask.locator("td, th, li, li > span, p, table").evaluate_all(cut) == []


def review_some(page: Page) -> None:
    """Accept, correct, reject, skip and undo by keys."""
    page.locator("#generator-panel").get_by_role("button", name="Go to Review").click()
    expect(page.locator("#review-panel .cap")).to_be_visible()
    for _ in range(3):
        press(page, "review", "a")
    given = page.locator("#review-panel [aria-checked=true]").get_attribute("data-key")
    press(page, "review", "2" if given == "1" else "1", "Enter")
    press(page, "review", "r", "1")
    press(page, "review", "r", "5")
    press(page, "review", "u")
    for said in ("Accepted 3", "Edited 1", "Rejected 1"):
        expect(page.locator("#review-panel .foot")).to_contain_text(said)


def finetune_all(page: Page) -> None:
    """Queue every method and wait until each has its result."""
    page.locator("#tab-train-button").click()
    page.locator("#train-all").click()
    for method in ("zero_shot", "full_finetune", "lora", "leaml", "leaml_reviewed"):
        expect(page.locator("#train-all")).to_be_disabled()
        expect(page.locator(f"[data-method-row={method}]")).to_contain_text("right on the test", timeout=TRAINING_MS)
    expect(page.locator("#train-all")).to_be_enabled()


def compare(page: Page) -> None:
    """Ask two models about an image, go on to the next, and read the table."""
    page.locator("#tab-compare-button").click()
    table = page.locator("#compare-table")
    for name in ("Majority answer", "Base model", "Full fine-tuning", "LoRA", "LEAML, reviewed"):
        expect(table).to_contain_text(name)
    expect(table.locator(".finding")).to_contain_text(re.compile("95% interval"))
    expect(page.locator("#interval-plot .scatterlayer .trace").first).to_be_attached()
    page.keyboard.press("Enter")
    expect(page.locator(".answer .ans")).to_have_count(2, timeout=120_000)
    name = page.locator("#compare-panel .where").inner_text()
    expect(page.locator("#compare-panel")).not_to_have_attribute("data-busy", "1")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#compare-panel .where")).not_to_have_text(name)
    expect(page.locator(".answer .ans")).to_have_count(2, timeout=60_000)
    expect(page.locator("#compare-panel .foot")).to_contain_text("Reference answer")
    drawn = "n => n.querySelector('.bar i').getBoundingClientRect().width / n.querySelector('.bar').clientWidth"
    page.wait_for_timeout(500)  # the bars grow
    for option in page.locator(".probs > div").all():
        assert option.evaluate(drawn) == pytest.approx(float(option.locator("em").inner_text()), abs=0.02)
    switch_the_adapter(page)


def switch_the_adapter(page: Page) -> None:
    """Turn off what the right model learnt: it answers as the base model does, and on again as before."""
    expect(page.locator("#adapter-left")).to_have_attribute("aria-pressed", "true")
    place = page.locator(".answers").bounding_box()
    page.locator("[name=left]").select_option("base")
    expect(page.locator("#adapter-left")).to_have_count(0)
    base, learnt = answers(page)
    assert base != learnt
    switch = page.locator("#adapter-right")
    page.keyboard.press("d")
    expect(switch).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#adapter-right-state")).to_have_text("off: without what it learnt here")
    assert answers(page) == [base, base]
    expect(page.locator(".answer[data-side=left] .swap")).to_have_text(re.compile(r"values swapped in \d+ ms"))
    expect(page.locator(".answer[data-side=right] .swap")).to_have_text("")  # it had the base model's values already
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-pressed", "true")
    assert answers(page) == [base, learnt]
    expect(page.locator(".answer[data-side=right] .swap")).to_have_text(re.compile(r"values swapped in \d+ ms"))
    expect(switch).to_be_focused()
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "false")
    assert answers(page) == [base, base]
    assert page.locator(".answers").bounding_box() == place, "nothing moved"


def answers(page: Page) -> list[str]:
    """Wait for both answers; return each with its figures."""
    expect(page.locator(".answer .ans")).to_have_count(2, timeout=60_000)
    expect(page.locator("#compare-panel")).not_to_have_attribute("data-busy", "1")
    return [
        page.locator(f".answer[data-side={side}]")
        .locator(".ans, .probs")
        .evaluate_all("n => n.map(m => m.innerText)+''")
        for side in ("left", "right")
    ]
