"""Charts: rules that hold for all of them, and the data that each shows."""

import math
import random
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import median

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from runner.analysis.intervals import median_interval
from runner.analysis.run_results import Run
from runner.core.events import Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.outputs.charts.axis import Axis, Quantity, Scale, draw_ticks_below, fit_scale
from runner.outputs.charts.chart import Canvas, Chart
from runner.outputs.charts.chart_data import TOTAL, TTFT, SpacedSample, max_points, thin
from runner.outputs.charts.ecdf import draw_ecdf
from runner.outputs.charts.phases import ANSWER, CONNECT, FIRST, THINKING, draw_phases, phases_of
from runner.outputs.charts.run_charts import RecordSamples
from runner.outputs.charts.scatter import draw_total_against_reply, draw_ttft_against_prompt
from runner.outputs.charts.svg import elide, text_width
from runner.outputs.charts.swarm import SMALLEST_DOT, arrange_dots, draw_swarm, stack_dots
from runner.outputs.charts.sweep import draw_tokens_under_load, draw_ttft_under_load
from runner.outputs.charts.text_over_time import MAX_LINES, MAX_STEPS, draw_arrivals, read_arrival
from runner.outputs.charts.time_of_day import RoundPoint, draw_rounds_by_time
from runner.outputs.charts.waterfall import RequestSpan, draw_waterfall, in_flight_since_ns, pack, read_span
from runner.outputs.text.number_format import interval_ends, seconds
from runner.storage import journal
from tests.support.command import compare
from tests.support.crafted_runs import header, run_of
from tests.support.examples import FEWER
from tests.support.report_browser import PageOpener
from tests.support.svg_geometry import NAMESPACE, check, describe, labels, parse

S = 1_000_000_000
LONG_NAME = "智谱清言/非常非常非常非常非常非常非常非常长的模型名称-第一版-2026-预览"


def request(
    target: str, block: int = 1, *, start_s: float = 0.0, times_s: Sequence[float] = (0.2, 0.5), **details: object
) -> Record:
    """Return an ok record, sent a tenth of a second after `start_s`, with a word at each of these times."""
    provider, _, model = target.partition("/")
    slot, sent = round(start_s * S), round((start_s + 0.1) * S)
    at_us = tuple(round(at * 1e6) for at in times_s)
    first, last = (sent + at * 1000 for at in (at_us[0], at_us[-1]))
    marks = Timestamps(
        ready=0,
        slot=slot,
        tcp_start=slot,
        tcp_end=slot + S // 20,
        sent=sent,
        headers=first,
        first_event=first,
        last_event=last,
    )
    identity = Identity(
        key=f"{target}-{block}",
        case="one",
        turn=1,
        repeat=block,
        block=block,
        provider=provider,
        model=model,
        prompt="x" * block,
    )
    record = Record(
        identity,
        marks,
        Outcome.OK,
        TextEvents(at_us, "a" * len(at_us), (1 + block % 9,) * len(at_us)),
        reply="word " * len(at_us),
    )
    return replace(record, **details)  # type: ignore[arg-type]


def with_ttft(target: str, values_s: Sequence[float]) -> list[Record]:
    """Return a record for each TTFT, one in each block."""
    return [request(target, block, times_s=(value, value + 0.3)) for block, value in enumerate(values_s, start=1)]


def draw_all(run: Run) -> dict[str, Chart | None]:
    """Draw every chart of a run that needs no sweep; return each under its prefix."""
    samples = RecordSamples(run)
    charts: dict[str, Callable[[Canvas], Chart | None]] = {
        "swarm": lambda canvas: draw_swarm(run, TTFT, canvas),
        "total": lambda canvas: draw_swarm(run, TOTAL, canvas),
        "ecdf": lambda canvas: draw_ecdf(run, TTFT, canvas),
        "phases": lambda canvas: draw_phases(run, samples.median_requests, canvas),
        "prompt-size": lambda canvas: draw_ttft_against_prompt(run, canvas),
        "reply-size": lambda canvas: draw_total_against_reply(run, canvas),
        "arrivals": lambda canvas: draw_arrivals(run, samples.arrivals, canvas),
        "waterfall": lambda canvas: draw_waterfall(run, samples.spans, canvas),
    }
    return {prefix: draw(Canvas(prefix)) for prefix, draw in charts.items()}


