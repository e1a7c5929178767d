"""Pictures: what they promise of every run, and that each shows what was measured."""

import math
import random
import shutil
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import median

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from runner.analysis.intervals import median_interval
from runner.analysis.run import Run
from runner.core.events import Outcome
from runner.core.record import Identity, Record, TextEvents, Timestamps
from runner.outputs.charts import (
    TOTAL,
    TTFT,
    Chart,
    draw_arrivals,
    draw_phases,
    draw_points,
    draw_shares,
    draw_tokens_under_load,
    draw_total_against_reply,
    draw_ttft_against_prompt,
    draw_ttft_under_load,
    draw_waterfall,
)
from runner.outputs.charts.arrivals import MOST_LINES, MOST_STEPS, read_arrival
from runner.outputs.charts.labels import elide, width
from runner.outputs.charts.phases import ANSWER, CONNECT, FIRST, THINKING, phases_of
from runner.outputs.charts.sample import Spaced, most_of_each, thin
from runner.outputs.charts.scale import Scale, fit
from runner.outputs.charts.swarm import SMALLEST, pile, pile_all
from runner.outputs.charts.waterfall import Span, pack, read_span
from runner.outputs.text.figures import seconds
from runner.storage import journal
from runner.storage.journal import Header
from tests.support.command import compare
from tests.support.svg_geometry import NAMESPACE, check, describe, labels, parse

S = 1_000_000_000
LONG_NAME = "智谱清言/非常非常非常非常非常非常非常非常长的模型名称-第一版-2026-预览"


def header(targets: Sequence[str], **details: object) -> Header:
    """Return the header of a run that asked these targets."""
    plain = Header(
        run_id="run-1",
        suite="basic",
        digest="d1",
        seed=7,
        started_at="2026-01-02T03:04:05+00:00",
        simulated=False,
        repeat=1,
        targets=tuple(targets),
        cases=("one",),
        planned_requests=4,
    )
    return replace(plain, **details)  # type: ignore[arg-type]


def request(
    target: str, block: int = 1, *, start_s: float = 0.0, times_s: Sequence[float] = (0.2, 0.5), **details: object
) -> Record:
    """Return an ok record that was sent a tenth of a second after `start_s`, with a word at each of these times."""
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


def run_of(records: Sequence[Record], **details: object) -> Run:
    """Return the run of these records, targets in the order in which they come first."""
    return Run.of(header(list(dict.fromkeys(record.identity.target for record in records)), **details), records)


def with_ttft(target: str, values_s: Sequence[float]) -> list[Record]:
    """Return a record for each TTFT, one a block."""
    return [request(target, block, times_s=(value, value + 0.3)) for block, value in enumerate(values_s, start=1)]


def draw_all(run: Run, records: Sequence[Record]) -> dict[str, Chart | None]:
    """Draw every picture of a run that needs no sweep, each under its prefix."""
    return {
        "points": draw_points(run, TTFT),
        "total": draw_points(run, TOTAL, "total"),
        "shares": draw_shares(run, TTFT),
        "phases": draw_phases(run),
        "prompt-size": draw_ttft_against_prompt(run),
        "reply-size": draw_total_against_reply(run),
        "arrivals": draw_arrivals(run, records),
        "waterfall": draw_waterfall(run, records),
    }


def drawn(picture: Chart | None) -> Chart:
    """Return a picture that must be there."""
    assert picture is not None
    return picture


def texts(picture: Chart) -> list[str]:
    """Return all labels of a picture, in the order in which they are drawn."""
    return [box.text for box in labels(parse(picture))]


def paths(picture: Chart, **attributes: str) -> list[str]:
    """Return the data of the paths with these attributes."""
    wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
    return [
        each.attrib["d"] for each in parse(picture).iter(f"{NAMESPACE}path") if wanted.items() <= each.attrib.items()
    ]


# All pictures

NAMES = st.one_of(
    st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.sampled_from(["qwen-最大", "<b>&\"'", "a" * 80, "模" * 50, "\u202eevil", "\x00\uffff", "👩‍👩‍👧‍👦 family", " "]),
)
TIMES = st.lists(st.floats(0, 1e4), min_size=1, max_size=5).map(lambda gaps: list(accumulate(gaps)))


