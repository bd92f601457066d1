"""One reviewer in Chromium, at one app on this computer: from a key press to the next card, painted.

Painted means: the next card is in the page, its image is decoded, and the browser has drawn a frame since. What is kept
after many cards is the memory's growth, in the page (JavaScript heap after a collection), in the process that draws it,
and in the app.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from playwright.sync_api import CDPSession, Page, sync_playwright

from benchmarks.review.serving import App, serve
from tests.browser.chromium import find_chromium, playwright_chromium

FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
PATIENCE_MS = 60_000
WATCH = """() => {
  const panel = document.querySelector('#review-panel'), painted = new MessageChannel();
  const serial = () => panel.querySelector('[data-serial]')?.dataset.serial;
  window.waits = [];
  let pressed = 0, last = serial();
  painted.port1.onmessage = () => window.waits.push(performance.now() - pressed);
  document.addEventListener('keydown', (e) => { pressed = e.timeStamp; }, true);
  new MutationObserver(async () => {
    if (serial() === last) return;
    last = serial();
    await panel.querySelector('.image img').decode();
    requestAnimationFrame(() => painted.port2.postMessage(0));  // heard after the frame was drawn
  }).observe(panel, { subtree: true, childList: true, attributes: true });
}"""
SETTLED_S = 2.0
READY = "(cards) => window.waits.length === cards && !document.querySelector('#review-panel').dataset.busy"


@dataclass(frozen=True)
class Memory:
    """What is in use.

    Attributes:
        heap_bytes: JavaScript objects of the page, after a collection.
        nodes: Nodes of its documents.
        page_bytes: Of the process that draws the page, its own, without caches that it gives back.
        app_bytes: Of the app, resident.
    """

    heap_bytes: float
    nodes: float
    page_bytes: float
    app_bytes: float


@dataclass
class Sitting:
    """What the reviewer saw.

    Attributes:
        waits_s: From a key press to the next card, painted.
        before: Memory after the first cards, which fill caches.
        after: Memory at the end.
    """

    waits_s: list[float] = field(default_factory=list)
    before: Memory = Memory(0, 0, 0, 0)
    after: Memory = Memory(0, 0, 0, 0)


def review_in_chromium(workspace: Path, *, warm_up: int, cards: int, log: Path) -> Sitting:
    """Accept cards by key, one after the other; those of the warm-up are not timed."""
    sitting = Sitting()
    with serve(workspace, log) as app, _chromium(app.url) as (page, session):
        page.evaluate(WATCH)
        _accept(page, 1, warm_up)
        sitting.before = _memory(session, app)
        _accept(page, warm_up + 1, warm_up + cards)
        sitting.after = _memory(session, app)
        sitting.waits_s = [wait / 1000 for wait in page.evaluate("window.waits")[warm_up:]]
    return sitting


def _accept(page: Page, first: int, last: int) -> None:
    for number in range(first, last + 1):
        page.keyboard.press("a")
        page.wait_for_function(READY, arg=number, timeout=PATIENCE_MS)


@contextmanager
def _chromium(url: str) -> Iterator[tuple[Page, CDPSession]]:
    """Open the Review screen in a browser that ends with the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium() or playwright_chromium(), args=[*FLAGS])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(url)
        page.locator("#project-panel .screen").wait_for()
        page.locator("#tab-review-button").click()
        page.locator("#review-panel .ask").wait_for()
        try:
            yield page, page.context.new_cdp_session(page)
        finally:
            browser.close()


def _memory(session: CDPSession, app: App) -> Memory:
    # Chromium keeps decoded images until memory is short; what it does not give back then is growth.
    session.send("Memory.simulatePressureNotification", {"level": "critical"})
    session.send("HeapProfiler.collectGarbage")
    time.sleep(SETTLED_S)
    session.send("Performance.enable")
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    pages = [process for process in psutil.Process().children(recursive=True) if "--type=renderer" in _words(process)]
    drawing = max(process.memory_full_info().uss for process in pages)
    return Memory(found["JSHeapUsedSize"], found["Nodes"], drawing, psutil.Process(app.process.pid).memory_info().rss)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