def drawn(chart: Chart | None) -> Chart:
    """Return a chart that must not be None."""
    assert chart is not None
    return chart


def drawn_arrivals(records: Sequence[Record]) -> Chart:
    """Return the chart of these records' text over time."""
    run = run_of(records)
    return drawn(draw_arrivals(run, RecordSamples(run).arrivals, Canvas()))


def texts(chart: Chart) -> list[str]:
    """Return all labels of a chart, in the order in which they are drawn."""
    return [box.text for box in labels(parse(chart))]


def paths(chart: Chart, **attributes: str) -> list[str]:
    """Return the data of the paths with these attributes."""
    wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
    return [each.attrib["d"] for each in parse(chart).iter(f"{NAMESPACE}path") if wanted.items() <= each.attrib.items()]


# All charts

NAMES = st.one_of(
    st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.sampled_from(["qwen-最大", "<b>&\"'", "a" * 80, "模" * 50, "\u202eevil", "\x00\uffff", "👩‍👩‍👧‍👦 family", " "]),
)
TIMES = st.lists(st.floats(0, 1e4), min_size=1, max_size=5).map(lambda gaps: list(accumulate(gaps)))


@st.composite
def some_records(draw: st.DrawFn) -> list[Record]:
    """Return records of up to thirteen targets, some of which failed in different ways."""
    names = draw(st.lists(NAMES, min_size=1, max_size=13, unique=True))
    rng = random.Random(draw(st.integers(0, 99)))
    counts = draw(st.lists(st.integers(1, 25), min_size=len(names), max_size=len(names)))
    times = draw(st.lists(TIMES, min_size=1, max_size=6))
    failed: dict[str, object] = {"outcome": Outcome.PROVIDER_ERROR, "reply": None}
    silent: dict[str, object] = {
        "text_events": TextEvents(),
        "outcome": Outcome.CONNECTION,
        "timestamps": Timestamps(ready=0, slot=S),
    }
    skipped: dict[str, object] = {"text_events": TextEvents(), "outcome": Outcome.SKIPPED, "timestamps": Timestamps()}
    fates: list[dict[str, object]] = [
        {},
        {},
        {},
        {"noted": ("not_streamed",)},
        {"warmup": True},
        failed,
        silent,
        skipped,
    ]
    return [
        request(f"p/{name}", block, start_s=rng.uniform(0, 50), times_s=rng.choice(times), **rng.choice(fates))
        for name, count in zip(names, counts, strict=True)
        for block in range(1, count + 1)
    ]


@given(some_records())
@settings(max_examples=FEWER, suppress_health_check=[HealthCheck.too_slow])
def test_every_chart_is_well_formed_and_legible(records: list[Record]) -> None:
    """For any names and times, a chart is well-formed, inside its frame, with labels apart, and safe."""
    run = run_of(records)
    for prefix, chart in draw_all(run).items():
        if chart is not None:
            check(chart, prefix)


def test_a_run_without_timed_requests_has_only_a_waterfall() -> None:
    """Without a timed request there is no chart but the waterfall of failures; without requests there is none."""
    failed = replace(request("a/x"), outcome=Outcome.TIMEOUT)
    charts = draw_all(run_of([failed]))
    assert [prefix for prefix, chart in charts.items() if chart is not None] == ["waterfall"]
    run = Run.of(header(targets=["a/x"]), [])
    assert set(draw_all(run).values()) == {None}
    assert draw_ttft_under_load(run, Canvas()) is None
    assert draw_tokens_under_load(run, Canvas()) is None


def test_charts_of_the_same_run_are_equal() -> None:
    """Charts are deterministic."""
    records = [each for name in ("a/x", "b/y") for each in with_ttft(name, [0.1 * at for at in range(1, 40)])]
    assert draw_all(run_of(records)) == draw_all(run_of(records))


def test_captions_of_simulated_runs_have_a_warning() -> None:
    """No caption of another run has it."""
    records = [each for name in ("a/x", "b/y") for each in with_ttft(name, [0.1 * at for at in range(1, 30)])]
    for prefix, chart in draw_all(run_of(records, simulated=True)).items():
        assert drawn(chart).caption.endswith("Simulated: this says nothing about any provider."), prefix
    for chart in draw_all(run_of(records)).values():
        assert "imulated" not in drawn(chart).caption


