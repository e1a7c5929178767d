"""Outputs of a run with any text: CSV that loads back, JSON, Markdown and terminal."""

import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console
from wcwidth import wcswidth

import runner
from runner.analysis.dataframe import frame_of_rows, rows_of
from runner.analysis.result_columns import COLUMNS, Cell, Kind
from runner.analysis.run_results import Run
from runner.analysis.side_by_side import excerpt
from runner.analysis.summary import summarize
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.errors import JournalError
from runner.outputs import WRITERS
from runner.outputs import csv as csv_output
from runner.outputs.terminal import render_summary
from runner.outputs.text.escape import one_line, printable
from runner.outputs.text.labels import describe_outcome
from runner.outputs.text.markdown_syntax import fence, inline, table
from runner.outputs.text.number_format import rate, seconds
from runner.outputs.text.run_remarks import describe_targets
from runner.outputs.text.summary import tabulate_summary
from runner.storage import journal
from tests.support.crafted_runs import header

GOLDEN = Path(__file__).parents[1] / "golden"
GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HEADER = header("run-1", ("a/x",), cases=("one",))

# Half an emoji followed by its other half is one emoji wherever JSON carries it, so it is drawn as one.
ANY_TEXT = st.text(st.characters(), max_size=80).map(lambda text: str(json.loads(json.dumps(text))))
MARKUP = st.text("|\\`<>&*_[]()!~$#@:/.w'\"-= \n\r\t\x00\u202e\u2028a1中", max_size=60)
NASTY = st.one_of(MARKUP, ANY_TEXT)


def answered(reply: str | None = "Hello", **details: object) -> Record:
    """Return a record with the outcome ok."""
    identity = Identity(key="k", case="one", turn=1, repeat=1, block=1, provider="a", model="x", prompt="Hi")
    record = Record(
        identity=identity,
        timestamps=Timestamps(sent=0, last_event=2_000_000_000),
        outcome=Outcome.OK,
        text_events=TextEvents((500_000, 1_000_000), "aa", (2, 3)),
        reply=reply,
        output_tokens=6,
    )
    return replace(record, **details)  # type: ignore[arg-type]


def run_of(*records: Record, **header: object) -> Run:
    """Return a finished run of these records."""
    return Run.of(replace(HEADER, **header), records)  # type: ignore[arg-type]


def printed(run: Run, width: int = 100) -> str:
    """Return the text shown by a terminal without colour."""
    file = StringIO()
    Console(file=file, width=width).print(render_summary(run))
    return file.getvalue()


@cache
def golden_run() -> Run:
    """Return the run of the golden journal."""
    return Run.of_journal(journal.read(GOLDEN))


def test_terminal_names_slow_requests() -> None:
    """The narrow table has no column of slow requests, so a note lists the targets with their shares."""
    note = "requests that took more than twice the median of their question, over all targets: "
    usual = [answered(identity=identity(block)) for block in range(1, 4)]
    slow = answered(identity=identity(4), timestamps=Timestamps(sent=0, last_event=5_000_000_000))
    other = answered(identity=replace(identity(1), key="other", model="y"))
    assert f"note: {note}a/x 25.0 % (n 4)\n" in printed(run_of(*usual, slow, other), width=200)
    assert note not in " ".join(printed(run_of(*usual)).split())


def identity(block: int) -> Identity:
    """Return the identity of the same question in a block."""
    return Identity(
        key=f"k{block}", case="one", turn=1, repeat=block, block=block, provider="a", model="x", prompt="Hi"
    )


@pytest.mark.parametrize("suffix", sorted({*WRITERS} - {".html"}))
def test_golden_journal_gives_the_golden_output(suffix: str) -> None:
    """Each writer makes the reviewed output of the golden journal; pages are tested in a browser."""
    assert WRITERS[suffix](golden_run()).encode() == (GOLDEN / f"results{suffix}").read_bytes()


def test_golden_journal_gives_the_golden_terminal() -> None:
    """The terminal shows the reviewed text for the golden journal."""
    assert printed(golden_run(), width=120).encode() == (GOLDEN / "terminal.txt").read_bytes()