@st.composite
def some_records(draw: st.DrawFn) -> list[Record]:
    """Return records of up to thirteen targets, some of which failed in one way or another."""
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
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_every_picture_keeps_its_promises(records: list[Record]) -> None:
    """Whatever the names and times: well-formed, inside its frame, labels apart, nothing a strict policy refuses."""
    run = run_of(records)
    for prefix, picture in draw_all(run, records).items():
        if picture is not None:
            check(picture, prefix)


def test_nothing_is_drawn_of_nothing() -> None:
    """A run without a timed request has no pictures but the waterfall of what failed."""
    failed = replace(request("a/x"), outcome=Outcome.TIMEOUT)
    pictures = draw_all(run_of([failed]), [failed])
    assert [prefix for prefix, picture in pictures.items() if picture is not None] == ["waterfall"]
    run = Run.of(header(["a/x"]), [])
    assert set(draw_all(run, []).values()) == {None}
    assert draw_ttft_under_load(run) is None
    assert draw_tokens_under_load(run) is None


def test_the_same_run_gives_the_same_text() -> None:
    """Nothing is drawn at random."""
    records = [each for name in ("a/x", "b/y") for each in with_ttft(name, [0.1 * at for at in range(1, 40)])]
    assert draw_all(run_of(records), records) == draw_all(run_of(records), records)


def test_a_simulated_run_says_so_under_every_picture() -> None:
    """No caption of a simulated run can be taken for a provider's figures."""
    records = [each for name in ("a/x", "b/y") for each in with_ttft(name, [0.1 * at for at in range(1, 30)])]
    for prefix, picture in draw_all(run_of(records, simulated=True), records).items():
        assert drawn(picture).caption.endswith("Simulated: this says nothing about any provider."), prefix
    for picture in draw_all(run_of(records), records).values():
        assert "imulated" not in drawn(picture).caption


