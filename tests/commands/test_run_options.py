"""Options of a run: contradictions between them are refused, in the words of the command line and of Python."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.api.keywords import RUN_OPTIONS
from runner.api.options import read_options
from runner.commands.run.options import (
    NamedFolder,
    RunOptions,
    check_options,
    parse_output,
    spell_keyword,
)
from runner.core.cluster_node import ClusterOptions
from runner.errors import CompareError
from tests.support.command import compare, read_lines, read_rows, write_config, write_yaml
from tests.support.scripted_server import delta_event, event_stream, serve

RUN = Path("run")


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"arrivals": "poisson"}, "--arrivals sets the intervals between the requests of --rate; add --rate"),
        ({"levels": (1, 2), "concurrency": 3}, "--sweep sets the concurrency, level by level; leave --concurrency out"),
        ({"levels": (1, 2), "rate": 1.0}, "--sweep sets how many requests are in flight, --rate how many start"),
        (
            {"ramp": 1.0, "rate": 2.0},
            "--ramp raises the number of requests in flight step by step, --rate does not limit",
        ),
        ({"levels": (1, 2), "adaptive": True}, "--adaptive changes it; choose one of the two"),
        ({"lead": 1, "order": "free"}, "--lead applies to --order blocks only; in order free, no lane waits"),
        ({"retry_errors": True}, "--retry-errors repeats the failed requests of a run; add --resume RUN"),
        ({"fast": True}, "--fast sets the pace of recorded replies; add --replay RUN"),
        ({"record": True, "engine": "ray"}, "--record stores what this machine receives; with --engine ray, others"),
        ({"address": "auto"}, "--address applies to a cluster only; add --engine ray"),
        ({"workers": 2}, "--workers applies to a cluster only; add --engine ray"),
        ({"vantage": True}, "--vantage applies to a cluster only; add --engine ray"),
        ({"baseline": RUN, "arms": ("a/b", "a/c")}, "--baseline compares with another run, --ab within this one"),
        ({"gate": True}, "a gate needs a comparison; add --baseline PATH or --ab BASE NEW"),
        ({"fail_undecided": True}, "a gate needs a comparison; add --baseline PATH or --ab BASE NEW"),
        ({"metrics": ("ttft",)}, "--metric applies to a comparison only; add --baseline PATH or --ab BASE NEW"),
        ({"min_effect": 0.1}, "--min-effect applies to a comparison only; add --baseline PATH or --ab"),
        ({"min_pass_change": 0.1}, "--min-pass-change applies to a comparison only; add --baseline"),
        ({"arms": ("a/b", "a/c"), "models": ("a/d",)}, "--ab names the targets; leave -m and -p out"),
        ({"arms": ("a/b", "a/c"), "providers": ("a",)}, "--ab names the targets; leave -m and -p out"),
        ({"arms": ("a/b", "c")}, "--ab takes two targets, each written provider/model"),
        ({"lead": -1}, "--lead must be 0 or more"),
        ({"lead": 1, "rate": 2.0}, "--rate sets when requests start, and no lane waits for another; leave --lead out"),
        ({"cache_probe": True, "cache_waits": (1.0, 1.0)}, "each pause of --cache-waits is measured once; give each"),
        ({"cache_probe": True, "cache_waits": (60.0, 0.0)}, "each pause of --cache-waits must be more than 0 s"),
        ({"late_bound_s": 0.0004}, "--late-bound must be 0.5 ms (0.0005 s) or more"),
        ({"late_bound_s": float("nan")}, "--late-bound must be 0.5 ms (0.0005 s) or more"),
    ],
)
def test_options_that_contradict_each_other_are_refused(values: dict[str, Any], refused: str) -> None:
    """The message names the options as the command line spells them."""
    with pytest.raises(CompareError) as raised:
        check_options(RunOptions(**values))
    assert refused in str(raised.value)


def test_contradictions_are_spelled_as_python_keywords() -> None:
    """The same table spells options as keywords for Python."""
    with pytest.raises(CompareError, match=r"^lead applies to order='blocks' only; in order free, no lane"):
        read_options({"lead": 1, "order": "free"})
    with pytest.raises(CompareError, match=r"^sweep sets how many .*; choose one of the two$"):
        read_options({"sweep": [1, 2], "rate": 1})
    with pytest.raises(CompareError, match=r"^late_bound must be 0\.5 ms \(0\.0005 s\) or more$"):
        read_options({"late_bound": 0.0001})
    with pytest.raises(CompareError, match=r"add resume='RUN'$"):
        read_options({"retry_errors": True})


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ({"until_ci": 0.05}, "until_ci may never be reached"),
        ({"until_ci": "passes=5%", "requests": 9}, r"until_ci='passes=\.\.\.' waits for the pass rate"),
        ({"output": ["one/", "two/"]}, "^output names two folders, one and two"),
        ({"budget": ["5USD", "6USD"]}, "budget names USD twice"),
    ],
)
def test_python_reads_its_own_names_in_errors_found_later(
    options: dict[str, Any], refused: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found while a run is prepared or opened names keywords, too, not options of the command line."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CompareError, match=refused):
        runner.run(prompts="x", targets="sim/quick", progress=False, **options)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"rate": 1.0, "arrivals": "poisson"},
        {"lead": 1, "order": "blocks"},
        {"resume": RUN, "retry_errors": True},
        {"replay": RUN, "fast": True, "record": True},
        {"engine": "ray", "workers": 2, "vantage": True},
        {"resume": RUN, "arrivals": "constant"},
        {"arms": ("a/b", "a/c"), "gate": True},
        {"arms": ("a/b", "a/c"), "metrics": ("ttft",), "min_effect": 0.2, "min_pass_change": 0.1},
        {"baseline": RUN, "models": ("a/b",), "fail_undecided": True},
    ],
)
def test_options_that_go_together_are_kept(values: dict[str, Any]) -> None:
    """They are returned as they are."""
    options = RunOptions(**values)
    assert check_options(options) is options


def test_a_cluster_is_set_by_the_engine_alone() -> None:
    """Without --engine ray there is none; without an address it is the nearest cluster."""
    assert RunOptions().cluster is None
    assert RunOptions(engine="ray", workers=3).cluster == ClusterOptions("auto", 3)


def test_every_keyword_of_run_is_a_field() -> None:
    """A field that is named otherwise in Python has an entry in the table of names, and nothing else is read."""
    keywords = {spell_keyword(spec.name) for spec in fields(RunOptions) if spec.name != "spell"}
    command_line_only = {
        *("engine", "address", "workers", "vantage"),
        *("baseline", "arms", "gate", "fail_undecided", "metrics", "min_effect", "min_pass_change"),
    }
    assert keywords - command_line_only == set(RUN_OPTIONS)


def test_a_reply_limit_is_set_by_an_option_and_raised_when_a_run_is_resumed(tmp_path: Path) -> None:
    """The option precedes the suite and is kept with the run; changing it changes no request key."""
    long = event_stream(delta_event("x" * 100) * 50)
    suite = {"defaults": {"reply_limit": "1MiB"}, "cases": [{"id": "a", "prompt": "hi"}]}
    write_yaml(tmp_path / "s.yaml", suite)
    with serve(long) as server:
        write_config(tmp_path, acme={"base_url": server.url, "keyless": True, "models": ["m"]})
        done = compare(tmp_path, "run", "s.yaml", "--reply-limit", "2kB", "-o", "out")
        assert done.returncode == 3
        assert "larger than its limit of 2,000 bytes" in done.stderr
        (row,) = read_rows(tmp_path / "out")
        assert (row["outcome"], row["error_type"], set(row["reply"])) == ("too_large", "reply_limit", {"x"})
        again = compare(tmp_path, "run", "--resume", "out", "--retry-errors")
        assert again.returncode == 3
        raised = compare(tmp_path, "run", "--resume", "out", "--retry-errors", "--reply-limit", "1MiB")
    assert raised.returncode == 0, raised.stderr
    assert [row["outcome"] for row in read_rows(tmp_path / "out")] == ["ok"]
    assert len({line["key"] for line in read_lines(tmp_path / "out", "record")}) == 1


def test_a_reply_limit_that_is_no_size_is_refused(tmp_path: Path) -> None:
    """The message says what to write."""
    done = compare(tmp_path, "ask", "hi", "--reply-limit", "1GiB")
    assert done.returncode == 2
    assert "Write a size up to 64MiB" in done.stderr
    with pytest.raises(CompareError, match="give a size up to 64 MiB"):
        read_options({"reply_limit": 2**30})


@pytest.mark.parametrize(
    ("text", "is_folder"), [("out.d/", True), ("out.d//", True), ("out.d", False), ("rows.csv", False)]
)
def test_a_slash_at_the_end_names_a_folder(text: str, *, is_folder: bool) -> None:
    """The path is the same, but it is a folder's regardless of its suffix."""
    output = parse_output(text)
    assert isinstance(output, NamedFolder) is is_folder
    assert (output, output.name) == (Path(text), Path(text).name)


def test_a_named_folder_holds_a_run(tmp_path: Path) -> None:
    """`-o out.d/` is the run's folder, on the command line and in Python."""
    write_yaml(tmp_path / "s.yaml", {"cases": [{"id": "a", "prompt": "hi"}]})
    done = compare(tmp_path, "run", "s.yaml", "-m", "sim/quick", "-o", "out.d/")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.d" / "journal.jsonl").is_file()
    assert isinstance(read_options({"output": "out.d/"}).outputs[0], NamedFolder)
