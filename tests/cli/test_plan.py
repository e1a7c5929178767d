"""`compare plan`: its options are those of `compare run`; on a terminal its table fits, and no target's name is cut."""

import json
from pathlib import Path

from tests.support.command import compare, succeed, write_yaml
from tests.support.pseudo_terminal import needs_terminal, open_terminal

SUITE = {"cases": [{"id": "c", "prompt": "hello"}], "targets": ["deepseek/deepseek-flash", "sim/slow-start"]}


@needs_terminal
def test_a_plan_fits_a_narrow_terminal(tmp_path: Path) -> None:
    """At 40 columns names stand above their figures, and every heading is there."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    with open_terminal(tmp_path, "plan", "suite.yaml", columns=40) as terminal:
        assert terminal.finish() == 0
    lines = terminal.lines
    assert {"deepseek/deepseek-flash", "sim/slow-start (simulated)"} <= set(lines)
    shown = " ".join(" ".join(lines).split())
    assert "requests input tokens output tokens deepseek/deepseek-flash 1 " in shown
    assert "cost at most deepseek/deepseek-flash no limit" in shown


def test_a_plan_takes_the_options_of_a_run(tmp_path: Path) -> None:
    """It has the two targets of a comparison, the whole of a resumed run, and no limit that only measuring finds."""
    write_yaml(tmp_path / "suite.yaml", {"cases": SUITE["cases"]})
    compared = succeed(tmp_path, "plan", "suite.yaml", "--ab", "sim/quick", "deepseek/deepseek-flash", "--json")
    assert [each["target"] for each in json.loads(compared)["targets"]] == ["sim/quick", "deepseek/deepseek-flash"]
    succeed(tmp_path, "run", "suite.yaml", "-m", "sim/quick", "--repeat", "2", "-o", "run")
    assert "2 of 2 requests are done" in succeed(tmp_path, "plan", "suite.yaml", "--resume", "run")
    endless = succeed(tmp_path, "plan", "suite.yaml", "-m", "sim/quick", "--until-ci", "5%")
    assert "nothing limits the requests" in endless
    assert "wanted size" not in endless, "no case has one"
    assert "upload" not in endless, "no case has an attachment"


def test_a_plan_refuses_what_a_run_refuses(tmp_path: Path) -> None:
    """The baseline of a run is looked up, although a missing key is only a note."""
    write_yaml(tmp_path / "suite.yaml", SUITE)
    done = compare(tmp_path, "plan", "suite.yaml", "--baseline", "gone", "--metric", "ttff")
    assert done.returncode == 2
    assert "ttff is not a measure" in done.stderr
    assert "there is no gone" in done.stderr
    assert "DEEPSEEK_API_KEY" not in done.stderr
