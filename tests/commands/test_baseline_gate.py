"""Continuous integration: the gate, its exit codes, JUnit, GitHub summaries and annotations, the action, examples."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.diff import Difference
from runner.analysis.diff_verdict import Rule
from runner.analysis.run_results import Run
from runner.commands.diff import Gate
from runner.commands.exit_codes import of_difference
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.outputs import junit
from runner.outputs.diff import junit as diff_junit
from runner.outputs.github import (
    MAX_ANNOTATIONS,
    MAX_SUMMARY_BYTES,
    Annotation,
    annotate,
    join_sections,
    limit_annotations,
    report_run,
    write_command,
)
from tests.support.command import ROOT, compare, read_lines, write_yaml
from tests.support.crafted_runs import header

SLOW, FAST = "sim/exact?ttft_ms=300&gap_ms=2&tokens=5", "sim/exact?ttft_ms=150&gap_ms=2&tokens=5"
HEADER = header(
    "r",
    ("sim/a", "sim/b"),
    suite="s",
    simulated=True,
    repeat=20,
    cases=("one",),
    planned_requests=40,
    path="prompts/s.yaml",
    checks={"one": {"checks": {"contains": "yes"}, "turns": 1, "line": 12}},
)


def asked(model: str, repeat: int, ttft_ms: float, reply: str = "yes", outcome: Outcome = Outcome.OK) -> Record:
    """Make a record with a time to first text, ten pieces 10 ms apart behind it."""
    first_us = round(ttft_ms * 1000) + repeat * 37 % 100
    return Record(
        identity=Identity(f"{model}{repeat}", "one", 1, repeat, repeat, "sim", model, "?", simulated=True),
        timestamps=Timestamps(sent=0, headers=1, first_event=first_us * 1000, last_event=(first_us + 90_000) * 1000),
        outcome=outcome,
        text_events=TextEvents(tuple(first_us + 10_000 * at for at in range(10)), "a" * 10, (3,) * 10),
        reply=reply,
        error="it broke\r\nat 100 %, twice" if outcome is not Outcome.OK else None,
        output_tokens=10,
        input_tokens=1,
    )


def run_of(**ttft_ms: float) -> Run:
    """Make a run of twenty requests to each model."""
    records = [asked(model, repeat, ms) for repeat in range(1, 21) for model, ms in ttft_ms.items()]
    return Run.of(HEADER, records)


def judge(
    base: Run | None,
    run: Run,
    arms: tuple[str, str] | None = None,
    *,
    gate: bool = False,
    fail_undecided: bool = False,
) -> tuple[Difference, int]:
    """Compare a run with a base, or two arms of it with each other; return the comparison and the exit code."""
    difference = Gate(base, arms, Rule(measures=("ttft",))).compare(run)
    return difference, of_difference(difference, gate=gate, fail_undecided=fail_undecided)


def test_a_gate_fails_a_slower_run() -> None:
    """A TTFT 1.5 times as long is a regression, between runs and between targets; without a gate the exit code is 0."""
    base, run = run_of(a=100, b=100), run_of(a=100, b=150)
    assert judge(base, run, gate=True)[1] == 1
    assert judge(None, run, ("sim/a", "sim/b"), gate=True)[1] == 1
    assert judge(base, run)[1] == 0


def test_a_gate_passes_an_equal_or_faster_run() -> None:
    """The same run passes, and so does an improvement."""
    base = run_of(a=100, b=100)
    assert judge(base, base, gate=True, fail_undecided=True)[1] == 0
    assert judge(base, run_of(a=100, b=60), gate=True)[1] == 0
    assert judge(None, base, ("sim/a", "sim/b"), gate=True)[1] == 0


def test_three_requests_are_undecided() -> None:
    """Three requests are too few: the exit code is 0, or 5 with fail_undecided."""
    few = Run.of(HEADER, [asked(model, repeat, 100 * repeat) for repeat in (1, 2, 3) for model in "ab"])
    other = Run.of(HEADER, [asked(model, repeat, 150 * repeat) for repeat in (1, 2, 3) for model in "ab"])
    assert judge(few, other, gate=True)[1] == 0
    assert judge(few, other, fail_undecided=True)[1] == 5


SUITE = {"cases": [{"id": "a", "prompt": "hi"}, {"id": "b", "prompt": "ho"}]}


def test_ab_compares_two_targets_of_one_run(tmp_path: Path) -> None:
    """`--ab` sends requests to both targets, interleaved; if the second is slower, the gate fails in every output."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    more = ("--repeat", "12", "--metric", "ttft", "--gate", "-q", "-o", "run", "-o", "junit.xml")
    slow = "sim/exact?ttft_ms=700&gap_ms=2&tokens=5"  # more than the clock error of a busy machine
    done = compare(tmp_path, "run", "suite.yaml", "--ab", FAST, slow, *more)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"TTFT .* slower", done.stdout)
    assert json.loads((tmp_path / "run" / "difference.json").read_text(encoding="utf-8"))["paired"] is True
    assert (tmp_path / "run" / "difference.md").read_text(encoding="utf-8").startswith("## slower")
    root = ET.parse(tmp_path / "junit.xml").getroot()
    assert [case.get("name") for case in root.iter("testcase") if case.find("failure") is not None] == ["ttft_s"]
    blocks = [line["block"] for line in read_lines(tmp_path / "run", "record")]
    assert len(blocks) == 48
    assert max(abs(block - at // 4 - 1) for at, block in enumerate(blocks)) <= 1


def slowed_copy(journal: Path, folder: Path, seconds: float) -> Path:
    """Write a run's journal with every text so much later."""
    folder.mkdir()
    lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if line["kind"] == "record":
            line["heard"]["us"][0] += round(seconds * 1e6)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "journal.jsonl").write_text(text, encoding="utf-8")
    return folder


def test_a_baseline_is_a_snapshot_or_another_run(tmp_path: Path) -> None:
    """What `snapshot --update` keeps is a baseline; a run slower than its baseline fails."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    # Slow enough that a busy machine does not add half of it.
    ask = ("-m", "sim/exact?ttft_ms=400&gap_ms=2&tokens=5", "--repeat", "32", "--concurrency", "16", "-q")
    assert compare(tmp_path, "snapshot", "suite.yaml", *ask, "--update", "-o", "base").returncode == 0
    gate = ("--gate", "--metric", "ttft", "--min-effect", "50%")
    done = compare(tmp_path, "run", "suite.yaml", *ask, *gate, "--baseline", "suite.snapshot", "-o", "same", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["run"]["run_id"] == "same"
    # Later by far more than this machine may be late. A finished run is resumed, so that nothing more is asked.
    slowed_copy(tmp_path / "same" / "journal.jsonl", tmp_path / "slower", 20)
    done = compare(tmp_path, "run", "suite.yaml", "--resume", "slower", "-q", *gate, "--baseline", "suite.snapshot")
    assert done.returncode == 1, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--gate",), "a gate needs a comparison; add --baseline PATH"),
        (("--fail-undecided",), "a gate needs a comparison; add --baseline PATH"),
        (("--baseline", "nowhere", "--gate"), "there is no nowhere"),
        (("--baseline", "x", "--ab", "sim/quick", "sim/steady"), "choose one"),
        (("--ab", "sim/quick", "sim/steady", "-m", "sim/quick"), "leave -m and -p out"),
        (("--ab", "sim/quick", "nobody/x", "--gate"), "nobody"),
        (("--ab", "sim/quick", "steady"), "each written provider/model"),
        (("--ab", "sim/quick", "sim/quick"), "Name two that differ"),
        (("--ab", "sim/quick", "sim/steady", "--min-effect", "much"), "'much' is not a share"),
        (("--ab", "sim/quick", "sim/steady", "--metric", "speed"), "speed"),
    ],
)
def test_wrong_gate_options_are_refused_before_anything_is_sent(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    """The exit code is 2, with a sentence, and no run."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    done = compare(tmp_path, "run", "suite.yaml", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_gate_that_compared_nothing_exits_with_2(tmp_path: Path) -> None:
    """If the baseline has another prompt for the case, the exit code is 2, after the run."""
    write_yaml(tmp_path / "other.yaml", {"cases": [{**SUITE["cases"][0], "prompt": "in other words"}]})
    write_yaml(tmp_path / "suite.yaml", SUITE)
    assert compare(tmp_path, "run", "other.yaml", "-m", FAST, "-q", "-o", "base").returncode == 0
    done = compare(tmp_path, "run", "suite.yaml", "-m", FAST, "-q", "--baseline", "base", "--gate")
    assert (done.returncode, "no target and case in common" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("model", "suite", "said"),
    [(FAST, "other.yaml", "has no case of this run"), (SLOW, "suite.yaml", "has no target of this run")],
)
def test_a_baseline_with_nothing_in_common_is_refused_before_anything_is_sent(
    tmp_path: Path, model: str, suite: str, said: str
) -> None:
    """A run that could not be compared does not start."""
    write_yaml(tmp_path / "other.yaml", {"cases": [{"id": "x", "prompt": "hi"}]})
    write_yaml(tmp_path / "suite.yaml", SUITE)
    assert compare(tmp_path, "run", "suite.yaml", "-m", FAST, "-q", "-o", "base").returncode == 0
    done = compare(tmp_path, "run", suite, "-m", model, "-q", "-o", "new", "--baseline", "base", "--gate")
    assert (done.returncode, said in done.stderr) == (2, True)
    assert not (tmp_path / "new").exists()


@given(reply=st.text(), error=st.text(), case=st.text(min_size=1))
def test_junit_is_well_formed_for_any_text(reply: str, error: str, case: str) -> None:
    """Any reply, error and case id gives XML that parses, with totals that are those of its tests."""
    header = replace(HEADER, cases=(case,), checks={case: {"checks": {"equals": "no!"}, "turns": 1}})
    records = [asked("a", 1, 10, reply), replace(asked("b", 1, 10, outcome=Outcome.TIMEOUT), error=error)]
    records = [replace(record, identity=replace(record.identity, case=case)) for record in records]
    root = ET.fromstring(junit.write(Run.of(header, records)))
    found = {tag: len(root.findall(f".//testcase/{tag}")) for tag in ("failure", "error")}
    assert found == {tag: int(root.get(total, "")) for tag, total in (("failure", "failures"), ("error", "errors"))}
    skipped = sum(int(suite.get("skipped", "")) for suite in root)
    assert skipped == len(root.findall(".//testcase/skipped"))
    assert int(root.get("tests", "")) == len(root.findall(".//testcase"))


def test_junit_names_the_line_and_the_reason() -> None:
    """A failed check is a failure with its reason, one that is not decided is skipped, a failed request is an error."""
    header = replace(HEADER, checks={"one": {"checks": {"contains": "yes", "language": "en"}, "turns": 1, "line": 12}})
    records = [asked("a", 1, 10, "no"), asked("b", 1, 10, "yes"), asked("b", 2, 10, outcome=Outcome.TIMEOUT)]
    root = ET.fromstring(junit.write(Run.of(header, records)))
    first, second, third = root.iter("testcase")
    assert (first.get("classname"), first.get("name")) == ("sim/a", "one")
    assert "“yes” is not in it" in (first.findtext("failure") or "")
    assert (first.findtext("failure") or "").endswith("s.yaml:12")
    assert second.find("failure") is not None
    assert third.find("error") is not None


def test_junit_times_are_sums_of_total_times() -> None:
    """The time of a test is the sum of its requests' total times, and that of a suite the sum of its tests'."""
    header = replace(HEADER, checks={"one": {"checks": {"contains": "yes"}, "turns": 1, "line": 12}})
    records = [asked("a", 1, 10, "yes"), asked("a", 2, 10, "yes")]
    root = ET.fromstring(junit.write(Run.of(header, records)))
    total_s = sum(record.total_s or 0 for record in records)
    times = {(test.get("classname"), test.get("name")): test.get("time") for test in root.iter("testcase")}
    assert times[("sim/a", "one")] == f"{total_s:.3f}"
    assert root.get("time") == root[0].get("time") == f"{total_s:.3f}"


@pytest.mark.skipif(shutil.which("xmllint") is None, reason="needs xmllint (libxml2-utils), which .ci/run installs")
def test_junit_is_valid_for_jenkins(tmp_path: Path) -> None:
    """Both reports, joined as after a gate, hold only what Jenkins' xUnit plugin accepts, as checked by xmllint."""
    header = replace(HEADER, checks={"one": {"checks": {"contains": "yes", "language": "en"}, "turns": 1, "line": 12}})
    records = [asked("a", 1, 10, "no"), asked("b", 1, 10, "yes"), asked("b", 2, 10, outcome=Outcome.TIMEOUT)]
    run = Run.of(header, records)
    slower = Run.of(HEADER, [asked("a", repeat, 100, "no") for repeat in range(1, 21)])
    difference, _ = judge(run_of(a=50), slower)
    report = tmp_path / "junit.xml"
    report.write_text(junit.join(junit.write(run), diff_junit.write(difference)), encoding="utf-8")
    schema = ROOT / "tests" / "samples" / "junit.xsd"
    done = subprocess.run(
        ["xmllint", "--noout", "--schema", schema, report], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_annotations_point_at_the_case() -> None:
    """A failed check names its line in the suite, a regression has no line, and there are no more than GitHub shows."""
    run = Run.of(HEADER, [asked("a", repeat, 100, "no") for repeat in range(1, 21)])
    difference, _ = judge(run_of(a=50), run)
    checks, regression = annotate(run, difference)
    assert (checks.level, checks.line, checks.message) == ("error", 12, "contains: “yes” is not in it (20 ×)")
    assert (regression.level, regression.line, regression.title) == ("error", None, "sim/a: TTFT regressed")
    many = replace(HEADER, targets=tuple(f"sim/{at}" for at in range(30)))
    found = limit_annotations(annotate(Run.of(many, [asked(str(at), 1, 10, "no") for at in range(30)]), None))
    assert (len(found), found[-1].message) == (MAX_ANNOTATIONS, "21 more, in the step's summary")


@given(title=st.text(), message=st.text())
def test_a_workflow_command_is_one_line(title: str, message: str) -> None:
    """No character of a message can end the command, add a property or begin another command."""
    command = write_command(Annotation("error", title, message, 3), "prompts/s.yaml")
    assert "\n" not in command
    assert "\r" not in command
    _, properties, said = command.split("::", 2)
    assert len(properties.split(",")) == 3
    assert said.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%") == message


def test_annotations_have_paths_relative_to_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite that is named from a subfolder is annotated at its path in the repository."""
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    run = Run.of(replace(HEADER, path="s.yaml"), [asked("a", 1, 10, "no")])
    (command,) = report_run({"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(tmp_path)}, run, None)
    assert command.startswith("::error file=below/s.yaml,line=12,title=one · sim/a")


def test_a_summary_is_whole_sections_within_the_bound() -> None:
    """Sections that do not fit are left out, and the summary states so."""
    assert join_sections(["ab", "cd"], 1000) == "ab\n\ncd\n"
    cut = join_sections(["ab", "你" * 400, "cd"], 1000)
    assert cut.startswith("ab\n\nThe rest does not fit")
    assert len(cut.encode()) <= 1000


def test_the_step_summary_is_appended(tmp_path: Path) -> None:
    """Text of other commands stays; without the variable nothing is written."""
    page = tmp_path / "summary.md"
    page.write_text("before\n", encoding="utf-8")
    run = run_of(a=100)
    report_run({"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(page)}, run, judge(run, run)[0])
    report_run({"GITHUB_ACTIONS": "true"}, run, None)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n## unchanged")
    assert "# s, run r" in text
    assert len(text.encode()) < MAX_SUMMARY_BYTES


# The action, and the examples of the documentation, run as they stand


def shell(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a CI server does, in a folder, with `compare` on its path."""
    binaries = folder / "bin"
    binaries.mkdir()
    (binaries / "compare").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runner "$@"\n', encoding="utf-8")
    (binaries / "compare").chmod(0o755)
    environ = {"PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(folder), "CI": "true"}
    return subprocess.run(
        [shutil.which("bash") or "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={**environ, **variables},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def action_step(name: str) -> Mapping[str, Any]:
    """Return a step of the action."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    (step,) = [step for step in action["runs"]["steps"] if step["name"] == name]
    return dict(step)


def run_action(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the action's main step with these inputs."""
    step = action_step("Run")
    values = {"command": "compare", **inputs}
    variables = {name: values.get(name.removeprefix("COMPARE_").lower(), "") for name in step["env"]}
    github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "GITHUB_WORKSPACE": str(folder),
    }
    return shell(step["run"], folder, **variables, **github)


def test_the_action_is_composite_and_pastes_no_input_into_a_script() -> None:
    """Its inputs are documented, and reach the shell as variables only."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert action["runs"]["using"] == "composite"
    assert set(action["inputs"]) == {"suite", "baseline", "args", "version"}
    assert all(told["description"] for told in action["inputs"].values())
    assert not any("${{" in step["run"] for step in action["runs"]["steps"])
    assert action_step("Install")["env"]["COMPARE_SOURCE"] == "${{ inputs.version || github.action_path }}"


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="the action's shell is bash")
def test_the_action_installs_into_its_own_environment(tmp_path: Path) -> None:
    """The job's packages stay as they are, and the command is a path, so that no other `compare` is ever called."""
    variables = {"COMPARE_SOURCE": ".", "RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "output")}
    install = action_step("Install")["run"]
    script = install.replace('-m pip install --quiet "$COMPARE_SOURCE"', "-c 'import sys; print(sys.prefix)'")
    assert script != install
    done = shell(script, tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "compare-environment")
    command = (tmp_path / "output").read_text(encoding="utf-8").strip().removeprefix("command=")
    assert Path(command).parent.is_dir()
    assert Path(command).is_relative_to(tmp_path / "compare-environment")
    assert action_step("Run")["env"]["COMPARE_COMMAND"] == "${{ steps.install.outputs.command }}"


@pytest.mark.skipif(sys.platform == "win32", reason="the action's shell is bash")
def test_the_action_runs_a_suite(tmp_path: Path) -> None:
    """Quoted words stay together, the folder is an output, the page is written, a failed check points at its line."""
    cases = [{"id": "good", "prompt": "hi"}, {"id": "bad", "prompt": "hi", "checks": {"contains": "zebra"}}]
    write_yaml(tmp_path / "my suite.yaml", {"cases": cases})
    done = run_action(tmp_path, suite="my suite.yaml", args="-m sim/quick -o 'j unit.xml'")
    assert done.returncode == 1, done.stderr
    folder = (tmp_path / "output").read_text(encoding="utf-8").strip().removeprefix("folder=")
    assert (tmp_path / folder / "results.csv").is_file()
    assert (tmp_path / "j unit.xml").is_file()
    assert "contains: “zebra” is not in it" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert re.search(r"^::error file=my suite\.yaml,line=4,title=bad · sim/quick", done.stderr, re.MULTILINE)


@pytest.mark.skipif(sys.platform == "win32", reason="the action's shell is bash")
def test_inputs_of_the_action_are_not_evaluated(tmp_path: Path) -> None:
    """Each input is an argument of the command, even if it contains shell syntax."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    done = run_action(tmp_path, suite="suite.yaml", args="-m 'sim/$(touch pwned)' ; touch pwned `touch pwned`")
    assert done.returncode == 2
    assert not (tmp_path / "pwned").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the action's shell is bash")
def test_the_action_gates_on_a_baseline(tmp_path: Path) -> None:
    """With a baseline the gate is on: a baseline that shares no case with the run ends in exit code 2."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    done = run_action(tmp_path, suite="suite.yaml", args="-m sim/quick", baseline=str(ROOT / "prompts" / "ci.snapshot"))
    assert (done.returncode, "has no case of this run" in done.stderr) == (2, True)


def documented(name: str) -> Any:
    """Return a YAML example of docs/ci.md."""
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    block = re.search(rf'^```yaml title="{re.escape(name)}"\n(.*?)^```$', page, re.MULTILINE | re.DOTALL)
    assert block is not None
    return yaml.safe_load(block[1])


def test_the_github_example_uses_inputs_of_the_action() -> None:
    """The inputs and outputs in the example exist in the action."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    steps = documented(".github/workflows/models.yml")["jobs"]["compare"]["steps"]
    (step,) = [step for step in steps if step.get("id") == "compare"]
    assert set(step["with"]) <= set(action["inputs"])
    assert set(re.findall(r"steps\.compare\.outputs\.(\w+)", json.dumps(steps))) == set(action["outputs"])


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="the example's shell is not Windows's")
def test_the_gitlab_example_runs(tmp_path: Path) -> None:
    """Its lines, all but the installation, run against the simulator and leave the artifacts that it names."""
    shutil.copytree(ROOT / "prompts", tmp_path / "prompts")
    job = documented(".gitlab-ci.yml")["compare"]
    install, *script = job["script"]
    assert install.startswith("pip install")
    done = shell("\n".join(script), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / job["artifacts"]["reports"]["junit"]).is_file()
    assert (tmp_path / job["artifacts"]["paths"][0] / "results.csv").is_file()


def test_the_committed_snapshot_is_up_to_date(tmp_path: Path) -> None:
    """Every question of `prompts/ci.yaml` is compared with its snapshot, and the replies are the same."""
    ask = ("-m", "sim/quick", "-m", "sim/steady", "--repeat", "1", "-q", "-o", str(tmp_path / "run"))
    done = compare(tmp_path, "snapshot", str(ROOT / "prompts" / "ci.yaml"), *ask)
    assert done.returncode == 0, done.stdout
    assert "snapshot: 8 of 8 questions compared: 8 same" in done.stdout
