"""Layout of reports in a real browser: no clipping, names in sight, legible text, interactive charts, print."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from runner.analysis.diff import diff_runs
from runner.outputs.report.render_html import write_diff, write_report
from tests.support.report_browser import WIDTHS, faults, unfold
from tests.support.report_pages import TARGETS, Shape
from tests.support.rich_pages import write_rich_pages

pytest.importorskip("playwright", reason="installed by .ci/run")
pytest.importorskip("axe_playwright_python", reason="installed by .ci/run")

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, expect

from tests.support.report_browser import PageOpener, Scheme

pytestmark = pytest.mark.browser

PAGES = {
    "one": (Shape(1, 1, 1),),
    "two": (Shape(2, 13, 3),),
    "six": (Shape(6, 13, 3, down=4),),
    "twelve": (Shape(12, 60, 1, down=5),),
    "rounds": (Shape(6, 1, 12),),
    "sweep": (Shape(3, 5, 4, levels=(1, 4, 16)),),
    "runs": (Shape(2, 6, 4), Shape(2, 6, 4, run_id="20260103-030405", seed=2)),
    "runs of six": (Shape(6, 6, 2, down=2), Shape(6, 6, 2, run_id="20260103-030405", seed=2)),
}
LOOKS: tuple[tuple[str, Scheme], ...] = (("en", "light"), ("zh-CN", "dark"))
RICH = ("rich", "probed")
"""Pages with calls, thumbnails, rubrics, judged pairs and votes; and with the table of a cache probe."""

A4_PX = 718
"""The width of what is printed on A4, at 96 pixels an inch, with Chromium's margins."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write a page of each shape, in both languages if it holds only one; return the files."""
    folder = tmp_path_factory.mktemp("pages")
    written = {name: write_report([shape.run for shape in shapes]) for name, shapes in PAGES.items()}
    base, new = Shape(3, 6, 12), Shape(3, 6, 12, seed=5, run_id="20260103-030405")
    difference = diff_runs(base.run, new.run)
    written["baseline"] = write_report([new.run], difference)
    written |= {f"difference {language}": write_diff(difference, language[:2]) for language, _ in LOOKS}
    for name, html in written.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in written} | write_rich_pages(folder)


def open_page_in(open_page: PageOpener, pages: dict[str, Path], name: str, language: str, scheme: Scheme) -> Page:
    """Open a page in a language: a report holds both, a comparison is written in one."""
    file = pages.get(name) or pages[f"{name} {language}"]
    return open_page(file, f"#lang={language}", color_scheme=scheme)


@pytest.mark.parametrize(("language", "scheme"), LOOKS)
@pytest.mark.parametrize("name", [*PAGES, *RICH, "baseline", "difference"])
def test_nothing_is_clipped_small_or_broken(
    open_page: PageOpener, pages: dict[str, Path], name: str, language: str, scheme: Scheme
) -> None:
    """At every width and on A4, everything fits, has at least 11 px, and keeps names in sight."""
    page = open_page_in(open_page, pages, name, language, scheme)
    found = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        found[f"{width} px"] = faults(page)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": A4_PX, "height": 1000})
    found["A4"] = faults(page)
    assert found == {place: {} for place in found}
    if language == "en":  # slow, and the same for the other language
        assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize(("language", "scheme"), LOOKS)
@pytest.mark.parametrize("name", ["six", "sweep", "runs", *RICH, "baseline", "difference"])
def test_a_page_is_accessible(
    open_page: PageOpener, pages: dict[str, Path], name: str, language: str, scheme: Scheme
) -> None:
    """axe-core finds no violation with everything unfolded, the contrast of the heat table included."""
    found = Axe().run(unfold(open_page_in(open_page, pages, name, language, scheme)))
    assert found.violations_count == 0, found.generate_report()


SECTIONS = """() => [...document.querySelectorAll("main section > h2")].filter(each => each.checkVisibility() &&
    !each.classList.contains("hidden")).map(each => "#" + each.id)"""


