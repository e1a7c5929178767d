"""HTML reports of real runs in a real browser: controls, blind review, accessibility and hostile replies."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import Random

import pytest

from runner.analysis.run_results import Run
from runner.analysis.word_diff import tokenize
from runner.core.tool_call import ToolCall
from runner.outputs.report.render_html import write_report
from runner.storage import journal
from tests.support.command import finish, start, write_yaml
from tests.support.crafted_runs import answered, header, run_of
from tests.support.hostile_replies import REPLIES, write_hostile_run
from tests.support.media_files import png
from tests.support.report_browser import PageOpener, Scheme

pytest.importorskip("playwright", reason="installed by .ci/run")
pytest.importorskip("axe_playwright_python", reason="installed by .ci/run")

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.browser

SCHEMES: tuple[Scheme, ...] = ("light", "dark")

TARGETS = ("sim/quick", "sim/steady", "sim/thinker")
SUITE = {
    "version": 1,
    "name": "review",
    "cases": [
        {"id": "sum", "prompt": "What is 2 + 3?", "checks": {"contains": "6"}},
        {"id": "自我介绍", "prompt": "你是谁？"},
        {"id": "slow-start", "prompt": "Explain TCP slow start in two sentences."},
        {"id": "talk", "turns": ["My name is Ada.", "What is my name?"]},
    ],
}
ROWS = ("sum", "自我介绍", "slow-start", "talk", "talk · turn 2")

# Targets whose replies do not name them, for blind review; twelve, for a wide grid.
ANONYMOUS = tuple(f"sim/exact?ttft_ms={40 + at}&gap_ms=1&tokens={9 + at}" for at in range(12))


def reported(folder: Path, *arguments: str) -> Path:
    """Run the suite with the simulator; return the report of the run.

    It runs in a new process: Playwright's event loop is running in this one.
    """
    write_yaml(folder / "suite.yaml", SUITE)
    done = finish(start(folder, "run", "suite.yaml", "--seed", "1", "-q", "-o", "run", *arguments))
    assert done.stderr == "", done.stderr
    return folder / "run" / "report.html"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a run of three targets and two repeats."""
    return reported(tmp_path_factory.mktemp("real"), "--repeat", "2")


@pytest.fixture(scope="module")
def anonymous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a run of twelve targets whose replies do not name them."""
    asked = [word for target in ANONYMOUS for word in ("-m", target)]
    return reported(tmp_path_factory.mktemp("anonymous"), *asked)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a run in which every text is hostile."""
    folder = write_hostile_run(tmp_path_factory.mktemp("hostile") / "run")
    assert finish(start(folder, "report", str(folder))).returncode == 0
    return folder / "report.html"


def labels(page: Page) -> list[str]:
    """Return the labels of the turns that are shown."""
    return page.locator("tr.turn:not([hidden]) .label").all_text_contents()


def unroll(page: Page) -> Page:
    """Lay out every row, including those outside the window, so that all texts can be read."""
    page.evaluate("turns.forEach(turn => turn.element.style.contentVisibility = 'visible')")
    return page


def row(page: Page, label: str) -> Locator:
    """Return a turn's row."""
    return page.locator("tr.turn").filter(has=page.locator(".label", has_text=label)).first


def against(page: Page) -> Locator:
    """Return the control that selects the base of differences."""
    return page.locator("select[name=base]")


def fragment(page: Page) -> str:
    """Return the fragment of the page's address, which holds its state."""
    return str(page.evaluate("location.hash"))


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


# -- Mouse and keyboard ------------------------------------------------------------------------------------------------


