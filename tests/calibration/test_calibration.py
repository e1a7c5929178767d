"""Calibration: errors against a known clock, the search for the highest concurrency, and the stored result."""

import json
import platform
import signal
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from runner.analysis.timestamp_errors import (
    ClockError,
    ErrorSpread,
    ReplyTimestamps,
    TimestampErrors,
    is_sustained,
    measure_errors,
    read_timestamps,
)
from runner.calibration import measure
from runner.calibration.measure import (
    Calibration,
    CalibrationLoad,
    CalibrationObserver,
    Capacity,
    Effort,
    TrialResult,
    TrialSeries,
    next_concurrency,
)
from runner.calibration.stored_calibration import find_clock_error, store
from runner.cli.calibrate import tabulate_calibration
from runner.cli.calibration_progress import LiveCalibration, PlainCalibration
from runner.core.events import Outcome, ResponseStarted
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.core.record_from_events import Fold
from runner.engine.run_observers import Observer
from runner.errors import CompareError
from runner.simulator.model_names import parse_model
from runner.simulator.persona import MS
from runner.wire.decoders.response_head import received_ns
from runner.wire.event_loop_time_slices import SEND_INTERVAL_NS
from tests.support.command import compare, finish, read_lines, start

NOW = datetime(2026, 7, 1, tzinfo=UTC)
SPREAD = ErrorSpread(120, 0.0002, 0.0008, 0.0031, 0.012)
ERRORS = TimestampErrors(120, 120, 3000, SPREAD, SPREAD, SPREAD, SPREAD, SPREAD)
LOAD = CalibrationLoad(concurrency=8, requests=120, ttft_ms=200, gap_ms=20, tokens=25)

US = st.integers(-1_000_000, 1_000_000)


@st.composite
def truths(draw: st.DrawFn) -> tuple[int, tuple[int, ...]]:
    """Draw the times, in microseconds, at which a server received a request and sent each piece of its reply."""
    received_us = draw(st.integers(-1000, 1_000_000))
    gaps = draw(st.lists(st.integers(0, 100_000), min_size=1, max_size=20))
    origin_us = [received_us]
    for gap in gaps:
        origin_us.append(origin_us[-1] + gap)
    return received_us, tuple(origin_us[1:])


def calibration(**details: object) -> Calibration:
    """Return a calibration of this machine."""
    found = Calibration(
        calibrated_at=NOW.isoformat(),
        machine={"node": platform.node(), "python": platform.python_version()},
        versions={},
        clock="transport",
        load=LOAD,
        errors=ERRORS,
        cpu_per_token_s=0.00002,
        capacity=None,
    )
    return replace(found, **details)  # type: ignore[arg-type]


def record(**details: object) -> Record:
    """Return an ok record of a server with a known clock."""
    identity = Identity(key="k", case="one", turn=1, repeat=1, block=1, provider="sim", model="exact", prompt="Hi")
    text_events = TextEvents((205, 310), "aa", (2, 3), (200, 300))
    whole = Record(identity, Timestamps(sent=0), Outcome.OK, text_events, received_us=10)
    return replace(whole, **details)  # type: ignore[arg-type]


@given(st.integers(1, 10_000), st.floats(0.1, 1000), st.integers(1, 30))
def test_all_streams_of_a_load_are_in_flight_at_once(concurrency: int, gap_ms: float, tokens: int) -> None:
    """For any number of requests, the first has not ended when the last is sent; no reply gets shorter."""
    load = CalibrationLoad(concurrency=8, requests=120, ttft_ms=200, gap_ms=gap_ms, tokens=tokens).at(concurrency)
    last_leaves_ms = (concurrency - 1) * SEND_INTERVAL_NS / 1e6
    assert load.ttft_ms + load.gap_ms * (load.tokens - 1) >= 2 * last_leaves_ms * (1 - 1e-9)
    assert load.tokens >= tokens