def test_many_requests_stay_small() -> None:
    """Far more requests than dots, to six targets, take less than 50 kB a picture, and it says what it left out."""
    rng = random.Random(3)
    records = [
        request(f"p/model-{at % 6}", at // 6, start_s=at / 50, times_s=sorted(rng.uniform(0.1, 9) for _ in range(5)))
        for at in range(1920)
    ]
    for prefix, picture in draw_all(run_of(records), records).items():
        assert len(drawn(picture).svg) < 50_000, prefix
        assert prefix == "phases" or " are drawn" in drawn(picture).caption, prefix


def test_a_cut_name_is_there_in_full() -> None:
    """A name that has no room keeps its beginning and its end, and its whole in a title."""
    picture = drawn(draw_points(run_of([request(LONG_NAME), request("b/y")]), TTFT))
    label = next(each for each in parse(picture).iter(f"{NAMESPACE}text") if "智谱" in "".join(each.itertext()))
    assert label.findtext(f"{NAMESPACE}title") == LONG_NAME
    shown = label[0].tail or ""
    head, _, tail = shown.partition("…")
    assert LONG_NAME.startswith(head)
    assert LONG_NAME.endswith(tail)
    assert len(tail) > 3


# Points and shares


def test_points_show_every_value_and_the_median() -> None:
    """As many dots as values; the median and its interval are those of the statistics."""
    values = [0.11, 0.52, 0.23, 0.94, 0.35, 0.36, 0.77]
    picture = drawn(draw_points(run_of(with_ttft("a/x", values)), TTFT))
    dots = paths(picture, stroke_linecap="round")
    assert sum(data.count("h0") for data in dots) == len(values)
    interval = median_interval(values, range(1, 8))
    assert interval is not None
    said = f"a/x: median 360 ms, 95 % interval {seconds(interval.low)} to {seconds(interval.high)}, n 7"
    assert said in describe(picture)
    assert {"360 ms", "7"} <= set(texts(picture))


def test_a_dot_lies_where_its_value_is() -> None:
    """On a linear scale from zero, the dot of half the longest time is half as far from zero."""
    picture = drawn(draw_points(run_of(with_ttft("a/x", [0.25, 0.5, 1.0])), TTFT))
    root = parse(picture)
    zero, one = (box.left + (box.right - box.left) / 2 for box in labels(root) if box.text in {"0", "1"})
    (data,) = paths(picture, stroke_linecap="round")
    at = [float(each.split(" ")[0]) for each in data.removeprefix("M").split("M")]
    assert at == pytest.approx([zero + share * (one - zero) for share in (0.25, 0.5, 1.0)], abs=0.11)


def test_too_few_values_have_no_interval() -> None:
    """Below six values there is a median alone, and the caption says why."""
    picture = drawn(draw_points(run_of(with_ttft("a/x", [0.1, 0.2, 0.3, 0.4, 0.5])), TTFT))
    assert "interval" not in describe(picture)
    assert "Below n 6 there is no interval." in picture.caption


def test_the_fastest_target_comes_first() -> None:
    """Rows are by median, colours by the suite's order."""
    slow, quick = with_ttft("a/slow", [0.9] * 7), with_ttft("b/quick", [0.1] * 7)
    picture = drawn(draw_points(run_of([*slow, *quick]), TTFT))
    assert [text for text in texts(picture) if "/" in text] == ["b/quick", "a/slow"]
    colours = [
        each.attrib["stroke"] for each in parse(picture).iter(f"{NAMESPACE}path") if "stroke-linecap" in each.attrib
    ]
    assert ["--series-2" in colours[0], "--series-1" in colours[1]] == [True, True]


def test_a_wide_range_is_logarithmic_and_says_so() -> None:
    """From a factor of twenty the scale is logarithmic: the axis and the caption name it."""
    narrow = drawn(draw_points(run_of(with_ttft("a/x", [0.1, 1.9])), TTFT))
    wide = drawn(draw_points(run_of(with_ttft("a/x", [0.1, 2.1])), TTFT))
    assert "TTFT, s" in texts(narrow)
    assert "logarithmic" not in narrow.caption
    assert "TTFT, s (log scale)" in texts(wide)
    assert "The scale is logarithmic." in wide.caption


def test_what_is_not_drawn_is_counted() -> None:
    """Failures and replies without a TTFT are in the caption."""
    failed = replace(request("a/x", 8), outcome=Outcome.TIMEOUT)
    whole = replace(request("a/x", 9), noted=("not_streamed",))
    run = run_of([*with_ttft("a/x", [0.1, 0.2]), failed, whole])
    assert "2 of 4 requests are not drawn: they failed, or brought no TTFT." in drawn(draw_points(run, TTFT)).caption
    assert "1 of 4 requests is not drawn" in drawn(draw_points(run, TOTAL)).caption


def test_shares_need_twenty_values() -> None:
    """An ECDF is drawn from n 20; targets with fewer are left out by number."""
    few, many = with_ttft("a/few", [0.1] * 19), with_ttft("b/many", [0.01 * at for at in range(1, 21)])
    assert draw_shares(run_of(few), TTFT) is None
    picture = drawn(draw_shares(run_of([*few, *many]), TTFT))
    assert "1 of 2 targets is not drawn: below n 20." in picture.caption
    assert "b/many: half within 100 ms, 95 % within 190 ms, n 20" in describe(picture)


# Phases


def test_phases_add_up_to_the_median_request() -> None:
    """The bar is the request at the median, its phases those of its record; the queue stands before it."""
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
    picture = drawn(draw_phases(run_of(slow_lane)))
    assert "a/x: queue 7.00 s, connecting 50 ms, to first text 200 ms, thinking 1.80 s, 2.05 s without" in describe(
        picture
    )
    assert {"7.00 s", "1.80 s", "2.05 s", "queue"} <= set(texts(picture))


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
def test_phases_of_a_request(cells: dict[str, float | str | None], phases: dict[str, float] | None) -> None:
    """Each stretch of time belongs to one phase, whatever a reply lacks."""
    assert phases_of({**ROW, **cells}) == phases


# Sizes


def test_sizes_are_tokens_only_if_all_were_counted() -> None:
    """One reply without usage, and the axis is in characters, for all, and says why."""
    counted = [request("a/x", block, input_tokens=10 * block, output_tokens=5 * block) for block in range(1, 5)]
    assert "prompt, tokens" in texts(drawn(draw_ttft_against_prompt(run_of(counted))))
    uncounted = [*counted, request("a/x", 5)]
    picture = drawn(draw_ttft_against_prompt(run_of(uncounted)))
    assert "prompt, characters" in texts(picture)
    assert "not every reply came with a count" in picture.caption
    assert "a/x: sizes 1 to 5, times 200 ms to 200 ms, n 5" in describe(picture)


def test_one_size_relates_to_nothing() -> None:
    """Where all are of one size there is no picture."""
    same = [request("a/x", block, output_tokens=5, input_tokens=9) for block in range(1, 5)]
    assert draw_total_against_reply(run_of(same)) is None
    assert draw_ttft_against_prompt(run_of(same)) is None


# Arrivals


@given(st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from("rat"), st.integers(1, 99)), min_size=1, max_size=200))
def test_an_arrival_ends_where_the_text_does(events: list[tuple[int, str, int]]) -> None:
    """However much it is thinned, a line begins with the first text, ends with the last, and never falls."""
    at_us = tuple(accumulate(step for step, _, _ in events))
    channels, lengths = "".join(channel for _, channel, _ in events), tuple(length for _, _, length in events)
    arrival = read_arrival(request("a/x", text_events=TextEvents(at_us, channels, lengths)))
    line = [*arrival.thinking, *arrival.answer]
    assert line == sorted(line)
    assert list(line[0]) == [at_us[0] / 1e6, 0]
    assert list(arrival.end) == [at_us[-1] / 1e6, sum(lengths)]
    assert max(len(arrival.thinking), len(arrival.answer)) <= MOST_STEPS
    assert bool(arrival.thinking) == (channels[0] != "a")


