"""A browser for the tests marked `browser`, which `.ci/run` installs; no other test needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.report_browser import PageOpener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a browser for the tests of a module."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- only where it is installed

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[PageOpener]:
    """Return a function that opens pages; at the end, none may have requested, logged or raised anything."""
    opener = PageOpener(browser)
    yield opener
    opener.close()
    assert opener.events == []
