"""The HTML report: any text stays text, omissions are noted, and rankings are limited to what was measured."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from shutil import copytree
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wcwidth import wcswidth

from runner.analysis.run_results import Run
from runner.outputs.report import reply_grid
from runner.outputs.report.duration_ranking import rank_targets
from runner.outputs.report.markdown_to_html import MAX_CHARACTERS, safe_html
from runner.outputs.report.render_html import write_report
from runner.outputs.report.reply_grid import MAX_REPLIES, GridTurn, grid_turns, sample_turns, target_columns
from runner.outputs.text.escape import printable
from runner.storage import journal
from tests.conftest import RunCli
from tests.support.crafted_runs import BASE, NEW, answered, failed, header, jittered, run_of_targets
from tests.support.examples import FEWER
from tests.support.hostile_replies import REPLIES, write_hostile_run
from tests.support.parsed_page import ParsedPage, squeezed

MARKUP = st.text("|\\`<>&*_[]()!~$#@:/.w'\"-= \n\r\t\x00\u202e\u2028a1中", max_size=80)
TEXTS = st.one_of(
    MARKUP, st.text(st.characters(), max_size=80), st.sampled_from([reply[:500] for reply in REPLIES.values()])
)

REPLY_TAGS = {
    *("a", "blockquote", "br", "code", "div", "em", "hr", "li", "ol", "p", "pre", "s", "span", "strong"),
    *("table", "tbody", "td", "th", "thead", "tr", "ul"),
}
REPLY_ATTRIBUTES = {"class", "href", "rel", "start", "tabindex", "target", "title"}


def turns_of(run: Run) -> tuple[GridTurn, ...]:
    """Return the grid's rows of a single run."""
    return grid_turns(target_columns([run]))


# -- A reply -----------------------------------------------------------------------------------------------------------


@given(TEXTS)
@example("[x](http://[)")
@example("![a](http://x 'onload=\"x')")
def test_a_reply_becomes_safe_html(text: str) -> None:
    """Any reply has only the listed elements and attributes, and links of known schemes."""
    page = ParsedPage(safe_html(printable(text)))
    assert page.tags <= REPLY_TAGS
    assert {name for _, attributes in page.elements for name in attributes} <= REPLY_ATTRIBUTES
    links = [attributes for tag, attributes in page.elements if tag == "a"]
    assert {urlsplit(link["href"] or "").scheme for link in links if "href" in link} <= {"http", "https", "mailto"}
    assert all(link["rel"] == "noopener noreferrer nofollow" for link in links)


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("**bold** and `code`", "<p><strong>bold</strong> and <code>code</code></p>\n"),
        ("one\ntwo", "<p>one<br>\ntwo</p>\n"),
        ("# Title", '<p class="heading">Title</p>\n'),
        (
            "![a cat](http://x.example/c.png)",
            '<p><span class="image">image: a cat (http://x.example/c.png)</span></p>\n',
        ),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>\n"),
        ("[a](/etc/passwd)", "<p>[a](/etc/passwd)</p>\n"),
        ("<b>hi</b>", "<p>&lt;b&gt;hi&lt;/b&gt;</p>\n"),
    ],
)
def test_markdown_is_rendered(markdown: str, html: str) -> None:
    """Markdown is rendered, but headings become paragraphs, images become text, and HTML is escaped."""
    assert safe_html(markdown) == html


def test_a_very_long_reply_is_not_rendered() -> None:
    """A reply that would take long to parse as Markdown is shown as text."""
    assert safe_html("[" * (MAX_CHARACTERS + 1)) == f'<div class="text">{"[" * (MAX_CHARACTERS + 1)}</div>'


# -- The page ----------------------------------------------------------------------------------------------------------


@settings(max_examples=FEWER)
@given(TEXTS)
@example("</script><script>alert(1)</script>")
@example("</template></article><script>")
def test_any_text_stays_text(text: str) -> None:
    """Reply, prompt, reasoning, error, names and suite add no element or attribute that a plain run lacks."""
    records = [answered(BASE, "one", block) for block in (1, 2)]
    plain = ParsedPage(write_report([run_of_targets(records)]))
    changed = [
        replace(
            each,
            identity=replace(each.identity, case=f"c{text}", model=f"m{text}", prompt=text),
            reply=text,
            reasoning=text,
            error=text,
            finish_reason=text or None,
        )
        for each in records
    ]
    page = ParsedPage(
        write_report([run_of_targets([*changed, failed()], (f"acme/m{text}", BASE), suite=f"s{text}", platform=text)])
    )
    assert page.tags <= plain.tags | REPLY_TAGS | {
        "svg",
        "g",
        "path",
        "rect",
        "line",
        "text",
        "title",
        "desc",
        "details",
        "summary",
    }
    assert not [
        name for _, found in page.elements for name in found if name.startswith("on") or name in {"style", "src"}
    ]
    assert len(page.sources["script"]) == len(plain.sources["script"])


