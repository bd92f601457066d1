"""The page as a whole: it asks nobody outside, fits 900 pixels, stays light, and says what to do when it is empty."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from app import choice_text, neighbours_text, text
from leaml.store import Store
from tests.browser.conftest import ROOT, App, has_ended, stop_app
from tests.browser.test_keys import open_tab, press
from tests.drawn import fill

Serve = Callable[..., App]
TABS = ("project", "label", "train", "review", "compare")


def visit_all(page: Page, app: App) -> None:
    page.goto(app.url)
    expect(page.locator("#project-panel .screen")).to_be_visible()
    for tab in TABS:
        page.locator(f"#tab-{tab}-button").click()
        expect(page.locator(f"#tab-{tab} .screen").first).to_be_visible()


def test_it_answers_soon_and_asks_nobody_outside(tmp_path: Path, serve: Serve, page: Page) -> None:
    app = serve(tmp_path / "work", fresh=True)
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    visit_all(page, app)
    page.wait_for_timeout(1500)
    outside = [url for url in asked if not url.startswith((app.url, "data:", "blob:"))]
    assert (outside, wrong) == ([], [])
    assert app.cpu_s < 10, "the import of the sample at the first start included"


@pytest.mark.parametrize("width", [900, 1440])
def test_nothing_is_wider_than_the_window(tmp_path: Path, serve: Serve, page: Page, width: int) -> None:
    fill(tmp_path / "work", candidates=4)
    app = serve(tmp_path / "work", "--no-sample")
    page.set_viewport_size({"width": width, "height": 1000})
    page.goto(app.url)
    expect(page.locator("#project-panel .screen")).to_be_visible()
    for tab in TABS:
        page.locator(f"#tab-{tab}-button").click()
        expect(page.locator(f"#tab-{tab} .screen").first).to_be_visible()
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
    page.locator("#tab-review-button").click()
    image = page.locator("#review-panel .image").bounding_box()
    card = page.locator("#review-panel .ask").bounding_box()
    assert image is not None and card is not None
    if width < 1000:
        assert card["y"] >= image["y"] + image["height"], "stacked"
    else:
        assert card["x"] >= image["x"] + image["width"], "side by side"
    assert page.locator("#review-panel [data-act=accept]").bounding_box()["y"] < 1000, "decided without scrolling"


def test_only_images_can_be_fetched(tmp_path: Path, serve: Serve, page: Page) -> None:
    fill(tmp_path / "work")
    app = serve(tmp_path / "work", "--no-sample")
    image = next((tmp_path / "work" / "images").iterdir())
    assert page.request.get(f"{app.url}/gradio_api/file={image}").status == 200
    for private in (tmp_path / "work" / "leaml.duckdb", ROOT / "app.py", Path("/etc/passwd")):
        assert page.request.get(f"{app.url}/gradio_api/file={private}").status in (403, 404), private


def test_it_stays_light_where_the_browser_prefers_dark(tmp_path: Path, serve: Serve, browser: Browser) -> None:
    fill(tmp_path / "work")
    app = serve(tmp_path / "work", "--no-sample")
    page = browser.new_page(color_scheme="dark")
    open_tab(page, app, "label")
    expect(page.locator("body")).not_to_have_class(re.compile(r"\bdark\b"))
    colour = page.locator("#label-panel .ask h1").evaluate("node => getComputedStyle(node).color")
    assert colour == "rgb(20, 33, 43)"
    page.close()


def test_an_empty_workspace_says_what_to_do_and_can_start_the_sample(tmp_path: Path, serve: Serve, page: Page) -> None:
    app = serve(tmp_path / "work", "--no-sample")
    page.goto(app.url)
    expect(page.locator("#project-panel")).to_contain_text("This workspace is empty")
    page.locator("#tab-label-button").click()
    expect(page.locator("#label-panel")).to_contain_text("Bring images and questions")
    page.get_by_role("button", name="Go to Project").first.click()
    page.get_by_role("button", name="Start with the sample project").click()
    expect(page.get_by_text(choice_text.WORKING)).to_be_visible()
    expect(page.locator("#project-panel .loop li.on")).to_contain_text("Label a few images", timeout=60_000)
    expect(page.locator("#header")).to_contain_text("Blood smears")


def test_own_images_are_imported(tmp_path: Path, serve: Serve, page: Page) -> None:
    fill(tmp_path / "other")
    app = serve(tmp_path / "work", "--no-sample")
    page.goto(app.url)
    expect(page.locator("#project-panel")).to_contain_text("This workspace is empty")
    page.locator("[name=import_name]").fill("My dots")
    page.locator("[name=import_folder]").fill(str(tmp_path / "other" / "images"))
    page.locator("[name=import_questions]").fill("Is a dot there? | yes")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("one answer only")).to_be_visible()
    expect(page.locator("[name=import_name]")).to_have_value("My dots")
    page.locator("[name=import_questions]").fill("Is a dot there? | yes | no")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator("#project-panel")).to_contain_text("16 images imported")


def test_what_was_typed_outlasts_what_is_done_beside_it(tmp_path: Path, serve: Serve, page: Page) -> None:
    fill(tmp_path / "work")
    app = serve(tmp_path / "work", "--no-sample")
    page.goto(app.url)
    panel = page.locator("#project-panel")
    for card, name in (("import", "import_name"), ("questions", "question_list")):
        panel.locator(f"[data-card={card}] summary").click()
        panel.locator(f"[name={name}]").fill("Not sent yet")
    panel.get_by_role("button", name="for me from the reference answers").click()
    expect(panel).to_contain_text(text.labelled_for_you(24))
    expect(panel.locator("[name=import_name]")).to_be_visible()
    for name in ("import_name", "question_list"):
        expect(panel.locator(f"[name={name}]")).to_have_value("Not sent yet")
    panel.locator("[data-act=questions]").click()
    expect(panel.locator("[name=question_list]")).to_have_value("Not sent yet")  # an open question by now
    page.locator("#tab-label-button").click()
    expect(page.locator("#label-panel h1").first).to_have_text("Not sent yet")


def test_a_service_that_is_stopped_leaves_one_whole_file(tmp_path: Path, serve: Serve, page: Page) -> None:
    fill(tmp_path / "work")
    app = serve(tmp_path / "work", "--no-sample")
    open_tab(page, app, "label")
    press(page, "label", "1", "Enter")
    app.process.terminate()
    app.process.wait(20)
    assert not (tmp_path / "work" / "leaml.duckdb.wal").exists()
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "work" / "leaml.duckdb", tmp_path / "copy")
    with Store.open(tmp_path / "copy") as store:
        assert len(store.labels()) == 1


def test_a_second_app_leaves_the_first_alone(tmp_path: Path, serve: Serve, page: Page) -> None:
    fill(tmp_path / "work")
    app = serve(tmp_path / "work", "--no-sample")
    with pytest.raises(pytest.fail.Exception, match="ended with 2"):
        serve(tmp_path / "work", "--no-sample", fresh=True)
    open_tab(page, app, "label")


def test_other_websites_reach_nothing(tmp_path: Path, serve: Serve) -> None:
    fill(tmp_path / "work", candidates=4)
    app = serve(tmp_path / "work", "--no-sample")
    address = urlsplit(app.url).netloc
    port = address.split(":")[1]
    with httpx.Client(base_url=app.url) as browser:
        for host, origin in (("evil.example", None), (f"evil.example:{port}", f"http://evil.example:{port}")):
            headers = {"host": host, **({"origin": origin} if origin else {})}
            for path in ("/", "/config", "/gradio_api/info"):
                assert browser.get(path, headers=headers).status_code == 403
        foreign = {"origin": "https://evil.example"}
        posted = browser.post("/gradio_api/upload", headers=foreign, files={"files": b"large"})
        assert posted.status_code == 403 and "other websites" in posted.text
        assert browser.get("/config", headers={"host": f"localhost:{port}"}).status_code == 200
        proxied = browser.get("/config", headers={"x-forwarded-for": "10.0.0.7"})
        assert proxied.status_code == 403 and "proxy" in proxied.text
        assert browser.post("/gradio_api/upload", files={"files": b"large"}).status_code == 403


def test_loading_the_page_again_comes_back_to_the_screen(tmp_path: Path, serve: Serve, page: Page) -> None:
    fill(tmp_path / "work", candidates=4)
    app = serve(tmp_path / "work", "--no-sample")
    page.goto(app.url)
    expect(page.locator("#project-panel .screen")).to_be_visible()
    for tab in ("label", "train", "project"):
        page.locator(f"#tab-{tab}-button").click()
        expect(page.locator(f"#tab-{tab} .screen").first).to_be_visible()
        page.reload()
        expect(page.locator(f"#tab-{tab} .screen").first).to_be_visible()
        expect(page.locator(f"#tab-{tab}-button")).to_have_attribute("aria-selected", "true")


def test_another_project_is_opened_and_left_again(tmp_path: Path, serve: Serve, page: Page) -> None:
    fill(tmp_path / "work")
    app = serve(tmp_path / "work", "--no-sample")
    page.goto(app.url)
    form = page.locator("#project-panel [data-card=import]")
    form.locator("summary").click()
    form.locator("[name=import_name]").fill("My dots")
    form.locator("[name=import_folder]").fill(str(tmp_path / "work" / "images"))
    form.locator("[name=import_questions]").fill("Is it red? | yes | no")
    form.locator("[data-act=import]").click()
    page.locator("#project-panel .note [data-act=open]").wait_for()
    old = page.context.new_page()
    old.goto(app.url)
    old.locator("#project-panel [data-card=questions] summary").click()
    with Store.open(tmp_path / "work-my-dots"):  # as another app would have it
        page.locator("#project-panel .note [data-act=open]").click()
        expect(page.get_by_text(neighbours_text.cannot_open(str(tmp_path / "work-my-dots")))).to_be_visible()
        expect(page.locator("#project-panel")).not_to_have_attribute("data-busy", "1")
        page.wait_for_timeout(400)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_timeout(800)
        assert not [url for url in asked if url.endswith("app_id")], "this page stays: it waits for no other"
    page.locator("#project-panel .note [data-act=open]").click()
    expect(page.locator("#header")).to_contain_text("My dots", timeout=60_000)
    old.locator("#project-panel [data-act=questions]").click()
    expect(old.get_by_text("This page is of a project that was left since")).to_be_visible()
    old.close()
    assert not has_ended(app.process), "the same process, as the terminal sees it"
    open_tab(page, app, "label")
    expect(page.locator("#label-panel h1").first).to_have_text("Is it red?")
    press(page, "label", "1", "Enter")
    page.locator("#tab-project-button").click()
    page.locator("#project-panel summary", has_text="Other projects").click()
    page.locator("#project-panel .neighbours [data-act=open]").click()
    expect(page.locator("#header")).to_contain_text("Drawn dots", timeout=60_000)
    stop_app(app)
    with Store.open(tmp_path / "work-my-dots") as store:
        assert len(store.labels()) == 1
