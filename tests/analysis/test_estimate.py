"""Token rates that nobody counted: estimated for those who ask, marked, and kept out of the tables."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.analysis.summary import estimate_tokens

SUITE = "version: 1\ncases:\n  - {id: hello, prompt: Hello there}\n"
UNCOUNTED = "sim/fault-no-usage?ttft_ms=20&gap_ms=10&tokens=20"


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("four", 1), ("你好吗", 2), ("你好吗four", 3)])
def test_a_token_is_four_letters_or_one_and_a_half_chinese_characters(text: str, tokens: float) -> None:
    """Scripts are told apart character by character."""
    assert estimate_tokens(text) == pytest.approx(tokens)


@given(st.text(), st.text())
def test_texts_add_up(one: str, other: str) -> None:
    """Two texts together are estimated as the sum of both."""
    assert estimate_tokens(one + other) == pytest.approx(estimate_tokens(one) + estimate_tokens(other))


@pytest.mark.parametrize("wanted", [True, False])
def test_an_estimate_is_shown_only_where_it_is_asked_for(
    run_cli: Callable[..., CompletedProcess[str]], tmp_path: Path, *, wanted: bool
) -> None:
    """The remark names it as an estimate; the table, the CSV and a target that counts have none."""
    (tmp_path / "suite.yaml").write_text(SUITE, encoding="utf-8")
    flags = ["--estimate-tokens"] if wanted else []
    done = run_cli("run", "suite.yaml", "-m", UNCOUNTED, "-m", "sim/quick", "-o", "run", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if "~" in line]
    assert len(told) == wanted
    assert all("estimated from characters, n 1" in line and "no-usage" in line for line in told)
    assert "~" not in (tmp_path / "run" / "results.csv").read_text(encoding="utf-8")
