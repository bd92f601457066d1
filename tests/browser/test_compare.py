"""Compare in a real browser: a model that was tested before the test grew is asked the rest by one button."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from leaml.config import FinetuneConfig, model_run
from leaml.freeze import freeze
from leaml.jobs import Jobs
from leaml.records import AnsweredQuestion, QuestionType, RunId
from leaml.store import Store
from tests.browser.conftest import App
from tests.browser.test_keys import open_tab
from tests.drawn import PROJECT, fill

NOTE = QuestionType("note", "What stands out?")


@pytest.mark.timeout(600)
def test_a_model_is_asked_what_the_test_has_gained(tmp_path: Path, serve: Callable[..., App], page: Page) -> None:
    workspace = tmp_path / "work"
    fill(workspace)
    jobs = Jobs(workspace / "runs")
    with Store.open(workspace) as store:
        config = model_run(FinetuneConfig("zero_shot")).to_json()
        assert jobs.wait(jobs.submit(config, lambda directory: freeze(store, directory)), timeout_s=300).name == "done"
        note = replace(PROJECT, question_types=(*PROJECT.question_types, NOTE))
        store.save_project(note, author="me")
        pair = AnsweredQuestion(store.images("test")[0].id, NOTE.question, (), "a scratch", NOTE.id)
        store.add_label(pair, author="me", seconds=1.0)
    app = serve(workspace, "--no-sample")
    open_tab(page, app, "compare")
    table = page.locator("#compare-table")
    expect(table).to_contain_text("8 test questions about 4 images; 1 more when Base model is tested again")
    table.get_by_role("button", name="Test Base model again").click()
    expect(table).to_contain_text("Base model: on the way. The Train screen shows how far.")
    assert jobs.wait(RunId("r0002"), timeout_s=300).name == "done"
    expect(table).to_contain_text("9 test questions about 4 images")  # nobody has to come back for it
    expect(table.locator("button")).to_have_count(0)
