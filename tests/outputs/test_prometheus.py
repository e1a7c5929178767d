"""Prometheus metrics: Prometheus' own parser reads the figures of the summary."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runner.outputs.prometheus import write
from tests.conftest import RunCli
from tests.support.crafted_runs import BASE, NEW, answered, failed, run_of, write_run


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Return the values by name and labels, as Prometheus' parser reads them."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_have_the_figures_of_the_summary() -> None:
    """There are counts by outcome, and medians in seconds with n; absent figures have no sample."""
    found = samples(write(run_of([answered(ttft_s=0.25), answered(case="two", ttft_s=0.25), failed(block=2)])))
    assert found["compare_ttft_seconds", "crafted", BASE] == 0.25
    assert found["compare_ttft_requests", "crafted", BASE] == 2
    assert found["compare_failed_requests", "crafted", BASE] == 1
    assert not [
        name for name in found if name[0].startswith(("compare_cost", "compare_checks", "compare_ttft_interval"))
    ]


def test_an_interval_has_both_ends() -> None:
    """If there are enough rounds for an interval, each of its ends has a sample."""
    found = samples(write(run_of([answered(block=block, ttft_s=0.2 + block / 100) for block in range(1, 21)])))
    low, high = (found["compare_ttft_interval_seconds", end, "crafted", BASE] for end in ("low", "high"))
    assert low < found["compare_ttft_seconds", "crafted", BASE] < high
    assert ("compare_ttft_p95_seconds", "crafted", BASE) in found


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "{}", "\ud800", "模型"])
def test_any_name_is_one_label(name: str) -> None:
    """Quotes, backslashes and line ends of a suite's name cannot break the format."""
    text = write(run_of([answered()], suite=name))
    suites = {sample.labels["suite"] for each in text_string_to_metric_families(text) for sample in each.samples}
    assert suites == {name.encode("utf-8", "replace").decode()}


def test_every_metric_is_described_once() -> None:
    """The collector refuses repeated descriptions."""
    text = write(run_of([answered(), answered(NEW)]))
    described = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP")]
    assert len(described) == len(set(described)) > 5


def test_export_and_the_output_option_write_metrics(run_cli: RunCli, tmp_path: Path) -> None:
    """`compare export` and `-o` know the suffix."""
    folder = write_run(tmp_path / "run", [answered()])
    assert run_cli("export", folder, "-o", tmp_path / "m.prom").returncode == 0
    assert "compare_ttft_seconds" in (tmp_path / "m.prom").read_text()
