"""Several people at one app: signing in, what stays closed until then, and whose name a decision carries."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from app import people_text
from leaml.records import ROLES
from leaml.store import Store
from leaml.store.database import now
from tests.app.conftest import PASSWORD
from tests.browser.conftest import App, stop_app
from tests.browser.test_keys import press
from tests.drawn import fill

Serve = Callable[..., App]


@pytest.fixture
def shared_app(tmp_path: Path, serve: Serve) -> App:
    """An app that listens everywhere, with pairs to review and one user of each role, named like it."""
    fill(tmp_path / "work", candidates=4)
    with Store.open(tmp_path / "work") as store:
        for role in ROLES:
            store.users.add(role, role, PASSWORD)
    return serve(tmp_path / "work", "--no-sample", "--host", "0.0.0.0")


def sign_in(page: Page, app: App, name: str, password: str = PASSWORD) -> None:
    page.goto(app.url)
    page.get_by_label("username").fill(name)
    page.get_by_label("password").fill(password)
    page.get_by_role("button", name="Login").click()


def test_nothing_is_given_out_before_signing_in(shared_app: App) -> None:
    image = next((shared_app.workspace / "images").iterdir())
    with httpx.Client(base_url=shared_app.url, trust_env=False) as client:
        for path in ("config", "gradio_api/info", "gradio_api/queue/data?session_hash=x", "monitoring/summary"):
            assert client.get(f"/{path}").status_code == 401, path
        assert client.get(f"/gradio_api/file={image}").status_code == 401
        for path in ("queue/join", "run/predict", "call/act"):
            event = {"fn_index": 0, "data": [], "session_hash": "x"}
            assert client.post(f"/gradio_api/{path}", json=event).status_code == 401, path
        assert "Drawn dots" not in client.get("/").text
        for words in (("admin", "wrong wrong"), ("nobody", PASSWORD), ("", "")):
            form = {"username": words[0], "password": words[1]}
            assert client.post("/login", data=form).status_code in (400, 422)
            assert client.get(f"/gradio_api/file={image}").status_code == 401
        assert client.post("/login", data={"username": "reviewer", "password": PASSWORD}).status_code == 200
        assert client.get(f"/gradio_api/file={image}").status_code == 200
        assert client.get("/logout", follow_redirects=False).status_code == 302
        assert client.get(f"/gradio_api/file={image}").status_code == 401


def test_other_websites_reach_nothing_through_who_has_signed_in(shared_app: App) -> None:
    image = next((shared_app.workspace / "images").iterdir())
    with httpx.Client(base_url=shared_app.url, trust_env=False) as client:
        signed_in = client.post("/login", data={"username": "admin", "password": PASSWORD})
        cookies = signed_in.headers.get_list("set-cookie")
        assert len(cookies) == 2 and all("SameSite=lax" in cookie for cookie in cookies)
        assert signed_in.headers["x-frame-options"] == "SAMEORIGIN"
        own = {"origin": shared_app.url, "sec-fetch-site": "same-origin"}
        event = {"fn_index": 0, "data": [], "session_hash": "x"}
        assert client.get("/config", headers=own).status_code == 200
        assert client.get("/", headers={"host": "leaml.hospital.example"}).status_code == 200, "a proxy gives any name"
        link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
        assert client.get("/", headers=link).status_code == 200
        sibling = {"origin": "https://wiki.hospital.example"}
        framed, embedded = (
            {**link, "sec-fetch-dest": "iframe"},
            {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
        )
        for headers in (sibling, framed, embedded, {"origin": "null"}):
            for path in ("config", "gradio_api/token", f"gradio_api/file={image}"):
                assert client.get(f"/{path}", headers=headers).status_code == 403, (path, headers)
            assert client.post("/gradio_api/queue/join", json=event, headers=headers).status_code == 403
        assert client.post("/gradio_api/queue/join", json=event, headers=link).status_code == 403


def test_guessing_makes_a_name_wait(shared_app: App) -> None:
    with httpx.Client(base_url=shared_app.url, trust_env=False) as client:
        for _ in range(5):
            client.post("/login", data={"username": "admin", "password": "wrong wrong"})
        assert client.post("/login", data={"username": "admin", "password": PASSWORD}).status_code == 400
        assert client.post("/login", data={"username": "expert", "password": PASSWORD}).status_code == 200


def test_people_sign_in_decide_under_their_names_and_see_what_they_may(
    shared_app: App, page: Page, browser: Browser
) -> None:
    sign_in(page, shared_app, "reviewer", "wrong wrong")
    expect(page.get_by_text("Incorrect Credentials")).to_be_visible()
    sign_in(page, shared_app, "reviewer")
    expect(page.locator("#project-panel .screen")).to_be_visible()
    expect(page.locator("#header .who")).to_contain_text("reviewer")
    page.locator("#tab-label-button").click()
    expect(page.locator("#label-panel")).to_contain_text("Labelling is for experts")
    page.locator("#tab-train-button").click()
    expect(page.locator("#train-generator")).to_be_disabled()
    page.locator("#tab-review-button").click()
    expect(page.locator("#review-panel .ask")).to_be_visible()
    press(page, "review", "a")

    other = browser.new_context().new_page()
    sign_in(other, shared_app, "expert")
    expect(other.locator("#project-panel .screen")).to_be_visible()
    other.locator("#tab-label-button").click()
    press(other, "label", "1", "Enter")
    other.get_by_role("link", name="Sign out").click()
    expect(other.get_by_role("button", name="Login")).to_be_visible()
    other.context.close()

    page.context.clear_cookies()  # as when the app has been started anew
    page.keyboard.press("a")
    expect(page.locator(".toast-body")).to_contain_text(people_text.SIGNED_OUT)
    expect(page.locator("#review-panel")).not_to_have_attribute("data-busy", "1")

    stop_app(shared_app)
    with Store.open(shared_app.workspace) as store:
        authors = [(event.content["table"], event.content["author"]) for event in store.events() if event.content]
        assert authors == [("review_events", "reviewer"), ("label_events", "expert")]
        assert store.verify_events()[0] == 2


def test_two_browsers_never_show_one_card(shared_app: App, page: Page, browser: Browser) -> None:
    other = browser.new_context().new_page()
    for tab, name in ((page, "admin"), (other, "reviewer")):
        sign_in(tab, shared_app, name)
        expect(tab.locator("#project-panel .screen")).to_be_visible()
        tab.locator("#tab-review-button").click()
        expect(tab.locator("#review-panel .ask")).to_be_visible()
    seen = []
    for tab in (page, other, page):
        shown = [each.locator("#review-panel .ask").get_attribute("data-candidate") for each in (page, other)]
        assert shown[0] != shown[1]
        seen.append(shown[tab is other])
        if len(seen) < 3:
            press(tab, "review", "a")
    assert len(set(seen)) == 3
    other.context.close()


def test_the_card_of_a_session_that_died_comes_back(
    shared_app: App, page: Page, browser: Browser, serve: Serve
) -> None:
    def open_review(tab: Page, app: App, name: str) -> str | None:
        sign_in(tab, app, name)
        expect(tab.locator("#project-panel .screen")).to_be_visible()
        tab.locator("#tab-review-button").click()
        expect(tab.locator("#review-panel .ask")).to_be_visible()
        return tab.locator("#review-panel .ask").get_attribute("data-candidate")

    died = browser.new_context().new_page()
    card = open_review(died, shared_app, "reviewer")
    died.context.close()
    assert open_review(page, shared_app, "admin") != card
    stop_app(shared_app)
    with Store.open(shared_app.workspace) as store:
        store._database.rows('UPDATE leases SET "until" = ?', now())  # as if ten minutes had passed
    assert open_review(page, serve(shared_app.workspace, "--no-sample", "--host", "0.0.0.0"), "admin") == card
