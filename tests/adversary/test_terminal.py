"""Terminals: no control character of a server, a suite or a name reaches the terminal; JSON keeps all of them."""

import ast
import json
import re
import sys
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.text import Text

from runner.cli import commands
from runner.cli.terminal import GuardedStream, guard, make_console, wrap_words
from runner.outputs.text.escape import printable
from tests.support.command import ROOT, compare, write_config, write_yaml
from tests.support.scripted_server import (
    ReceivedRequest,
    ScriptedReply,
    delta_event,
    event_stream,
    json_reply,
    serve,
    sse_event,
)

ATTACK = (
    "\x1b[2J\x1b]0;title\x07\x1b]8;;http://evil.test\x1b\\\x1b]52;c;cm0=\x07\x9b31m\x9d0;x\x9c\x08\x7f\u202etxt\u2066"
)
DRIVING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Every control character but tab and line feed."""
OUR_OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;(?:id=\d+)?;(?:file:///[\w/.%~-]*)?\x1b\\")
"""Colours, and links to a file."""


def attack(asked: ReceivedRequest) -> ScriptedReply:
    """Reply with control characters in every field of a list of models, an error or a reply."""
    if asked.method == "GET":
        return json_reply("200 OK", {"data": [{"id": f"m{ATTACK}"}]})
    if "fail" in asked.prompt:
        return json_reply("400 Bad", {"error": {"message": f"no {ATTACK}", "code": f"c{ATTACK}"}})
    named = sse_event({"id": ATTACK, "model": f"m{ATTACK}", "choices": []})
    spoken = delta_event(f"Hello {ATTACK}") + delta_event("", finish_reason=f"stop{ATTACK}")
    return event_stream(named, spoken, x_request_id="r")


def test_no_command_prints_control_characters(tmp_path: Path) -> None:
    """Progress, replies, tables, reports of two runs, annotations, doctor and lists of models have none."""
    variables = {"GITHUB_ACTIONS": "true"}
    with serve(attack) as server:
        row = {"base_url": server.url, "keyless": True, "models": [f"m{ATTACK}"], "label": f"Acme{ATTACK}"}
        write_config(tmp_path, acme=row)
        cases = [{"id": "one", "prompt": "Hi"}, {"id": "two", "prompt": f"fail {ATTACK}", "checks": {"equals": ATTACK}}]
        write_yaml(tmp_path / "s.yaml", {"version": 1, "name": "s", "cases": cases})
        runs = [
            compare(tmp_path, "run", "s.yaml", "-o", "a", "--progress", "plain", variables=variables),
            compare(tmp_path, "run", "s.yaml", "-o", "b", variables=variables),
            compare(tmp_path, "ask", f"Hi {ATTACK}", "-o", "c"),
            compare(tmp_path, "ask", "Hi", "-o", "d", "--color", "always", "--progress", "plain"),
            compare(tmp_path, "providers"),
            compare(tmp_path, "providers", "--models", "acme"),
            compare(tmp_path, "doctor", "--ping"),
        ]
    runs += [
        compare(tmp_path, "report", "a", "b"),
        compare(tmp_path, "report", "a", "b", "--replies"),
        compare(tmp_path, "diff", "a", "b"),
        compare(tmp_path, "run", f"missing{ATTACK}.yaml"),
        compare(tmp_path, "run", "s.yaml", "-m", f"no{ATTACK}"),
        compare(tmp_path, f"no{ATTACK}"),
        compare(tmp_path, "run", "s.yaml", f"--no{ATTACK}"),
    ]
    printed = {
        str(run.args): OUR_OWN.sub("", run.stdout + run.stderr) if "always" in run.args else run.stdout + run.stderr
        for run in runs
    }
    assert {name: text for name, text in printed.items() if DRIVING.search(text)} == {}
    assert "Hello \u241b[2J" in printed[str(runs[2].args)], "they are shown, as pictures of themselves"


def test_a_link_to_the_page_cannot_be_broken_out_of(tmp_path: Path) -> None:
    """On a terminal the last line links to the page; the name of a folder is escaped in the address and in the text."""
    folder = f"out{ATTACK.replace('/', '_').replace('.', '_')}"
    suite = write_yaml(tmp_path / "s.yaml", {"version": 1, "cases": [{"id": "one", "prompt": "Hi"}]})
    done = compare(tmp_path, "run", suite.name, "-m", "sim/quick", "-o", folder, "--color", "always", "-q")
    shown = compare(tmp_path, "report", folder, "--color", "always")
    assert done.returncode == shown.returncode == 0, done.stderr + shown.stderr
    last = shown.stderr.splitlines()[-1]
    assert re.fullmatch(r"report: \x1b\]8;id=\d+;(file:///\S+)\x1b\\.*report\.html\x1b\]8;;\x1b\\", last)
    assert not DRIVING.search(OUR_OWN.sub("", last))


def test_suite_keys_and_labels_are_clean_in_errors(tmp_path: Path) -> None:
    """A key or a name in a suite that contains control characters is quoted without them."""
    (tmp_path / "s.yaml").write_text(
        'version: 1\nname: "x\\e[2J"\n"ke\\e]0;x\\ay\\u202e": 1\ncases: [{id: "a\\u009b", prompt: Hi}]\n'
    )
    done = compare(tmp_path, "run", "s.yaml")
    assert done.returncode == 2
    assert "ke\u241b]0;x\u2407y" in done.stderr
    assert not DRIVING.search(done.stderr)


def test_json_is_exact(tmp_path: Path) -> None:
    """`--json` has the same characters, as escapes that no terminal interprets."""
    with serve(attack) as server:
        write_config(tmp_path, acme={"base_url": server.url, "keyless": True, "models": ["m"]})
        done = compare(tmp_path, "ask", "Hi", "--json", "-o", "out")
        listed = compare(tmp_path, "providers", "--models", "acme", "--json")
    assert not DRIVING.search(done.stdout)
    assert json.loads(done.stdout)["rows"][0]["reply"] == f"Hello {ATTACK}"
    assert json.loads(listed.stdout) == [f"m{ATTACK}"]


def test_a_console_cleans_all_but_its_own_sequences() -> None:
    """Styles are written; control characters in texts, tables and markup are not."""
    file = StringIO()
    console = make_console(file=file, force_terminal=True, color_system="standard", width=80)
    console.print(Text(f"a {ATTACK}", style="bold"), ATTACK, {"k": ATTACK})
    shown = file.getvalue()
    assert "\x1b[1m" in shown
    assert not DRIVING.search(re.sub(r"\x1b\[[0-9;]*m", "", shown))


def test_the_guard_of_a_stream_cannot_be_bypassed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The binary stream is hidden, missing characters become escapes, and the guard is removed at the end."""
    raw = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(raw, "ascii", write_through=True))
    before = sys.stdout
    with guard():
        assert isinstance(sys.stdout, GuardedStream)
        assert not hasattr(sys.stdout, "buffer")
        click.echo("é")
        sys.stdout.write("\x1b[2J\n")
        sys.stdout.writelines(["x\x9b\n"])
    assert sys.stdout is before
    assert raw.getvalue() == b"\\xe9\n\\u241b[2J\nx\\ufffd\n"
    assert "\x1b" not in raw.getvalue().decode()


