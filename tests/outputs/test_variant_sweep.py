"""The variants of a model in a report: grouped in the summary, and drawn as a sweep."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from io import StringIO
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from runner.analysis.run_results import Run
from runner.analysis.variants import group_variants, keep_together
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.outputs.charts.chart import NARROW, Canvas
from runner.outputs.charts.run_charts import draw_page_charts
from runner.outputs.charts.svg import WIDE
from runner.outputs.charts.variants import draw_variants
from runner.outputs.markdown import write as write_markdown
from runner.outputs.report.render_html import write_report
from runner.outputs.report.reply_grid import target_columns
from runner.outputs.report.summary_table import tabulate_targets
from runner.outputs.terminal import render_summary
from runner.pricing.rates import Price, Rates
from tests.support.crafted_runs import header
from tests.support.examples import FEWER
from tests.support.svg_geometry import NAMESPACE, check, describe, labels, parse

MS = 1_000_000


def records(model: str, variant: str | None, ttft_ms: float, *, tokens: int = 10, n: int = 1) -> list[Record]:
    """Return requests to a target whose replies last three times as long as their TTFT."""
    at_us = (round(ttft_ms * 1000), round(3 * ttft_ms * 1000))
    return [
        Record(
            Identity(f"{model}{variant}{at}", "one", 1, at, at, "acme", model, "Hi", variant=variant),
            Timestamps(slot=0, sent=0, headers=MS, first_event=at_us[0] * 1000, last_event=at_us[1] * 1000),
            Outcome.OK,
            TextEvents(at_us, "aa", (5, 5)),
            reply="x" * 10,
            finish_reason="stop",
            input_tokens=10,
            output_tokens=tokens,
        )
        for at in range(1, n + 1)
    ]


def run_of(found: Sequence[Record], **details: object) -> Run:
    """Return a run of these records; its header knows which targets are variants."""
    targets = {record.identity.target: record.identity for record in found}
    variants = {name: {"thinking": each.variant} for name, each in targets.items() if each.variant is not None}
    plain = header("run-1", [*targets], suite="s", cases=("one",), planned_requests=len(found), variants=variants)
    return Run.of(replace(plain, **details), found)  # type: ignore[arg-type]


SWEPT = [
    *records("big", "off", 100, tokens=10),
    *records("small", "off", 60, tokens=5),
    *records("plain", None, 80),
    *records("big", "high", 300, tokens=90),
    *records("small", "high", 50, tokens=70),
    *records("odd#off", None, 70),
    *records("single", "off", 90),
]


def test_variants_are_grouped_by_their_model() -> None:
    """A model with one variant is no group, nor is one whose name has a `#`."""
    run = run_of(SWEPT)
    groups = group_variants(run.targets, run.header.variants)
    assert [(str(group.model), list(group.variants)) for group in groups] == [
        ("acme/big", ["off", "high"]),
        ("acme/small", ["off", "high"]),
    ]


def test_the_summary_has_the_variants_of_a_model_together() -> None:
    """They are in the suite's order under their model, at the place of the fastest; the first row has the heading."""
    rows = tabulate_targets(target_columns([run_of(SWEPT)]), ()).rows
    assert [(row.label, row.model, row.settings) for row in rows] == [
        ("acme/small#off", "acme/small", "thinking: off"),
        ("acme/small#high", None, "thinking: high"),
        ("acme/odd#off", None, None),
        ("acme/plain", None, None),
        ("acme/single#off", None, "thinking: off"),
        ("acme/big#off", "acme/big", "thinking: off"),
        ("acme/big#high", None, "thinking: high"),
    ]


def test_results_and_terminal_have_the_variants_of_a_model_together() -> None:
    """Markdown lists them in the suite's order with their settings, the terminal at the place of the fastest."""
    run = run_of(SWEPT)
    table = write_markdown(run).partition("## Summary")[2].partition("p50 is the median")[0]
    assert [line.split("|")[1].strip() for line in table.strip().splitlines()[2:]] == [
        "acme/big",
        "acme/big\\#off: thinking: off",
        "acme/big\\#high: thinking: high",
        "acme/small",
        "acme/small\\#off: thinking: off",
        "acme/small\\#high: thinking: high",
        "acme/plain",
        "acme/odd\\#off",
        "acme/single\\#off: thinking: off",
    ]
    file = StringIO()
    Console(file=file, width=100).print(render_summary(run))
    shown = [line.split()[0] for line in file.getvalue().splitlines() if line.startswith("acme/")]
    order = ["small#off", "small#high", "odd#off", "plain", "single#off", "big#off", "big#high"]
    assert shown[: len(order)] == [f"acme/{name}" for name in order]


@given(st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.sampled_from([0.0, 1.0, 2.0, inf])), max_size=12))
def test_places_are_kept_together_and_each_stands_once(found: list[tuple[str | None, float]]) -> None:
    """Targets of a model are neighbours in their order; the best of each model and single targets ascend."""
    models, ranks = [model for model, _ in found], [(rank,) for _, rank in found]
    places = keep_together(models, ranks)
    assert sorted(places) == list(range(len(found)))
    groups = [[at for at in places if models[at] == model] for model in {*models} - {None}]
    for group in groups:
        assert group == sorted(group)
        start = places.index(group[0])
        assert places[start : start + len(group)] == group
    bests = {models[at]: min(ranks[each] for each in range(len(found)) if models[each] == models[at]) for at in places}
    ascending = [ranks[at] if models[at] is None else bests[models[at]] for at in places]
    assert ascending == sorted(ascending)