def test_calls_are_drawn_compared_and_voted_on(tmp_path: Path, open_page: PageOpener) -> None:
    """A blind vote shows them, too; as raw text and in differences they are lines, and equal ones are hidden."""
    paris, swapped, rome = (
        ToolCall("get_weather", json.dumps(values))
        for values in ({"city": "Paris", "days": 2}, {"days": 2, "city": "Paris"}, {"city": "Rome"})
    )
    made = {
        ("acme/a", "same"): paris,
        ("acme/b", "same"): swapped,
        ("acme/a", "other"): paris,
        ("acme/b", "other"): rome,
    }
    records = [replace(answered(target, case), reply=None, calls=(call,)) for (target, case), call in made.items()]
    report = tmp_path / "report.html"
    report.write_text(write_report([run_of(records, cases=("same", "other"))]), encoding="utf-8")
    page = unroll(open_page(report))
    assert page.locator(".calls .call").all_text_contents() == ["get_weather"] * 4
    assert Axe().run(page).violations_count == 0
    assert row(page, "other").locator(".calls pre").last.text_content() == '{\n  "city": "Rome"\n}'
    page.keyboard.press("r")
    expect(page.locator(".calls:visible")).to_have_count(0)
    assert (
        row(page, "same").locator(".written").all_text_contents() == ['get_weather({"city": "Paris", "days": 2})'] * 2
    )
    page.keyboard.press("r")
    page.locator("input[value=different]").check()
    assert labels(page) == ["other"]
    against(page).select_option("0")
    expect(row(page, "other").locator("ins")).to_have_text(["Rome"])
    page.locator("input[value=all]").check()
    page.keyboard.press("b")
    expect(page.locator(".calls:visible")).to_have_count(2)  # there is no vote on equal replies
    row(page, "other").locator(".ballot button").first.click()
    expect(page.locator("#votes")).to_contain_text("1")


def test_a_report_opens_from_disk(open_page: PageOpener, real: Path) -> None:
    """Every turn and target is shown, each column below its name."""
    page = open_page(real)
    assert labels(page) == [*ROWS]
    assert page.locator("thead .name").all_inner_texts() == [*TARGETS]
    expect(page.locator("#shown")).to_have_text("5 shown")


def test_filters_show_failed_or_different_turns_and_search_covers_all_texts(open_page: PageOpener, real: Path) -> None:
    """Failed shows turns with a failed check, different turns whose replies differ; search covers all texts."""
    page = open_page(real)
    page.get_by_role("radio", name="Failed").check()
    assert labels(page) == ["sum"]
    page.get_by_role("radio", name="Differences").check()
    assert "sum" not in labels(page)
    assert "自我介绍" in labels(page)
    page.get_by_role("radio", name="All").check()
    page.get_by_role("searchbox").fill("ada TURN")
    assert labels(page) == ["talk · turn 2"]
    page.get_by_role("searchbox").fill("反应快")
    assert labels(page) == ["自我介绍"]
    expect(page.locator("#shown")).to_have_text("1 of 5 shown")


def test_keys_move_between_turns_columns_and_repeats(open_page: PageOpener, real: Path) -> None:
    """The keys j and k move over the turns that are shown, digits choose a column, h and l change the repeat."""
    page = open_page(real)
    for key in "jjjk":
        page.keyboard.press(key)
    expect(page.locator("tr[aria-current]")).to_have_attribute("data-case", "自我介绍")
    expect(page.locator("tr[aria-current]")).to_be_focused()
    page.keyboard.press("2")
    expect(page.locator("thead th.chosen")).to_have_text("sim/steady simulated")
    page.keyboard.press("l")
    expect(page.locator("tr[aria-current] .pager")).to_contain_text("repeat 2 of 2")
    page.keyboard.press("h")
    expect(page.locator("tr[aria-current] .pager")).to_contain_text("repeat 1 of 2")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_keys_are_letters_in_the_search_field(open_page: PageOpener, real: Path) -> None:
    """In the search field, j is a letter."""
    page = open_page(real)
    page.keyboard.press("/")
    page.keyboard.type("jd1?")
    expect(page.get_by_role("searchbox")).to_have_value("jd1?")
    assert fragment(page) == "#find=jd1%3F"
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    expect(page.get_by_label("Raw")).to_be_checked()


def test_differences_to_a_base_are_marked_word_by_word(open_page: PageOpener, real: Path) -> None:
    """Against a base, removed words are struck and added ones underlined, and both texts are whole."""
    page = open_page(real)
    against(page).select_option("sim/quick")
    for turn in page.locator("tr.turn").all():
        turn.scroll_into_view_if_needed()  # rows far from the window are laid out later
    cells = row(page, "slow-start").locator("td")
    old, new = cells.nth(0).locator(".rendered").inner_text(), cells.nth(1).locator(".written")
    assert cells.nth(0).locator("del, ins").count() == 0
    assert new.locator("del").first.inner_text() == "quick"
    assert new.locator("ins").first.inner_text() == "steady"
    kept = new.evaluate("box => [...box.childNodes].filter(n => n.nodeName !== 'INS').map(n => n.textContent).join('')")
    assert kept == old
    chinese = row(page, "自我介绍").locator("td").nth(1)
    assert "".join(chinese.locator("del").all_inner_texts()).startswith("quick")
    assert row(page, "sum").locator("td").nth(1).locator(".written").inner_text().startswith("the same words")


