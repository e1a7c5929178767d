"""Shell completion: targets, providers, cases, metrics and runs, and files where no word fits."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from runner.cli import commands
from tests.support.command import call, own_environment, write_yaml
from tests.support.crafted_runs import BASE, NEW, answered, write_run


def completed(folder: Path, line: str, *, env: dict[str, str] | None = None) -> list[str]:
    """Return the words that bash is offered for the last word of a line."""
    words = line.split(" ")
    variables = {"_COMPARE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = call([], folder, own_environment(folder, {**variables, **(env or {})}))
    assert done.stderr == ""
    return done.stdout.split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a suite and two runs."""
    cases = [{"id": name, "prompt": "Hi"} for name in ("who-en", "who-zh", "other")]
    write_yaml(tmp_path / "s.yaml", {"version": 1, "cases": cases})
    for run in ("20260101T000000-s-aaaa", "20260102T000000-s-bbbb"):
        write_run(tmp_path / "results" / run, [answered(BASE), answered(NEW)])
    return tmp_path


def test_targets_are_completed_those_with_a_key_first(folder: Path) -> None:
    """Default targets of all providers are offered; a key moves its provider to the front."""
    assert completed(folder, "compare run s.yaml -m deepseek/") == ["plain,deepseek/deepseek-flash"]
    first, *_ = completed(folder, "compare ask -m ", env={"DEEPSEEK_API_KEY": "sk-abcdefghijklmnop"})
    assert first == "plain,deepseek/deepseek-flash"
    assert "plain,zhipu" in completed(folder, "compare plan s.yaml -p z")


def test_cases_of_the_suite_are_completed(folder: Path) -> None:
    """The suite is the one on the line; without one, or with a broken one, there are none."""
    assert completed(folder, "compare run s.yaml -k who") == ["plain,who-en", "plain,who-zh"]
    assert completed(folder, "compare run -k who") == []
    (folder / "broken.yaml").write_text("cases: [")
    assert completed(folder, "compare run broken.yaml -k who") == []


def test_metrics_are_completed(folder: Path) -> None:
    """They are those that `diff` compares."""
    assert completed(folder, "compare diff latest --metric tt") == ["plain,ttft", "plain,ttfa"]
    assert completed(folder, "compare run s.yaml --metric cos") == ["plain,cost"]
    followed = completed(folder, "compare history --metric ")
    assert "plain,passes" in followed
    assert not {"plain,failures", "plain,slo", "plain,slow"} & {*followed}


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("history --suite ", "crafted"),
        ("runs --target acme/o", BASE),
        ("judge latest --by deepseek/", "deepseek/deepseek-flash"),
        ("simulate --fault lis", "list"),
        ("providers --models zhi", "zhipu"),
    ],
)
def test_names_that_options_take_are_completed(folder: Path, line: str, first: str) -> None:
    """Suites and targets of stored runs, judges, faults and providers are offered where an option names one."""
    assert completed(folder, f"compare {line}")[0] == f"plain,{first}"


def test_the_script_completes_the_program_that_printed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`compare-llm` is for machines on which another program is called `compare`."""
    monkeypatch.setattr("sys.argv", ["/usr/bin/compare-llm", "completion", "bash"])
    script = CliRunner().invoke(commands, ["completion", "bash"]).stdout
    assert "-F _compare_llm_completion compare-llm" in script
    assert "_COMPARE_COMPLETE=bash_complete" in script


@pytest.mark.parametrize(
    "line", ["report ", "diff ", "diff latest ", "run --resume ", "run s.yaml --baseline ", "export "]
)
def test_runs_are_completed_the_newest_first(folder: Path, line: str) -> None:
    """`latest` and the ids in results/ are offered wherever a run is named, and files if none of them fits."""
    runs = ["plain,latest", "plain,20260102T000000-s-bbbb", "plain,20260101T000000-s-aaaa"]
    assert completed(folder, f"compare {line}") == runs
    assert completed(folder, f"compare {line}./base") == ["file,./base"]


def test_targets_of_a_run_are_completed(folder: Path) -> None:
    """`diff --between` offers the targets of the run before it."""
    assert completed(folder, "compare diff results/20260101T000000-s-aaaa --between acme/n") == [f"plain,{NEW}"]


def test_a_name_with_control_characters_is_not_offered(folder: Path) -> None:
    """The shell prints completed words without escaping them."""
    write_yaml(folder / "s.yaml", {"cases": [{"id": "who\x1b[2J", "prompt": "Hi"}, {"id": "who", "prompt": "Hi"}]})
    write_run(folder / "results" / "2026\x1b[2J", [answered(BASE)])
    assert completed(folder, "compare run s.yaml -k who") in (["plain,who"], [])
    assert not any("\x1b" in word for word in completed(folder, "compare report "))


def test_an_empty_folder_completes_file_names_only(tmp_path: Path) -> None:
    """There is no run and no suite."""
    assert completed(tmp_path, "compare report ") == ["file,"]
    assert completed(tmp_path, "compare diff nothing --between a") == []
