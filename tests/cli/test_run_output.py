"""The output at the end of a command: the files, the page, a browser on request; no line is repeated."""

from pathlib import Path

import pytest

from tests.conftest import RunCli
from tests.support.command import compare, write_config, write_yaml
from tests.support.scripted_server import serve, streamed_reply


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a browser that writes the address it is given to a file; return the file."""
    visited, script = tmp_path / "visited", tmp_path / "browser"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {visited}\n', encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(script))
    monkeypatch.setattr("webbrowser._tryorder", None)  # the module reads BROWSER only once
    return visited


@pytest.mark.parametrize("quiet", [(), ("-q",)])
def test_the_page_is_opened_in_a_browser(
    tmp_path: Path, browser: Path, run_cli: RunCli, quiet: tuple[str, ...]
) -> None:
    """`--open` opens the page that the last line names, of a run and of a report."""
    done = run_cli("ask", "Hi", "-m", "sim/quick", "-o", tmp_path / "out", "--open", *quiet)
    assert done.returncode == 0, done.stderr
    page = tmp_path / "out" / "report.html"
    assert browser.read_text(encoding="utf-8") == page.as_uri()
    assert done.stderr.splitlines()[-1:] == ([] if quiet else [f"report: {page}"])
    browser.unlink()
    assert run_cli("report", tmp_path / "out", "--open").returncode == 0
    assert browser.read_text(encoding="utf-8") == page.as_uri()


def test_latest_is_the_shorter_name_of_the_page(tmp_path: Path) -> None:
    """The newest run's page is named by `latest`, an older run's by its own folder."""
    first = compare(tmp_path, "ask", "Hi", "-m", "sim/quick")
    second = compare(tmp_path, "ask", "Hi", "-m", "sim/quick")
    older = first.stderr.partition("written: ")[2].partition("/results.csv")[0]
    assert second.stderr.splitlines()[-1] == "report: results/latest/report.html"
    assert compare(tmp_path, "report", older).stderr.splitlines()[-1] == f"report: {older}/report.html"


def test_a_note_before_the_run_is_not_repeated_after_it(tmp_path: Path) -> None:
    """An adapted parameter is named once, before the run; `compare report`, which has no such note, names it."""
    with serve(lambda _: streamed_reply("Hi")) as server:
        row = {"base_url": server.url, "keyless": True, "models": ["m"], "retired": {"m": "gone since June"}}
        write_config(tmp_path, acme=row)
        write_yaml(tmp_path / "s.yaml", {"version": 1, "cases": [{"id": "one", "prompt": "Hi"}]})
        done = compare(tmp_path, "run", "s.yaml", "-m", "acme/m", "-o", "out")
    assert "gone since June" in done.stderr
    assert "retired_model" not in done.stdout
    assert "retired_model (acme/m 1)" in compare(tmp_path, "report", "out").stdout