def test_as_written_shows_the_source(open_page: PageOpener, real: Path) -> None:
    """The switch shows the Markdown source instead of its rendering, and back."""
    page = open_page(real)
    cell = row(page, "slow-start").locator("td").nth(1)
    expect(cell.locator("ol li").first).to_be_visible()
    page.get_by_label("Raw").check()
    expect(cell.locator("ol li").first).to_be_hidden()
    expect(cell.locator(".written")).to_contain_text("1. ")
    page.get_by_label("Raw").uncheck()
    expect(cell.locator("ol li").first).to_be_visible()


def test_reasoning_is_folded(open_page: PageOpener, real: Path) -> None:
    """Reasoning is hidden until it is opened, by mouse or keyboard."""
    page = unroll(open_page(real))
    thoughts = row(page, "slow-start").locator("td").nth(2).locator("details")
    expect(thoughts.locator(".text")).to_be_hidden()
    thoughts.locator("summary").press("Enter")
    expect(thoughts.locator(".text")).to_be_visible()


def test_the_address_holds_the_state(open_page: PageOpener, real: Path) -> None:
    """A reload, a link and an edited address restore filters, search and base."""
    page = open_page(real)
    page.get_by_role("radio", name="Differences").check()
    page.get_by_role("searchbox").fill("TCP")
    against(page).select_option("sim/thinker")
    page.keyboard.press("Tab")
    assert fragment(page) == "#show=different&find=TCP&diff=3"
    page.reload()
    open_page.events.clear()
    assert labels(page) == ["slow-start"]
    expect(against(page)).to_have_value("2")
    page.evaluate("location.hash = '#show=failed&raw'")
    expect(page.get_by_label("Raw")).to_be_checked()
    assert labels(page) == ["sum"]
    page.evaluate("location.hash = '#show=nonsense&diff=99&row=-1'")
    assert labels(page) == [*ROWS]


# -- Blind review ------------------------------------------------------------------------------------------------------


def test_blind_review_hides_the_targets(open_page: PageOpener, anonymous: Path) -> None:
    """No text that is visible or read aloud names a target; timings and charts are hidden, too."""
    page = open_page(anonymous)
    assert "exact?" in page.locator("body").inner_text()
    page.get_by_role("button", name="Blind vote").click()
    visible = unroll(page).locator("body").inner_text() + page.locator("body").aria_snapshot() + page.title()
    assert "exact?" not in visible
    assert "TTFT" not in visible
    assert page.locator("svg:visible").count() == 0
    assert page.locator("thead .name").all_inner_texts() == [*"ABCDEFGHIJKL"]
    page.get_by_role("button", name="Reveal names").click()
    assert page.locator("thead .name").all_inner_texts() == [*ANONYMOUS]


def test_a_report_can_be_opened_blind(open_page: PageOpener, anonymous: Path) -> None:
    """With #blind in the address, names are hidden from the first paint."""
    page = open_page(anonymous, "#blind")
    assert "exact?" not in unroll(page).locator("body").inner_text()


def test_columns_are_shuffled_case_by_case(open_page: PageOpener, anonymous: Path) -> None:
    """Twelve columns have another order in each case, and the turns of one conversation have the same."""
    page = open_page(anonymous, "#blind")
    orders = page.evaluate("turns.map(turn => turn.order.join())")
    assert orders[3] == orders[4]
    assert len(set(orders)) == 4
    assert page.evaluate(
        "turns.every(turn => turn.order.every((c, at) => turn.element.children[at + 1] === turn.cells[c]))"
    )


def test_a_key_without_a_chosen_turn_chooses_the_first_to_vote_on(open_page: PageOpener, anonymous: Path) -> None:
    """It casts no vote, because the user has not seen which reply it is for; the next key does."""
    page = open_page(anonymous, "#blind")
    page.keyboard.press("t")
    expect(page.locator("tr[aria-current] .label")).to_have_text("sum")
    expect(page.locator("#voted")).to_have_text("0 of 5 voted")
    page.keyboard.press("t")
    expect(page.locator("#voted")).to_have_text("1 of 5 voted")


