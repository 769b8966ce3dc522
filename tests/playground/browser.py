"""A real browser for the tests of the page: the system's Chromium, headless, driven by playwright."""

import contextlib
import os
import shutil
import time

import pytest

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-dev-shm-usage", "--force-color-profile=srgb",
]  # fmt: skip

WAIT = 60_000
"""Milliseconds: a busy machine is no failure."""


def found():
    """The browser's path, or None."""
    named = os.environ.get("GANSMITH_CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def missing():
    """Why the page cannot be tried here, or an empty text."""
    try:
        import playwright  # noqa: F401
    except ModuleNotFoundError:
        return "needs playwright (pip install -e '.[dev]')"
    return "" if found() else "needs Chromium (apt install chromium), or its path in GANSMITH_CHROMIUM"


needed = pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")


@contextlib.contextmanager
def launched():
    """The browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(browser, address, **given):
    """A page of its own; nothing may be complained of in its console, and nothing fetched from elsewhere."""
    context = browser.new_context(viewport={"width": 1300, "height": 900}, **given)
    page = context.new_page()
    page.set_default_timeout(WAIT)
    problems = []
    page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    home = address.split("/")[2]

    def fetched(asked):
        if asked.url.startswith("http") and home not in asked.url:
            problems.append(asked.url)

    page.on("request", fetched)
    page.problems = problems
    page.goto(address)
    try:
        yield page
        assert problems == []
    finally:
        context.close()


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