def test_thinking_has_a_manner_of_its_own() -> None:
    """Where somebody thought, its line is dashed, and a key says so; else there is no key."""
    thought = request("a/x", text_events=TextEvents((1, 2, 3), "rra", (5, 5, 5)))
    picture = drawn(draw_arrivals(run_of([thought]), [thought]))
    assert {"thinking", "answer"} <= set(texts(picture))
    assert len(paths(picture, stroke_dasharray="2 2", fill="none")) == 1
    plain = request("a/x")
    assert "thinking" not in texts(drawn(draw_arrivals(run_of([plain]), [plain])))


def test_replies_left_out_are_counted() -> None:
    """Of many replies few are drawn, and the caption says how many."""
    records = [request("a/x", block) for block in range(1, 3 * MOST_LINES + 1)]
    picture = drawn(draw_arrivals(run_of(records), records))
    assert f"n {3 * MOST_LINES}, in" in picture.caption
    assert f"of {3 * MOST_LINES} replies are drawn" in picture.caption


# Waterfall

SPANS = st.builds(
    lambda start, long: Span(start, None, start + long, failed=False), st.floats(0, 100), st.floats(0.001, 50)
)


@given(st.lists(SPANS, max_size=60))
def test_lanes_are_as_few_as_ran_at_once(spans: list[Span]) -> None:
    """No two requests of a lane overlap, none is lost, and there are no more lanes than requests at one moment."""
    lanes = pack(spans)
    assert sorted(map(repr, spans)) == sorted(repr(span) for lane in lanes for span in lane)
    for lane in lanes:
        assert all(before.end_s <= after.start_s for before, after in pairwise(lane))
    at_once = [sum(each.start_s <= span.start_s < each.end_s for each in spans) for span in spans]
    assert len(lanes) == max(at_once, default=0)


@pytest.mark.parametrize(
    ("details", "span"),
    [
        ({}, Span(3.0, 3.3, 3.6, failed=False)),
        ({"outcome": Outcome.TRUNCATED}, Span(3.0, 3.3, 3.6, failed=True)),
        (
            {"timestamps": Timestamps(slot=3 * S), "text_events": TextEvents(), "outcome": Outcome.CONNECTION},
            Span(3.0, None, 3.0, failed=True),
        ),
        (
            {"timestamps": Timestamps(slot=3 * S, sent=4 * S), "text_events": TextEvents(), "outcome": Outcome.TIMEOUT},
            Span(3.0, None, 4.0, failed=True),
        ),
        ({"timestamps": Timestamps(ready=0), "text_events": TextEvents(), "outcome": Outcome.SKIPPED}, None),
    ],
)
def test_a_span_is_read_off_the_marks(details: dict[str, object], span: Span | None) -> None:
    """From the slot to the last sign of life; what was never sent has no span."""
    assert read_span(replace(request("a/x", start_s=3.0), **details)) == span  # type: ignore[arg-type]


def test_the_waterfall_marks_failures_and_counts_what_was_never_sent() -> None:
    """A cross for each failure; warm-ups are left out, as everywhere; the skipped are in the caption."""
    records = [
        request("a/x", 1),
        request("a/x", 2, outcome=Outcome.TRUNCATED),
        request("a/x", 3, warmup=True),
        request("a/x", 4, timestamps=Timestamps(), text_events=TextEvents(), outcome=Outcome.SKIPPED),
    ]
    picture = drawn(draw_waterfall(run_of(records), records))
    (crosses,) = paths(picture, stroke_width="1.3")
    assert crosses.count("M") == 2
    assert "1 failed, n 2" in describe(picture)
    assert "1 of 3 requests is not drawn: they were never sent." in picture.caption


