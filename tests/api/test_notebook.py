"""Notebooks, in real kernels: the documented notebook, progress in a cell, the stop button, and hostile replies."""

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from runner import run, side_by_side
from runner.api.progress_display import NoDisplay, Progress, StderrLine, StreamingReplies, find_display
from runner.core.events import Channel, Text
from runner.core.suite import Case, Parameters
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from runner.providers.registry import builtin
from tests.support.jupyter_kernel import (
    CHECKOUT,
    KERNEL_NAME,
    Kernel,
    install_kernel,
    open_kernel,
    printed_text,
    texts_of,
)

NOTEBOOK = CHECKOUT / "docs" / "notebook.ipynb"
QUICK = "sim/exact?ttft_ms=20&gap_ms=2&tokens=5"


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Show Jupyter this interpreter's kernel only, and nothing of the user's configuration."""
    folder = tmp_path_factory.mktemp("kernels")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in install_kernel(folder).items():
            patch.setenv(name, value)
        yield folder


@pytest.fixture(scope="module")
def kernel(kernels: Path) -> Iterator[Kernel]:
    """Run one kernel for several tests."""
    with open_kernel(kernels) as opened:
        opened.run("from runner import *")
        yield opened


@pytest.fixture(scope="module")
def executed(kernels: Path) -> nbformat.NotebookNode:
    """Execute the documented notebook as a reader without a key does."""
    notebook = read_notebook()
    client = NotebookClient(
        notebook, kernel_name=KERNEL_NAME, timeout=300, resources={"metadata": {"path": str(kernels)}}
    )
    return client.execute()


def read_notebook() -> nbformat.NotebookNode:
    """Return the notebook as it is committed."""
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call, no-any-return]


def outputs(notebook: nbformat.NotebookNode, id_: str) -> str:
    """Return the output of a cell as text and as HTML."""
    cell = next(cell for cell in notebook.cells if cell.id == id_)
    shown = [output.get("text", "") + "".join(output.get("data", {}).values()) for output in cell.outputs]
    return "\n".join(shown)


def test_the_notebook_is_committed_without_outputs() -> None:
    """The notebook holds no outputs, so running it leaves no diff."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"]] == []
    nbformat.validate(read_notebook())


@pytest.mark.thorough
def test_the_notebook_runs_without_a_key(executed: nbformat.NotebookNode) -> None:
    """Every cell does what its text says: personas answer and are marked, names are remembered, text streams."""
    assert "sim/quick" in outputs(executed, "keys")
    assert "simulated: the built-in simulator answered" in outputs(executed, "ask")
    assert outputs(executed, "second-turn").count("Ada") == 3
    assert re.search(r"\[reasoning, after \d+\.\d+ s\].*\[answer, after", outputs(executed, "stream"), re.DOTALL)
    assert "60 of 60 requests done" in outputs(executed, "run")
    assert outputs(executed, "side-by-side").count("<article>") == 6
    assert "<svg" in outputs(executed, "pictures")
    assert re.search("slower|faster|undecided|unchanged", outputs(executed, "diff"))
    assert outputs(executed, "load").startswith("(60, 'prompts', True)")


def test_the_notebook_asks_the_models_whose_keys_are_set() -> None:
    """The notebook names one model per vendor, from the vendor's row, with the variable of its key."""
    rows = builtin().rows
    source = "".join(next(c for c in read_notebook().cells if c.id == "keys").source)
    named = re.findall(r'"(\w+)": \("(\w+)/([^"]+)", "sim/\w+"\)', source)
    assert [provider for _, provider, _ in named] == ["dashscope", "zhipu", "deepseek"]
    assert all(key in rows[provider].api_key_env for key, provider, _ in named)
    assert all(model in rows[provider].models for _, provider, model in named)


def test_a_cell_shows_progress_in_one_output(kernel: Kernel) -> None:
    """A run under the kernel's loop draws one output, updates it, and ends with all requests done and the folder."""
    messages = kernel.run(f"table = run(prompts='one', targets={QUICK!r}, repeat=3)\nlen(table)")
    assert len(texts_of(messages, "display_data")) == 1
    assert re.fullmatch(
        r"3 of 3 requests done, in .+; kept in results/\S+", texts_of(messages, "update_display_data")[-1]
    )
    assert texts_of(messages, "execute_result") == ["3"]
    assert printed_text(messages) == ""


def test_await_works_in_a_cell(kernel: Kernel) -> None:
    """The kernel's own loop can wait for a run."""
    messages = kernel.run(f"(await arun(prompts='one', targets={QUICK!r}, progress=False))['outcome'].tolist()")
    assert texts_of(messages, "execute_result") == ["['ok']"]


