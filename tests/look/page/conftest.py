"""A real browser, and pages that must neither ask the network for anything nor complain."""

import contextlib
import os
import shutil

import pytest
from pages import kept_run, page_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 100_000
"""Milliseconds that an action may take: a busy machine is no fault of the page."""

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# By module: while it lives it has an event loop running, and other tests want their own.
@pytest.fixture(scope="module")
def browser():
    """Debian's chromium; skips, with the reason, where there is none."""
    reason = ""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        reason = "the page's browser tests need `pip install playwright`"
    if CHROMIUM is None:
        reason = "the page's browser tests need chromium (`apt-get install chromium`)"
    if reason:
        # CI installs both, and sets this so that they cannot go missing unseen.
        if os.environ.get("DIGITSPAN_BROWSER_REQUIRED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def shared_tab(browser):
    """One tab for all tests: opening one costs more than a test."""
    tab = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    tab.set_default_timeout(PATIENCE)
    return tab


@pytest.fixture
def open_page(browser, shared_tab, tmp_path):
    """Open a page; at the end, any console message or request of any page fails the test.

    Options are the browser's context's: such a page gets a tab of its own.
    """
    own_tabs, complaints, files = [], [], set()
    listeners = {
        "console": lambda message: complaints.append(f"console: {message.text}"),
        "pageerror": lambda error: complaints.append(f"error: {error}"),
        "dialog": lambda dialog: complaints.append("dialog") or dialog.dismiss(),
        "request": lambda request: (
            request.url in files
            or request.url.startswith("blob:")  # the page's own worker
            or complaints.append(request.url)
        ),
    }

    def open_(content, *, init="", **options):
        file = tmp_path / f"page{len(files)}.html"
        file.write_text(content, encoding="utf-8")
        files.add(file.as_uri())
        tab = shared_tab
        if init or options:
            tab = browser.new_context(**options).new_page()
            tab.set_default_timeout(PATIENCE)
            tab.add_init_script(init)
            own_tabs.append(tab)
        for event, listener in listeners.items():
            tab.on(event, listener)
        tab.goto(file.as_uri())
        return tab

    yield open_
    for tab in own_tabs:
        tab.context.close()
    for event, listener in listeners.items():
        with contextlib.suppress(KeyError):  # nothing was opened
            shared_tab.remove_listener(event, listener)
    shared_tab.set_viewport_size({"width": 1280, "height": 800})
    shared_tab.emulate_media(color_scheme="light")
    assert complaints == []


@pytest.fixture
def two(open_page):
    """The page of an RNN beside an LSTM."""
    return open_page(page_of(kept_run("rnn"), kept_run("lstm"))[0])
