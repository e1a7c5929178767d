"""`compare chat`, typed on a real terminal and piped: lines are turns, and the tables are always written."""

import json
from pathlib import Path
from typing import Any

import pytest

from runner.storage import journal
from tests.conftest import RunCli
from tests.support.command import compare, read_lines, write_config
from tests.support.media_files import png, wav
from tests.support.pseudo_terminal import needs_terminal, open_terminal
from tests.support.scripted_server import ReceivedRequest, ScriptedReply, json_reply, serve, streamed_reply

UP, BACKSPACE, NEW_LINE, CTRL_C = "\x1b[A", "\x7f", "\x1b\r", "\x03"


@needs_terminal
def test_lines_are_edited_on_a_terminal(tmp_path: Path) -> None:
    """Backspace deletes whole Chinese characters, arrows recall lines, a prompt may have several.

    The shown text is sent.
    """
    with open_terminal(tmp_path, "chat", "-m", "sim/quick", "-o", "said", "--color", "never") as terminal:
        terminal.wait_for("you>")
        terminal.type(f"你好吗{BACKSPACE}{BACKSPACE}们好\r")
        assert "you> 你们好" in terminal.wait_for("first text")
        terminal.wait_for("you>", 2)
        terminal.type("/help\r")
        terminal.wait_for("/save FILE")
        terminal.type(f"one{NEW_LINE}two\\\rthree\r")
        terminal.wait_for("first text", 2)
        terminal.wait_for("you>", 4)
        terminal.type(f"{UP}\r")
        terminal.wait_for("first text", 3)
        terminal.wait_for("you>", 5)
        terminal.type("/save chat.md\r")
        terminal.wait_for("written: chat.md")
        terminal.type("\r")
        assert terminal.finish() == 0
        assert "report: said/report.html" in terminal.lines
    prompts = [record.identity.prompt for record in journal.read(tmp_path / "said").records]
    assert prompts == ["你们好", "one\ntwo\nthree", "one\ntwo\nthree"]
    assert "partial" not in (tmp_path / "chat.md").read_text(encoding="utf-8")