def test_votes_are_cast_counted_and_exported(open_page: PageOpener, anonymous: Path, tmp_path: Path) -> None:
    """A vote goes to the target behind the letter; revealing names shows the count; the file has every vote."""
    page = open_page(anonymous, "#blind")
    page.keyboard.press("j")
    page.keyboard.press("2")
    chosen = page.evaluate("data.columns[turns[0].order[1]]")
    expect(row(page, "sum").get_by_role("button", name="B is best")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("tr[aria-current] .label")).to_have_text("自我介绍")
    row(page, "自我介绍").get_by_role("button", name="tie").click()
    expect(page.locator("tr[aria-current] .label")).to_have_text("slow-start")
    for _ in range(2):
        row(page, "slow-start").get_by_role("button", name="A is best").click()
    expect(page.locator("#voted")).to_have_text("2 of 5 voted")
    expect(page.locator("#tally")).to_be_hidden()
    page.reload()
    open_page.events.clear()
    expect(page.locator("#voted")).to_have_text("2 of 5 voted")
    page.keyboard.press("b")
    expect(page.locator("#tally tr").filter(has_text=chosen).get_by_role("cell")).to_have_text("1")
    page.get_by_label("Your name").fill("Ada")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as JSON").click()
    open_page.events.clear()  # the download is a blob of the page's own
    download.value.save_as(tmp_path / "votes.json")
    exported = json.loads((tmp_path / "votes.json").read_text(encoding="utf-8"))
    journal = (anonymous.parent / "journal.jsonl").read_text(encoding="utf-8").partition("\n")[0]
    header = json.loads(journal)
    assert {name: exported[name] for name in ("format", "run_id", "suite_digest", "voter")} == {
        "format": 1,
        "run_id": header["run_id"],
        "suite_digest": header["digest"],
        "voter": "Ada",
    }
    assert [(vote["case"], vote["winner"]) for vote in exported["votes"]] == [("sum", chosen), ("自我介绍", "tie")]
    assert sorted(exported["votes"][0]["targets"]) == sorted(ANONYMOUS)
    assert all(datetime.fromisoformat(vote["at"]).tzinfo for vote in exported["votes"])
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#votes")).to_be_hidden()


def test_exported_votes_are_counted_by_the_command(open_page: PageOpener, anonymous: Path, tmp_path: Path) -> None:
    """The page exports what `compare votes` and `compare report --votes` read; a blind page hides the result."""
    page = open_page(anonymous, "#blind")
    turns = page.evaluate("toVoteOn().length")
    chosen = page.evaluate("toVoteOn().map(turn => data.targets[turn.order[1]])")
    page.keyboard.press("j")
    for _ in range(turns):
        page.keyboard.press("2")
    page.keyboard.press("b")
    page.get_by_label("Your name").fill("Ada")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as JSON").click()
    open_page.events.clear()  # the download is a blob of the page's own
    download.value.save_as(tmp_path / "ada.json")

    counted = finish(start(tmp_path, "votes", str(anonymous.parent), "ada.json", "--json"))
    plain = json.loads(counted.stdout)
    assert plain["together"]["votes"] == turns == len(chosen)
    wins = {rate["target"]: rate["wins"] for rate in plain["together"]["rates"]["targets"]}
    assert sum(wins.values()) == turns * (len(ANONYMOUS) - 1)
    assert {target for target, won in wins.items() if won} == set(chosen)

    written = finish(start(tmp_path, "report", str(anonymous.parent), "--votes", "ada.json", "-o", "voted.html"))
    assert written.returncode == 0
    voted = open_page(tmp_path / "voted.html")
    section = voted.get_by_role("region", name="Blind votes")
    expect(section).to_contain_text(f"{turns} votes by 1 person")
    found = Axe().run(voted)
    assert found.violations_count == 0, found.generate_report()
    voted.keyboard.press("b")
    expect(section).to_be_hidden()


# -- Word diffs --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def words(browser: Browser, real: Path) -> Iterator[Page]:
    """Return a page whose functions can be called."""
    page = browser.new_page()
    page.goto(real.as_uri())
    yield page
    page.close()


