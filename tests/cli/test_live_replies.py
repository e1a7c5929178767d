"""Replies on a terminal: side by side while they stream, one after another on a narrow one."""

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path
from time import perf_counter_ns

import pytest
from rich.console import Console
from wcwidth import wcswidth

from runner.cli.live_replies import LiveReplies, PlainReplies, open_columns
from runner.core.events import AnswerWasReasoning, CallPiece, Channel, Outcome, Text
from runner.core.record import Record
from runner.core.suite import Case, Parameters
from runner.core.tool_call import ToolCall
from runner.planning.request import Request, Target
from runner.storage import journal
from tests.conftest import RunCli
from tests.support.crafted_runs import BASE, NEW, answered

HOSTILE = "\x1b[2J[bold]no[/bold]\x07 \u202egnp.exe"


def terminal(width: int = 80, height: int = 24) -> Console:
    """Return a console that is a terminal of this size."""
    return Console(file=StringIO(), width=width, height=height, force_terminal=True, color_system=None)


def shown(console: Console, columns: LiveReplies, *, whole: bool = False) -> str:
    """Return the current columns as text."""
    with console.capture() as captured:
        console.print(columns.render(whole=whole))
    return captured.get()


def request(target: str) -> Request:
    """Return a request to a target."""
    provider, _, model = target.partition("/")
    return Request(Target(provider, model, Parameters()), Case("one", ("Tell one.",)), repeat=1, block=1)


def test_a_column_shows_when_the_first_text_came() -> None:
    """It shows the time so far, then an approximate TTFT, and the exact one at the end."""
    console = terminal()
    columns = LiveReplies(console, [BASE, NEW])
    columns.started(request(BASE))
    assert re.search(r"waiting \d", shown(console, columns))
    columns.received(request(BASE), Text(perf_counter_ns(), Channel.REASONING, "Let me see. "))
    columns.received(request(BASE), Text(perf_counter_ns(), Channel.ANSWER, "Hello"))
    text = shown(console, columns)
    assert re.search(r"first text ~\d+(\.\d)? ms", text)
    assert "Let me see." in text
    assert "Hello" in text
    columns.finished(answered(BASE, reply="Hello world"))
    assert "first text 300 ms, total 800 ms" in shown(console, columns, whole=True)


def test_answer_that_was_reasoning_is_moved() -> None:
    """After a closing think tag without an opening one, the text before it moves from the answer to the reasoning."""
    console = terminal()
    columns = LiveReplies(console, [BASE, NEW])
    columns.started(request(BASE))
    columns.received(request(BASE), Text(1, Channel.ANSWER, "Let me see."))
    columns.received(request(BASE), AnswerWasReasoning(2))
    columns.received(request(BASE), Text(3, Channel.ANSWER, "Hello"))
    moved = columns._replies[BASE]
    assert (moved.reasoning, moved.reply) == ("Let me see.", "Hello")
    columns.finished(replace(answered(BASE, reply="Hello"), reasoning="Let me see."))
    assert (moved.reasoning, moved.reply) == ("Let me see.", "Hello")


def test_calls_grow_below_the_text_a_line_each() -> None:
    """Arriving calls are shown as raw text, finished ones as calls, in columns and one below another."""
    console, plain = terminal(), terminal(width=60)
    columns = LiveReplies(console, [BASE, NEW])
    columns.started(request(BASE))
    for piece in (
        CallPiece(perf_counter_ns(), "1", "get_weather"),
        CallPiece(perf_counter_ns(), "1", arguments='{"city":'),
        CallPiece(perf_counter_ns(), "2", "get_time", "{}"),
    ):
        columns.received(request(BASE), piece)
    partial = columns._replies[BASE]
    assert (partial.reply, partial.calls) == ("", 'get_weather{"city":\nget_time{}')
    assert re.search(r"first text ~\d+(\.\d)? ms", shown(console, columns))
    calls = (ToolCall("get_weather", '{"city":"Rome"}'), ToolCall("get_time", "{}"))
    record = replace(answered(BASE), reply=None, calls=calls)
    columns.finished(record)
    assert 'get_weather({"city":"Rome"})' in shown(console, columns, whole=True)
    with plain.capture() as captured:
        PlainReplies(plain).finished(record)
    assert [line.strip() for line in captured.get().splitlines()[1:3]] == [
        'get_weather({"city":"Rome"})',
        "get_time({})",
    ]


