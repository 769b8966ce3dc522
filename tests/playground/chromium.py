"""A real browser, and a playground for it to open; what needs it is skipped, with the reason, where there is none."""

import os
import shutil
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from gansmith.playground import server

FOUND = os.environ.get("GANSMITH_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-dev-shm-usage", "--force-color-profile=srgb",
]  # fmt: skip
"""Nothing that a test does not need, and above all no network; pictures are the same on any screen."""


@contextmanager
def opened(runs, port=0):
    """A playground of a folder of runs: its address, while the block lasts."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen()
    port = listening.getsockname()[1]
    serving = server.serve(server.application(runs), "127.0.0.1", port)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        serving.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="module")  # two drivers at once are one too many, and other modules have their own
def browser():
    """Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if FOUND is None:
        pytest.skip("there is no chromium")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=FOUND, args=FLAGS)
        yield found
        found.close()


@contextmanager
def page_of(browser, **options):
    """A page in a browser of its own, in which nothing may go wrong unseen."""
    context = browser.new_context(**{"locale": "en-US", "viewport": {"width": 1280, "height": 900}, **options})
    page, troubles = context.new_page(), []
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.set_default_timeout(30_000)
    page.troubles = troubles
    try:
        yield page
    finally:
        context.close()
    assert troubles == []


def until(page, true, seconds=30.0):
    """What comes to be true in the page."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "waited in vain"
        page.wait_for_timeout(50)
    return found


@contextmanager
def page_at(browser, address, **options):
    """A page of an address, in which nothing may go wrong unseen, and for which nothing comes from elsewhere."""
    with page_of(browser, **options) as page:
        page.set_default_timeout(60_000)  # a busy machine is no failure
        home = address.split("/")[2]

        def fetched(asked):
            if asked.url.startswith("http") and home not in asked.url:
                page.troubles.append(asked.url)

        page.on("request", fetched)
        page.goto(address)
        yield page


def wait(page, expression, arg=None, *, timeout=60):
    """Until an expression of JavaScript is true.

    Asked again and again from here: playwright's own waiting evaluates text in the page, which the page forbids.
    """
    from playwright.sync_api import Error

    end, found = time.monotonic() + timeout, None
    while time.monotonic() < end:
        try:
            found = page.evaluate(expression, arg)
        except Error as error:  # such as an address that has no state yet
            found = str(error)
        if found is True:
            return
        page.wait_for_timeout(30)
    raise AssertionError(f"{expression}: {found}")


UNNAMED = """
() => [..."button input select textarea a canvas[role=img] svg[role=img]".split(" ")]
  .flatMap((kind) => [...document.querySelectorAll(`main ${kind}`)])
  .filter((e) => e.checkVisibility())
  .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim() || e.title || (e.labels && e.labels.length)))
  .map((e) => e.outerHTML.slice(0, 120))
"""


def assert_reachable(page):
    """All that can be used has a name for a screen reader, and nothing is wider than the page."""
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