def test_charts_of_many_requests_are_small() -> None:
    """A chart of 1,920 requests to six targets has less than 50 kB, and its caption counts what is drawn."""
    rng = random.Random(3)
    records = [
        request(f"p/model-{at % 6}", at // 6, start_s=at / 50, times_s=sorted(rng.uniform(0.1, 9) for _ in range(5)))
        for at in range(1920)
    ]
    for prefix, chart in draw_all(run_of(records)).items():
        assert len(drawn(chart).svg) < 50_000, prefix
        assert prefix == "phases" or " are drawn" in drawn(chart).caption, prefix


def test_a_name_that_is_cut_is_in_full_in_its_tooltip() -> None:
    """A name that does not fit keeps its beginning and its end, and its tooltip has the whole name."""
    chart = drawn(draw_swarm(run_of([request(LONG_NAME), request("b/y")]), TTFT, Canvas()))
    label = next(each for each in parse(chart).iter(f"{NAMESPACE}text") if "智谱" in "".join(each.itertext()))
    assert label.findtext(f"{NAMESPACE}title") == LONG_NAME
    shown = label[0].tail or ""
    head, _, tail = shown.partition("…")
    assert LONG_NAME.startswith(head)
    assert LONG_NAME.endswith(tail)
    assert len(tail) > 3


# Swarm and ECDF


def test_swarm_shows_every_value_and_the_median() -> None:
    """There are as many dots as values; median and interval are those of the statistics."""
    values = [0.11, 0.52, 0.23, 0.94, 0.35, 0.36, 0.77]
    chart = drawn(draw_swarm(run_of(with_ttft("a/x", values)), TTFT, Canvas()))
    dots = paths(chart, stroke_linecap="round")
    assert sum(data.count("h0") for data in dots) == len(values)
    interval = median_interval(values, range(1, 8))
    assert interval is not None
    description = f"a/x: median 360 ms, 95 % interval {interval_ends(interval, seconds)}, n 7"
    assert description in describe(chart)
    assert {"360 ms", "7"} <= set(texts(chart))


def test_a_dot_lies_where_its_value_is() -> None:
    """On a linear scale from zero, the dot of half the longest time is half as far from zero."""
    chart = drawn(draw_swarm(run_of(with_ttft("a/x", [0.25, 0.5, 1.0])), TTFT, Canvas()))
    root = parse(chart)
    zero, one = (box.left + (box.right - box.left) / 2 for box in labels(root) if box.text in {"0", "1"})
    (data,) = paths(chart, stroke_linecap="round")
    at = [float(each.split(" ")[0]) for each in data.removeprefix("M").split("M")]
    assert at == pytest.approx([zero + share * (one - zero) for share in (0.25, 0.5, 1.0)], abs=0.11)


def test_too_few_values_have_no_interval() -> None:
    """Below six values only the median is drawn, and the caption gives the reason."""
    chart = drawn(draw_swarm(run_of(with_ttft("a/x", [0.1, 0.2, 0.3, 0.4, 0.5])), TTFT, Canvas()))
    assert "interval" not in describe(chart)
    assert "With fewer than 6 rounds there is no interval." in chart.caption


def test_the_fastest_target_comes_first() -> None:
    """Rows are ordered by median, colours by the suite's order."""
    slow, quick = with_ttft("a/slow", [0.9] * 7), with_ttft("b/quick", [0.1] * 7)
    chart = drawn(draw_swarm(run_of([*slow, *quick]), TTFT, Canvas()))
    assert [text for text in texts(chart) if "/" in text] == ["b/quick", "a/slow"]
    colours = [
        each.attrib["stroke"] for each in parse(chart).iter(f"{NAMESPACE}path") if "stroke-linecap" in each.attrib
    ]
    assert ["--series-2" in colours[0], "--series-1" in colours[1]] == [True, True]


def test_a_wide_range_has_a_logarithmic_scale() -> None:
    """This applies above a ratio of twenty, and axis and caption state it."""
    narrow = drawn(draw_swarm(run_of(with_ttft("a/x", [0.1, 1.9])), TTFT, Canvas()))
    wide = drawn(draw_swarm(run_of(with_ttft("a/x", [0.1, 2.1])), TTFT, Canvas()))
    assert "TTFT, s" in texts(narrow)
    assert "logarithmic" not in narrow.caption
    assert "TTFT, s (log scale)" in texts(wide)
    assert "The scale is logarithmic." in wide.caption


def test_captions_count_requests_that_are_not_drawn() -> None:
    """The caption counts failures, and replies without a TTFT."""
    failed = replace(request("a/x", 8), outcome=Outcome.TIMEOUT)
    whole = replace(request("a/x", 9), noted=("not_streamed",))
    run = run_of([*with_ttft("a/x", [0.1, 0.2]), failed, whole])
    assert (
        "2 of 4 requests are not drawn: they failed or have no TTFT." in drawn(draw_swarm(run, TTFT, Canvas())).caption
    )
    assert "1 of 4 requests is not drawn" in drawn(draw_swarm(run, TOTAL, Canvas())).caption


def test_ecdf_needs_twenty_values() -> None:
    """An ECDF is drawn from n 20; the caption counts targets with fewer values."""
    few, many = with_ttft("a/few", [0.1] * 19), with_ttft("b/many", [0.01 * at for at in range(1, 21)])
    assert draw_ecdf(run_of(few), TTFT, Canvas()) is None
    chart = drawn(draw_ecdf(run_of([*few, *many]), TTFT, Canvas()))
    assert "1 of 2 targets is not drawn: below n 20." in chart.caption
    assert "b/many: half within 100 ms, 95 % within 190 ms, n 20" in describe(chart)


# Phases


def test_phases_add_up_to_the_median_request() -> None:
    """The bar is the median request with the phases of its record; the queue stands before it."""
    records = [
        request(
            "a/x",
            block,
            times_s=(0.2, 0.5, end),
            text_events=TextEvents((200_000, 500_000, round(end * 1e6)), "rra", (1, 1, 1)),
        )
        for block, end in enumerate((0.9, 2.0, 30.0), start=1)
    ]
    slow_lane = [replace(record, timestamps=replace(record.timestamps, ready=-7 * S)) for record in records]
    run = run_of(slow_lane)
    chart = drawn(draw_phases(run, RecordSamples(run).median_requests, Canvas()))
    assert "a/x: queue 7.00 s, connecting 50 ms, to first text 200 ms, thinking 1.80 s, 2.05 s without" in describe(
        chart
    )
    assert {"7.00 s", "1.80 s", "2.05 s", "queue"} <= set(texts(chart))


ROW = dict.fromkeys(("queue_s", "dns_s", "tcp_s", "tls_s", "ttft_s", "ttfa_s", "total_s", "reasoning"))


@pytest.mark.parametrize(
    ("cells", "phases"),
    [
        ({"total_s": None}, None),
        ({"total_s": 2.0}, {FIRST: 2.0}),
        ({"total_s": 2.0, "ttft_s": 0.5, "ttfa_s": 0.5}, {FIRST: 0.5, ANSWER: 1.5}),
        ({"total_s": 2.0, "ttft_s": 0.5, "ttfa_s": 1.5}, {FIRST: 0.5, THINKING: 1.0, ANSWER: 0.5}),
        ({"total_s": 2.0, "ttft_s": 0.5, "reasoning": "hm"}, {FIRST: 0.5, THINKING: 1.5}),
        ({"total_s": 2.0, "ttft_s": 0.5}, {FIRST: 0.5, ANSWER: 1.5}),
        ({"total_s": 1.0, "dns_s": 0.25, "tcp_s": 0.125, "tls_s": 0.125}, {CONNECT: 0.5, FIRST: 1.0}),
    ],
)
def test_each_part_of_the_time_belongs_to_one_phase(
    cells: dict[str, float | str | None], phases: dict[str, float] | None
) -> None:
    """This holds for replies that lack any timestamps."""
    assert phases_of({**ROW, **cells}) == phases


# Scatter


def test_sizes_are_tokens_only_if_all_were_counted() -> None:
    """If one reply has no usage, the axis is in characters for all, and the caption gives the reason."""
    counted = [request("a/x", block, input_tokens=10 * block, output_tokens=5 * block) for block in range(1, 5)]
    assert "prompt, tokens" in texts(drawn(draw_ttft_against_prompt(run_of(counted), Canvas())))
    uncounted = [*counted, request("a/x", 5)]
    chart = drawn(draw_ttft_against_prompt(run_of(uncounted), Canvas()))
    assert "prompt, characters" in texts(chart)
    assert "not every reply came with a count" in chart.caption
    assert "a/x: sizes 1 to 5, times 200 ms to 200 ms, n 5" in describe(chart)


def test_no_scatter_is_drawn_if_all_sizes_are_equal() -> None:
    """If all prompts, or all replies, have one size, there is no chart."""
    same = [request("a/x", block, output_tokens=5, input_tokens=9) for block in range(1, 5)]
    assert draw_total_against_reply(run_of(same), Canvas()) is None
    assert draw_ttft_against_prompt(run_of(same), Canvas()) is None


# Arrivals


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from("rat"), st.integers(1, 99)), min_size=1, max_size=200))
def test_an_arrival_starts_and_ends_with_the_text(events: list[tuple[int, str, int]]) -> None:
    """However few points are kept, a line starts with the first text, ends with the last, and never falls."""
    at_us = tuple(accumulate(step for step, _, _ in events))
    channels, lengths = "".join(channel for _, channel, _ in events), tuple(length for _, _, length in events)
    arrival = read_arrival(request("a/x", text_events=TextEvents(at_us, channels, lengths)), "")
    line = [*arrival.thinking, *arrival.answer]
    assert line == sorted(line)
    assert list(line[0]) == [at_us[0] / 1e6, 0]
    assert list(arrival.end) == [at_us[-1] / 1e6, sum(lengths)]
    assert max(len(arrival.thinking), len(arrival.answer)) <= MAX_STEPS
    assert bool(arrival.thinking) == (channels[0] != "a")