def test_messages_break_between_words_on_a_terminal() -> None:
    """A path stays whole if a line can hold it, indentation is kept, and a pipe gets a single line."""
    message = (
        "compare: results/20261130T090150-basic/results.csv, results/20261130T090150-basic/report.html\n  -> and so on"
    )
    assert wrap_words(message, 60).splitlines() == [
        "compare: results/20261130T090150-basic/results.csv,",
        "results/20261130T090150-basic/report.html",
        "  -> and so on",
    ]
    assert wrap_words("  one two three", 10) == "  one two\n  three"
    assert wrap_words("x" * 70 + " y", 60) == "x" * 70 + "\ny"
    assert wrap_words(message, None) == message


def test_consoles_are_made_at_one_place() -> None:
    """No module makes a rich console of its own, nor opens the streams below the guard, so that none is forgotten."""
    # The latter two write into a string.
    allowed = {"runner/cli/terminal.py", "runner/outputs/diff/terminal.py", "runner/outputs/narrow_terminal_tables.py"}
    found = set()
    for path in (ROOT / "runner").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_console = isinstance(node, ast.Call) and ast.unparse(node.func) in {"Console", "rich.print"}
            is_stream = isinstance(node, ast.Attribute) and ast.unparse(node) in {"sys.__stdout__", "sys.stdout.buffer"}
            if is_console or is_stream:
                found.add(str(path.relative_to(ROOT)))
    assert found <= allowed
    assert commands.name


def write_to_log(*texts: str) -> str:
    """Return the log of GitHub Actions for texts written one after another."""
    log = StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_ACTIONS", "true")
        patch.setattr(sys, "stdout", log)
        with guard():
            for text in texts:
                sys.stdout.write(text)
    return log.getvalue()


COMMAND = re.compile(r"^\s*::|##\[", re.MULTILINE)
"""What the runner of GitHub Actions obeys."""


@given(st.lists(st.text("\n\r\t :#[x", max_size=8), max_size=6))
@example(["::error::x"])
@example(["a\n", " ", ":", ":stop-commands::x"])
@example(["#", "#", "[command]x"])
@example(["\t\r::x\n##[group]a ##[b"])
def test_no_text_is_a_github_workflow_command(texts: list[str]) -> None:
    """For any cut of a reply, no line begins with two colons; without its backslashes the log has the whole text."""
    log = write_to_log(*texts)
    assert COMMAND.search(log.replace("\r", "\n")) is None
    assert log.replace("\\", "") == "".join(map(printable, texts))
    assert "\\" not in log or COMMAND.search("".join(map(printable, texts)).replace("\r", "\n"))


def test_a_reply_is_no_command_in_a_log_and_annotations_are(tmp_path: Path) -> None:
    """Replies have a backslash in every view, JSON keeps its values, and our annotations are commands."""
    reply = "\n::error::pwned\n##[add-mask]x"
    with serve(event_stream(delta_event(reply))) as server:
        write_config(tmp_path, acme={"base_url": server.url, "keyless": True, "models": ["m"]})
        write_yaml(tmp_path / "s.yaml", {"cases": [{"id": "one", "prompt": "Hi", "checks": {"equals": "x"}}]})
        log = {"GITHUB_ACTIONS": "true"}
        done = compare(tmp_path, "run", "s.yaml", "-o", "a", variables=log)
        shown = [
            compare(tmp_path, "ask", "Hi", variables=log),
            compare(tmp_path, "report", "a", "--replies", variables=log),
        ]
        as_json = compare(tmp_path, "run", "s.yaml", "--json", "-q", variables=log)
    assert [line.partition(" ")[0] for line in done.stderr.splitlines() if line.startswith("::")] == ["::error"]
    for each in shown:
        assert "pwned" in each.stdout
        assert COMMAND.search(each.stdout) is None
    assert "##[" not in as_json.stdout
    assert [row["reply"] for row in json.loads(as_json.stdout)["rows"]] == [reply]