@needs_terminal
@pytest.mark.parametrize("while_replying", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_ctrl_c_writes_the_tables(tmp_path: Path, *, while_replying: bool) -> None:
    """Ctrl-C ends the chat with exit code 130, at the prompt and during a reply, which is recorded as cancelled."""
    model = "sim/exact?ttft_ms=50&gap_ms=1000&tokens=600" if while_replying else "sim/quick"
    with open_terminal(tmp_path, "chat", "-m", model, "-o", "said") as terminal:
        terminal.wait_for("you>")
        terminal.type("Hello\r")
        terminal.wait_for("first text ~" if while_replying else "total")
        if not while_replying:
            terminal.wait_for("you>", 2)
        terminal.type(CTRL_C)
        assert terminal.finish() == 130
    assert {path.name for path in (tmp_path / "said").iterdir()} >= {"results.csv", "results.md", "report.html"}
    outcomes = [line["outcome"] for line in read_lines(tmp_path / "said", "record")]
    assert outcomes == ["cancelled" if while_replying else "ok"]
    assert len(read_lines(tmp_path / "said", "end")) == (not while_replying)


@pytest.mark.parametrize("typed", ["", "\n", "/help\n/save chat.md\n/reset\n/quit\n"])
def test_a_chat_without_a_turn_writes_nothing(tmp_path: Path, run_cli: RunCli, typed: str) -> None:
    """No run is made, so `latest` still names the one before."""
    assert run_cli("ask", "Hello", "-m", "sim/quick", cwd=tmp_path).returncode == 0
    before = sorted(tmp_path.rglob("*")), (tmp_path / "results" / "latest").resolve()
    for output in ((), ("-o", "said")):
        done = run_cli("chat", "-m", "sim/quick", *output, input=typed, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "")
        assert "nothing is written" in done.stderr
    assert (sorted(tmp_path.rglob("*")), (tmp_path / "results" / "latest").resolve()) == before


def test_a_finished_chat_is_complete_with_a_row_for_each_turn(tmp_path: Path, run_cli: RunCli) -> None:
    """No output calls it partial; /reset begins another conversation."""
    done = run_cli(
        *("chat", "-m", "sim/quick", "-o", tmp_path / "said"),
        input="My name is Ada.\nWhat is my name?\n/reset\nWhat is my name?\n/nope\n/save\n\n",
    )
    assert done.returncode == 0, done.stderr
    lines = read_lines(tmp_path / "said", "record")
    assert [(line["case"], line["turn"], line["repeat"]) for line in lines] == [
        ("chat", 1, 1),
        ("chat", 2, 1),
        ("chat-2", 1, 1),
    ]
    replies = [line["reply"] for line in lines]
    assert "Ada" in replies[1]
    assert "Ada" not in replies[2]
    assert "partial" not in done.stdout + (tmp_path / "said" / "results.md").read_text(encoding="utf-8")
    assert "there is no command /nope" in done.stderr
    assert "name a file: /save chat.md" in done.stderr


def test_save_writes_the_format_of_the_suffix(tmp_path: Path, run_cli: RunCli) -> None:
    """An existing file and an unknown format are refused, and the conversation continues."""
    saved = tmp_path / "so-far.json"
    done = run_cli(
        *("chat", "-m", "sim/quick", "-o", tmp_path / "said"),
        input=f"Hello\n/save {saved}\n/save {saved}\n/save {tmp_path / 'x.docx'}\nHello again\n\n",
    )
    assert done.returncode == 0
    assert [row["prompt"] for row in json.loads(saved.read_text(encoding="utf-8"))["rows"]] == ["Hello"]
    assert "exists already; choose another name" in done.stderr
    assert "no output is called .docx" in done.stderr
    assert len(read_lines(tmp_path / "said", "record")) == 2


def test_a_failed_turn_keeps_its_number_and_is_not_sent_again(tmp_path: Path, run_cli: RunCli) -> None:
    """The next turn has the next number, and its history has neither the failed prompt nor an empty reply."""
    asked: list[list[dict[str, str]]] = []

    def answer(request: ReceivedRequest) -> ScriptedReply:
        asked.append(request.json["messages"])
        if len(asked) == 2:
            return json_reply("400 Bad Request", {"error": {"message": "no"}})
        return streamed_reply("Yes")

    with serve(answer) as server:
        write_config(tmp_path, acme={"base_url": server.url, "keyless": True, "models": ["m"]})
        run_cli("chat", "-m", "acme/m", "-o", "said", input="one\ntwo\nthree\n\n", cwd=tmp_path)
    assert [line["turn"] for line in read_lines(tmp_path / "said", "record")] == [1, 2, 3]
    assert [message["content"] for message in asked[2]] == ["one", "Yes", "three"]


def test_files_are_attached_to_the_next_turn(tmp_path: Path, run_cli: RunCli) -> None:
    """A later turn sends them again; the header and the page have them, and /reset forgets them."""
    (tmp_path / "chart.png").write_bytes(png(20, 10))
    (tmp_path / "a note.txt").write_text("It rains.", encoding="utf-8")
    asked: list[Any] = []

    def answer(request: ReceivedRequest) -> ScriptedReply:
        asked.append([message["content"] for message in request.json["messages"]])
        return streamed_reply("Yes")

    typed = '/attach chart.png\n/attach "a note.txt"\none\ntwo\n/attach chart.png\n/reset\nthree\n\n'
    with serve(answer) as server:
        write_config(tmp_path, acme={"base_url": server.url, "keyless": True, "models": ["m"]})
        done = run_cli("chat", "-m", "acme/m", "-o", "said", input=typed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sent with the next turn: [image chart.png, " in done.stderr
    first, second, third = asked
    assert [part["type"] for part in first[0]] == ["image_url", "text", "text"]
    assert [part["text"] for part in first[0][1:]] == ["It rains.", "one"]
    assert second == [first[0], "Yes", "two"]
    assert third == ["three"]
    log = journal.read(tmp_path / "said")
    assert [record.identity.prompt.splitlines()[-1] for record in log.records] == ["one", "two", "three"]
    assert [each["name"] for each in log.header.attachments["chat"][0]] == ["chart.png", "a note.txt"]
    assert "data:image/png" in (tmp_path / "said" / "report.html").read_text(encoding="utf-8")


def test_a_refused_attachment_does_not_end_the_chat(tmp_path: Path, run_cli: RunCli) -> None:
    """A missing file, one without a form in a target's API, and one with a secret are named; nothing is sent."""
    (tmp_path / "hello.wav").write_bytes(wav(800))
    (tmp_path / "secret.txt").write_text("key sk-1234567890abcdef", encoding="utf-8")
    row = {"base_url": "http://127.0.0.1:9/v1", "keyless": True, "models": ["m"], "api": "responses"}
    write_config(tmp_path, acme=row)
    done = run_cli(
        *("chat", "-m", "acme/m", "-o", "said"),
        input="/attach\n/attach no.png nor.png\n/attach hello.wav\n/attach secret.txt\n\n",
        cwd=tmp_path,
        env={"MY_API_KEY": "sk-1234567890abcdef"},
    )
    assert done.returncode == 0, done.stderr
    assert "name a file: /attach chart.png" in done.stderr
    assert "no.png: there is no such file" in done.stderr
    assert "nor.png: there is no such file" in done.stderr
    assert "[audio hello.wav, " in done.stderr
    assert "cannot be sent to acme/m" in done.stderr
    assert "the file secret.txt of `chat` holds the value of MY_API_KEY" in done.stderr
    assert "sent with the next turn" not in done.stderr
    assert not (tmp_path / "said").exists()


@pytest.mark.parametrize("ending", ["/quit", "/exit"])
def test_quit_and_exit_end_the_chat(run_cli: RunCli, tmp_path: Path, ending: str) -> None:
    """Later input is not sent."""
    done = run_cli("chat", "-m", "sim/quick", "-o", "said", input=f"one\n{ending}\ntwo\n", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line["turn"] for line in read_lines(tmp_path / "said", "record")] == [1]


def test_a_quiet_ask_prints_the_replies(tmp_path: Path) -> None:
    """-q leaves out progress only; with --json the replies are in the JSON alone."""
    quiet = compare(tmp_path, "ask", "What is 2 + 3?", "-m", "sim/quick", "-q", "-o", "a")
    assert "2 + 3 = 5" in quiet.stdout
    assert quiet.stderr == ""
    as_json = compare(tmp_path, "ask", "What is 2 + 3?", "-m", "sim/quick", "-q", "--json", "-o", "b")
    assert json.loads(as_json.stdout)["rows"][0]["reply"] == "2 + 3 = 5"
    assert as_json.stderr == ""


def test_an_ask_limits_the_tokens_of_a_reply(run_cli: RunCli, tmp_path: Path) -> None:
    """--max-tokens is in the request; without it the provider's limit holds."""
    asked: list[object] = []

    def answer(request: ReceivedRequest) -> ScriptedReply:
        asked.append({name: value for name, value in request.json.items() if name.startswith("max_")})
        return streamed_reply("Yes")

    with serve(answer) as server:
        write_config(tmp_path, acme={"base_url": server.url, "keyless": True, "models": ["m"]})
        for options in (("--max-tokens", "7"), ()):
            assert run_cli("ask", "Really?", "-m", "acme/m", *options, cwd=tmp_path).returncode == 0
    assert asked == [{"max_tokens": 7}, {}]