@pytest.mark.parametrize(
    "text", [*(reply[:3000] for reply in REPLIES.values()), "", "naïve café's 3.14 通义千问，한국어 ｶﾅ"]
)
def test_words_are_those_of_the_analysis(words: Page, text: str) -> None:
    """The page splits texts as `runner.analysis.word_diff` does."""
    shown = text.encode("utf-16", "replace").decode("utf-16")
    assert words.evaluate("text => tokenize(text)", shown) == tokenize(shown)


def test_word_diff_makes_up_both_texts(words: Page) -> None:
    """In thousands of pairs, same and removed pieces are the old text, same and added ones the new."""
    random = Random(1)
    pairs = [["".join(random.choices("ab 中文，\n", k=random.randrange(25))) for _ in range(2)] for _ in range(3000)]
    wrong = words.evaluate(
        """pairs => pairs.filter(([old, fresh]) => {
            const pieces = diffWords(old, fresh);
            const without = kind => pieces.filter(p => p.change !== kind).map(p => p.text).join("");
            return pieces !== null && (without("added") !== old || without("removed") !== fresh);
        })""",
        pairs,
    )
    assert wrong == []
    assert words.evaluate("diffWords('one two three four', 'one 2 three four').map(p => p.text)") == [
        "one ",
        "two",
        "2",
        " three four",
    ]
    assert words.evaluate("diffWords('alpha', 'beta')") is None


# -- Accessibility, widths, print --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("state", ["", "#diff=1", "#raw&row=2&column=2", "#blind&row=1"])
def test_a_report_is_accessible(open_page: PageOpener, real: Path, scheme: Scheme, state: str) -> None:
    """axe-core finds no violation, contrast included, in either colour scheme."""
    found = Axe().run(open_page(real, state, color_scheme=scheme))
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_hostile_and_wide_reports_are_accessible(
    open_page: PageOpener, hostile: Path, anonymous: Path, scheme: Scheme
) -> None:
    """Hostile replies and many columns cause no violation either."""
    for report in (hostile, anonymous):
        found = Axe().run(open_page(report, color_scheme=scheme))
        assert found.violations_count == 0, found.generate_report()