def test_importing_outputs_loads_no_heavy_library() -> None:
    """Importing the package of outputs loads none of the formats' libraries."""
    code = (
        "import runner.outputs, sys; print(*sorted({'pandas', 'numpy', 'rich', 'jinja2', 'tabulate'} & {*sys.modules}))"
    )
    path = str(Path(runner.__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=path)
    assert done.stdout.strip() == ""


# -- CSV ---------------------------------------------------------------------------------------------------------------

CELLS: dict[Kind, st.SearchStrategy[Cell]] = {
    Kind.TEXT: st.none()
    | NASTY
    | st.sampled_from(["null", "NA", "nan", "None", "", "'", "''", "'\"", "=1+1", "\r", "1"]),
    Kind.COUNT: st.none() | st.integers(-(2**63), 2**63 - 1),
    Kind.NUMBER: st.none() | st.floats(allow_nan=False),
    Kind.TRUTH: st.none() | st.booleans(),
}
ROWS = st.lists(st.fixed_dictionaries({column.name: CELLS[column.kind] for column in COLUMNS}), max_size=3)


@given(ROWS)
def test_csv_loads_as_it_was_written(rows: list[dict[str, Cell]]) -> None:
    """Every row loads with its values and types, for any text."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "results.csv")
        path.write_text("".join(csv_output.write_rows(rows)), encoding="utf-8", newline="")
        pd.testing.assert_frame_equal(runner.load(path), frame_of_rows(rows))


@given(ROWS)
def test_csv_is_plain_csv(rows: list[dict[str, Cell]]) -> None:
    """Python's csv module reads the same cells once the escapes are reversed."""
    text = "".join(csv_output.write_rows(rows))
    read = list(csv.DictReader(StringIO(text, newline=""), strict=True))
    texts = [column.name for column in COLUMNS if column.kind is Kind.TEXT]
    assert [[csv_output.unescape(row[name]) for name in texts] for row in read] == [
        [row[name] for name in texts] for row in rows
    ]


@given(NASTY)
@example("=1+1")
@example("\t=1")
@example("")
def test_csv_cell_runs_nothing_and_can_be_encoded(text: str) -> None:
    """No cell starts like a formula or looks absent, and all text is UTF-8 without a NUL."""
    cell = csv_output.escape(text)
    assert cell[0] not in "=+-@\t\r"
    assert b"\0" not in cell.encode()
    assert csv_output.unescape(cell) == text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("- a list", "'- a list"),
        ("'quoted'", "''quoted'"),
        ("", "'"),
        ('"said"', '"said"'),
        ("a = b", "a = b"),
        ("a\0b", '\'"a\\u0000b"'),
        ("\ud83d", '\'"\\ud83d"'),
        ("'\"", "''\""),
    ],
)
def test_csv_escapes_are_the_documented_ones(text: str, cell: str) -> None:
    """Escaped text is as the documentation says."""
    assert csv_output.escape(text) == cell


def test_csv_keeps_long_replies(tmp_path: Path) -> None:
    """A reply longer than the csv module's limit loads whole, also with pandas' own reader."""
    reply = "长\r\n" * 100_000
    path = tmp_path / "results.csv"
    path.write_text(WRITERS[".csv"](run_of(answered(reply))), encoding="utf-8", newline="")
    assert runner.load(path)["reply"].tolist() == [reply]
    assert pd.read_csv(path)["reply"].tolist() == [reply]


def test_csv_with_a_bom_and_capital_true_loads_alike(tmp_path: Path) -> None:
    """Spreadsheets write a byte order mark and TRUE in capitals."""
    text = WRITERS[".csv"](run_of(answered()))
    path = tmp_path / "results.csv"
    path.write_text(text.replace(",false,", ",FALSE,"), encoding="utf-8-sig", newline="")
    pd.testing.assert_frame_equal(runner.load(path), run_of(answered()).frame)


def test_load_reads_a_folder_by_its_journal(tmp_path: Path) -> None:
    """A folder loads from its journal, which a killed run has too; a results.csv is loaded if it is named."""
    with journal.JournalWriter(tmp_path) as log:
        log.append_header(HEADER)
        log.append_record(answered("from the journal"))
    assert runner.load(tmp_path)["reply"].tolist() == ["from the journal"]
    (tmp_path / "results.csv").write_text(WRITERS[".csv"](run_of(answered("from the table"))), newline="")
    assert runner.load(str(tmp_path))["reply"].tolist() == ["from the journal"]
    assert runner.load(tmp_path / "results.csv")["reply"].tolist() == ["from the table"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a table of results"),
        (b"name,age\nx,1\n", "no column run_id"),
        (b"\xff\xfe\x00", "not a table of results"),
        (WRITERS[".csv"](run_of(answered())).replace(",2.0,", ",two,").encode(), "'two'"),
        (
            WRITERS[".csv"](run_of(answered())).replace(",false,", ",maybe,").encode(),
            "'maybe' is neither true nor false",
        ),
    ],
)
def test_load_says_what_is_wrong_with_a_file(tmp_path: Path, content: bytes, message: str) -> None:
    """A file that is no table of results, or was changed, is refused with a clear message."""
    path = tmp_path / "results.csv"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=message):
        runner.load(path)