def test_the_policy_allows_the_pages_own_style_and_scripts_alone() -> None:
    """The policy lists the digests of all scripts and styles, and forbids scripts to make HTML of text."""
    page = ParsedPage(write_report([run_of_targets([answered()])]))

    def digests(kind: str) -> str:
        sources = (b64encode(sha256(source.encode()).digest()).decode() for source in page.sources[kind])
        return " ".join(f"'sha256-{digest}'" for digest in sources)

    assert page.policy == (
        f"default-src 'none'; style-src {digests('style')}; script-src {digests('script')}; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'"
    )


def test_the_page_loads_nothing() -> None:
    """No element names an address to load from, and all links are those of replies."""
    page = ParsedPage(write_report([run_of_targets([answered(reply="[a](https://x.example)")])]))
    loading = {"src", "srcset", "data", "poster", "action", "background", "ping"}
    assert not [found for _, found in page.elements if loading & set(found)]
    assert "link" not in page.tags
    links = [found["href"] or "" for tag, found in page.elements if tag == "a"]
    assert [link for link in links if not link.startswith("#")] == ["https://x.example"]


@settings(max_examples=FEWER)
@given(TEXTS, TEXTS)
def test_scripts_get_every_reply(reply: str, prompt: str) -> None:
    """The data of the scripts has the replies as they were written, with control characters replaced."""
    record = answered(reply=reply)
    page = ParsedPage(
        write_report([run_of_targets([replace(record, identity=replace(record.identity, prompt=prompt))])])
    )
    turns = page.texts["turns"]
    assert isinstance(turns, list)
    assert [turn["replies"] for turn in turns] == [[{"1": printable(reply)}, {}]]


def test_the_page_is_readable_without_scripts() -> None:
    """Summary, prompts and the first reply of each cell are in the HTML."""
    text = squeezed(
        ParsedPage(write_report([run_of_targets([answered(BASE, reply="First"), answered(NEW, reply="Second")])])).text
    )
    for words in ("answered first", "Summary", "Tell one.", "First", "Second", "TTFT 300 ms", "finish stop"):
        assert words in text


def test_hostile_replies_add_no_other_elements(tmp_path: Path) -> None:
    """A run of hostile replies makes a page of listed elements only, and of bounded size."""
    run = Run.of_journal(journal.read(write_hostile_run(tmp_path / "run")))
    html = write_report([run])
    page = ParsedPage(html)
    assert not page.tags & {"img", "link", "iframe", "object", "embed", "base", "textarea", "math"}
    assert not [name for _, found in page.elements for name in found if name.startswith("on")]
    assert len(html.encode()) < 5_000_000


# -- The comparison grid -----------------------------------------------------------------------------------------------


def test_the_first_repeat_shown_is_the_earliest_with_most_good_replies() -> None:
    """It is the earliest of those in which most targets answered."""
    (turn,) = turns_of(
        run_of_targets([failed(BASE, block=1), answered(NEW, block=1), answered(BASE, block=2), answered(NEW, block=2)])
    )
    assert (turn.repeats, turn.first) == ([1, 2], 2)


def test_a_case_with_another_prompt_is_a_row_of_its_own() -> None:
    """If a suite was changed between two runs, replies to different prompts are not in one row."""
    changed = answered(BASE, reply="changed")
    runs = [
        run_of_targets([answered(BASE)], (BASE,)),
        run_of_targets([replace(changed, identity=replace(changed.identity, prompt="Tell one better."))], (BASE,)),
    ]
    turns = grid_turns(target_columns(runs))
    assert [(turn.prompt, [len(cell) for cell in turn.cells]) for turn in turns] == [
        ("Tell one better.", [0, 1]),
        ("Tell one.", [1, 0]),
    ]