@given(st.lists(US, min_size=1, max_size=300))
def test_spread_is_by_nearest_rank(values_us: list[int]) -> None:
    """Each percentile is one of the values: at least that share is not larger, and less than it is smaller."""
    spread = ErrorSpread.of(values_us)
    assert spread is not None
    sizes = [abs(value) / 1e6 for value in values_us]
    for percent, figure in ((50, spread.p50_s), (90, spread.p90_s), (99, spread.p99_s), (100, spread.max_s)):
        assert figure in sizes
        assert 100 * sum(size <= figure for size in sizes) >= percent * len(sizes)
        assert 100 * sum(size < figure for size in sizes) < percent * len(sizes)
    assert spread.n == len(values_us)


def test_spread_without_errors_is_none() -> None:
    """Without errors the spread is None, not zero."""
    assert ErrorSpread.of([]) is None


@given(truths(), st.integers(0, 100_000))
def test_constant_delay_affects_ttft_and_no_gap(truth: tuple[int, tuple[int, ...]], delay_us: int) -> None:
    """TTFT is then wrong by the delay and by the time that the request took to arrive."""
    received_us, origin_us = truth
    errors = measure_errors([ReplyTimestamps(received_us, [at + delay_us for at in origin_us], origin_us)], requests=1)
    assert errors.ttft == ErrorSpread.of([delay_us + received_us])
    assert errors.request == ErrorSpread.of([received_us])
    assert errors.stamp == ErrorSpread.of([delay_us] * len(origin_us))
    assert errors.gap == (ErrorSpread.of([0] * (len(origin_us) - 1)))
    assert (errors.requests, errors.timed, errors.tokens) == (1, 1, len(origin_us))


@given(truths(), st.data())
def test_gap_error_is_the_difference_of_two_delays(truth: tuple[int, tuple[int, ...]], data: st.DataObject) -> None:
    """A gap is wrong by the difference between the delays of its two ends."""
    received_us, origin_us = truth
    delays = data.draw(st.lists(st.integers(0, 5000), min_size=len(origin_us), max_size=len(origin_us)))
    at_us = [at + delay for at, delay in zip(origin_us, delays, strict=True)]
    measured = [b - a for a, b in pairwise(at_us)]
    true = [b - a for a, b in pairwise(origin_us)]
    expected = ErrorSpread.of(took - real for took, real in zip(measured, true, strict=True))
    assert measure_errors([ReplyTimestamps(received_us, at_us, origin_us)], requests=1).gap == expected


def test_timestamps_are_those_of_both_sides() -> None:
    """A complete reply of a server with a known clock yields both clocks' timestamps unchanged."""
    assert read_timestamps(record()) == ReplyTimestamps(10, (205, 310), (200, 300))


@pytest.mark.parametrize(
    "details",
    [
        {"outcome": Outcome.TRUNCATED},
        {"warmup": True},
        {"received_us": None},
        {"text_events": TextEvents((205,), "a", (2,))},
        {"text_events": TextEvents()},
    ],
    ids=["failed", "warm-up", "not received", "no clock", "silent"],
)
def test_record_without_server_timestamps_is_left_out(details: Mapping[str, object]) -> None:
    """A record that cannot be compared counts as missing."""
    assert read_timestamps(record(**details)) is None


@pytest.mark.parametrize(
    ("errors", "sustained"),
    [
        (ERRORS, True),
        (replace(ERRORS, timed=119), False),
        (replace(ERRORS, ttft=replace(SPREAD, p99_s=0.005)), False),
        (TimestampErrors(0, 0, 0, None, None, None, None, None), False),
    ],
    ids=["good", "one failed", "too late", "nothing"],
)
def test_concurrency_is_sustained_when_all_went_well(errors: TimestampErrors, sustained: bool) -> None:
    """One failed request, or a 99th percentile at the bound, is enough to fail."""
    assert is_sustained(errors) is sustained


