"""Suites with tools against the simulator: recordings, replays, snapshots, gates, Python."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from runner import run
from tests.support.command import ROOT, compare, read_lines, read_rows, write_yaml

APIS = ("chat_completions", "responses", "messages")
WEATHER = {
    "name": "get_weather",
    "description": "Get the weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CASE: dict[str, Any] = {
    "id": "weather",
    "turns": ["What is the weather in Paris?", "What is the weather in Rome?"],
    "checks": {
        "calls": [
            {"name": "get_weather", "arguments": {"city": "Paris"}},
            {"name": "get_weather", "arguments": {"city": "Rome"}},
        ],
        "calls_at_most": 2,
        "contains": "18",
    },
}
SUITE: dict[str, Any] = {
    "version": 1,
    "targets": ["sim/steady"],
    "defaults": {"max_tokens": 100, "tools": [WEATHER], "tool_results": {"get_weather": "18 degrees"}, "max_steps": 3},
    "cases": [CASE],
}
TOLD = [("1", ""), ("2", "18"), ("4", ""), ("5", "18")]
"""The turn of each row, and what its reply holds."""


def write_suite(folder: Path, **defaults: Any) -> None:
    """Write the suite with further defaults."""
    write_yaml(folder / "suite.yaml", {**SUITE, "defaults": {**SUITE["defaults"], **defaults}})


def told(folder: Path) -> list[tuple[str, str, str]]:
    """Return turn, prompt and reply of each row."""
    return [(row["turn"], row["prompt"], row["reply"]) for row in read_rows(folder)]


@pytest.mark.parametrize("api", APIS)
def test_a_run_with_tools_is_replayed_and_rederived(api: str, tmp_path: Path) -> None:
    """The same bytes give the same steps, rows and checks."""
    write_suite(tmp_path, api=api)
    done = compare(tmp_path, "run", "suite.yaml", "-o", "out", "--record")
    assert done.returncode == 0, done.stdout + done.stderr
    first = told(tmp_path / "out")
    assert [(turn, "18" in reply) for turn, _, reply in first] == [(turn, bool(text)) for turn, text in TOLD]
    assert [row["checks_passed"] for row in read_rows(tmp_path / "out")] == ["0", "0", "0", "3"]
    replayed = compare(tmp_path, "run", "suite.yaml", "--replay", "out", "-o", "again")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert told(tmp_path / "again") == first
    derived = compare(tmp_path, "rederive", "out", "-o", "derived")
    assert derived.returncode == 0, derived.stderr
    before, after = (read_lines(tmp_path / name, "record") for name in ("out", "derived"))
    assert [(each.get("calls"), each.get("earlier_calls"), each.get("noted")) for each in after] == [
        (each.get("calls"), each.get("earlier_calls"), each.get("noted")) for each in before
    ]


def test_a_snapshot_holds_every_step(tmp_path: Path) -> None:
    """It is compared step by step; a step that the model no longer takes is a change."""
    write_suite(tmp_path)
    kept = compare(tmp_path, "snapshot", "suite.yaml", "--update")
    assert kept.returncode == 0, kept.stdout + kept.stderr
    same = compare(tmp_path, "snapshot", "suite.yaml")
    assert same.returncode == 0, same.stdout + same.stderr
    write_suite(tmp_path, tool_choice="none")
    other = compare(tmp_path, "snapshot", "suite.yaml")
    assert other.returncode == 1
    assert "changed" in other.stdout


def test_a_gate_compares_steps_of_equal_numbers(tmp_path: Path) -> None:
    """Steps are paired with those of a baseline of the same suite."""
    write_suite(tmp_path)
    first = compare(tmp_path, "run", "suite.yaml", "--repeat", "4", "-o", "base")
    assert first.returncode == 0, first.stdout + first.stderr
    options = ("--repeat", "4", "--baseline", "base", "--gate", "--metric", "failures")
    gated = compare(tmp_path, "run", "suite.yaml", *options)
    assert gated.returncode in {0, 1}, gated.stderr
    assert "16" in gated.stdout


def test_checks_of_calls_are_recomputed_from_a_journal(tmp_path: Path) -> None:
    """The calls of all steps are stored with the last one, so that one row is enough."""
    write_suite(tmp_path)
    compare(tmp_path, "run", "suite.yaml", "-o", "out")
    last = read_lines(tmp_path / "out", "record")[-1]
    assert [json.loads(call["arguments"]) for call in last["earlier_calls"]] == [{"city": "Paris"}, {"city": "Rome"}]
    shutil.copytree(tmp_path / "out", tmp_path / "copy")
    report = compare(tmp_path, "report", "copy", "-o", "page.html")
    assert report.returncode == 0, report.stderr
    assert "1 of 1" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_suite_on_tools_fails_for_personas_that_call_wrongly(tmp_path: Path) -> None:
    """The persona that calls correctly passes everything; the others do not."""
    shutil.copy(ROOT / "prompts" / "tools.yaml", tmp_path)
    models = ("sim/steady", "sim/quick", "sim/slow-start")
    options = [word for model in models for word in ("-m", model)]
    done = compare(tmp_path, "run", "tools.yaml", *options, "-o", "out")
    assert done.returncode == 1, done.stderr
    rows = read_rows(tmp_path / "out")
    failed = {
        model: sum(int(row["checks_failed"] or 0) > 0 for row in rows if row["model"].startswith(model))
        for model in ("steady", "quick", "slow-start")
    }
    assert failed["steady"] == 0
    assert 0 < failed["quick"] < failed["slow-start"]


def test_a_run_from_python_has_tools_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite's steps are rows of the frame."""
    monkeypatch.chdir(tmp_path)
    write_suite(tmp_path)
    table = run("suite.yaml", progress=False)
    assert table["turn"].tolist() == [1, 2, 4, 5]