def test_thinking_is_dashed_and_has_a_key() -> None:
    """Thinking is drawn as a dashed line with a key; without thinking there is no key."""
    thought = request("a/x", text_events=TextEvents((1, 2, 3), "rra", (5, 5, 5)))
    chart = drawn_arrivals([thought])
    assert {"thinking", "answer"} <= set(texts(chart))
    assert len(paths(chart, stroke_dasharray="2 2", fill="none")) == 1
    plain = request("a/x")
    assert "thinking" not in texts(drawn_arrivals([plain]))


def test_arrivals_caption_counts_replies_left_out() -> None:
    """Of many replies a few are drawn, and the caption says how many."""
    records = [request("a/x", block) for block in range(1, 3 * MAX_LINES + 1)]
    chart = drawn_arrivals(records)
    assert f"n {3 * MAX_LINES}, in" in chart.caption
    assert f"of {3 * MAX_LINES} replies are drawn" in chart.caption


# Waterfall

SPANS = st.builds(
    lambda start, long: RequestSpan(start, None, start + long, failed=False), st.floats(0, 100), st.floats(0.001, 50)
)


@given(st.lists(SPANS, max_size=60))
def test_tracks_are_as_few_as_requests_overlap(spans: list[RequestSpan]) -> None:
    """Requests of a track do not overlap, none is lost, and there are as few tracks as possible."""
    tracks = pack(spans)
    assert sorted(map(repr, spans)) == sorted(repr(span) for track in tracks for span in track)
    for track in tracks:
        assert all(before.end_s <= after.start_s for before, after in pairwise(track))
    overlapping = [sum(each.start_s <= span.start_s < each.end_s for each in spans) for span in spans]
    assert len(tracks) == max(overlapping, default=0)


