"""The page of a spread run in a real browser: layout, legibility and accessibility, in both languages."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from runner.commands.load_stored_run import load_run
from runner.outputs.report.render_html import write_report
from tests.support.crafted_runs import answered, write_run
from tests.support.report_pages import TARGETS

pytest.importorskip("playwright", reason="installed by .ci/run")
pytest.importorskip("axe_playwright_python", reason="installed by .ci/run")

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

from tests.support.report_browser import WIDTHS, PageOpener, faults, unfold

pytestmark = pytest.mark.browser

FIRST = datetime(2026, 9, 1, 3, tzinfo=UTC)
ROUNDS = 24


@pytest.fixture(scope="module", params=[1, 12])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a run over a day, with one target and with twelve, slower from noon on."""
    random = Random(1)
    records = [
        answered(
            target,
            case,
            number,
            (0.3 if number < 10 else 0.5) * random.lognormvariate(0, 0.1),
            started_at=(FIRST + timedelta(hours=number - random.random())).isoformat(),
        )
        for number in range(1, ROUNDS + 1)
        for case in ("one", "two")
        for target in TARGETS[: request.param]
    ]
    folder = tmp_path_factory.mktemp("day")
    started = FIRST.isoformat()
    write_run(folder / "run", records, started_at=started, repeat=ROUNDS, load={"spread_s": 86_400.0})
    (folder / "day.html").write_text(write_report([load_run(folder / "run")]), encoding="utf-8")
    return folder / "day.html"


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_nothing_of_a_day_is_clipped_or_small(open_page: PageOpener, page: Path, language: str) -> None:
    """This holds at every width; the chart and the sentence on its span are there."""
    shown = unfold(open_page(page, f"#lang={language}"))
    found = {}
    for width in WIDTHS:
        shown.set_viewport_size({"width": width, "height": 900})
        found[width] = faults(shown)
    assert found == {width: {} for width in WIDTHS}
    said = "figures and intervals speak of 24 h: 24 rounds" if language == "en" else "针对 24 h 的时段：24 轮"
    expect(shown.locator("body")).to_contain_text(said)
    title = "TTFT over the day, by target" if language == "en" else "一天中的 TTFT，按目标"
    assert shown.locator("svg").filter(has_text=title).locator("visible=true").count() >= 1


def test_a_day_is_accessible(open_page: PageOpener, page: Path) -> None:
    """axe-core finds no violation."""
    found = Axe().run(unfold(open_page(page, "#lang=en")))
    assert found.violations_count == 0, found.generate_report()