def test_load_of_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(JournalError, match="cannot be read: No such file"):
        runner.load(tmp_path / "none.csv")


# -- JSON --------------------------------------------------------------------------------------------------------------


@given(st.lists(st.builds(answered, st.none() | ANY_TEXT), max_size=3))
def test_json_and_jsonl_hold_every_row(records: list[Record]) -> None:
    """Both hold the rows of the table as UTF-8, with absent cells as null."""
    run = run_of(*records)
    rows = list(rows_of(run.frame))
    document = json.loads(WRITERS[".json"](run).encode())
    assert document["rows"] == rows
    assert document["run"]["run_id"] == "run-1"
    assert [json.loads(line) for line in WRITERS[".jsonl"](run).encode().splitlines()] == rows


def test_json_summary_has_a_sample_size_beside_every_statistic() -> None:
    """A statistic has a name, a value and n; it is null without a value."""
    (summary,) = json.loads(WRITERS[".json"](run_of(answered(), answered())))["summary"]
    assert summary["ttft_p95"] == {"name": "max", "value": 0.5, "n": 2, "interval": None}
    assert summary["output_tps_p50"] == {"name": "p50", "value": pytest.approx(7.2), "n": 2, "interval": None}
    (summary,) = json.loads(WRITERS[".json"](run_of()))["summary"]
    assert summary["ttft_p50"] is None


# -- Markdown ----------------------------------------------------------------------------------------------------------


