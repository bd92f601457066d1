"""Label and Review by keys and buttons, and everything that must not happen by accident."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app import review_text
from leaml.records import Label
from leaml.store import Store
from tests.browser.conftest import App, stop_app
from tests.drawn import fill

Serve = Callable[..., App]

HOLD_STREAMS = """() => {
  const fetch = window.fetch.bind(window);
  let held = [];
  window.fetch = async (request, ...rest) => {
    const url = String(request.url || request), answer = await fetch(request, ...rest);
    if (url.includes('/queue/join')) {
      setTimeout((ends) => ends.forEach((end) => end()), 100, held);
      held = [];
    }
    if (!url.includes('/queue/data')) return answer;
    const late = new TransformStream({
      async transform(chunk, out) {
        if (new TextDecoder().decode(chunk).includes('close_stream')) await new Promise((end) => held.push(end));
        out.enqueue(chunk);
      },
    });
    return new Response(answer.body.pipeThrough(late), { headers: answer.headers });
  };
}"""
"""The page hears that a message stream has ended only after it has sent its next event, as on a busy machine."""


@pytest.fixture
def label_app(tmp_path: Path, serve: Serve, page: Page) -> App:
    fill(tmp_path / "work")
    app = serve(tmp_path / "work", "--no-sample")
    open_tab(page, app, "label")
    return app


@pytest.fixture
def review_app(tmp_path: Path, serve: Serve, page: Page) -> App:
    fill(tmp_path / "work", candidates=8)
    app = serve(tmp_path / "work", "--no-sample")
    open_tab(page, app, "review")
    return app


def open_tab(page: Page, app: App, tab: str) -> None:
    page.goto(app.url)
    expect(page.locator("#project-panel .screen")).to_be_visible()
    page.locator(f"#tab-{tab}-button").click()
    expect(page.locator(f"#{tab}-panel .screen")).to_be_visible()


def press_abroad(page: Page, key: str, code: str) -> None:
    """Press a key of another keyboard, by what it writes and by its place."""
    made = "([key, code]) => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, code, bubbles: true }))"
    page.evaluate(made, [key, code])


def serial(page: Page, tab: str) -> str:
    return page.locator(f"#{tab}-panel .ask").get_attribute("data-serial") or ""


def next_card(page: Page, tab: str, before: str) -> None:
    expect(page.locator(f"#{tab}-panel .ask")).not_to_have_attribute("data-serial", before)
    expect(page.locator(f"#{tab}-panel")).not_to_have_attribute("data-busy", "1")


def press(page: Page, tab: str, *keys: str) -> None:
    """Press keys, the last of which brings another card, and wait for it."""
    before = serial(page, tab)
    for key in keys:
        page.keyboard.press(key)
    next_card(page, tab, before)


def labels_of(app: App) -> list[Label]:
    stop_app(app)
    with Store.open(app.workspace) as store:
        return store.labels()


def test_labels_by_keys_are_saved_and_undone(label_app: App, page: Page) -> None:
    questions = []
    for _ in range(4):
        questions.append(page.locator("#label-panel .ask h1").inner_text())
        press(page, "label", "2", "Enter")
    assert questions[0] != questions[1], "the question types take turns"
    expect(page.locator("#label-panel .eyebrow").first).to_contain_text("4 of 40")
    press(page, "label", "u")
    expect(page.locator("#label-panel [aria-checked=true]")).to_have_attribute("data-key", "2")
    press(page, "label", "1", "Enter")
    press(page, "label", "s")
    labels = labels_of(label_app)
    assert [label.pair.answer == label.pair.options[1] for label in labels] == [True, True, True, False]
    assert len({label.pair.image_id for label in labels}) == 4
    assert all(label.author == "expert" and 0 < label.seconds < 60 for label in labels)


def test_enter_without_an_answer_saves_nothing(label_app: App, page: Page) -> None:
    page.keyboard.press("Enter")
    expect(page.get_by_text("Choose an answer first")).to_be_visible()
    assert labels_of(label_app) == []


def test_a_question_of_ones_own_and_keys_while_typing(label_app: App, page: Page) -> None:
    page.keyboard.press("o")
    page.keyboard.type("Is 1 dot visible, surely?")
    page.locator("[name=own_answer]").fill("yes")
    before = serial(page, "label")
    page.keyboard.press("Enter")
    next_card(page, "label", before)
    expect(page.locator("#label-panel .saved")).to_have_text("Saved")
    (label,) = labels_of(label_app)
    assert (label.pair.question, label.pair.answer, label.pair.type_id) == ("Is 1 dot visible, surely?", "yes", None)


def test_another_question_about_the_same_image(label_app: App, page: Page) -> None:
    image = page.locator("#label-panel img").first.get_attribute("src")
    before = serial(page, "label")
    page.locator("#label-panel button.link", has_text="colour").click()
    next_card(page, "label", before)
    expect(page.locator("#label-panel .ask h1")).to_have_text("Which colour is the dot?")
    assert page.locator("#label-panel img").first.get_attribute("src") == image


def test_review_by_keys(review_app: App, page: Page) -> None:
    page.keyboard.press("Enter")  # it saves a change, and there is none: nobody accepts a pair by accident
    press(page, "review", "a")  # accept
    press(page, "review", "2", "Enter")  # another answer, saved
    page.keyboard.press("r")
    expect(page.locator("#review-panel .panel.reject")).to_be_visible()
    press(page, "review", "2")  # not visible
    press(page, "review", "s")
    expect(page.locator("#review-panel .foot")).to_contain_text("Accepted 1")
    expect(page.locator("#review-panel .foot")).to_contain_text("Edited 1")
    expect(page.locator("#review-panel .foot")).to_contain_text("Rejected 1")
    press(page, "review", "u")  # the skip
    open_tab(page, review_app, "review")  # a page that is loaded anew still knows what there is to undo
    press(page, "review", "u")  # the rejection
    expect(page.locator("#review-panel .foot")).to_contain_text("Rejected 0")
    stop_app(review_app)
    with Store.open(review_app.workspace) as store:
        counts = store.queue.counts()
        pairs = store.answered.reviewed()
    assert (counts.accepted, counts.edited, counts.rejected, counts.open) == (1, 1, 0, 6)
    assert sorted(pair.options.index(pair.answer) for pair in pairs) == [0, 1]


def test_review_in_another_script_by_the_keys_of_other_keyboards(review_app: App, page: Page) -> None:
    for part in ("h1", ".opt span", ".cap"):
        expect(page.locator(f"#review-panel {part}").first).to_have_css("unicode-bidi", "plaintext")
    page.locator("[name=edit_question]").evaluate("field => { field.value = 'איפה?' }")
    expect(page.locator("[name=edit_question]")).to_have_css("direction", "rtl")
    chosen = page.locator("#review-panel [aria-checked=true]")
    scale = page.locator("#review-panel .scale")
    page.keyboard.press("+")
    expect(scale).to_have_text("1.4\N{MULTIPLICATION SIGN}")
    press_abroad(page, "-", "Digit6")  # a French 6: there is no sixth answer, so it is what it writes
    expect(scale).to_have_text("1.0\N{MULTIPLICATION SIGN}")
    press_abroad(page, "é", "Digit2")
    expect(chosen).to_have_attribute("data-key", "2")
    page.keyboard.press("e")
    expect(page.locator("[name=edit_answer]")).to_have_value(chosen.get_attribute("data-value") or "")
    page.keyboard.press("Escape")
    for key, code in ((".", "KeyE"), ("э", "Quote"), ("A", "KeyQ")):  # Dvorak's full stop; a French A
        before = serial(page, "review")
        press_abroad(page, key, code)
    next_card(page, "review", before)
    before = serial(page, "review")
    press_abroad(page, "ф", "KeyA")
    next_card(page, "review", before)
    expect(page.locator("#review-panel .foot")).to_contain_text("Accepted 1Edited 1")


def test_the_next_images_are_there_before_they_are_needed(tmp_path: Path, serve: Serve, page: Page) -> None:
    fill(tmp_path / "work", pool=40, candidates=40)
    app = serve(tmp_path / "work", "--no-sample")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(app.url)
    expect(page.locator("#project-panel .screen")).to_be_visible()
    page.wait_for_timeout(500)
    of_the_project = set(asked)  # its screen shows some of the images
    page.locator("#tab-review-button").click()
    expect(page.locator("#review-panel .screen")).to_be_visible()
    fresh = []
    for _ in range(6):
        page.wait_for_timeout(300)
        before = list(asked)
        press(page, "review", "a")
        shown = page.locator("#review-panel .image img").first.evaluate("image => image.src")
        assert shown in before
        fresh.append(shown not in of_the_project)
    assert sum(fresh) >= 3


def test_it_can_be_heard_and_the_focus_stays(review_app: App, page: Page) -> None:
    card = page.locator("#review-panel .ask")
    expect(page.get_by_role("radiogroup", name=card.locator("h1").inner_text())).to_be_visible()
    expect(page.get_by_role("radio", checked=True)).to_have_count(1)
    skip = card.locator("[data-act=skip]")
    for _ in range(2):  # by Tab and Enter alone: each next card is decided from the same place
        skip.focus()
        press(page, "review", "Enter")
        expect(skip).to_be_focused()
    expect(page.locator("#leaml-said[role=status]")).to_contain_text(card.locator("h1").inner_text())


def test_the_focus_stays_on_another_question_of_the_image(label_app: App, page: Page) -> None:
    other = page.locator("#label-panel .others [data-act=switch]:not([aria-current])").first
    name, wanted = other.get_attribute("data-to"), page.locator("#label-panel [data-act=switch]:focus")
    other.focus()
    press(page, "label", "Enter")
    expect(wanted).to_have_attribute("data-to", name or "")


def test_the_time_on_a_card_is_the_time_it_was_looked_at(review_app: App, page: Page) -> None:
    page.locator("#tab-label-button").click()
    expect(page.locator("#label-panel .ask")).to_be_visible()
    page.wait_for_timeout(4000)
    page.locator("#tab-review-button").click()
    expect(page.locator("#review-panel .ask")).to_be_visible()
    page.wait_for_timeout(1000)
    press(page, "review", "a")
    stop_app(review_app)
    with Store.open(review_app.workspace) as store:
        (event,) = [event.content for event in store.events() if event.content]
    assert 0.9 < event["seconds"] < 3.9


def test_review_by_buttons_and_typed_edit(review_app: App, page: Page) -> None:
    page.keyboard.press("e")
    question = page.locator("[name=edit_question]")
    expect(question).to_be_focused()
    question.fill("Any dots (a, s, r, u)?")
    page.locator("[name=edit_options]").fill("none | some")
    page.locator("[name=edit_answer]").fill("some")
    before = serial(page, "review")
    page.locator("#review-panel .panel.edit .go").click()
    next_card(page, "review", before)
    before = serial(page, "review")
    page.locator("#review-panel").get_by_role("button", name="Accept").click()
    next_card(page, "review", before)
    stop_app(review_app)
    with Store.open(review_app.workspace) as store:
        edited = store.answered.reviewed()[0]
    assert (edited.question, edited.options, edited.answer) == ("Any dots (a, s, r, u)?", ("none", "some"), "some")
    assert edited.type_id is None


def test_an_edit_outside_its_options_is_refused_with_a_sentence(review_app: App, page: Page) -> None:
    page.keyboard.press("e")
    page.locator("[name=edit_answer]").fill("purple")
    page.locator("[name=edit_answer]").press("Enter")
    expect(page.get_by_text("is not one of the options")).to_be_visible()
    # The card hears keys again.
    expect(page.locator("#review-panel")).not_to_have_attribute("data-busy", "1")
    page.locator("[name=edit_answer]").fill("grey")
    page.locator("[name=edit_answer]").press("Enter")
    expect(page.get_by_text("“grey”")).to_be_visible()
    expect(page.locator(".toast-message-item:visible")).to_have_count(1)  # the newest, whatever was said before
    expect(page.locator("#review-panel")).not_to_have_attribute("data-busy", "1")
    page.keyboard.press("Escape")
    press(page, "review", "a")


def test_what_is_open_below_the_card_stays_while_cards_are_decided(review_app: App, page: Page) -> None:
    page.locator("#review-desk").get_by_role("button", name=review_text.DESK).click()
    table = page.locator("#review-desk table.desk")
    expect(table.locator("tbody tr")).to_have_count(2)
    expect(page.locator("#review-desk")).not_to_have_attribute("data-busy", "1")
    press(page, "review", "a")
    expect(table).to_be_visible()
    page.locator("#review-desk").get_by_role("button", name=review_text.COUNT_ANEW).click()
    expect(page.locator("#review-desk")).not_to_have_attribute("data-busy", "1")
    press(page, "review", "r", "1")
    expect(page.locator("#review-panel .foot")).to_contain_text("Rejected 1")
    page.locator("#tab-project-button").click()
    page.locator("#tab-review-button").click()  # draws the card anew: a drawing that ends late closes nothing
    expect(page.locator("#review-panel .screen")).to_be_visible()
    page.wait_for_timeout(500)
    expect(table).to_be_visible()
    page.locator("#review-desk").get_by_role("button", name=review_text.DESK_CLOSE).click()
    expect(table).to_be_hidden()


def test_a_decision_sent_while_a_message_stream_ends_is_answered(review_app: App, page: Page) -> None:
    page.evaluate(HOLD_STREAMS)
    for _ in range(3):
        press(page, "review", "a")
    expect(page.locator("#review-panel .foot")).to_contain_text("Accepted 3")


def test_a_flood_of_keys_decides_each_card_once(review_app: App, page: Page) -> None:
    for _ in range(25):
        page.keyboard.press("a", delay=0)
    page.wait_for_timeout(1500)
    stop_app(review_app)
    with Store.open(review_app.workspace) as store:
        counts = store.queue.counts()
    assert 1 <= counts.accepted <= 8
    assert counts.accepted + counts.open == 8


def test_a_double_click_decides_once(review_app: App, page: Page) -> None:
    page.locator("#review-panel").get_by_role("button", name="Accept").dblclick()
    expect(page.locator("#review-panel .foot")).to_contain_text("Accepted 1")
    page.wait_for_timeout(700)
    expect(page.locator("#review-panel .foot")).to_contain_text("Accepted 1")


def test_a_second_tab_with_an_old_card_changes_nothing(review_app: App, page: Page) -> None:
    other = page.context.new_page()
    open_tab(other, review_app, "review")
    press(page, "review", "a")
    other.keyboard.press("r")
    other.keyboard.press("1")
    expect(other.locator("#review-panel .foot")).to_contain_text("Accepted 1")
    expect(other.locator("#review-panel .foot")).to_contain_text("Rejected 0")


def test_keys_act_only_on_the_open_tab(review_app: App, page: Page) -> None:
    page.locator("#tab-project-button").click()
    page.keyboard.press("a")
    page.wait_for_timeout(500)
    page.locator("#tab-review-button").click()
    expect(page.locator("#review-panel .foot")).to_contain_text("Accepted 0")


def test_nothing_jumps_and_the_image_stays(review_app: App, page: Page) -> None:
    def places() -> list[dict[str, float] | None]:
        selectors = (".image", ".stage .acts", "kbd >> nth=0", ".bar")
        return [page.locator(f"#review-panel {selector}").first.bounding_box() for selector in selectors]

    before = places()
    for _ in range(4):  # question types with two and with three answers alternate
        page.keyboard.press("2")
        expect(page.locator("#review-panel .ask")).to_have_attribute("data-changed", "")
        assert places() == before, "nor with another answer"
        press(page, "review", "a")
        assert places() == before


@pytest.mark.parametrize("width", [1440, 900])
def test_the_caption_stays_while_a_pair_is_edited(review_app: App, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    places = [page.locator(f"#review-panel {part}").bounding_box() for part in (".image", ".ask")]
    caption = page.locator("#review-panel .cap")
    page.keyboard.press("e")
    expect(caption).to_be_in_viewport()
    assert [page.locator(f"#review-panel {part}").bounding_box() for part in (".image", ".ask")] == places
    page.keyboard.press("Escape")
    expect(caption).not_to_have_attribute("data-more", "")
    caption.evaluate("box => { box.append(' and more'.repeat(200)); box.dispatchEvent(new Event('scroll')) }")
    expect(caption).to_have_attribute("data-more", "")  # it goes on below its edge, and fades out there
    caption.evaluate("box => box.scrollTo(0, box.scrollHeight)")
    expect(caption).not_to_have_attribute("data-more", "")


def test_zoom_contrast_and_help(review_app: App, page: Page) -> None:
    page.keyboard.press("z")
    expect(page.locator("#review-panel .image")).to_have_class("card image zoomed")
    page.keyboard.press("z")
    page.keyboard.press("?")
    expect(page.locator("#review-panel dialog")).to_be_visible()
    page.keyboard.press("a")
    page.keyboard.press("Escape")
    expect(page.locator("#review-panel dialog")).to_be_hidden()
    expect(page.locator("#review-panel .foot")).to_contain_text("Accepted 0")
