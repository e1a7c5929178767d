"""Reports of real runs in a real browser: what is clicked and typed works, what is hostile does nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest

from runner.analysis.word_diff import tokenize
from tests.support.command import compare, write_yaml
from tests.support.hostile_replies import REPLIES, write_hostile_run

pytest.importorskip("playwright", reason="installed by .ci/run")
pytest.importorskip("axe_playwright_python", reason="installed by .ci/run")

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"
Scheme = Literal["light", "dark"]
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

# Replies that do not tell who they are, for blind review; twelve of them, for width.
ANONYMOUS = tuple(f"sim/exact?ttft_ms={40 + at}&gap_ms=1&tokens=9" for at in range(12))


def reported(folder: Path, *arguments: str) -> Path:
    """Run the suite with the simulator; return the report that the run has written."""
    write_yaml(folder / "suite.yaml", SUITE)
    done = compare(folder, "run", "suite.yaml", "--seed", "1", "-q", "-o", "run", *arguments)
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
    assert compare(folder, "report", str(folder)).returncode == 0
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a browser while this module is tested."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


class Opener:
    """Opens reports, and takes note of all that they ask for or complain about."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.heard: list[str] = []
        self._opened: list[Page] = []

    def __call__(self, report: Path, fragment: str = "", **options: Any) -> Page:
        """Open a report in a window of its own."""
        page = self._browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}).new_page()
        page.on("console", lambda message: self.heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.heard.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.heard.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.heard.append(f"request: {request.url}"))
        page.goto(f"{report.as_uri()}{fragment}")
        self._opened.append(page)
        self.heard.remove(f"request: {report.as_uri()}")
        return page

    def close(self) -> None:
        """Close every window."""
        for page in self._opened:
            page.context.close()


@pytest.fixture
def opening(browser: Browser) -> Iterator[Opener]:
    """Return what opens reports; afterwards, none of them may have asked for anything or complained."""
    opener = Opener(browser)
    yield opener
    opener.close()
    assert opener.heard == []


def labels(page: Page) -> list[str]:
    """Return the turns that are shown."""
    return page.locator("tr.turn:not([hidden]) .label").all_text_contents()


def unroll(page: Page) -> Page:
    """Lay out every row, those far below the window, too: only then can their texts be asked for as they are seen."""
    page.evaluate("turns.forEach(turn => turn.element.style.contentVisibility = 'visible')")
    return page


def row(page: Page, label: str) -> Locator:
    """Return a turn's row."""
    return page.locator("tr.turn").filter(has=page.locator(".label", has_text=label)).first


def against(page: Page) -> Locator:
    """Return the choice of what to hold replies against."""
    return page.locator("select[name=base]")


def fragment(page: Page) -> str:
    """Return the state as the address tells it."""
    return str(page.evaluate("location.hash"))


