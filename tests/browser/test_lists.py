"""Lists of choices show what the server goes by, also where a person has chosen from them before."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import App
from tests.browser.test_keys import open_tab, press
from tests.drawn import fill


@pytest.fixture
def review_app(tmp_path: Path, serve: Callable[..., App], page: Page) -> App:
    fill(tmp_path / "work", candidates=8)
    app = serve(tmp_path / "work", "--no-sample")
    open_tab(page, app, "review")
    return app


def choose(page: Page, name: str, value: str) -> None:
    """Choose from a list of the filters, and wait for the answer."""
    page.locator(f"#review-panel [name={name}]").select_option(value)
    page.wait_for_timeout(50)
    expect(page.locator("#review-panel")).not_to_have_attribute("data-busy", "1")


def test_the_filters_show_what_is_filtered_by(review_app: App, page: Page) -> None:
    panel = page.locator("#review-panel")
    for value in ("side", "", "side"):
        choose(page, "filter_type", value)
    expect(panel).to_contain_text("4 left of these")
    panel.locator("[data-act=show_all]").click()
    expect(panel).not_to_contain_text("left of these")
    expect(panel.locator("[name=filter_type]")).to_have_value("")
    choose(page, "filter_caption", "yes")
    expect(panel).to_contain_text("8 left of these")


def test_a_list_gives_the_keys_back_to_who_came_by_mouse(review_app: App, page: Page) -> None:
    agreement = page.locator("#review-panel [name=filter_agreement]")
    agreement.click()
    agreement.press("ArrowDown")
    agreement.press("Enter")
    expect(agreement).to_have_value("high")
    expect(agreement).not_to_be_focused()
    agreement.focus()
    agreement.press("End")
    expect(agreement).to_have_value("low")
    expect(agreement).to_be_focused()
    choose(page, "filter_agreement", "")
    agreement.click()
    agreement.press("Escape")
    choose(page, "filter_agreement", "middle")
    press(page, "review", "a")
    expect(page.locator("#review-panel .foot")).to_contain_text("Accepted 1")


def test_choices_made_while_another_is_answered_are_all_kept(review_app: App, page: Page) -> None:
    chosen = {"filter_type": "side", "filter_agreement": "middle", "filter_caption": "yes"}
    page.evaluate(
        """(chosen) => {
          for (const [name, value] of Object.entries(chosen)) {
            const list = document.querySelector(`#review-panel [name=${name}]`);
            list.value = value;
            list.dispatchEvent(new Event('change', { bubbles: true }));
          }
        }""",
        chosen,
    )
    for name, value in chosen.items():
        expect(page.locator(f"#review-panel [name={name}] option[selected]")).to_have_attribute("value", value)
        expect(page.locator(f"#review-panel [name={name}]")).to_have_value(value)


def test_a_choice_that_is_not_saved_yet_outlasts_what_is_done_beside_it(review_app: App, page: Page) -> None:
    page.locator("#tab-project-button").click()
    card = page.locator("#project-panel .choices")
    card.get_by_text("Choose others").click()
    card.locator("[name=choice_source]").select_option("server")
    page.locator("#project-panel").get_by_role("button", name="for me from the reference answers").click()
    expect(page.get_by_role("tab", name="Label 24")).to_be_visible()
    page.wait_for_timeout(500)
    expect(card.locator("[name=choice_source]")).to_have_value("server")
    expect(card.locator("[name=choice_url]")).to_be_visible()


def test_a_file_that_was_corrected_can_be_chosen_again(review_app: App, page: Page) -> None:
    page.locator("#tab-project-button").click()
    card = page.locator("#project-panel [data-card=labels]")
    card.locator("summary").click()
    file, content = card.locator("[data-read]"), card.locator("[name=label_csv]")
    file.set_input_files({"name": "labels.csv", "mimeType": "text/csv", "buffer": b"image,question"})
    expect(content).to_have_value("image,question")
    with page.expect_file_chooser():
        file.click()
    expect(file).to_have_value("")  # so that choosing the same name is a change
    expect(content).to_have_value("")