def cells_of(markdown: str) -> list[list[Token]]:
    """Return the inline tokens of a document that is one table, row by row, including headings."""
    tokens = GITHUB.parse(markdown)
    assert [token.type for token in tokens if token.level == 0] == ["table_open", "table_close"]
    rows: list[list[Token]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(token)
    return rows


def shown(cell: Token) -> str:
    """Return a cell's text; fail if the cell holds anything but text."""
    kinds = {child.type for child in cell.children or ()}
    assert kinds <= {"text", "text_special"}, kinds
    return "".join(child.content for child in cell.children or ()).replace("@\u200b", "@")


@given(st.lists(st.tuples(NASTY, NASTY), min_size=1, max_size=3), NASTY)
@example([("\\|", "| x |"), ("`", "`|`")], "a|b")
@example([("![x](http://x)", "<b>"), ("&lt;", "&#124;")], "_a_ **b** ~~c~~")
def test_markdown_cell_holds_any_text(rows: list[tuple[str, str]], heading: str) -> None:
    """With any text in its cells, a table keeps its rows and columns and shows only that text."""
    markdown = table(["first", inline(heading)], [[inline(cell) for cell in row] for row in rows], {0})
    read = cells_of(markdown)
    expected = [("first", heading), *rows]
    assert [[shown(cell) for cell in row] for row in read] == [[one_line(cell) for cell in row] for row in expected]


@given(NASTY)
@example("```\n````")
@example("~~~\r```")
@example("    indented\n")
def test_markdown_fence_holds_any_text(text: str) -> None:
    """A fence ends only at its end and shows the text unchanged."""
    tokens = GITHUB.parse(f"{fence(text)}\n\nafter\n")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    assert tokens[0].content == printable(text) + "\n"


@given(NASTY, NASTY)
@example("</details>", "<details>")
def test_markdown_document_keeps_its_shape(reply: str, error: str) -> None:
    """No reply, prompt or error adds a heading, HTML, a link or an image to the document."""
    identity = replace(answered().identity, case=reply, model=f"x{error}", prompt=reply)
    bad = answered(reply, identity=identity, outcome=Outcome.AUTH, error=error, reasoning=reply)
    tokens = GITHUB.parse(WRITERS[".md"](run_of(bad)))
    inner = {child.type for token in tokens for child in token.children or ()}
    assert inner <= {"text", "text_special", "softbreak", "code_inline"}
    headings = [token.tag for token in tokens if token.type == "heading_open"]
    assert headings == ["h1", "h2", "h2", "h2", "h2", "h3", "h4"]
    html = [token.content.strip() for token in tokens if token.type == "html_block"]
    assert [block[:9] for block in html] == ["<details>", "</details"]


def test_markdown_does_not_link_or_notify() -> None:
    """On GitHub, a bare address does not become a link, and an @ does not notify anyone."""
    assert inline("see https://x.example or WWW.x.example, @someone") == (
        "see https&#58;//x.example or WWW&#46;x.example, @\u200bsomeone"
    )


def test_markdown_tables_are_aligned_with_chinese() -> None:
    """All lines of a table have the same width on a terminal, where a Chinese character takes two columns."""
    lines = table(["模型", "n"], [["通义千问", "1"], ["plain", "22"]], {0}).splitlines()
    assert len({wcswidth(line) for line in lines}) == 1


def test_markdown_counts_the_cases_left_out() -> None:
    """At most the first 50 cases are shown; a line says how many are left out and where they are."""
    records = [answered(identity=replace(answered().identity, case=f"case-{at:03}")) for at in range(62)]
    text = WRITERS[".md"](run_of(*records))
    assert text.count("### case-") == 50
    assert text.count("Left out: 12 further cases, in the run's `results.csv`") == 2


def test_markdown_cuts_a_very_long_reply_and_says_so() -> None:
    """A reply of a megabyte is cut, with a note on the number of characters left out."""
    text = WRITERS[".md"](run_of(answered("x" * 1_000_000)))
    assert len(text) < 30_000
    assert "Left out: 980,000 more characters" in text


@pytest.mark.parametrize(
    ("sizes", "shown_cases", "left_out"), [([10, 10, 10], 3, 0), ([10, 95, 10], 1, 2), ([500, 1], 1, 1), ([], 0, 0)]
)
def test_excerpt_takes_whole_cases_that_fit(sizes: list[int], shown_cases: int, left_out: int) -> None:
    """An excerpt ends before the first case that does not fit, but has at least one case."""
    identity = replace(answered().identity, prompt="")
    records = [answered("x" * size, identity=replace(identity, case=str(at))) for at, size in enumerate(sizes)]
    taken = excerpt(run_of(*records).grid, max_cases=10, max_bytes=100)
    assert (len(taken.rows), taken.left_out) == (shown_cases, left_out)


# -- Terminal ----------------------------------------------------------------------------------------------------------


def test_terminal_shows_escape_sequences_of_a_provider_as_text() -> None:
    """Escape sequences and rich markup in an error or a name have no effect."""
    identity = replace(answered().identity, model="[red]x[/red]")
    bad = answered(identity=identity, outcome=Outcome.AUTH, error="\x1b[2J[bold]no[/bold]\x07")
    text = printed(run_of(bad, targets=()))
    assert "a/[red]x[/red]: 1 × key or balance refused: ␛[2J[bold]no[/bold]␇" in text


def test_terminal_aligns_chinese_names() -> None:
    """Figures are aligned with their headings for names of any width."""
    targets = ("a/模型一号", "a/x")
    records = [answered(identity=replace(answered().identity, model=target[2:])) for target in targets]
    lines = printed(run_of(*records, targets=targets)).splitlines()
    column_ends = {
        wcswidth(line.partition(mark)[0] + mark) for line, mark in zip(lines[:3], ("p50", "ms", "ms"), strict=True)
    }
    assert len(column_ends) == 1


def test_terminal_lists_at_most_ten_failures() -> None:
    """A provider with a different message for every failure does not flood the terminal."""
    records = [answered(outcome=Outcome.PROVIDER_ERROR, error=f"request {at} failed") for at in range(25)]
    text = printed(run_of(*records))
    assert text.count("the provider failed") == 10
    assert "and 15 more kinds of failure, in the run's results.csv" in text


# -- Every output ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [*WRITERS, "terminal"])
def test_every_output_marks_simulated_figures(suffix: str) -> None:
    """Every output marks simulated figures, and no output for people marks real ones."""
    write = WRITERS.get(suffix, printed)
    simulated = answered(identity=replace(answered().identity, simulated=True))
    assert "simulated" in write(run_of(simulated, simulated=True)).replace('"simulated": false', "")
    if suffix in {".md", ".html", "terminal"}:
        assert "simulated" not in write(run_of(answered()))
        assert "every target but a/x is" in write(
            run_of(answered(), simulated=True, targets=("a/x", "simulator/brisk"))
        )


@pytest.mark.parametrize("suffix", [".md", ".html", "terminal"])
def test_failures_and_flags_are_described(suffix: str) -> None:
    """Failures and flags are described beside the figures."""
    write = WRITERS.get(suffix, printed)
    late = answered(noted=("client_late",))
    limited = answered(outcome=Outcome.RATE_LIMITED, error="slow down", http_status=429)
    text = " ".join(write(run_of(late, limited, limited)).split())
    assert "client_late (a/x 1): timestamps on this row may be late: this machine was busy" in text
    assert "a/x: 2 × rate limited (HTTP 429)" in text
    assert "slow down" in text


@pytest.mark.parametrize(("replay_of", "is_advised"), [(None, True), ("base", False)])
def test_bursts_of_a_replay_are_not_blamed_on_a_proxy(replay_of: str | None, is_advised: bool) -> None:
    """Text that is played back at once comes in bursts, too."""
    run = run_of(answered(), replay_of=replay_of)
    said = " ".join(describe_targets([replace(run.summary[0], flags={"buffered": 1})], is_replay=bool(replay_of)))
    assert ("proxy_buffering" in said, "played back" in said) == (is_advised, not is_advised)


@pytest.mark.parametrize("suffix", [".md", ".html", "terminal"])
def test_an_unfinished_run_of_an_open_number_says_how_many_there_are(suffix: str) -> None:
    """A run that ends by duration has no planned number of requests."""
    run = Run.of(replace(HEADER, planned_requests=None), [answered()], ended=False)
    text = " ".join(WRITERS.get(suffix, printed)(run).split())
    assert "the run is unfinished: 1 request so far" in text
    assert "open number" not in text


@pytest.mark.parametrize("suffix", [*WRITERS, "terminal"])
def test_a_run_without_rows_can_be_written(suffix: str) -> None:
    """Every output of a run that was interrupted before its first reply can be written."""
    write = WRITERS.get(suffix, printed)
    text = write(Run.of(HEADER, [], ended=False))
    if suffix in {".md", ".html", "terminal"}:
        assert "unfinished: 0 requests of 1 planned" in text


def test_percentile_heading_names_p95_or_max() -> None:
    """The heading names the figure if all targets have a p95; otherwise each figure has its own name."""
    many = [answered() for _ in range(20)]
    few = answered(identity=replace(answered().identity, model="y"))
    alike = tabulate_summary(summarize(run_of(*many).frame))
    assert [alike.headings[at] for at in (4, 7)] == ["TTFT p95", "total p95"]
    mixed = tabulate_summary(summarize(run_of(*many, few).frame))
    assert mixed.headings[4] == "TTFT p95 or max"
    assert [row[4] for row in mixed.rows] == ["p95 500 ms", "max 500 ms"]


def test_figure_with_a_smaller_sample_shows_its_n() -> None:
    """A figure that only some timed requests have shows its sample size."""
    unstreamed = answered(noted=("not_streamed",))
    table = tabulate_summary(summarize(run_of(answered(), unstreamed).frame))
    cells = dict(zip(table.headings, table.rows[0], strict=True))
    assert (cells["n"], cells["TTFT p50"], cells["total p50"]) == ("2", "500 ms (n 1)", "2.00 s")


def test_outcomes_other_than_ok_have_a_column_where_there_are_any() -> None:
    """The column has a dash for a target without them; no column has timed requests or characters/s."""
    other = answered(identity=replace(answered().identity, model="y"))
    cut = replace(other, outcome=Outcome.LENGTH)
    assert "other outcomes" not in tabulate_summary(summarize(run_of(answered(), other).frame)).headings
    table = tabulate_summary(summarize(run_of(answered(), cut).frame))
    assert [row[3] for row in table.rows] == ["–", "1 length"]
    assert not {"timed", "characters/s p50"} & {*table.headings}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0.0 ms"),
        (0.00994, "9.9 ms"),
        (0.00996, "10 ms"),
        (0.8124, "812 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (1.237, "1.24 s"),
        (9.996, "10.0 s"),
        (75.31, "75.3 s"),
    ],
)
def test_seconds_are_shown_with_three_digits_and_below_one_as_milliseconds(value: float | None, text: str) -> None:
    """Milliseconds below a second, seconds from there, three digits, and a dash for an absent value."""
    assert seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (8.26, "8.3"), (99.96, "100"), (142.4, "142")])