@given(st.integers(1, 10_000), st.integers(0, 12_000), st.integers(10_000, 20_000))
def test_search_finds_the_limit_to_an_eighth(first: int, limit: int, most: int) -> None:
    """For any limit of the machine, few trials enclose it, or reach the highest concurrency."""
    sustained, exceeded = (first, None) if first <= limit else (0, first)
    tries = 0
    while (level := next_concurrency(sustained, exceeded, most)) is not None:
        assert sustained < level <= most
        assert exceeded is None or level < exceeded
        sustained, exceeded = (level, exceeded) if level <= limit else (sustained, level)
        tries += 1
    assert tries <= 30
    if exceeded is None:
        assert sustained == most
    else:
        assert sustained <= limit < exceeded
        assert exceeded - sustained <= max(1, sustained // 8)


@given(st.text() | st.from_regex(r"[0-9]{1,25}", fullmatch=True))
def test_received_header_is_a_clock_or_nothing(text: str) -> None:
    """Any header yields a number that a 64-bit column can hold, or None."""
    received = received_ns({"x-received-ns": text})
    assert received is None or (0 <= received < 2**63 and str(received) == text.lstrip("0").rjust(1, "0"))


def test_received_header_is_read() -> None:
    """The value is the server's clock; without the header it is None."""
    assert received_ns({"x-received-ns": "123456789012"}) == 123456789012
    assert received_ns({}) is None


def test_request_id_in_a_chunk_keeps_the_server_clock() -> None:
    """A stream whose id comes in its chunks keeps the clock of its response headers."""
    fold = Fold()
    fold.add(ResponseStarted(5, 200, None, received_ns=3))
    fold.add(ResponseStarted(9, 200, "chat-1"))
    assert fold.response_started == ResponseStarted(5, 200, "chat-1", received_ns=3)


@given(st.floats(0, 10_000), st.floats(0, 10_000), st.integers(1, 10_000))
def test_simulator_parses_the_model_of_any_load(ttft_ms: float, gap_ms: float, tokens: int) -> None:
    """The persona has the load's pace, to a thousandth of a millisecond."""
    persona = parse_model(CalibrationLoad(1, 1, ttft_ms, gap_ms, tokens).model).persona
    assert persona.first.median_ns / MS == pytest.approx(ttft_ms, abs=0.001)
    assert persona.gap.median_ns / MS == pytest.approx(gap_ms, abs=0.001)
    assert persona.length is not None
    assert persona.length.tokens == tokens


def series() -> TrialSeries:
    """Return a series of trials without an observer."""
    return TrialSeries("http://nowhere", CalibrationObserver())


def trial_at(load: CalibrationLoad, limit: int) -> TrialResult:
    """Return the result of a trial on a machine that sustains a concurrency of `limit`."""
    return TrialResult(replace(ERRORS, timed=ERRORS.timed - (load.concurrency > limit)), Effort(1, 1), "transport")


@pytest.mark.parametrize(("limit", "enclosed"), [(0, (0, 1)), (8, (8, 9)), (100, (96, 104)), (20_000, (10_000, None))])
def test_search_encloses_the_limit(
    monkeypatch: pytest.MonkeyPatch, limit: int, enclosed: tuple[int, int | None]
) -> None:
    """Each trial has enough requests for a 99th percentile, and the last two enclose the machine's limit."""
    tried: list[CalibrationLoad] = []

    async def run_trial(_: str, load: CalibrationLoad, __: Observer) -> TrialResult:
        tried.append(load)
        return trial_at(load, limit)

    monkeypatch.setattr(measure, "run_trial", run_trial)
    monkeypatch.setattr(measure, "SEARCH_S", 1000.0)
    capacity = anyio.run(measure._search, trial_at(LOAD, limit), series(), LOAD)
    assert capacity == Capacity(*enclosed)
    assert all(load.requests >= max(100, 2 * load.concurrency) for load in tried if load != LOAD)


def test_concurrency_is_exceeded_only_if_it_fails_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single failure, which other work on the machine may cause, does not lower the limit."""
    failed: set[int] = set()

    async def run_trial(_: str, load: CalibrationLoad, __: Observer) -> TrialResult:
        met_other_work = load.concurrency not in failed
        failed.add(load.concurrency)
        return trial_at(load, 0 if met_other_work else 100)

    monkeypatch.setattr(measure, "run_trial", run_trial)
    assert anyio.run(measure._search, trial_at(LOAD, 100), series(), LOAD) == Capacity(96, 104)


def test_search_stops_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without time for another trial it returns the result so far."""

    async def run_trial(_: str, load: CalibrationLoad, __: Observer) -> TrialResult:
        raise AssertionError(f"{load} was tried")

    monkeypatch.setattr(measure, "run_trial", run_trial)
    monkeypatch.setattr(measure, "SEARCH_S", -1.0)
    assert anyio.run(measure._search, trial_at(LOAD, 8), series(), LOAD) == Capacity(8, None)


def test_no_trial_begins_that_would_not_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The announced time is kept, even if a second trial would be needed."""
    monkeypatch.setattr(measure, "SEARCH_S", 5.0)
    tried: list[CalibrationLoad] = []

    async def run_trial(_: str, load: CalibrationLoad, __: Observer) -> TrialResult:
        tried.append(load)
        return trial_at(load, 100)

    monkeypatch.setattr(measure, "run_trial", run_trial)
    assert LOAD.at(8).ideal_s > 5
    assert anyio.run(measure._search, trial_at(LOAD, 8), series(), replace(LOAD, concurrency=4)) == Capacity(4, None)
    assert anyio.run(measure._search, trial_at(LOAD, -1), series(), LOAD.at(8)) == Capacity(0, None)
    assert tried == []


def test_a_calibration_announces_its_duration_and_shows_progress() -> None:
    """A terminal shows a bar that counts the requests of each trial, other outputs a line."""
    said = StringIO()
    plain = PlainCalibration(Console(file=said, width=200))
    plain.announced(LOAD, LOAD.ideal_s + 30)
    plain.trial_begun(LOAD.at(64), again=True)
    first, second = said.getvalue().splitlines()
    assert first == (
        f"{LOAD.requests} requests, {LOAD.concurrency} at a time: about {LOAD.ideal_s:.0f} s, "
        "then 30 s at most to find the highest concurrency"
    )
    assert second == "64 at a time, once more"
    console = Console(file=StringIO(), width=100)
    live = LiveCalibration(console)
    live.announced(LOAD, 200.0)
    live.trial_begun(LOAD, again=False)
    live.finished(Record(Identity("k", "c", 1, 1, 1, "p", "m", "Hi"), Timestamps(), Outcome.OK))
    with console.capture() as shown:
        console.print(live.render())
    assert f"{LOAD.concurrency} at a time  1/{LOAD.requests}" in shown.get()
    assert "at most 3 min left" in shown.get()


def test_stored_calibration_is_found_on_this_machine(tmp_path: Path) -> None:
    """The clock error is found in the form of a journal's header."""
    path = tmp_path / "new" / "calibration.json"
    store(calibration().to_json(), path)
    found = find_clock_error(NOW + timedelta(days=29), path)
    assert found == ClockError(NOW.isoformat(), 8, 120, 0.0002, 0.0031, 0.0031)
    assert found is not None
    assert ClockError.from_plain(json.loads(json.dumps(found.to_plain()))) == found


@pytest.mark.parametrize(
    "details",
    [
        {"calibrated_at": (NOW - timedelta(days=31)).isoformat()},
        {"machine": {"node": "another", "python": platform.python_version()}},
        {"machine": {"node": platform.node(), "python": "2.7"}},
        {"errors": TimestampErrors(120, 0, 0, None, None, None, None, None)},
    ],
    ids=["old", "another machine", "another Python", "nothing timed"],
)
def test_calibration_that_does_not_apply_is_not_found(tmp_path: Path, details: Mapping[str, object]) -> None:
    """A calibration that is old, of another machine, or without any timed request is ignored."""
    store(calibration(**details).to_json(), tmp_path / "calibration.json")
    assert find_clock_error(NOW, tmp_path / "calibration.json") is None


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"machine": 1, "errors": {}}', "\ud83d"])
def test_damaged_calibration_is_ignored(tmp_path: Path, text: str) -> None:
    """A damaged file does not make a run fail."""
    (tmp_path / "calibration.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    assert find_clock_error(NOW, tmp_path / "calibration.json") is None


def test_missing_calibration_yields_none(tmp_path: Path) -> None:
    """A machine that was never calibrated has no clock error."""
    assert find_clock_error(NOW, tmp_path / "calibration.json") is None


def test_calibration_that_cannot_be_stored_is_an_error(tmp_path: Path) -> None:
    """A file in place of the folder is reported."""
    (tmp_path / "results").write_text("")
    with pytest.raises(CompareError, match="cannot be created"):
        store(calibration().to_json(), tmp_path / "results" / "calibration.json")


@given(st.dictionaries(st.sampled_from(["calibrated_at", "n", "other"]), st.integers()))
def test_clock_error_of_another_version_is_none(facts: dict[str, int]) -> None:
    """A header with other members can still be read."""
    assert ClockError.from_plain(facts) is None


def test_table_shows_n_beside_every_figure() -> None:
    """The table has counts, percentiles, CPU time per token and the limit, each with a name."""
    shown = tabulate_calibration(calibration(capacity=Capacity(64, 72)))
    rows = shown.splitlines()[4:8]
    assert all(line.split()[-9:] == ["120", "0.20", "ms", "0.80", "ms", "3.10", "ms", "12.00", "ms"] for line in rows)
    assert "CPU per token: 20.0 us (n 3,000)" in shown
    assert "up to 64 at a time; 72 is too much" in shown


def test_table_shows_dashes_for_missing_figures() -> None:
    """A figure that could not be measured is a dash, not a zero."""
    nothing = TimestampErrors(100, 0, 0, None, None, None, None, None)
    shown = tabulate_calibration(calibration(errors=nothing, cpu_per_token_s=None, capacity=Capacity(0, 1)))
    assert "0 of 100 requests timed" in shown
    assert shown.count("–") == 16
    assert "at no concurrency that was tried" in shown


SMALL = ("calibrate", "-j", "3", "--requests", "6", "--rate", "400", "--no-search")


def test_command_stores_the_calibration_for_later_runs(tmp_path: Path) -> None:
    """It counts every request, is stored beside the results, and appears in the next run's summary."""
    done = compare(tmp_path, *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "results" / "calibration.json").read_text(encoding="utf-8"))
    errors = found["errors"]
    counts = [errors["timed"], errors["tokens"], *(errors[name]["n"] for name in ("ttft", "gap", "stamp"))]
    assert counts == [6, 6 * 200, 6, 6 * 199, 6 * 200]
    assert found["capacity"] is None

    ran = compare(tmp_path, "ask", "Hi", "-m", "sim/quick", "-o", "results/run")
    assert ran.returncode == 0, ran.stderr
    [header] = read_lines(tmp_path / "results" / "run", "header")
    assert header["calibration"]["n"] == 6
    assert header["calibration"]["ttft_p99_s"] == errors["ttft"]["p99_s"]
    assert f"n 6, 3 at a time, calibrated on {found['calibrated_at'][:10]}" in ran.stdout


def test_command_prints_a_table_and_stores_in_output(tmp_path: Path) -> None:
    """Results go to stdout, progress to stderr, and the file to -o alone."""
    done = compare(tmp_path, *SMALL, "-o", "mine.json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("6 of 6 requests timed, 3 at a time, 400 tokens/s each, clock ")
    assert "written: mine.json" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]


def test_interrupted_command_stores_nothing(tmp_path: Path) -> None:
    """Ctrl-C ends it with exit code 130, and nothing is written."""
    process = start(tmp_path, "calibrate", "-j", "1", "--requests", "1000", "--no-search")
    assert process.stderr is not None
    assert "about" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert done.returncode == 130
    assert list(tmp_path.iterdir()) == []