# Sweeps


def swept(folder: Path, requests: int) -> Run:
    """Return a run of two targets over the levels 1, 4 and 16, of so many requests each."""
    levels = [1, 4, 16]
    made = header(["a/x", "b/模型"], load={"levels": levels}, repeat=requests)
    with journal.JournalWriter(folder) as writer:
        writer.append_header(made)
        for target in made.targets:
            for block in range(1, 3 * requests + 1):
                level = levels[(block - 1) // requests]
                times = (0.1 * level, 0.1 * level + 1)
                writer.append_record(request(target, block, start_s=10.0 * block, times_s=times, output_tokens=40))
    return Run.of_journal(journal.read(folder))


def test_a_sweep_is_drawn_level_by_level(tmp_path: Path) -> None:
    """Each target has its medians, and its 95th percentiles from n 20, at every level, which the axis names."""
    run = swept(tmp_path, 20)
    picture = drawn(draw_ttft_under_load(run))
    check(picture, "sweep-ttft")
    assert "a/x: p50 100 ms at 1, 400 ms at 4, 1.60 s at 16; p95 100 ms at 1" in describe(picture)
    assert {"1", "4", "16", "p50", "p95", "b/模型", "n 20 each, by level"} <= set(texts(picture))
    check(drawn(draw_tokens_under_load(run)), "sweep-tokens")


def test_a_percentile_without_a_sample_is_not_drawn(tmp_path: Path) -> None:
    """Below n 20 there is no p95, in the picture or in its key, and the caption counts what is missing."""
    picture = drawn(draw_ttft_under_load(swept(tmp_path, 3)))
    assert "p50" in texts(picture)
    assert "p95" not in texts(picture)
    assert "6 of 12 figures are not drawn: too few requests were timed" in picture.caption


# Scales, samples, swarms, letters


@given(st.lists(st.floats(0, 1e12), max_size=20), st.integers(2, 12), st.booleans())
def test_a_scale_holds_its_values(values: list[float], ticks: int, linear: bool) -> None:
    """Values lie between the ends, in their order; ticks are within, ascending, and no more than asked for."""
    scale = fit(values, 10.0, 110.0, ticks=ticks, linear=linear)
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
def test_ticks_are_round(values: list[float], ticks: int, expected: tuple[float, ...]) -> None:
    """They are the numbers that a person would choose."""
    assert fit(values, 0, 100, ticks=ticks).ticks == pytest.approx(expected)


def test_a_logarithmic_scale_spaces_ratios_evenly() -> None:
    """From 1 to 10 is as far as from 10 to 100."""
    scale = Scale(1, 100, 0, 200, (1, 10, 100), logarithmic=True)
    assert [scale(value) for value in (1, 10, 100)] == pytest.approx([0, 100, 200])
    assert math.isclose(scale(math.sqrt(1000)), 150)


@given(st.integers(0, 3000), st.integers(2, 300))
def test_what_is_kept_of_a_stream_is_evenly_spaced(count: int, most: int) -> None:
    """A stream's sample is bounded, holds the first, skips as many each time, and knows how many came."""
    kept = Spaced[int](most)
    for at in range(count):
        kept.add(at)
    assert kept.seen == count
    assert len(kept.items) <= most
    assert len(kept.items) >= min(count, most // 2)
    assert kept.items == list(range(0, count, kept.items[1] if len(kept.items) > 1 else max(count, 1)))


@given(st.integers(0, 2000), st.integers(2, 300))
def test_thinning_keeps_both_ends(count: int, most: int) -> None:
    """The smallest and the largest are always drawn, and nothing twice."""
    kept = thin(range(count), most)
    assert len(kept) == min(count, most)
    assert len(set(kept)) == len(kept)
    assert list(kept[:1]) == list(range(count))[:1]
    assert list(kept[-1:]) == list(range(count))[-1:]


def test_the_bound_falls_with_the_number_of_targets() -> None:
    """All targets together have a few thousand points, and each has enough to show a shape."""
    assert [most_of_each(targets) for targets in (1, 12, 60, 10_000)] == [300, 300, 100, 20]


@given(st.lists(st.floats(0, 300), max_size=60), st.floats(5, 30))
def test_dots_do_not_cover_each_other(xs: list[float], reach: float) -> None:
    """Where there is room, dots of one lane are a diameter apart; where there is none, all are still within reach."""
    (swarm,) = pile_all([xs], reach)
    assert [x for x, _ in swarm.points] == sorted(xs)
    assert all(abs(offset) <= reach for _, offset in swarm.points)
    piled = pile(xs, reach, swarm.dot)
    assume(piled is not None)
    by_lane: dict[float, list[float]] = {}
    for x, lane in piled or []:
        by_lane.setdefault(lane, []).append(x)
    assert all(b - a >= swarm.dot for lane in by_lane.values() for a, b in pairwise(lane))


def test_a_crowd_is_strewn_in_small_dots() -> None:
    """Where dots of no size have room, the smallest are spread over the whole height."""
    crowd = [float(at % 20) for at in range(300)]
    (swarm,) = pile_all([crowd], 8.0)
    assert swarm.dot == SMALLEST
    assert min(offset for _, offset in swarm.points) < -7
    assert max(offset for _, offset in swarm.points) > 7


@given(st.text(max_size=80), st.floats(20, 300))
def test_a_cut_line_fits(text: str, room: float) -> None:
    """An elided line is never wider than its room, and what fits is left as it is."""
    shown = elide(text, room)
    assert width(shown) <= room or shown == "…"
    if width(" ".join(text.split())) <= room and text.isprintable():
        assert shown == " ".join(text.split())


# In earnest


def real_run(folder: Path) -> Run:
    """Run a suite against the simulator, with the command."""
    (folder / "suite.yaml").write_text(
        "cases:\n  - id: 问候\n    prompt: 你好\n  - id: count\n    prompt: Count to twenty.\n", encoding="utf-8"
    )
    targets = ("sim/quick", "sim/thinker", "sim/exact?ttft_ms=20&gap_ms=2&tokens=30", "sim/fault-cut-clean")
    named = [option for target in targets for option in ("-m", target)]
    command = ("run", "suite.yaml", "--repeat", "3", "-o", "out", "-q", "--allow-errors", "99", *named)
    finished = compare(folder, *command)
    assert finished.returncode == 0, finished.stderr
    return Run.of_journal(journal.read(folder / "out"))


def test_a_real_run_is_drawn(tmp_path: Path) -> None:
    """Every picture but the ECDF, which has too few values, is drawn from what a run wrote."""
    run = real_run(tmp_path)
    pictures = draw_all(run, list(run.records))
    assert [prefix for prefix, picture in pictures.items() if picture is None] == ["shares"]
    for prefix, picture in pictures.items():
        if picture is not None:
            check(picture, prefix)
    assert "sim/quick: median " in describe(drawn(pictures["points"]))
    assert "thinking" in texts(drawn(pictures["arrivals"]))
    assert "sim/fault-cut-clean" in texts(drawn(pictures["waterfall"]))
    shown = [row["ttft_s"] for row in run.measured.to_dict("records") if row["model"] == "quick"]
    assert f"sim/quick: median {seconds(median(shown))}" in describe(drawn(pictures["points"]))


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
def test_labels_are_apart_in_a_real_browser(tmp_path: Path) -> None:
    """Chromium, with its fonts and a policy without inline styles, keeps every label inside and apart."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- only where a browser is

    records = [
        request(name, block, start_s=block + at, times_s=(0.2 + at, 0.5 + 2 * at + block / 9))
        for at, name in enumerate([LONG_NAME, "openai/MMMMWWWWMMMMWWWW", *(f"p/模型-{n}" for n in range(9)), "q/gpt"])
        for block in range(1, 31)
    ]
    pictures = draw_all(run_of(records), records).values()
    style = "body{width:640px;margin:0}"
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'"
    page = tmp_path / "page.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<style>{style}</style>{''.join(drawn(picture).svg for picture in pictures)}",
        encoding="utf-8",
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        tab = browser.new_page()
        complaints: list[str] = []
        tab.on("console", lambda message: complaints.append(message.text))
        tab.goto(page.as_uri())
        shown = tab.evaluate(READ_BOXES)
        browser.close()
    assert complaints == []
    assert len(shown) == len(pictures)
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
