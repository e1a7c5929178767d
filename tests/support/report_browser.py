"""Reports in a real browser: open them, and look for faults of their layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # only where `.ci/run` has installed it
    from playwright.sync_api import Browser, Page

Scheme = Literal["light", "dark"]


class PageOpener:
    """Opens reports, and records everything that they request, log or raise."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.events: list[str] = []
        self._opened: list[Page] = []

    def __call__(self, report: Path, fragment: str = "", **options: Any) -> Page:
        """Open a report in its own window."""
        page = self._browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}).new_page()
        page.on("console", lambda message: self.events.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.events.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.events.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.events.append(f"request: {request.url}"))
        page.goto(f"{report.as_uri()}{fragment}")
        self._opened.append(page)
        self.events.remove(f"request: {report.as_uri()}")
        return page

    def close(self) -> None:
        """Close every window."""
        for page in self._opened:
            page.context.close()


WIDTHS = (390, 1000, 1400)
"""Widths of windows in pixels: of a phone, of half a screen, of a screen."""

FAULTS = (Path(__file__).parent / "layout_faults.js").read_text(encoding="utf-8")


def unfold(page: Page) -> Page:
    """Open everything that is folded, and lay out rows outside the window."""
    page.evaluate(
        """() => {
            for (const each of document.querySelectorAll("details:not(#columns)")) each.open = true;
            for (const each of document.querySelectorAll("tr.turn")) each.style.contentVisibility = "visible";
        }"""
    )
    return page


def faults(page: Page) -> dict[str, list[str]]:
    """Return what is clipped, too small, broken inside a word, or out of sight when a table is scrolled."""
    found: dict[str, list[str]] = unfold(page).evaluate(FAULTS)
    return {kind: examples for kind, examples in found.items() if examples}