def test_two_runs_have_groups_of_their_own() -> None:
    """Variants of one run are not grouped with those of another."""
    rows = tabulate_targets(target_columns([run_of(SWEPT[:5]), run_of(SWEPT[:5])]), ()).rows
    assert [row.model for row in rows if row.model] == [
        "acme/small · run 1",
        "acme/small · run 2",
        "acme/big · run 1",
        "acme/big · run 2",
    ]
    assert len(rows) == 10


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_sweep_has_a_row_for_each_variant_and_a_column_for_each_figure(width: float) -> None:
    """Each dot has its own scale, and every figure can be read; other targets are counted in the caption."""
    canvas = Canvas("variants", width)
    price = Price("USD", (Rates(Decimal(1), Decimal(1)),), "test").to_plain()
    prices = {f"acme/{model}#{variant}": price for model in ("big", "small") for variant in ("off", "high")}
    chart = draw_variants(run_of(SWEPT, prices=prices), canvas)
    assert chart is not None
    root = check(chart, "variants")
    said = describe(chart)
    assert "acme/big#off: TTFT 100 ms, total 300 ms, tokens 10, USD/1,000 0.02, n 1" in said
    assert "acme/small#high: TTFT 50 ms, total 150 ms, tokens 70, USD/1,000 0.08, n 1" in said
    texts = [box.text for box in labels(root)]
    blocks = texts.count("acme/big")
    assert blocks == (1 if width == WIDE else 2)
    assert [texts.count(name) for name in ("off", "high")] == [2 * blocks, 2 * blocks]
    assert {"TTFT, ms", "total, ms", "tokens", "USD/1,000"} <= {*texts}
    assert chart.readings["0 TTFT"] == ("TTFT 100 ms",)
    assert len(chart.readings) == 4 * 4
    assert "3 of 7 targets are not drawn: their model was asked in one way only." in chart.caption


def test_the_caption_names_only_the_drawn_figures() -> None:
    """A cost or a pass rate is named only if it is drawn."""
    price = Price("USD", (Rates(Decimal(1), Decimal(1)),), "test").to_plain()
    prices = {f"acme/{model}#{variant}": price for model in ("big", "small") for variant in ("off", "high")}
    checks = {"one": {"line": 1, "turns": 1, "checks": {"contains": "x"}}}
    plain, paid, checked = (
        draw_variants(run_of(SWEPT, **each), Canvas()) for each in ({}, {"prices": prices}, {"checks": checks})
    )
    assert plain is not None
    assert paid is not None
    assert checked is not None
    found = [("cost" in chart.caption, "pass rate" in chart.caption) for chart in (plain, paid, checked)]
    assert found == [(False, False), (True, False), (False, True)]
    assert all("medians" in chart.caption for chart in (plain, paid, checked))


def test_a_higher_figure_is_further_to_the_right() -> None:
    """The dots of one column follow its scale."""
    chart = draw_variants(run_of([*records("m", "a", 100), *records("m", "b", 200), *records("m", "c", 150)]), Canvas())
    assert chart is not None
    dots = {
        element.attrib["data-series"]: float(element.attrib["d"].removeprefix("M").split()[0])
        for element in parse(chart).iter(f"{NAMESPACE}path")
        if element.attrib.get("data-series", "").endswith("TTFT")
    }
    assert dots["0 TTFT"] < dots["2 TTFT"] < dots["1 TTFT"]
    assert dots["2 TTFT"] - dots["0 TTFT"] == pytest.approx(dots["1 TTFT"] - dots["2 TTFT"], abs=0.2)


@pytest.mark.parametrize("found", [SWEPT[2:4], [], records("m", "a", 5)])
def test_without_several_variants_there_is_no_sweep(found: list[Record]) -> None:
    """With one variant other charts show the same."""
    assert draw_variants(run_of(found), Canvas()) is None


NAMES = st.from_regex(r"[A-Za-z0-9._=+-]{1,60}", fullmatch=True)


@settings(max_examples=FEWER)
@given(
    variants=st.lists(NAMES, min_size=2, max_size=12, unique=True),
    ttft_ms=st.lists(st.floats(0.001, 1e6), min_size=12, max_size=12),
    tokens=st.integers(0, 10**7),
    model=st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=40),
    width=st.sampled_from([WIDE, NARROW]),
)
def test_any_sweep_is_drawn_within_its_bounds(
    variants: list[str], ttft_ms: list[float], tokens: int, model: str, width: float
) -> None:
    """For any names and figures, no label covers another."""
    found = [
        record
        for variant, ttft in zip(variants, ttft_ms, strict=False)
        for record in records(model, variant, ttft, tokens=tokens)
    ]
    chart = draw_variants(run_of(found), Canvas("variants", width))
    assert chart is not None
    check(chart, "variants")


def test_the_page_has_the_sweep_and_the_groups() -> None:
    """The chart comes before those of single requests, and the summary has a heading for each model."""
    run = run_of(SWEPT)
    assert draw_page_charts([run])[0].title == "Variants of each model"
    page = write_report([run])
    assert page.count('<tr class="group"><th scope="rowgroup" class="words">') == 2
    assert '<span class="below">thinking: high</span>' in page