def test_rows_are_marked_as_failed_or_flagged() -> None:
    """Rows have the attributes that the filters use."""
    records = [answered(BASE, "one"), failed(NEW, "one"), answered(BASE, "two", noted=("buffered",))]
    rows = [
        found
        for tag, found in ParsedPage(write_report([run_of_targets(records)])).elements
        if tag == "tr" and "data-at" in found
    ]
    assert [("data-failed" in row, "data-flagged" in row) for row in rows] == [(True, False), (False, True)]


def test_warmups_are_not_in_the_grid() -> None:
    """A warm-up request is not shown as a reply."""
    (turn,) = turns_of(run_of_targets([answered(BASE, reply="cold", warmup=True), answered(BASE, block=2)]))
    assert turn.repeats == [2]


# -- Large runs --------------------------------------------------------------------------------------------------------


def many(cases: int, repeats: int, reply: str = "Hello world") -> Run:
    """Return a run of two targets with this many cases and repeats."""
    names = tuple(f"case-{at:04}" for at in range(cases))
    records = (
        answered(target, case, block, reply=reply)
        for case in names
        for block in range(1, repeats + 1)
        for target in (BASE, NEW)
    )
    return run_of_targets(records, cases=names)


@pytest.mark.parametrize(
    ("cases", "repeats", "shown"), [(10, 100, (10, 100)), (10, 200, (10, 100)), (1500, 2, (1000, 1))]
)
def test_a_large_run_is_sampled(cases: int, repeats: int, shown: tuple[int, int]) -> None:
    """Repeats are left out first, then cases, both spread evenly, and a note counts them."""
    turns = turns_of(many(cases, repeats))
    sample = sample_turns(turns)
    assert (len(sample.turns), len(sample.turns[0].repeats)) == shown
    assert sum(len(cell) for turn in sample.turns for cell in turn.cells) <= MAX_REPLIES
    notes = " ".join(sample.left_out)
    assert (f"{shown[0]:,} of {cases:,} cases" in notes) == (shown[0] < cases)
    assert (f"{shown[1]} of up to {repeats} repeats" in notes) == (shown[1] < repeats)


def test_a_sample_keeps_the_repeat_that_is_shown_first() -> None:
    """Evenly spread repeats would omit it, and the sample might have failures only."""
    records = [failed(BASE, block=block) if block != 2999 else answered(BASE, block=block) for block in range(1, 3001)]
    (turn,) = sample_turns(turns_of(run_of_targets(records, (BASE,)))).turns
    assert (turn.first, len(turn.repeats)) == (2999, MAX_REPLIES)


def test_long_replies_are_cut_and_short_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """If texts do not fit, long ones are cut, and the page says where."""
    monkeypatch.setattr(reply_grid, "MAX_BYTES", 3000)
    run = run_of_targets([answered(BASE, reply="short"), answered(NEW, reply="x" * 10_000)])
    page = write_report([run])
    found = re.search(r"1 text cut at ([\d,]+) characters; whole in the run&#39;s results.csv", page)
    assert found is not None
    characters = int(found[1].replace(",", ""))
    assert 2500 < characters < 3000
    text = ParsedPage(page).text
    assert f"[{10_000 - characters:,} more characters]" in text
    assert "short" in text


@pytest.mark.thorough
def test_two_thousand_replies_are_less_than_thirty_megabytes() -> None:
    """The largest page that is not sampled has less than 30 MB."""
    reply = "A **reply** of usual length, `code` and 中文 included.\n\n- a list\n- of things\n\n" * 20
    html = write_report([many(100, 10, reply)])
    assert html.count("<article>") == 2000
    assert len(html.encode()) < 30_000_000


def test_a_page_of_23_targets_is_written() -> None:
    """From 23 targets on, the level of a pair is below the reach of any sample."""
    models = [f"acme/model-{at:02}" for at in range(23)]
    records = [each for at, model in enumerate(models) for each in jittered(model, 3, slower=1 + at / 10)]
    run = run_of_targets(records, models)
    assert ParsedPage(write_report([run])).texts["columns"] == models
    rankings = rank_targets(target_columns([run]))
    assert {len(ranking.places) for ranking in rankings} == {23}


