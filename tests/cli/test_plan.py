"""`compare plan` on a terminal: its table fits, and no target's name is cut."""

from pathlib import Path

from tests.support.command import write_yaml
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