@pytest.mark.parametrize(
    ("details", "span"),
    [
        ({}, RequestSpan(3.0, 3.3, 3.6, failed=False)),
        ({"outcome": Outcome.TRUNCATED}, RequestSpan(3.0, 3.3, 3.6, failed=True)),
        (
            {"timestamps": Timestamps(slot=3 * S), "text_events": TextEvents(), "outcome": Outcome.CONNECTION},
            RequestSpan(3.0, None, 3.0, failed=True),
        ),
        (
            {"timestamps": Timestamps(slot=3 * S, sent=4 * S), "text_events": TextEvents(), "outcome": Outcome.TIMEOUT},
            RequestSpan(3.0, None, 4.0, failed=True),
        ),
        ({"timestamps": Timestamps(ready=0), "text_events": TextEvents(), "outcome": Outcome.SKIPPED}, None),
    ],
)
def test_span_is_read_from_the_marks(details: dict[str, object], span: RequestSpan | None) -> None:
    """A span lasts from the slot to the last mark; a request that was never sent has none."""
    record = replace(request("a/x", start_s=3.0), **details)  # type: ignore[arg-type]
    begin = in_flight_since_ns(record.timestamps)
    assert (None if begin is None else read_span(record, begin, "")) == span


def test_waterfall_marks_failures_and_counts_requests_never_sent() -> None:
    """There is a cross for each failure; warm-ups are left out, and the caption counts skipped requests."""
    records = [
        request("a/x", 1),
        request("a/x", 2, outcome=Outcome.TRUNCATED),
        request("a/x", 3, warmup=True),
        request("a/x", 4, timestamps=Timestamps(), text_events=TextEvents(), outcome=Outcome.SKIPPED),
    ]
    run = run_of(records)
    chart = drawn(draw_waterfall(run, RecordSamples(run).spans, Canvas()))
    (crosses,) = paths(chart, stroke_width="1.3")
    assert crosses.count("M") == 2
    assert "1 failed, n 2" in describe(chart)
    assert "1 of 3 requests is not drawn: they were never sent." in chart.caption


