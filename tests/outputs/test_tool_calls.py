"""Tool calls in every output: shown as calls, kept as JSON, and escaped as text."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path

import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import runner
from runner.analysis.run_results import Run
from runner.cli.stored_replies import print_replies
from runner.core.record import Record
from runner.core.tool_call import ToolCall, write_calls
from runner.outputs import WRITERS, excel, otel, promptfoo
from runner.outputs.parquet import write as write_parquet
from runner.outputs.report.render_html import write_report
from runner.outputs.report.reply import show_reply
from runner.outputs.side_by_side import compose_side_by_side, write_html, write_text
from tests.conftest import RunCli
from tests.support.crafted_runs import BASE, NEW, answered, run_of, write_run
from tests.support.examples import FEWER

PARIS = ToolCall("get_weather", '{"city":"Paris","days":2}', "call_1")
BROKEN = ToolCall("get_weather", '{"city": "Par', "call_2")
NAMED: list[dict[str, object]] = [
    {"name": "get_weather", "arguments": {"city": "Paris", "days": 2}},
    {"name": "get_weather", "arguments": '{"city": "Par'},
]
PARIS_IN_A_LINE, BROKEN_IN_A_LINE = 'get_weather({"city": "Paris", "days": 2})', 'get_weather({"city": "Par)'


def calling(*calls: ToolCall, reply: str | None = None, target: str = BASE) -> Record:
    """Return the record of a reply with tool calls."""
    return replace(
        answered(target), reply=reply, calls=calls, finish_reason="tool_calls", started_at="2026-01-02T03:04:05Z"
    )


CALLS = run_of([calling(PARIS, BROKEN, reply="Let me look."), calling(PARIS, target=NEW)])


def test_tables_have_calls_as_json(tmp_path: Path) -> None:
    """CSV, Excel and Parquet have text, JSON and JSON Lines a list, null without calls; loading gives the text."""
    run = run_of([calling(PARIS, BROKEN), answered(NEW)])
    written = write_calls((PARIS, BROKEN))
    assert written is not None
    assert json.loads(written) == NAMED
    for suffix, first in ((".csv", written), (".jsonl", NAMED)):
        content = WRITERS[suffix](run)
        rows = list(csv.DictReader(StringIO(content))) if suffix == ".csv" else [*map(json.loads, content.splitlines())]
        assert [row["tool_calls"] or None for row in rows] == [first, None]
    assert [row["tool_calls"] for row in json.loads(WRITERS[".json"](run))["rows"]] == [NAMED, None]
    assert pq.read_table(BytesIO(write_parquet(run)))["tool_calls"].to_pylist() == [written, None]
    assert next(csv.DictReader(StringIO(excel.write(run).text[1:])))["tool_calls"] == written
    (tmp_path / "results.csv").write_text(WRITERS[".csv"](run), encoding="utf-8", newline="")
    loaded = runner.load(tmp_path / "results.csv")
    assert loaded["tool_calls"].fillna("").tolist() == [written, ""]
    assert loaded.columns.tolist()[-4:] == ["reply", "tool_calls", "reasoning", "error"]


def test_markdown_draws_calls() -> None:
    """In full, each call has its name and arguments; side by side, calls follow the text on one line."""
    shown = WRITERS[".md"](CALLS)
    assert 'Calls get_weather:\n\n```text\n{\n  "city": "Paris",\n  "days": 2\n}\n```' in shown
    assert 'Calls get_weather:\n\n```text\n{"city": "Par\n```' in shown
    assert '| Let me look. get\\_weather({"city": "Paris", "days": 2})' in shown.replace(
        "get_weather(", "get\\_weather("
    )
    assert "no text" not in shown


def test_a_terminal_and_a_notebook_show_calls() -> None:
    """Calls are shown in columns, in sequence, as HTML and as plain text."""
    for width in (40, 200):
        file = StringIO()
        print_replies([CALLS], Console(file=file, width=width, force_terminal=width == 200))
        assert file.getvalue().replace("\n", "").count("get_weather(") == 3
    page = compose_side_by_side(CALLS.frame, (BASE, NEW))
    lines = write_text(page).splitlines()
    assert [lines.count(each) for each in (PARIS_IN_A_LINE, BROKEN_IN_A_LINE)] == [2, 1]
    drawn = write_html(page)
    assert drawn.count('<div class="call"><code>get_weather</code><pre>{\n  &#34;city&#34;: &#34;Paris&#34;') == 2
    assert "no reply" not in drawn


def test_otel_has_calls_as_parts_of_the_reply_with_content_alone() -> None:
    """Calls are content: parts of the type `tool_call`, with id, name and arguments."""
    assert "Paris" not in otel.write(CALLS).text
    (first, _) = otel.write(CALLS, with_content=True).text.splitlines()
    attributes = json.loads(first)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]
    (output,) = [each["value"]["stringValue"] for each in attributes if each["key"] == "gen_ai.output.messages"]
    assert json.loads(output)[0]["parts"] == [
        {"type": "text", "content": "Let me look."},
        {"type": "tool_call", "id": "call_1", **NAMED[0]},
        {"type": "tool_call", "id": "call_2", **NAMED[1]},
    ]


def test_promptfoo_gets_calls_behind_the_text() -> None:
    """A reply that consists only of calls is exported as their JSON."""
    both, alone = json.loads(promptfoo.write(CALLS).text)
    assert both["output"].startswith("Let me look.\n\n[{")
    assert json.loads(alone["output"]) == NAMED[:1]


def test_a_page_draws_calls_and_compares_them() -> None:
    """Names and indented arguments are drawn; search and diffs read equal lines for equal calls in any order."""
    (row, _) = CALLS.rows
    shown = show_reply(row, 100)
    assert [(call.name, call.arguments) for call in shown.calls] == [
        ("get_weather", '{\n  "city": "Paris",\n  "days": 2\n}'),
        ("get_weather", '{"city": "Par'),
    ]
    swapped = ToolCall("get_weather", '{"days": 2, "city": "Paris"}')
    (other,) = run_of([calling(BROKEN, swapped, reply="Let me look.")]).rows
    assert show_reply(other, 100).compared == shown.compared
    assert shown.compared == f"Let me look.\n{BROKEN_IN_A_LINE}\n{PARIS_IN_A_LINE}"
    (plain, silent) = run_of([answered(), replace(answered(NEW), reply=None)]).rows
    assert (show_reply(plain, 100).compared, show_reply(silent, 100).compared) == ("Hello world", None)
    assert write_report([CALLS]).count('<code class="call">get_weather</code>') == 3


def test_a_long_call_is_cut_on_a_page() -> None:
    """Like long texts, a long call is cut with a note on the length left out."""
    (row,) = run_of([calling(ToolCall("f", json.dumps({"text": "a" * 1000})))]).rows
    (call,) = show_reply(row, 100).calls
    assert call.arguments.startswith('{\n  "text": "aaa')
    assert "more characters]" in call.arguments
    assert len(call.arguments) < 200


HOSTILE = st.text("|\\`<>&*_[]()!~$#@:/.w'\"-= {}\n\r\t\x00\x1b\u202e\u2028\ud83da1中", max_size=40)


@settings(max_examples=FEWER)
@given(
    st.lists(
        st.builds(ToolCall, HOSTILE, HOSTILE | st.dictionaries(HOSTILE, HOSTILE).map(json.dumps)),
        min_size=1,
        max_size=3,
    )
)
def test_no_call_breaks_an_output(calls: Sequence[ToolCall]) -> None:
    """Any content of a call is text in every output and can be encoded."""
    run: Run = run_of([calling(*calls)])
    for suffix in (".csv", ".json", ".jsonl", ".md"):
        assert WRITERS[suffix](run).encode()
    assert [json.loads(line)["tool_calls"] for line in WRITERS[".jsonl"](run).split("\n")[:-1]] == [
        [call.plain for call in calls]
    ]
    page = write_report([run])
    plain = write_report([run_of([calling(ToolCall("f", "{}"))])])
    assert page.count("<script") == plain.count("<script")
    assert page.encode()
    drawn = write_html(compose_side_by_side(run.frame, (BASE,)))
    assert drawn.count("<pre>") == len(calls)
    file = StringIO()
    print_replies([run], Console(file=file, width=100))
    assert not {"\x1b", "\x00", "\u202e", "\ud83d"} & set(file.getvalue())


def test_the_commands_show_calls(tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    """`compare report --replies` prints them, and `compare export` writes them."""
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "run", [calling(PARIS), calling(BROKEN, target=NEW)])
    shown = run_cli("report", "run", "--replies")
    assert shown.returncode == 0, shown.stderr
    assert PARIS_IN_A_LINE in shown.stdout
    assert run_cli("export", "run", "-o", "rows.jsonl").returncode == 0
    assert '"tool_calls": [{"name": "get_weather"' in Path("rows.jsonl").read_text(encoding="utf-8")