@pytest.mark.parametrize("call", ["run(", "await arun("])
def test_the_stop_button_keeps_finished_rows(kernel: Kernel, call: str) -> None:
    """An interrupt raises KeyboardInterrupt; its message and the cell name the rows finished by then."""
    cell = kernel.start(f"table = {call}prompts='one', targets={QUICK!r}, repeat=100_000, concurrency=1)")
    messages = []
    stopped = False
    for message in kernel.messages(cell):
        messages.append(message)
        if not stopped and re.match("[1-9]", "".join(texts_of([message], "update_display_data"))):
            kernel.interrupt()
            stopped = True
    error = next(message["content"] for message in messages if message["msg_type"] == "error")
    assert error["ename"] in {"Interrupted", "KeyboardInterrupt", "CancelledError"}
    told = texts_of(messages, "update_display_data")[-1]
    found = re.search(r'stopped; finished rows kept: (\d+)\. (load\("[^"]+"\))', told)
    assert found, told
    if call == "run(":
        assert found[0] in "".join(error["traceback"])
        assert len(error["traceback"]) == 1
    counted = kernel.run(f"int(({found[2]}['outcome'] == 'ok').sum())")
    assert texts_of(counted, "execute_result") == [found[1]]
    assert int(found[1]) >= 1


def test_a_mistake_in_a_cell_shows_one_sentence(kernel: Kernel) -> None:
    """An error shows no traceback, only what is wrong and what to do."""
    messages = kernel.run("run(prompts='one', repeats=3)")
    (error,) = [message["content"] for message in messages if message["msg_type"] == "error"]
    assert error["traceback"] == ["CompareError: run() has no option `repeats`. Did you mean `repeat`?"]


def test_replies_grow_in_a_cell_while_ask_waits(kernel: Kernel) -> None:
    """At the end a line replaces the columns, and the value of the cell shows the replies side by side."""
    messages = kernel.run("ask('你是谁？', targets=['sim/quick', 'sim/thinker'])")
    growing = texts_of(messages, "update_display_data", "text/html")
    assert any('<div class="thoughts">' in drawn for drawn in growing[:-1])
    assert "<article>" not in growing[-1]
    (grid,) = texts_of(messages, "execute_result", "text/html")
    assert grid.count("<article>") == 2
    assert "sim/thinker" in grid


def test_hostile_replies_are_shown_as_text() -> None:
    """Markdown, HTML and names are escaped: no element, address or control character is left."""
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1)) ![](http://evil) \x1b[31m"
    table = run(prompts=[hostile], targets="sim/quick")
    table["reply"] = hostile
    table["reasoning"] = hostile
    table["model"] = "<b>quick</b>"
    drawn = side_by_side(table)._repr_html_()
    elements = {name.lower() for name in re.findall(r"<([a-zA-Z]+)", drawn)}
    assert elements <= {"style", "div", "article", "strong", "details", "summary", "p", "span", "br", "a"}
    assert "javascript:" not in re.sub(">[^<]*<", "><", drawn)
    assert html.escape("<script>") in drawn
    assert "\x1b" not in drawn + repr(side_by_side(table))


def test_a_partial_reply_is_escaped() -> None:
    """Text is also escaped while it streams."""
    seen: list[str] = []

    class RecordingDisplay(NoDisplay):
        def show(self, text: str, html: str | None = None) -> None:
            seen.extend([text, html or ""])

    target, case = Target("sim", "<i>x</i>", Parameters()), Case("a", ("hi",))
    view = StreamingReplies(RecordingDisplay(), [])
    view.planned(Plan((case,), (target,)))
    request = Request(target, case, repeat=1, block=1)
    view.started(request)
    view.received(request, Text(2, Channel.ANSWER, "<script>"))
    view.draw()
    assert "<script>" not in seen[1]
    assert "&lt;script&gt;" in seen[1]
    assert "<i>" not in seen[1]


def test_progress_on_a_terminal_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The line is overwritten; only the last one stays, with the notes above it."""
    progress = Progress(StderrLine(), ["simulated"])
    progress.draw()
    progress.conclude("results/x")
    lines = capsys.readouterr().err.split("\r\x1b[K")
    assert lines[1].startswith("0 requests done, 0 under way")
    assert "note: simulated\n0 requests done, in " in lines[-1]
    assert lines[-1].endswith("; results/x\n")


def test_a_script_shows_no_progress() -> None:
    """Without a shell there is no screen, even if IPython is loaded, as in this test."""
    assert isinstance(find_display(), NoDisplay)