# Sweeps


def swept(folder: Path, requests: int) -> Run:
    """Return a run of two targets over the levels 1, 4 and 16, with this many requests at each."""
    levels = [1, 4, 16]
    made = header("run", ["a/x", "b/模型"], cases=("one",), load={"levels": levels}, repeat=requests)
    with journal.JournalWriter(folder) as writer:
        writer.append_header(made)
        for target in made.targets:
            for block in range(1, 3 * requests + 1):
                level = levels[(block - 1) // requests]
                times = (0.1 * level, 0.1 * level + 1)
                writer.append_record(request(target, block, start_s=10.0 * block, times_s=times, output_tokens=40))
    return Run.of_journal(journal.read(folder))


def test_sweep_shows_the_figures_of_every_level(tmp_path: Path) -> None:
    """Each target has its p50, and from n 20 its p95, at every level, and the axis names the levels."""
    run = swept(tmp_path, 20)
    chart = drawn(draw_ttft_under_load(run, Canvas()))
    check(chart, "chart")
    assert "a/x: p50 100 ms at 1, 400 ms at 4, 1.60 s at 16; p95 100 ms at 1" in describe(chart)
    assert {"1", "4", "16", "p50", "p95", "b/模型", "n 20 each, by level"} <= set(texts(chart))
    check(drawn(draw_tokens_under_load(run, Canvas())), "chart")


def test_p95_is_not_drawn_below_n_20(tmp_path: Path) -> None:
    """Below n 20 there is no p95 in the chart or its key, and the caption counts the missing figures."""
    chart = drawn(draw_ttft_under_load(swept(tmp_path, 3), Canvas()))
    assert "p50" in texts(chart)
    assert "p95" not in texts(chart)
    assert "6 of 12 figures are not drawn: too few requests were timed" in chart.caption


# Scales, samples, dots, labels


@given(st.lists(st.floats(0, 1e12), max_size=20), st.integers(2, 12), st.booleans())
def test_a_scale_holds_its_values(values: list[float], ticks: int, linear: bool) -> None:
    """Values lie between the ends in their order; ticks are within, ascending, and no more than allowed."""
    scale = fit_scale(values, 10.0, 110.0, ticks=ticks, linear=linear)
    places = [scale(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(10 <= place <= 110 for place in places)
    assert all(scale.low <= max(value, scale.low) <= scale.high for value in values if value > 1e-9)
    assert list(scale.ticks) == sorted(set(scale.ticks))
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks)
    assert len(scale.ticks) <= ticks
    assert scale.logarithmic or scale.low == 0


@pytest.mark.parametrize(
    ("values", "ticks", "expected"),
    [
        ([], 5, (0, 0.5, 1)),
        ([0.87], 5, (0, 0.5, 1)),
        ([304], 10, (0, 50, 100, 150, 200, 250, 300, 350)),
        ([0.03, 1.4], 8, (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)),
        ([0.03, 1.4], 5, (0.03, 0.1, 0.3, 1)),
        ([0.001, 900], 6, (0.001, 0.1, 10, 1000)),
    ],
)
def test_ticks_are_round_numbers(values: list[float], ticks: int, expected: tuple[float, ...]) -> None:
    """Ticks are the numbers that a person would choose."""
    assert fit_scale(values, 0, 100, ticks=ticks).ticks == pytest.approx(expected)


def test_a_logarithmic_scale_spaces_ratios_evenly() -> None:
    """The distance from 1 to 10 is that from 10 to 100."""
    scale = Scale(1, 100, 0, 200, (1, 10, 100), logarithmic=True)
    assert [scale(value) for value in (1, 10, 100)] == pytest.approx([0, 100, 200])
    assert math.isclose(scale(math.sqrt(1000)), 150)


@given(st.integers(0, 3000), st.integers(2, 300))
def test_sample_of_a_stream_is_evenly_spaced(count: int, most: int) -> None:
    """It is bounded, holds the first item, has an even stride, and counts all items."""
    kept = SpacedSample[int](most)
    for at in range(count):
        kept.add(partial(int, at))
    assert kept.seen == count
    assert len(kept.items) <= most
    assert len(kept.items) >= min(count, most // 2)
    assert kept.items == list(range(0, count, kept.items[1] if len(kept.items) > 1 else max(count, 1)))


@given(st.integers(0, 2000), st.integers(2, 300))
def test_thinning_keeps_both_ends(count: int, most: int) -> None:
    """Thinned items hold the first and the last, and nothing twice."""
    kept = thin(range(count), most)
    assert len(kept) == min(count, most)
    assert len(set(kept)) == len(kept)
    assert list(kept[:1]) == list(range(count))[:1]
    assert list(kept[-1:]) == list(range(count))[-1:]


def test_points_per_target_fall_with_the_number_of_targets() -> None:
    """All targets together have a few thousand points, and each has enough to show a shape."""
    assert [max_points(targets) for targets in (1, 12, 60, 10_000)] == [300, 300, 100, 20]


@given(st.lists(st.floats(0, 300), max_size=60), st.floats(5, 30))
def test_dots_do_not_cover_each_other(xs: list[float], reach: float) -> None:
    """With room, dots of one offset are a diameter apart; without, all are within the row."""
    (swarm,) = arrange_dots([xs], reach)
    assert [x for x, _ in swarm.points] == sorted(xs)
    assert all(abs(offset) <= reach for _, offset in swarm.points)
    stacked = stack_dots(xs, reach, swarm.diameter)
    assume(stacked is not None)
    by_offset: dict[float, list[float]] = {}
    for x, offset in stacked or []:
        by_offset.setdefault(offset, []).append(x)
    assert all(b - a >= swarm.diameter for row in by_offset.values() for a, b in pairwise(row))


def test_too_many_dots_are_small_and_spread_over_the_row() -> None:
    """If dots of no size fit, the smallest ones are spread over the whole height."""
    xs = [float(at % 20) for at in range(300)]
    (swarm,) = arrange_dots([xs], 8.0)
    assert swarm.diameter == SMALLEST_DOT
    assert min(offset for _, offset in swarm.points) < -7
    assert max(offset for _, offset in swarm.points) > 7


@given(st.text(max_size=80), st.floats(20, 300))
def test_elided_text_fits(text: str, room: float) -> None:
    """Elided text is never wider than its room, and text that fits is not changed."""
    shown = elide(text, room)
    assert text_width(shown) <= room or shown == "…"
    if text_width(" ".join(text.split())) <= room and text.isprintable():
        assert shown == " ".join(text.split())


# A real run


def real_run(folder: Path) -> Run:
    """Run a suite against the simulator with the command; return the run."""
    (folder / "suite.yaml").write_text(
        "cases:\n  - id: 问候\n    prompt: 你好\n  - id: count\n    prompt: Count to twenty.\n", encoding="utf-8"
    )
    targets = ("sim/quick", "sim/thinker", "sim/exact?ttft_ms=20&gap_ms=2&tokens=30", "sim/fault-cut-clean")
    named = [option for target in targets for option in ("-m", target)]
    command = ("run", "suite.yaml", "--repeat", "3", "-o", "out", "-q", "--allow-errors", "99", *named)
    finished = compare(folder, *command)
    assert finished.returncode == 0, finished.stderr
    return Run.of_journal(journal.read(folder / "out"))


def test_every_chart_of_a_real_run_is_drawn(tmp_path: Path) -> None:
    """Every chart but the ECDF, which has too few values, is drawn from a run of the command."""
    run = real_run(tmp_path)
    charts = draw_all(run)
    assert [prefix for prefix, chart in charts.items() if chart is None] == ["ecdf"]
    for prefix, chart in charts.items():
        if chart is not None:
            check(chart, prefix)
    assert "sim/quick: median " in describe(drawn(charts["swarm"]))
    assert "thinking" in texts(drawn(charts["arrivals"]))
    assert "sim/fault-cut-clean" in texts(drawn(charts["waterfall"]))
    shown = [row["ttft_s"] for row in run.measured.to_dict("records") if row["model"] == "quick"]
    assert f"sim/quick: median {seconds(median(shown))}" in describe(drawn(charts["swarm"]))


READ_BOXES = """() => [...document.querySelectorAll("svg")].map(svg => {
  const frame = svg.getBoundingClientRect();
  const boxes = [...svg.querySelectorAll("text")].map(text => {
    const box = text.getBoundingClientRect();
    const across = [box.left - frame.left, box.right - frame.left];
    return [text.textContent, ...across, box.top - frame.top, box.bottom - frame.top];
  });
  return {wide: frame.width, high: frame.height, boxes};
})"""


@pytest.mark.browser
def test_labels_do_not_overlap_in_a_browser(tmp_path: Path, open_page: PageOpener) -> None:
    """Chromium, with its fonts and a strict policy, keeps every label inside the frame and apart."""
    records = [
        request(name, block, start_s=block + at, times_s=(0.2 + at, 0.5 + 2 * at + block / 9))
        for at, name in enumerate([LONG_NAME, "openai/MMMMWWWWMMMMWWWW", *(f"p/模型-{n}" for n in range(9)), "q/gpt"])
        for block in range(1, 31)
    ]
    charts = draw_all(run_of(records)).values()
    style = "body{width:640px;margin:0}"
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'"
    page = tmp_path / "page.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<style>{style}</style>{''.join(drawn(chart).svg for chart in charts)}",
        encoding="utf-8",
    )
    shown = open_page(page).evaluate(READ_BOXES)
    assert len(shown) == len(charts)
    for svg in shown:
        for at, (text, left, right, top, bottom) in enumerate(svg["boxes"]):
            assert left >= -1, text
            assert right <= svg["wide"] + 1, text
            assert top >= -1, text
            assert bottom <= svg["high"] + 1, text
            for other, *edges in svg["boxes"][at + 1 :]:
                across = min(right, edges[1]) - max(left, edges[0])
                down = min(bottom, edges[3]) - max(top, edges[2])
                assert across <= 0.5 or down <= 2, (text, other)


@given(st.floats(0, 600), st.floats(0, 20), st.sampled_from([1.0, 60.0, 90.0, 400.0]))
def test_panels_of_one_axis_have_the_same_tick_labels(x: float, overhang: float, high: float) -> None:
    """A panel at any position has the label at its left edge."""
    scale = Scale(0.0, high, 0.0, 200.0, (0.0, high / 2, high))
    axis = Axis(scale, Quantity("time", "s"))
    shown = [draw_ticks_below(each, 0.0, overhang=overhang).count("<text") for each in (axis, axis.shifted(x))]
    assert shown == [3, 3]


@pytest.mark.parametrize("span", [timedelta(minutes=2), timedelta(minutes=30), timedelta(hours=20)])
def test_every_panel_of_a_spread_run_has_times_of_day(span: timedelta) -> None:
    """A run over minutes has labels of minutes, the same below each target."""
    first = datetime(2026, 9, 1, 3, 0, 30, tzinfo=UTC)
    rounds = [RoundPoint(first + span * part / 11, 0.3, 2) for part in range(12)]
    run = run_of([*with_ttft("a/x", [0.3]), *with_ttft("b/y", [0.3])])
    chart = drawn(draw_rounds_by_time(run, {"a/x": rounds, "b/y": rounds}, Canvas()))
    times = [text for text in texts(chart) if ":" in text]
    half = len(times) // 2
    assert half >= 2
    assert times[:half] == times[half:]


def test_a_run_spread_over_days_has_dates() -> None:
    """Times of day alone would be ambiguous."""
    first = datetime(2026, 9, 1, 12, tzinfo=UTC).astimezone()
    rounds = [RoundPoint(first + timedelta(hours=part * 12), 0.3, 2) for part in range(9)]
    chart = drawn(draw_rounds_by_time(run_of(with_ttft("a/x", [0.3])), {"a/x": rounds}, Canvas()))
    assert {"09-02", "09-03", "09-04", "09-05"} <= {*texts(chart)}