@pytest.mark.parametrize("name", ["six", "sweep", *RICH, "baseline"])
def test_the_navigation_leads_to_every_section_in_order(
    open_page: PageOpener, pages: dict[str, Path], name: str
) -> None:
    """Each visible section has a link, in the order of the page; of several of a kind, the first has."""
    page = open_page(pages[name])
    sections = page.evaluate(SECTIONS)
    links = page.eval_on_selector_all("nav a", "all => all.map(each => each.getAttribute('href'))")
    assert links == sections


@pytest.mark.parametrize(("width", "rows"), [(1500, [4]), (1200, [2, 2]), (700, [2, 2]), (390, [1, 1, 1, 1])])
def test_four_rankings_stand_in_even_rows(
    open_page: PageOpener, pages: dict[str, Path], width: int, rows: list[int]
) -> None:
    """No ranking is alone in a row where others stand side by side."""
    page = open_page(pages["six"], viewport={"width": width, "height": 900})
    tops = page.locator(".ranking").evaluate_all("all => all.map(each => Math.round(each.getBoundingClientRect().top))")
    assert list(Counter(tops).values()) == rows


def test_no_line_ends_between_a_number_and_its_percent_sign(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """Sentences and notes of the page, which may be broken, have a no-break space there."""
    texts = unfold(open_page(pages["six"])).locator("p, .notes, .below").all_inner_texts()
    assert [text for text in texts if re.search("[0-9] %", text)] == []
    assert any("95\u00a0%" in text for text in texts)


def test_calls_images_verdicts_judged_pairs_and_votes_are_shown(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """Each has its own form and figures, and the picture is loaded from the page itself."""
    page = open_page(pages["english-rich"])
    expect(page.locator("#reply-1-1 .call code, #reply-1-1 .call b, #reply-1-1 .call").first).to_contain_text(
        "get_weather"
    )
    picture = page.locator("tr.turn img").first
    picture.scroll_into_view_if_needed()
    loaded = "each => each.complete && each.naturalWidth > 0 && each.src.startsWith('data:image/')"
    page.wait_for_function(loaded, arg=picture.element_handle())
    judged = page.locator("section:has(#judged)")
    assert judged.locator("h4").all_inner_texts() == ["Win rates of targets", "Win rates of pairs"]
    expect(judged.locator("table").first.locator("tbody tr")).to_have_count(4)
    expect(judged.locator("li", has_text="length:")).to_contain_text("cases)")
    votes = page.locator("section:has(#blind-votes)")
    expect(votes.locator("p").first).to_contain_text("16 votes by 2 people on 3 cases")
    expect(votes).to_contain_text("The majority of people and the judge sim/judge say the same of")


def test_the_cache_table_has_a_row_for_each_stage_of_each_target(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """Stages are cold, at once and after each pause."""
    rows = open_page(pages["english-probed"]).locator("table.caches tbody tr")
    stages = ["cold", "again at once", "again after 1 s"]
    assert [each.split("\t")[1] for each in rows.all_inner_texts()] == [*stages, *stages]


# -- Names in sight ----------------------------------------------------------------------------------------------------

TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
NAMES_IN_SIGHT = """() => {
    const bar = document.getElementById("controls").getBoundingClientRect();
    const grid = document.getElementById("grid");
    const isNarrow = getComputedStyle(grid.tHead).display === "none";
    const reply = document.elementFromPoint(innerWidth / 2, innerHeight / 2)?.closest("tr.turn > td");
    if (!reply) return null; // the middle of the window shows no reply
    const name = (isNarrow ? reply : grid.tHead).querySelector(".name").getBoundingClientRect();
    return name.top >= (isNarrow ? 0 : bar.bottom) - 1 && name.bottom < innerHeight && (isNarrow || bar.top >= -1);
}"""


@pytest.mark.parametrize("name", ["two", "six", "twelve"])
def test_names_are_in_sight_at_every_scroll_position(open_page: PageOpener, pages: dict[str, Path], name: str) -> None:
    """Headings stick below the toolbar; on a phone each reply has its own."""
    page = open_page(pages[name])
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("scrollTo(0, 0)")
        top = page.evaluate("document.getElementById('grid').getBoundingClientRect().top")
        found = []
        for step in range(1, 9):
            page.evaluate("at => scrollTo(0, at)", top + 400 * step)
            page.evaluate(TWO_FRAMES)
            found.append(page.evaluate(NAMES_IN_SIGHT))
        assert False not in found, f"at {width} px: {found}"
        assert found.count(True) >= 5, f"at {width} px: {found}"


def test_headings_follow_a_wide_grid_sideways(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """Scrolling the rows moves each heading with its column, and the other way round."""
    page = open_page(pages["twelve"], "#row=2")
    for moved in ("#grid > tbody", "#grid > thead"):
        page.evaluate("([moved, by]) => document.querySelector(moved).scrollBy(by, 0)", [moved, 700])
        page.wait_for_function(
            """() => {
                const lefts = (row) => [...row.children].map((cell) => Math.round(cell.getBoundingClientRect().left));
                const [head, first] = [document.querySelector("#grid thead tr"), document.querySelector("tr.turn")];
                const isMoved = document.querySelector("#grid > tbody").scrollLeft > 0;
                return isMoved && lefts(head).join() === lefts(first).join();
            }"""
        )


def test_the_key_j_shows_the_first_line_of_a_row(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """The line is below the sticky headings."""
    page = open_page(pages["six"])
    for _ in range(3):
        page.keyboard.press("j")
        page.wait_for_function(
            """() => {
                const head = document.querySelector("#grid thead").getBoundingClientRect();
                const label = document.querySelector("tr[aria-current] .label").getBoundingClientRect();
                return label.top >= head.bottom - 1 && label.top < head.bottom + 60;
            }"""
        )


def test_columns_can_be_hidden_and_pinned(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """A hidden column is gone from headings and rows; a pinned one stays beside the prompts; the address keeps both."""
    page = open_page(pages["six"], "#row=1")
    page.locator("#columns summary").click()
    page.get_by_role("checkbox", name=TARGETS[0]).uncheck()
    page.get_by_role("button", name=f"Pin {TARGETS[3]}").click()
    expect(page.locator("thead th[data-column='0']")).to_be_hidden()
    expect(page.locator("#reply-1-1")).to_be_hidden()
    assert page.evaluate("location.hash") == "#row=1&hide=1&pin=4"
    page.evaluate("document.querySelector('#grid > tbody').scrollBy(5000, 0)")
    page.wait_for_function("document.querySelector('#grid > thead').scrollLeft > 0")
    for cell in ("thead th[data-column='3']", "#reply-1-4"):
        box, first = page.locator(cell).bounding_box(), page.locator("tr.turn th").first.bounding_box()
        assert box is not None
        assert first is not None
        assert abs(box["x"] - (first["x"] + first["width"])) < 2


def test_code_keeps_its_indentation(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """A long line of code scrolls in its box; lines are not wrapped."""
    page = open_page(pages["six"], "#row=3")
    box = page.locator("#reply-3-1 pre")
    lines = box.inner_text().rstrip().split("\n")
    assert lines[1].startswith("    result")
    height, line = box.evaluate("box => [box.clientHeight, parseFloat(getComputedStyle(box.firstChild).lineHeight)]")
    assert height < line * (len(lines) + 2)
    assert box.evaluate("box => box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX === 'auto'")


# -- At a glance -------------------------------------------------------------------------------------------------------


def test_the_glance_switches_its_figure_and_leads_to_a_reply(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """One figure is shown at a time; a cell shows its reply, even if a filter hid the row."""
    page = open_page(pages["six"], "#show=failed")
    glance = page.locator(".glance")
    expect(glance.locator(".m.ttft").first).to_be_visible()
    page.get_by_role("radio", name="cost").check()
    expect(glance.locator(".m.ttft").first).to_be_hidden()
    expect(glance.locator(".m.cost").first).to_contain_text("CNY")
    glance.locator("a[href='#reply-4-3']").click()
    expect(page.locator("#reply-4-3")).to_be_in_viewport()
    expect(page.locator("tr[aria-current] .label")).to_have_text("case-03")
    expect(page.locator("thead th.chosen")).to_contain_text("deepseek")


# -- Charts ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DisplayedChart:
    """A chart on a page."""

    page: Page
    title: str

    @property
    def box(self) -> str:
        """The selector of its visible drawing."""
        return f"figure:has(h3:has-text('{self.title}')) .drawing:visible svg"


def test_a_chart_answers_a_pointer(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """Near a dot its request and value are shown, and hidden when the pointer leaves."""
    page = open_page(pages["two"])
    chart = page.locator(DisplayedChart(page, "Time to first text of every request").box)
    chart.scroll_into_view_if_needed()
    x, y = chart.evaluate(
        """svg => {
            const [, x, y] = /M([\\d.]+) ([\\d.]+)/.exec(svg.querySelector("[data-series]").getAttribute("d"));
            const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
            return [at.x, at.y];
        }"""
    )
    page.mouse.move(x + 1, y + 1)
    expect(page.locator("#reading")).to_contain_text(TARGETS[0])
    expect(page.locator("#reading")).to_contain_text(" ms")
    page.mouse.move(2, 2)
    expect(page.locator("#reading")).to_be_hidden()


@pytest.mark.parametrize("width", [390, 1400])
def test_every_chart_answers_the_keyboard(open_page: PageOpener, pages: dict[str, Path], width: int) -> None:
    """The first arrow key on any chart reads a mark inside the chart."""
    page = unfold(open_page(pages["two"], viewport={"width": width, "height": 900}))
    charts = page.locator(".drawing:visible svg").all()
    assert len(charts) >= 6
    for chart in charts:
        chart.focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#reading")).not_to_be_empty()
        ring, box = page.locator(".ring").bounding_box(), chart.bounding_box()
        assert ring is not None
        assert box is not None
        assert box["x"] - 8 <= ring["x"] <= box["x"] + box["width"]
        assert box["y"] - 8 <= ring["y"] <= box["y"] + box["height"]


def test_the_first_arrow_key_reads_the_first_or_the_last_mark(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """Right reads the first one, left the last one; after the last mark, right returns to the first."""
    for key, following in (("ArrowRight", "1"), ("ArrowLeft", "0")):
        page = open_page(pages["two"])
        chart = page.locator(DisplayedChart(page, "Time to first text of every request").box)
        chart.press(key)
        chart.press("ArrowRight")
        assert chart.get_attribute("data-at") == following


def test_the_legend_switches_targets_and_the_button_the_scale(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """A target that is switched off is drawn nowhere; the other scale has the same dots elsewhere."""
    page = unfold(open_page(pages["two"]))
    drawn = page.locator(".drawing:visible [data-target='1']:not(.off)")
    assert drawn.count() >= 6
    page.locator(".legend button").nth(1).click()
    assert drawn.count() == 0
    page.locator(".legend button").nth(1).click()
    assert drawn.count() >= 6
    figure = page.locator("figure:has(button.scale)").first
    dots = "[...document.querySelectorAll('figure:has(button.scale) .drawing')].find(d => d.checkVisibility())"
    before = page.evaluate(f"{dots}.querySelector('[data-series]').getAttribute('d')")
    figure.locator("button.scale").click()
    after = page.evaluate(f"{dots}.querySelector('[data-series]').getAttribute('d')")
    assert before.count("M") == after.count("M")
    assert before != after


def test_charts_of_several_runs_share_their_scale(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """Charts of one kind stand side by side, name their run, and have the same ticks."""
    page = open_page(pages["runs"])
    titles = page.locator("#charts ~ .charts h3").all_inner_texts()
    assert titles == [
        "Time to first text of every request, by target · run 1",
        "Time to first text of every request, by target · run 2",
    ]
    first, second = (page.locator("#charts ~ .charts .drawing:visible svg").nth(at) for at in (0, 1))
    ticks = "svg => [...svg.querySelectorAll('text[text-anchor=middle]')].map(t => t.textContent).join()"
    assert first.evaluate(ticks) == second.evaluate(ticks) != ""


# -- Blind vote --------------------------------------------------------------------------------------------------------


def test_a_blind_vote_skips_identical_replies(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """Two cases in which all replies are equal are skipped, and not counted."""
    page = open_page(pages["two"], "#blind")
    expect(page.locator("#voted")).to_have_text("0 of 11 voted")
    assert "case-03" not in page.locator("tr.turn:not([hidden]) .label").all_inner_texts()
    page.keyboard.press("j")
    page.keyboard.press("1")
    expect(page.locator("#voted")).to_have_text("1 of 11 voted")
    expect(page.locator("tr[aria-current] .label")).to_have_text("case-01")


def test_a_reply_that_stands_alone_is_not_voted_on(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """If one target failed and all others replied the same, there is no choice."""
    page = open_page(pages["six"], "#blind")
    assert page.evaluate("turns[3].cells.filter((_, column) => turns[3].textOf(column) === null).length") >= 1
    assert "case-03" not in page.locator("tr.turn:not([hidden]) .label").all_inner_texts()


def test_votes_on_several_runs_name_the_run_of_each_reply(
    open_page: PageOpener, pages: dict[str, Path], tmp_path: Path
) -> None:
    """Each vote has the run of each target and of the winner, by its place in the file's list of runs."""
    page = open_page(pages["runs"], "#blind&row=1")
    page.keyboard.press("2")
    page.keyboard.press("t")
    column = page.evaluate("turns[0].order[1]")
    page.keyboard.press("b")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as JSON").click()
    open_page.events.clear()  # the download is a blob of the page's own
    download.value.save_as(tmp_path / "votes.json")
    exported = json.loads((tmp_path / "votes.json").read_text(encoding="utf-8"))
    assert (exported["run_id"], exported["suite_digest"]) == (None, None)
    assert exported["runs"] == [
        {"run_id": shape.run.header.run_id, "suite_digest": shape.run.header.digest} for shape in PAGES["runs"]
    ]
    best, tie = exported["votes"]
    every = [(target, number) for number in (1, 2) for target in PAGES["runs"][0].names]
    assert (best["winner"], best["winner_run"]) == every[column]
    assert (tie["winner"], tie["winner_run"]) == ("tie", None)
    for vote in (best, tie):
        assert sorted(zip(vote["targets"], vote["runs"], strict=True)) == sorted(every)


def shapes() -> Iterator[Shape]:
    """Yield all shapes of pages."""
    for of_page in PAGES.values():
        yield from of_page


def test_the_shapes_have_their_targets_cases_and_failures() -> None:
    """The pages of these tests are made from them."""
    for shape in shapes():
        run = replace(shape).run
        assert len(run.summary) == shape.targets
        assert run.measured["case"].nunique() == shape.cases
        assert bool(run.failures) == (shape.down is not None)


def test_the_browser_is_chromium(browser: Browser) -> None:
    """Chromium renders these pages."""
    assert browser.browser_type.name == "chromium"


# -- Languages ---------------------------------------------------------------------------------------------------------


def test_a_page_can_be_read_in_chinese(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """The address switches headings and controls to Chinese."""
    page = open_page(pages["six"], "#lang=zh-CN")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    expect(page.get_by_role("heading", name="汇总")).to_be_visible()
    expect(page.locator("#shown")).to_have_text("显示 13 行")


def test_the_language_is_that_of_the_writer_until_it_is_switched(open_page: PageOpener, pages: dict[str, Path]) -> None:
    """A page written in English opens so in a Chinese browser; the button switches, and the address keeps it."""
    page = open_page(pages["two"], locale="zh-CN")
    expect(page.get_by_role("heading", name="Ranking")).to_be_visible()
    page.locator("#language").click()
    expect(page.get_by_role("heading", name="排名")).to_be_visible()
    assert page.evaluate("[document.documentElement.lang, location.hash]") == ["zh-CN", "#lang=zh-CN"]
    page.evaluate("location.hash = '#charts'")
    page.get_by_label("原文").check()
    assert page.evaluate("location.hash") == "#raw&lang=zh-CN"
    page.locator("#language").click()
    expect(page.get_by_role("heading", name="Ranking")).to_be_visible()
    open_page.events.clear()  # the page was loaded again