def test_rates_below_a_hundred_are_shown_with_one_decimal(value: float | None, text: str) -> None:
    """One decimal below a hundred, none from there, and a dash for an absent value."""
    assert rate(value) == text


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_words(outcome: Outcome) -> None:
    """Every outcome has a description."""
    assert describe_outcome(outcome.value)
    assert describe_outcome(outcome.value, "idle", 429).endswith("(idle, HTTP 429)")


@pytest.mark.parametrize(
    ("text", "shown_as"),
    [
        ("a\rb\r\nc\td", "a\nb\nc\td"),
        ("\x1b[31m\x07\0\x7f", "␛[31m␇␀␡"),
        ("\u202egnp.exe \ud83d \x9b", "�gnp.exe � �"),
        ("中文 😀 שלום", "中文 😀 שלום"),
    ],
)
def test_printable_replaces_control_characters(text: str, shown_as: str) -> None:
    """Characters that could drive a terminal or reverse a line are replaced; all others are kept."""
    assert printable(text) == shown_as


@given(NASTY, st.integers(2, 40))
@example("中文中文", 4)
@example("ab", 2)
def test_one_line_is_one_printable_line_of_bounded_width(text: str, columns: int) -> None:
    """It has no control characters, is no wider than asked, and is whole if it fits."""
    line, whole = one_line(text, columns), one_line(text)
    assert len(line.splitlines()) <= 1
    assert line.isprintable() or not any(ord(character) < 0xA0 and not character.isprintable() for character in line)
    assert wcswidth(line) <= columns
    assert line == whole or line.endswith("…")
    assert line == whole if sum(map(wcswidth, whole)) <= columns else line != whole