# -- The command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def crafted_run(tmp_path: Path) -> Path:
    """Write a run of two targets, with Chinese text; return its folder."""
    folder = tmp_path / "results" / "mine"
    with journal.JournalWriter(folder) as log:
        log.append_header(header("mine", (BASE, NEW)))
        log.append_record(answered(BASE, reply="你好，世界。这是一个很长的回答，需要换行才能放进一列里。"))
        log.append_record(answered(NEW, reply="Hello \x1b[31mred\x1b[0m [bold]world[/bold]"))
        log.append({"kind": "end"})
    return folder


def test_report_goes_into_the_runs_folder(crafted_run: Path, run_cli: RunCli) -> None:
    """By default the page is written beside the journal, for every form of the run's name; the summary is printed."""
    for name in (crafted_run, crafted_run / "journal.jsonl", "mine"):
        (crafted_run / "report.html").unlink(missing_ok=True)
        done = run_cli("report", name, cwd=crafted_run.parents[1])
        assert done.returncode == 0, done.stderr
        assert BASE in done.stdout
        assert "written: " in done.stderr
        assert (crafted_run / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_several_runs_become_one_report(crafted_run: Path, run_cli: RunCli) -> None:
    """Their targets stand side by side, numbered by run, and the page goes into the current folder."""
    other = copytree(crafted_run, crafted_run.with_name("other"))
    done = run_cli("report", crafted_run, other, cwd=crafted_run.parents[1])
    assert (done.returncode, done.stderr) == (0, "written: report.html\nreport: report.html\n")
    page = ParsedPage((crafted_run.parents[1] / "report.html").read_text(encoding="utf-8"))
    assert page.texts["columns"] == [f"{target} · run {run}" for run in (1, 2) for target in (BASE, NEW)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "there is no nowhere"),
        (("latest",), "there is no results/latest here"),
        (("results/mine", "-o", "page.txt"), "no output is called .txt. Known: .html."),
        (("results/mine", "-o", "no/page.html"), "there is no folder"),
        ((), "Missing argument 'RUN...'"),
    ],
)
def test_report_of_a_missing_run_or_to_a_wrong_path_is_refused(
    crafted_run: Path, run_cli: RunCli, arguments: tuple[str, ...], message: str
) -> None:
    """The error comes before any work."""
    done = run_cli("report", *arguments, cwd=crafted_run.parents[1])
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_replies_are_printed_one_after_another_in_a_pipe(crafted_run: Path, run_cli: RunCli) -> None:
    """In a pipe every reply is whole below its target's name, and control characters are replaced."""
    done = run_cli("report", crafted_run, "--replies")
    assert f"── {BASE} (TTFT 300 ms" in done.stdout
    assert "你好，世界。这是一个很长的回答，需要换行才能放进一列里。" in done.stdout
    assert "Hello ␛[31mred␛[0m [bold]world[/bold]" in done.stdout


def test_replies_stand_side_by_side_on_a_terminal(crafted_run: Path, run_cli: RunCli) -> None:
    """Columns fit the width, and borders are aligned for Chinese, of two columns a character."""
    done = run_cli("report", crafted_run, "--replies", env={"FORCE_COLOR": "1", "COLUMNS": "80"})
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    boxed = [line for line in plain.splitlines() if line.startswith(("╭", "│", "╰"))]
    assert len(boxed) >= 4
    assert {wcswidth(line.rstrip()) for line in boxed if line.count("│") == 4} == {79}
    assert "␛[31mred" in plain
    assert "\x1b[31mred" not in done.stdout


@pytest.mark.parametrize("written", ["![" * 10_000, "[" * 20_000, "*[a" * 6_000], ids=["images", "links", "emphasis"])
def test_many_open_brackets_stay_as_written(written: str) -> None:
    """For each bracket the parser would scan all others; thirty such replies would take half a minute."""
    assert safe_html(written) == f'<div class="text">{written}</div>'


@pytest.mark.parametrize("mark", [">", "- ", "1. "], ids=["quotes", "bullets", "numbers"])
def test_no_text_is_lost_in_deep_nesting(mark: str) -> None:
    """A few levels are rendered; at six hundred, where the parser drops the innermost text, the source is shown."""
    assert f"<{'blockquote' if mark == '>' else 'li'}>" in safe_html(mark * 4 + "innermost")
    deep = safe_html(mark * 600 + "innermost")
    assert "innermost" in deep
    assert "<li>" not in deep
    assert "<blockquote>" not in deep