def overflow(page: Page) -> int:
    """Return by how much the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


# -- What is clicked and typed -----------------------------------------------------------------------------------------


def test_a_report_opens_from_disk(opening: Opener, real: Path) -> None:
    """Every turn and target is there, the first of each column below its name."""
    page = opening(real)
    assert labels(page) == [*ROWS]
    assert page.locator("thead .name").all_inner_texts() == [*TARGETS]
    expect(page.locator("#shown")).to_have_text("5 shown")


def test_filters_show_what_they_say(opening: Opener, real: Path) -> None:
    """Failed are those with a failed check, different those whose replies differ; search looks at all that was said."""
    page = opening(real)
    page.get_by_text("failed", exact=True).click()
    assert labels(page) == ["sum"]
    page.get_by_text("different", exact=True).click()
    assert "sum" not in labels(page)
    assert "自我介绍" in labels(page)
    page.get_by_text("all", exact=True).click()
    page.get_by_role("searchbox").fill("ada TURN")
    assert labels(page) == ["talk · turn 2"]
    page.get_by_role("searchbox").fill("反应快")
    assert labels(page) == ["自我介绍"]
    expect(page.locator("#shown")).to_have_text("1 of 5 shown")


def test_keys_walk_and_choose(opening: Opener, real: Path) -> None:
    """The keys j and k walk over the turns that are shown, digits choose a column, h and l turn repeats."""
    page = opening(real)
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


def test_keys_are_letters_while_one_types(opening: Opener, real: Path) -> None:
    """In the search field, j is a j."""
    page = opening(real)
    page.keyboard.press("/")
    page.keyboard.type("jd1?")
    expect(page.get_by_role("searchbox")).to_have_value("jd1?")
    assert fragment(page) == "#find=jd1%3F"
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    expect(page.get_by_role("checkbox")).to_be_checked()


def test_differences_are_marked_in_words(opening: Opener, real: Path) -> None:
    """Against a chosen column, what went is struck and what came is underlined, and both make up the two replies."""
    page = opening(real)
    against(page).select_option("sim/quick")
    for turn in page.locator("tr.turn").all():
        turn.scroll_into_view_if_needed()  # what is far from the window waits
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


def test_raw_shows_what_was_written(opening: Opener, real: Path) -> None:
    """The switch turns rendered Markdown into its source, and back."""
    page = opening(real)
    cell = row(page, "slow-start").locator("td").nth(1)
    expect(cell.locator("ol li").first).to_be_visible()
    page.get_by_label("as written").check()
    expect(cell.locator("ol li").first).to_be_hidden()
    expect(cell.locator(".written")).to_contain_text("1. ")
    page.get_by_label("as written").uncheck()
    expect(cell.locator("ol li").first).to_be_visible()


def test_reasoning_is_folded(opening: Opener, real: Path) -> None:
    """Thoughts are behind a click, which the keyboard can make, too."""
    page = unroll(opening(real))
    thoughts = row(page, "slow-start").locator("td").nth(2).locator("details")
    expect(thoughts.locator(".text")).to_be_hidden()
    thoughts.locator("summary").press("Enter")
    expect(thoughts.locator(".text")).to_be_visible()


def test_the_address_holds_the_state(opening: Opener, real: Path) -> None:
    """A reload, a link and the address typed anew bring back what was looked at."""
    page = opening(real)
    page.get_by_text("different", exact=True).click()
    page.get_by_role("searchbox").fill("TCP")
    against(page).select_option("sim/thinker")
    page.keyboard.press("Tab")
    assert fragment(page) == "#show=different&find=TCP&diff=3"
    page.reload()
    opening.heard.clear()
    assert labels(page) == ["slow-start"]
    expect(against(page)).to_have_value("2")
    page.evaluate("location.hash = '#show=failed&raw'")
    expect(page.get_by_label("as written")).to_be_checked()
    assert labels(page) == ["sum"]
    page.evaluate("location.hash = '#show=nonsense&diff=99&row=-1'")
    assert labels(page) == [*ROWS]


# -- Blind review ------------------------------------------------------------------------------------------------------


def test_blind_review_names_nobody(opening: Opener, anonymous: Path) -> None:
    """No text that can be seen or read aloud tells who said what; timings and pictures are gone as well."""
    page = opening(anonymous)
    assert "exact?" in page.locator("body").inner_text()
    page.get_by_role("button", name="blind").click()
    said = unroll(page).locator("body").inner_text() + page.locator("body").aria_snapshot() + page.title()
    assert "exact?" not in said
    assert "TTFT" not in said
    assert page.locator("svg:visible").count() == 0
    assert page.locator("thead .name").all_inner_texts() == [*"ABCDEFGHIJKL"]
    page.get_by_role("button", name="reveal names").click()
    assert page.locator("thead .name").all_inner_texts() == [*ANONYMOUS]


def test_a_report_can_be_opened_blind(opening: Opener, anonymous: Path) -> None:
    """The address alone is enough, for one who must not see the names even for a moment."""
    page = opening(anonymous, "#blind")
    assert "exact?" not in unroll(page).locator("body").inner_text()


def test_columns_are_shuffled_case_by_case(opening: Opener, anonymous: Path) -> None:
    """Of twelve columns none keeps its place everywhere, and turns of one conversation keep one order."""
    page = opening(anonymous, "#blind")
    orders = page.evaluate("turns.map(turn => turn.order.join())")
    assert orders[3] == orders[4]
    assert len(set(orders)) == 4
    assert page.evaluate(
        "turns.every(turn => turn.order.every((c, at) => turn.element.children[at + 1] === turn.cells[c]))"
    )


def test_votes_are_cast_counted_and_exported(opening: Opener, anonymous: Path, tmp_path: Path) -> None:
    """A vote goes to the target behind the letter; names come back with the count, and the file holds every vote."""
    page = opening(anonymous, "#blind")
    page.keyboard.press("j")
    page.keyboard.press("2")
    chosen = page.evaluate("data.columns[turns[0].order[1]]")
    expect(row(page, "sum").get_by_role("button", name="B is best")).to_have_attribute("aria-pressed", "true")
    row(page, "自我介绍").get_by_role("button", name="a tie").click()
    row(page, "slow-start").get_by_role("button", name="A is best").click()
    row(page, "slow-start").get_by_role("button", name="A is best").click()
    expect(page.locator("#voted")).to_have_text("2 of 5 voted")
    expect(page.locator("#tally")).to_be_hidden()
    page.reload()
    opening.heard.clear()
    expect(page.locator("#voted")).to_have_text("2 of 5 voted")
    page.keyboard.press("b")
    expect(page.locator("#tally tr").filter(has_text=chosen).get_by_role("cell")).to_have_text("1")
    with page.expect_download() as download:
        page.get_by_role("button", name="export as JSON").click()
    opening.heard.clear()  # the download is a blob of the page's own
    download.value.save_as(tmp_path / "votes.json")
    exported = json.loads((tmp_path / "votes.json").read_text(encoding="utf-8"))
    assert exported["n"] == 2
    assert [(vote["case"], vote["choice"]) for vote in exported["votes"]] == [("sum", chosen), ("自我介绍", "tie")]
    assert sorted(exported["votes"][0]["shown"]) == sorted(ANONYMOUS)
    assert {each["choice"]: each["votes"] for each in exported["tally"]}[chosen] == 1
    page.get_by_role("button", name="clear").click()
    expect(page.locator("#votes")).to_be_hidden()


# -- The words of the differences --------------------------------------------------------------------------------------


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


def test_pieces_make_up_both_texts(words: Page) -> None:
    """Of thousands of pairs, what stayed and went is the old text, what stayed and came is the new one."""
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


# -- Everybody and everywhere ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("state", ["", "#diff=1", "#raw&row=2&column=2", "#blind&row=1"])
def test_a_report_is_accessible(opening: Opener, real: Path, scheme: Scheme, state: str) -> None:
    """axe-core finds nothing to object to, contrast included, in either scheme."""
    found = Axe().run(opening(real, state, color_scheme=scheme))
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_hostile_and_wide_reports_are_accessible(
    opening: Opener, hostile: Path, anonymous: Path, scheme: Scheme
) -> None:
    """Nor do replies, or many columns, bring in what hinders."""
    for report in (hostile, anonymous):
        found = Axe().run(opening(report, color_scheme=scheme))
        assert found.violations_count == 0, found.generate_report()


def test_dark_is_dark(opening: Opener, real: Path) -> None:
    """The page follows the system's scheme."""
    colours = [
        opening(real, color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in SCHEMES
    ]
    assert colours == ["rgb(255, 255, 255)", "rgb(21, 24, 28)"]


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_page_is_wider_than_its_window(
    opening: Opener, real: Path, hostile: Path, anonymous: Path, width: int
) -> None:
    """On a phone, a tablet and a desk, the page is never scrolled sideways."""
    for report in (real, hostile, anonymous):
        for state in ("", "#raw", "#diff=1"):
            page = opening(report, state, viewport={"width": width, "height": 800})
            assert overflow(page) <= 0, (report, state)


def test_a_phone_names_every_reply(opening: Opener, real: Path) -> None:
    """One reply stands below the other, each below its target's name."""
    page = opening(real, viewport={"width": 390, "height": 844})
    cells = row(page, "slow-start").locator("td")
    tops = [cell.bounding_box() for cell in cells.all()]
    assert [box["y"] for box in tops if box] == sorted({box["y"] for box in tops if box})
    assert unroll(page).locator("tr.turn").nth(2).locator(".name").all_inner_texts() == [*TARGETS]


def test_a_report_prints(opening: Opener, real: Path) -> None:
    """On paper there are replies and no controls."""
    page = opening(real)
    page.emulate_media(media="print")
    expect(page.locator("#controls")).to_be_hidden()
    expect(row(page, "talk").locator("article").first).to_be_visible()
    assert page.pdf().startswith(b"%PDF")


def test_a_report_reads_without_javascript(opening: Opener, real: Path) -> None:
    """Summary, pictures and a reply of each target are there; controls that would do nothing are not."""
    page = opening(real, java_script_enabled=False)
    expect(page.locator("#controls")).to_be_hidden()
    expect(page.get_by_role("heading", name="Who was fastest")).to_be_visible()
    assert page.locator("td article").count() == len(ROWS) * len(TARGETS)
    expect(page.get_by_text("Without JavaScript")).to_be_visible()


# -- Hostile replies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["", "#raw", "#diff=2", "#blind"])
def test_hostile_replies_do_nothing(opening: Opener, hostile: Path, state: str) -> None:
    """No script, no handler, no link, no image, no style of theirs has an effect; the table keeps its shape."""
    page = opening(hostile, state)
    for turn in page.locator("tr.turn").all():
        turn.scroll_into_view_if_needed()
    for control in page.locator(".pager button[data-step='1']:visible").all():
        control.click()
    assert page.evaluate("[typeof hacked, document.images.length, document.forms.length]") == ["undefined", 0, 2]
    assert page.locator("tr.turn").count() == len(REPLIES)
    assert page.evaluate("turns.every(turn => turn.element.children.length === 4)")
    assert page.locator("article [href]:not([href^='http']), article [style], article [id]").count() == 0
    assert page.evaluate("getComputedStyle(document.querySelector('tr.turn')).display") != "none"


def test_hostile_replies_stay_in_their_cells(opening: Opener, hostile: Path) -> None:
    """However long or wide a word is, and whichever way it runs, it ends at its cell's border."""
    page = opening(hostile)
    for turn in page.locator("tr.turn").all():
        turn.scroll_into_view_if_needed()
        outside = turn.evaluate(
            "row => [...row.children].filter(cell => cell.scrollWidth > cell.clientWidth + 1).length"
        )
        assert outside == 0


def test_a_link_of_a_reply_opens_apart(opening: Opener, hostile: Path) -> None:
    """A link that is allowed tells its target nothing of the report, and leaves the report open."""
    link = row(opening(hostile), "links").locator("article a[href^='https://good.example']").first
    assert link.get_attribute("target") == "_blank"
    assert link.get_attribute("rel") == "noopener noreferrer nofollow"