# -- Formulas behind separators ----------------------------------------------------------------------------------------

FORMULA = re.compile("[ \u00a0]*[=+@\t\r-]")
INNER = st.text(st.sampled_from(list(";,\t\n\r \"'=+-@x1\u00a0")), max_size=12)


@given(INNER, INNER)
@example("x;=1+41", "")
@example('x;"=1+41', "y;")
@example("x\n=1+41", "- item\n- item")
@example("x; =1+41", "x,\t=1")
def test_csv_cell_starts_no_formula_behind_a_separator(prompt: str, reply: str) -> None:
    """No cell starts like a formula if a spreadsheet splits at semicolons, tabs or commas."""
    row: dict[str, Cell] = dict.fromkeys(column.name for column in COLUMNS) | {"prompt": prompt, "reply": reply}
    text = "".join(csv_output.write_rows([row]))
    for delimiter in ";\t,":
        for line in csv.reader(StringIO(text, newline=""), delimiter=delimiter):
            assert not [cell for cell in line if FORMULA.match(cell)], (delimiter, text)
    assert [csv_output.unescape(csv_output.escape(each)) for each in (prompt, reply)] == [prompt, reply]


def test_csv_without_a_column_that_was_added_later_loads(tmp_path: Path) -> None:
    """Missing cells of later columns load as absent; a column of the first version is required."""
    row: dict[str, Cell] = dict.fromkeys(column.name for column in COLUMNS) | {"model": "m", "variant": "deep"}
    (tmp_path / "new.csv").write_text("".join(csv_output.write_rows([row])), encoding="utf-8", newline="")
    cells = pd.read_csv(tmp_path / "new.csv", dtype=object, na_filter=False)
    cells.drop(columns="variant").to_csv(tmp_path / "old.csv", index=False, quoting=csv.QUOTE_ALL)
    assert runner.load(tmp_path / "new.csv")["variant"].tolist() == ["deep"]
    old = runner.load(tmp_path / "old.csv")
    assert (old["model"].tolist(), old["variant"].isna().tolist()) == (["m"], [True])
    assert list(old.columns) == [column.name for column in COLUMNS]
    cells.drop(columns="model").to_csv(tmp_path / "none.csv", index=False, quoting=csv.QUOTE_ALL)
    with pytest.raises(JournalError, match="it has no column model"):
        runner.load(tmp_path / "none.csv")


def test_old_csv_files_load_by_their_own_rule(tmp_path: Path) -> None:
    """A file with bare column names is of an earlier version, without escapes after separators."""
    texts: dict[str, Cell] = {"prompt": "a;'b", "reply": "=1;'c"}
    row: dict[str, Cell] = dict.fromkeys(column.name for column in COLUMNS) | texts
    names = [column.name for column in COLUMNS]
    cells = ['"' + str(row[name]).replace("=1", "'=1") + '"' if row[name] else "" for name in names]
    old = tmp_path / "old.csv"
    old.write_text(",".join(names) + "\n" + ",".join(cells) + "\n", encoding="utf-8-sig")
    new = tmp_path / "new.csv"
    new.write_text("".join(csv_output.write_rows([row])), encoding="utf-8-sig", newline="")
    for file in (old, new):
        loaded = runner.load(file)
        assert [loaded[name][0] for name in texts] == list(texts.values()), file
