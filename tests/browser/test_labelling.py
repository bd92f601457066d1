"""Labelling with the keyboard alone: one answer, several, typed ones; and one's last labels, changed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app import label_text
from leaml.records import AnsweredQuestion, Prediction, QuestionType, RunId
from leaml.store import Store
from leaml.store.results import ModelRow
from tests.browser.conftest import App, stop_app
from tests.browser.test_keys import labels_of, next_card, open_tab, press, serial
from tests.drawn import COLOUR, PROJECT, fill

Serve = Callable[..., App]
SEEN = QuestionType("seen", "What is there? Choose all that apply.", ("dot", "cell", "scale bar"))
NOTE = QuestionType("note", "What stands out?")


@pytest.fixture
def app(tmp_path: Path, serve: Serve, page: Page) -> Iterator[App]:
    """An app that asks for one answer, for several, and for words."""
    fill(tmp_path / "work")
    with Store.open(tmp_path / "work") as store:
        store.save_project(replace(PROJECT, question_types=(COLOUR, SEEN, NOTE)))
    started = serve(tmp_path / "work", "--no-sample")
    open_tab(page, started, "label")
    yield started


def asked(page: Page) -> str:
    return page.locator("#label-panel .ask h1").inner_text()


def test_ten_labels_by_keyboard_alone(app: App, page: Page) -> None:
    places = [page.locator(f"#label-panel {part}").first.bounding_box() for part in (".image", ".acts", ".bar")]
    for number in range(10):
        question = asked(page)
        if question == COLOUR.question:
            press(page, "label", "3", "Enter")
        elif question == SEEN.question:
            press(page, "label", "3", "2", "1", "2", "Enter")  # the second 2 takes it back
        else:
            expect(page.locator("#label-panel [name=answer]")).to_be_focused()
            page.keyboard.type(f"s1 z u: dot {number}")
            press(page, "label", "Enter")
        expect(page.locator("#label-panel .eyebrow").first).to_contain_text(f"{number + 1} of 40")
        now = [page.locator(f"#label-panel {part}").first.bounding_box() for part in (".image", ".acts", ".bar")]
        assert now == places, "nothing jumps between kinds of questions"
    labels = labels_of(app)
    answers = {kind: [x.pair.answer for x in labels if x.pair.type_id == kind] for kind in ("colour", "seen", "note")}
    assert answers["colour"] == ["blue"] * 4
    assert answers["seen"] == ["dot; scale bar"] * 3
    assert [answer[:12] for answer in answers["note"]] == ["s1 z u: dot "] * 3, "typing presses no shortcut"


def test_escape_leaves_the_field_and_keys_count_again(app: App, page: Page) -> None:
    while asked(page) != NOTE.question:
        press(page, "label", "1", "Enter")
    field = page.locator("#label-panel [name=answer]")
    expect(field).to_be_focused()
    before = serial(page, "label")
    page.keyboard.type("s")
    assert (field.input_value(), serial(page, "label")) == ("s", before)
    page.keyboard.press("Escape")
    expect(field).not_to_be_focused()
    press(page, "label", "s")
    expect(page.locator("#label-panel .eyebrow").first).to_contain_text("2 of 40")


def test_undo_brings_back_a_question_that_was_typed(app: App, page: Page) -> None:
    form, typed = page.locator("#label-panel .panel.own"), ("Is it round?", "yes | no", "yes")
    page.keyboard.press("o")
    for number, words in enumerate(typed):
        page.keyboard.type(words)
        if number < 2:
            page.keyboard.press("Tab")
    press(page, "label", "Enter")
    expect(form).to_be_hidden()
    press(page, "label", "u")
    expect(form).to_be_visible()
    for name, words in zip(("own_question", "own_options", "own_answer"), typed, strict=True):
        expect(form.locator(f"[name={name}]")).to_have_value(words)
    press(page, "label", "Enter")
    (label,) = labels_of(app)
    assert (label.pair.question, label.pair.options, label.pair.answer) == ("Is it round?", ("yes", "no"), "yes")


def test_an_earlier_label_is_seen_and_changed(app: App, page: Page) -> None:
    assert asked(page) == COLOUR.question
    image = page.locator("#label-panel .image img").get_attribute("src")
    press(page, "label", "1", "Enter")
    press(page, "label", "1", "Enter")
    page.locator("#label-panel .history summary").click()
    rows = page.locator("#label-panel .given button")
    expect(rows).to_have_count(2)
    before = serial(page, "label")
    rows.nth(1).click()
    expect(page.locator("#label-panel .ask")).not_to_have_attribute("data-serial", before)
    expect(page.locator("#label-panel .image img")).to_have_attribute("src", str(image))
    expect(page.locator("#label-panel [aria-checked=true]")).to_have_attribute("data-value", "red")
    expect(rows.nth(1)).to_be_visible()
    expect(rows.nth(1)).to_have_attribute("aria-current", "true")
    press(page, "label", "2", "Enter")
    expect(rows.first).to_contain_text("green")
    labels = labels_of(app)
    assert [label.pair.answer for label in labels] == ["dot", "green"]
    with Store.open(app.workspace) as store:
        assert len(list(store.events())) == 3


def test_listing_more_labels_leaves_what_is_chosen(tmp_path: Path, serve: Serve, page: Page) -> None:
    fill(tmp_path / "work")
    with Store.open(tmp_path / "work") as store:
        image = store.images("pool")[0]
        for number in range(13):
            store.add_label(AnsweredQuestion(image.id, f"Is it {number}?", (), "yes"), author="expert", seconds=1.0)
    open_tab(page, serve(tmp_path / "work", "--no-sample"), "label")
    page.keyboard.press("2")
    chosen = page.locator("#label-panel [aria-checked=true]")
    expect(chosen).to_have_count(1)
    answer = chosen.get_attribute("data-value")
    page.locator("#label-panel .history summary").click()
    page.locator("#label-panel .history [data-act=more]").click()
    expect(page.locator("#label-panel .given button")).to_have_count(13)
    expect(chosen).to_have_attribute("data-value", str(answer))
    expect(chosen).to_have_count(1)


def test_a_model_that_cannot_answer_says_so_and_the_card_goes_on(tmp_path: Path, serve: Serve, page: Page) -> None:
    fill(tmp_path / "work")
    with Store.open(tmp_path / "work") as store:
        gone = ModelRow(RunId("r0009"), "lora", "runs/r0009/output/model.safetensors", 1, 1, 0, datetime.now(UTC))
        right = [
            Prediction(one.image_id, str(one.type_id), one.question, one.options, one.answer, one.answer, True, ())
            for one in store.references("test")
        ]
        store.results.add_model(gone, right)
    open_tab(page, serve(tmp_path / "work", "--no-sample"), "label")
    page.keyboard.press("2")
    expect(page.locator(".toast-body")).to_have_count(0)
    page.keyboard.press("g")
    expect(page.get_by_text(label_text.SUGGESTING)).to_be_visible()
    expect(page.locator(".toast-body")).to_be_visible(timeout=120_000)
    expect(page.get_by_text(label_text.SUGGESTING)).to_be_hidden()
    expect(page.locator("#label-panel [aria-checked=true]")).to_have_attribute("data-key", "2")
    press(page, "label", "Enter")
    expect(page.locator("#label-panel .eyebrow").first).to_contain_text("1 of 40")


def test_answers_for_the_test_by_keyboard(tmp_path: Path, serve: Serve, page: Page) -> None:
    fill(tmp_path / "work", references=False)
    app = serve(tmp_path / "work", "--no-sample")
    open_tab(page, app, "label")
    heading, sides = page.locator("#label-panel .eyebrow").first, page.locator("#label-panel .sides")
    test = sides.get_by_role("button", name="For the test")
    expect(sides.get_by_role("button", name="To learn from")).to_have_attribute("aria-pressed", "true")
    before = serial(page, "label")
    test.focus()
    page.keyboard.press("Enter")
    next_card(page, "label", before)
    expect(test).to_have_attribute("aria-pressed", "true")
    press(page, "label", "1", "Enter")
    press(page, "label", "2", "Enter")
    expect(heading).to_contain_text("2 of 8")
    press(page, "label", "u")
    expect(heading).to_contain_text("1 of 8")
    stop_app(app)
    with Store.open(tmp_path / "work") as store:
        assert len(store.held_out.questions()) == 1 and store.labels("pool") == []
