"""Estimated token rates: marked as estimates, shown only with the option, and never in tables."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

SUITE = "version: 1\ncases:\n  - {id: hello, prompt: Hello there}\n"
UNCOUNTED = "sim/fault-no-usage?ttft_ms=20&gap_ms=10&tokens=20"


@pytest.mark.parametrize("wanted", [True, False])
def test_token_rates_are_estimated_only_with_the_option(
    run_cli: Callable[..., CompletedProcess[str]], tmp_path: Path, *, wanted: bool
) -> None:
    """A remark shows the estimate; tables, CSV and a target with counted tokens have none."""
    (tmp_path / "suite.yaml").write_text(SUITE, encoding="utf-8")
    flags = ["--estimate-tokens"] if wanted else []
    done = run_cli("run", "suite.yaml", "-m", UNCOUNTED, "-m", "sim/quick", "-o", "run", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    estimates = [line for line in done.stdout.splitlines() if "~" in line]
    assert len(estimates) == wanted
    assert all("estimated from characters, n 1" in line and "no-usage" in line for line in estimates)
    assert "~" not in (tmp_path / "run" / "results.csv").read_text(encoding="utf-8")
