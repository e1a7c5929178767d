"""The history page in a real browser: layout, legibility, no requests, accessibility, links to runs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from urllib.parse import unquote

import pytest

from runner.commands.history import follow_targets, write_history
from tests.support.crafted_runs import answered, write_run
from tests.support.report_pages import TARGETS

pytest.importorskip("playwright", reason="installed by .ci/run")
pytest.importorskip("axe_playwright_python", reason="installed by .ci/run")

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

from tests.support.report_browser import WIDTHS, PageOpener, faults, unfold

pytestmark = pytest.mark.browser

FIRST = datetime(2026, 9, 1, 3, tzinfo=UTC)
RUNS = 24


def write_page(folder: Path, targets: tuple[str, ...]) -> Path:
    """Write runs every five hours, the first target slower from the fifteenth on, and their page; return it."""
    random = Random(1)
    for at in range(RUNS):
        started = FIRST + timedelta(hours=5 * at)
        records = [
            answered(target, "one", block, base_s * random.lognormvariate(0, 0.06))
            for place, target in enumerate(targets)
            for base_s in [0.42 if at >= 14 and not place else 0.3]
            for block in range(1, 7)
        ]
        run = write_run(folder / f"{started:%Y%m%dT%H%M%S}-nightly-{at:04}", records, started_at=started.isoformat())
        if at == 14:
            (run / "report.html").write_text("<title>that run</title>", encoding="utf-8")
    series, _ = follow_targets(folder)
    page = folder.parent / "a page" / "history.html"
    page.parent.mkdir()
    write_history(series, [page])
    return page


@pytest.fixture(scope="module", params=[1, 12])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page of one target, and one of twelve."""
    return write_page(tmp_path_factory.mktemp("history") / "my results", TARGETS[: request.param])


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_nothing_of_a_history_is_clipped_or_small(open_page: PageOpener, page: Path, language: str) -> None:
    """This holds at every width, in both languages; the opener checks that nothing is requested."""
    shown = open_page(page, f"#lang={language}")
    found = {}
    for width in WIDTHS:
        shown.set_viewport_size({"width": width, "height": 900})
        found[width] = faults(shown)
    assert found == {width: {} for width in WIDTHS}
    heading = f"History of {RUNS} runs" if language == "en" else f"{RUNS} 次运行的历史"
    expect(shown.get_by_role("heading", level=1)).to_have_text(heading)


def test_a_history_is_accessible_and_answers_a_pointer(open_page: PageOpener, page: Path) -> None:
    """axe-core finds no violation; the mark nearest to the pointer shows its run."""
    shown = unfold(open_page(page, "#lang=en"))
    found = Axe().run(shown)
    assert found.violations_count == 0, found.generate_report()
    drawing = shown.locator(".drawing.wide svg, .drawing.narrow svg").locator("visible=true").first
    drawing.hover()
    expect(shown.locator("#reading")).to_contain_text("n 6")


def test_a_history_works_without_script_and_links_to_runs(open_page: PageOpener, page: Path) -> None:
    """A change names its run, and the link leads to its report, also through a folder with a space in its name."""
    shown = open_page(page, java_script_enabled=False)
    expect(shown.locator("li").first).to_contain_text("since 2026-09-04")
    assert shown.locator(".drawing svg").locator("visible=true").count() >= 2
    link = shown.get_by_role("link", name="that run's report").first
    assert link.get_attribute("href") == "../my%20results/20260904T010000-nightly-0014/report.html"
    target = (page.parent / unquote(link.get_attribute("href") or "")).resolve()
    assert target.read_text(encoding="utf-8") == "<title>that run</title>"