def test_columns_show_the_newest_text() -> None:
    """Of a reply longer than the terminal the end is shown while it grows, and everything when it is complete."""
    console = terminal(height=12)
    columns = LiveReplies(console, [BASE, NEW])
    text = "\n".join(f"line {at}" for at in range(40))
    columns.received(request(BASE), Text(0, Channel.ANSWER, text))
    drawn = shown(console, columns)
    assert "line 39" in drawn
    assert "line 2 " not in drawn
    assert len(drawn.splitlines()) <= 12
    assert "line 2 " in shown(console, columns, whole=True)


def test_columns_are_as_wide_as_each_other_in_chinese() -> None:
    """A Chinese character has a width of two columns, and borders stay aligned."""
    console = terminal(width=70)
    columns = LiveReplies(console, [BASE, NEW])
    for target in (BASE, NEW):
        columns.finished(answered(target, reply="这是一个很长的回答，需要换行才能放进一列里，而且不能把边框推歪。"))
    lines = [line.rstrip() for line in shown(console, columns, whole=True).splitlines() if line.strip()]
    assert {wcswidth(line) for line in lines} == {69}


@pytest.mark.parametrize(
    ("mode", "width", "kind"),
    [("auto", 80, LiveReplies), ("auto", 50, PlainReplies), ("plain", 80, PlainReplies), ("live", 80, LiveReplies)],
)
def test_columns_need_a_wide_terminal(mode: str, width: int, kind: type) -> None:
    """If columns would be too narrow, or are not wanted, replies are shown one after another."""
    with open_columns(mode, terminal(width), [BASE, NEW]) as columns:
        assert type(columns) is kind


def test_columns_need_a_terminal() -> None:
    """Output to a pipe of any width has no columns."""
    with open_columns("auto", Console(file=StringIO(), width=500), [BASE, NEW]) as columns:
        assert type(columns) is PlainReplies


@pytest.mark.parametrize("width", [80, 50])
def test_a_reply_cannot_control_the_terminal(width: int) -> None:
    """Escape sequences, overrides and rich's own markup are shown, live and plain, in replies, names and errors."""
    console = terminal(width)
    record = answered(BASE, reply=HOSTILE)
    refused = replace(record, outcome=Outcome.AUTH, error=HOSTILE)
    with console.capture() as captured, open_columns("auto", console, [BASE, NEW]) as columns:
        columns.finished(record)
        columns.finished(replace(refused, identity=replace(record.identity, model="new")))
    text = captured.get()
    assert "␛[2J[bold]no[/bold]␇ �gnp.exe" in text.replace("│", "")
    assert "\x1b[2J" not in text
    assert "\u202e" not in text


def test_a_conversation_is_printed_as_json(tmp_path: Path, run_cli: RunCli) -> None:
    """With --json, standard output holds the run and nothing else; replies are shown beside it."""
    done = run_cli("chat", "-m", "sim/quick", "--json", "-o", tmp_path / "said", input="Hello\nWhat is 2 + 3?\n\n")
    assert done.returncode == 0, done.stderr
    written: list[Record] = list(journal.read(tmp_path / "said").records)
    assert [record.reply for record in written][1] == "2 + 3 = 5"
    assert '"reply": "2 + 3 = 5"' in done.stdout
    assert done.stdout.startswith("{")
    assert "2 + 3 = 5" in done.stderr