def test_the_page_follows_the_colour_scheme(open_page: PageOpener, real: Path) -> None:
    """The background is white, or dark where the system prefers it."""
    colours = [
        open_page(real, color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in SCHEMES
    ]
    assert colours == ["rgb(255, 255, 255)", "rgb(21, 24, 28)"]


@pytest.mark.parametrize("state", ["", "#raw", "#diff=1"])
def test_no_page_is_wider_than_its_window(
    open_page: PageOpener, real: Path, hostile: Path, anonymous: Path, state: str
) -> None:
    """On a phone, a tablet and a desktop, the page does not scroll sideways."""
    for report in (real, hostile, anonymous):
        page = open_page(report, state)
        for width in (1280, 768, 390, 320):
            page.set_viewport_size({"width": width, "height": 800})
            assert overflow(page) <= 0, (report, width)


def test_on_a_phone_replies_stand_below_each_other_with_names(open_page: PageOpener, real: Path) -> None:
    """Each reply is below its target's name."""
    page = open_page(real, viewport={"width": 390, "height": 844})
    cells = row(page, "slow-start").locator("td")
    tops = [cell.bounding_box() for cell in cells.all()]
    assert [box["y"] for box in tops if box] == sorted({box["y"] for box in tops if box})
    assert unroll(page).locator("tr.turn").nth(2).locator(".name").all_inner_texts() == [*TARGETS]


def test_a_printed_report_has_no_controls(open_page: PageOpener, real: Path) -> None:
    """On paper there are replies and no controls."""
    page = open_page(real)
    page.emulate_media(media="print")
    expect(page.locator("#controls")).to_be_hidden()
    expect(row(page, "talk").locator("article").first).to_be_visible()
    assert page.pdf().startswith(b"%PDF")


def test_a_report_is_readable_without_javascript(open_page: PageOpener, real: Path) -> None:
    """Summary and a reply of each target are shown; controls, which would do nothing, are hidden."""
    page = open_page(real, java_script_enabled=False)
    expect(page.locator("#controls")).to_be_hidden()
    expect(page.get_by_role("heading", name="Ranking")).to_be_visible()
    assert page.locator("td article").count() == len(ROWS) * len(TARGETS)
    expect(page.get_by_text("Without JavaScript")).to_be_visible()


# -- Hostile replies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["", "#raw", "#diff=2", "#blind"])
def test_hostile_replies_have_no_effect(open_page: PageOpener, hostile: Path, state: str) -> None:
    """No script, handler, link, image or style of a reply has an effect, and the grid keeps its shape."""
    page = open_page(hostile, state)
    for turn in page.locator("tr.turn:not([hidden])").all():
        turn.scroll_into_view_if_needed()
    for control in page.locator(".pager button[data-step='1']:visible").all():
        control.click()
    assert page.evaluate("[typeof hacked, document.images.length, document.forms.length]") == ["undefined", 0, 2]
    assert page.locator("tr.turn").count() == len(REPLIES)
    assert page.evaluate("turns.every(turn => turn.element.children.length === 4)")
    assert page.locator("article [href]:not([href^='http']), article [style], article [id]").count() == 0
    assert page.evaluate(
        "[...document.querySelectorAll('tr.turn:not([hidden])')].every(row => getComputedStyle(row).display !== 'none')"
    )


def test_hostile_replies_stay_in_their_cells(open_page: PageOpener, hostile: Path) -> None:
    """A word of any length, width or direction ends at its cell's border."""
    page = open_page(hostile)
    for turn in page.locator("tr.turn").all():
        turn.scroll_into_view_if_needed()
        outside = turn.evaluate(
            "row => [...row.children].filter(cell => cell.scrollWidth > cell.clientWidth + 1).length"
        )
        assert outside == 0


def test_a_link_of_a_reply_opens_in_a_new_window_without_referrer(open_page: PageOpener, hostile: Path) -> None:
    """The report stays open, and its address is not sent."""
    link = row(open_page(hostile), "links").locator("article a[href^='https://good.example']").first
    assert link.get_attribute("target") == "_blank"
    assert link.get_attribute("rel") == "noopener noreferrer nofollow"


def test_long_names_and_deep_quotes_widen_no_page(open_page: PageOpener, tmp_path: Path) -> None:
    """Names of 200 letters and a reply of nested quotes stay in their columns, on a phone too."""
    targets = (f"acme/{'m' * 200}", f"{'p' * 200}/n", "acme/n")
    with journal.JournalWriter(tmp_path) as log:
        log.append_header(header("long", targets, suite="s" * 200, cases=("c" * 200,)))
        for target in targets:
            log.append_record(answered(target, "c" * 200, 1, reply=">" * 18 + " innermost"))
        log.append({"kind": "end"})
    path = tmp_path / "report.html"
    path.write_text(write_report([Run.of_journal(journal.read(tmp_path))]), encoding="utf-8")
    for width in (1280, 375):
        page = unroll(open_page(path, viewport={"width": width, "height": 800}))
        assert overflow(page) == 0
        innermost = page.locator(".rendered p", has_text="innermost").first
        assert innermost.evaluate(
            "p => p.getBoundingClientRect().right <= p.closest('td').getBoundingClientRect().right"
        )


def test_images_of_a_prompt_are_shown_small(tmp_path: Path, open_page: PageOpener) -> None:
    """Each image stands below its prompt, in one size, with its name; the page requests none of them."""
    for name, width, height in (("wide.png", 900, 300), ("small.png", 40, 30)):
        (tmp_path / name).write_bytes(png(width, height, fill=120))
    prompt = [{"image": "wide.png"}, {"image": "small.png"}, "Which is wider?"]
    write_yaml(tmp_path / "suite.yaml", {"cases": [{"id": "a", "prompt": prompt}, {"id": "b", "prompt": "Hello"}]})
    done = finish(start(tmp_path, "run", "suite.yaml", "-m", "sim/quick", "-o", "out"))
    assert done.returncode == 0, done.stderr
    page = open_page(tmp_path / "out" / "report.html", viewport={"width": 390, "height": 800})
    images = page.locator(".thumbnails img")
    expect(images).to_have_count(2)
    assert [image.get_attribute("alt") for image in images.all()] == ["wide.png, 900x300", "small.png, 40x30"]
    for image in images.all():
        image.scroll_into_view_if_needed()
        assert image.evaluate("image => image.complete && image.naturalWidth > 0")
        box = image.bounding_box()
        assert box is not None
        assert (box["width"] <= 162, box["height"] <= 130) == (True, True)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
