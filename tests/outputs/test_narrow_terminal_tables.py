"""Tables on a narrow terminal: no name is squeezed, no figure is wrapped, and no column is left out."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.outputs.narrow_terminal_tables import READABLE, SplitTable, plain_text
from runner.outputs.providers import ProviderDescription, tabulate_providers
from runner.outputs.text.table import TextTable
from tests.conftest import RunCli
from tests.support.checked_runs import CHECK
from tests.support.crafted_runs import answered, write_run

LONG = "together/meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8"
OLD, NEW = "results/20261201T120000-long-names", "results/20261202T120000-long-names"
OTHER = "fireworks/accounts/fireworks/models/qwen3-235b-a22b-instruct-2507"

NAMES = st.text("abcdefgh/-", min_size=1, max_size=70)
FIGURES = st.text("0123456789.", min_size=1, max_size=12)


@st.composite
def tables(draw: st.DrawFn) -> TextTable:
    """Draw a table of names and figures."""
    figures, rows = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    headings = ("target", *(f"figure {at}" for at in range(figures)))
    cells = tuple((draw(NAMES), *(draw(FIGURES) for _ in range(figures))) for _ in range(rows))
    return TextTable(headings, cells, frozenset({0}))


@given(tables(), st.integers(40, 120))
def test_every_figure_is_whole_and_names_have_room(table: TextTable, width: int) -> None:
    """No line is wider than the console, every heading and figure is whole, and names take few lines."""
    lines = plain_text(SplitTable(table), width).splitlines()
    assert max(map(len, lines)) <= width
    words = [word for line in lines for word in line.split()]
    for row in table.rows:
        for figure in row[1:]:
            assert figure in words
    for heading in table.headings[1:]:
        assert any(heading in line for line in lines)
    most = max(-(-len(name) // min(READABLE, width)) for name, *_ in table.rows)
    assert len(lines) <= len(table.headings) * (2 + len(table.rows) * (most + 1))


def test_a_wide_console_has_one_table() -> None:
    """The table has the names beside all figures."""
    table = TextTable(("target", "n", "TTFT p50"), (("a/b", "3", "20 ms (n 2)"),), frozenset({0}))
    assert plain_text(SplitTable(table), 80).splitlines() == [
        "target  n  TTFT p50",
        "a/b     3     20 ms",
        "              (n 2)",
    ]
    assert plain_text(SplitTable(table, in_line=True), 80).splitlines()[1] == "a/b     3  20 ms (n 2)"


def test_names_stand_above_their_figures_where_that_takes_fewer_tables() -> None:
    """All rows then have the same columns of figures."""
    table = TextTable(
        ("target", "n", "TTFT", "total"), ((LONG, "3", "2 ms", "3 ms"), ("a", "40", "9 ms", "9 ms")), frozenset({0})
    )
    assert plain_text(SplitTable(table), 30).splitlines() == [
        "   n  TTFT  total",
        *(LONG[:30], LONG[30:]),
        "   3  2 ms   3 ms",
        "a",
        "  40  9 ms   9 ms",
    ]


def test_a_name_stands_once_above_the_rows_that_share_it() -> None:
    """It is repeated if rows of another name come between."""
    rows = ((LONG, "1", "2 ms"), (LONG, "2", "3 ms"), ("a", "1", "4 ms"), (LONG, "3", "9 ms"))
    lines = plain_text(SplitTable(TextTable(("target", "n", "TTFT"), rows, frozenset({0}))), 30).splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        LONG[:30], LONG[30:], "1", "2", "a", "1", LONG[:30], LONG[30:], "3"
    ]  # fmt: skip


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Write two runs of two targets with long names."""
    for name, ttft_s in ((OLD, 0.2), (NEW, 0.3)):
        records = [
            answered(target, case, block, ttft_s + block / 100, reply="yes it is")
            for target in (LONG, OTHER)
            for case in ("one", "two")
            for block in range(1, 7)
        ]
        write_run(tmp_path / name, records, checks={"one": CHECK, "two": CHECK})
    return tmp_path


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize(
    "arguments",
    [("report", OLD), ("diff", OLD, NEW, "--metric", "ttft"), ("runs",), ("history",)],
    ids=lambda arguments: arguments[0],
)
def test_long_names_stay_readable(results: Path, run_cli: RunCli, arguments: Sequence[str], columns: int) -> None:
    """Each line of a folded name has enough characters to be readable."""
    done = run_cli(*arguments, cwd=results, env={"COLUMNS": str(columns)})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    begun = [found for line in lines for found in re.findall(r"together/\S*", line)]
    assert begun
    assert min(map(len, begun)) >= READABLE - 4


def test_providers_fit_a_narrow_terminal() -> None:
    """All columns except base URLs are shown."""
    row: ProviderDescription = {
        "provider": "together-ai-serverless",
        "label": None,
        "aliases": [],
        "base_url": "https://api.together.xyz/v1",
        "key_variable": "TOGETHER_API_KEY",
        "key_present": True,
        "keyless": False,
        "only_named": False,
        "yours": False,
        "models": [LONG, OTHER],
        "notes": [],
        "unconfirmed": [],
        "sources": [],
        "as_of": None,
    }
    text = tabulate_providers([row], 60)
    assert max(map(len, text.splitlines())) <= 60
    assert "TOGETHER_API_KEY" in text
    assert "together-ai-serverless" in text
    joined = "".join(text.split())
    assert "default models" in text
    assert "Llama-4-Maverick" in joined
