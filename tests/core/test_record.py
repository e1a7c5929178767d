"""The record and the fold: every duration of the clock table, and what stays blank."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.core.buffered_bursts import BURST_US
from runner.core.events import (
    CallPiece,
    Channel,
    EmptyChunk,
    Ended,
    Event,
    Failed,
    Finished,
    Flagged,
    Outcome,
    ResponseStarted,
    StreamDone,
    Text,
    Usage,
)
from runner.core.finish_reasons import REASONS, FinishClass
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.core.record_from_events import Fold
from tests.support.fold_events import fold_events

MS = 1_000_000
ASKED = Identity("k1", "case", 1, 1, 1, "a", "x", "Hello?")

FULL = Timestamps(
    planned=100 * MS,
    ready=110 * MS,
    slot=125 * MS,
    dns_start=126 * MS,
    dns_end=130 * MS,
    tcp_start=131 * MS,
    tcp_end=141 * MS,
    tls_end=161 * MS,
    write_start=170 * MS,
    sent=200 * MS,
    headers=240 * MS,
    first_event=250 * MS,
    first_call=900 * MS,
    last_event=1400 * MS,
    sent_by=200 * MS,
)

CLOCK = {
    "planned_s": 0.1,
    "queue_s": 0.015,
    "dns_s": 0.004,
    "tcp_s": 0.01,
    "tls_s": 0.02,
    "upload_s": 0.03,
    "headers_s": 0.04,
    "ttfc_s": 0.05,
    "total_s": 1.2,
}

RESTS_ON_TEXT = ("ttft_s", "ttfa_s", "tool_call_s", "tpot_s", "output_tps", "output_cps")

RESTS_ON = {
    "planned": {"planned_s"},
    "ready": {"queue_s"},
    "slot": {"queue_s"},
    "dns_start": {"dns_s"},
    "dns_end": {"dns_s"},
    "tcp_start": {"tcp_s"},
    "tcp_end": {"tcp_s", "tls_s"},
    "tls_end": {"tls_s"},
    "write_start": {"upload_s"},
    "sent": {"upload_s", "headers_s", "ttfc_s", "total_s"},
    "headers": {"headers_s"},
    "first_event": {"ttfc_s"},
    "first_call": set(),
    "last_event": {"total_s"},
    "sent_by": set(),
}


def arrived(*at_ms: float, channels: str | None = None, lengths: Sequence[int] | None = None) -> TextEvents:
    """Return text events at these milliseconds, each of one answer character by default."""
    at_us = tuple(round(at * 1000) for at in at_ms)
    return TextEvents(at_us, channels or "a" * len(at_us), lengths or (1,) * len(at_us))


def recorded(said: TextEvents, **rest: object) -> Record:
    """Return the record of a reply with these text events."""
    return replace(Record(ASKED, FULL, Outcome.OK, said), **rest)  # type: ignore[arg-type]


def text(at_ns: int, said: str = "a", channel: Channel = Channel.ANSWER) -> Text:
    """Return a text event."""
    return Text(at_ns, channel, said)


def usage(at_ns: int, output: int) -> Usage:
    """Return a usage event."""
    return Usage(at_ns, None, output, None, None, {})


# The clock table: timestamps


@pytest.mark.parametrize(("name", "seconds"), CLOCK.items())
def test_each_duration_spans_the_two_timestamps_of_its_definition(name: str, seconds: float) -> None:
    """Each column of the clock table spans the two timestamps that the table names."""
    assert getattr(Record(ASKED, FULL, Outcome.OK), name) == pytest.approx(seconds, abs=1e-12)


@pytest.mark.parametrize("mark", [field.name for field in fields(Timestamps)])
def test_a_missing_timestamp_leaves_its_durations_blank(mark: str) -> None:
    """They are None, never 0, and all others are unchanged."""
    record = Record(ASKED, replace(FULL, **{mark: None}), Outcome.OK)
    assert {name for name in CLOCK if getattr(record, name) is None} == RESTS_ON[mark]


@pytest.mark.parametrize("name", [*CLOCK, *RESTS_ON_TEXT, "client_error_s", "chars", "chunks", "tokens_source"])
def test_a_record_without_observations_is_blank(name: str) -> None:
    """A request that was never sent has blanks, not zeros."""
    assert getattr(Record(ASKED, Timestamps(), Outcome.SKIPPED), name) is None


def test_backoff_is_the_sum_of_the_waits_between_attempts() -> None:
    """Without a wait it is 0 seconds."""
    record = Record(ASKED, FULL, Outcome.OK)
    assert (record.backoff_s, replace(record, backoff_ns=1500 * MS).backoff_s) == (0.0, 1.5)


def test_client_error_of_zero_differs_from_unknown() -> None:
    """`client_error_s` is 0 if no delay was measured, and None if none was looked for."""
    record = Record(ASKED, FULL, Outcome.OK)
    assert (record.client_error_s, replace(record, late_ns=0).client_error_s) == (None, 0.0)


# The clock table: text


def test_ttft_counts_any_channel_and_ttfa_only_the_answer() -> None:
    """`ttft_s` is the first text on any channel, `ttfa_s` the first of the answer."""
    record = recorded(arrived(300, 310, 500, 520, channels="rtaa"))
    assert (record.ttft_s, record.ttfa_s) == (0.3, 0.5)


def test_a_tool_call_is_timed_to_its_end() -> None:
    """`tool_call_s` ends when the first call is complete; it is None if the reply was not streamed."""
    record = recorded(arrived(300, 650, channels="tt"))
    assert (record.ttft_s, record.ttfa_s, record.tool_call_s) == (0.3, None, 0.7)
    assert replace(record, noted=("not_streamed",)).tool_call_s is None
    assert replace(record, timestamps=replace(FULL, first_call=None)).tool_call_s is None


def test_ttfa_is_blank_without_an_answer() -> None:
    """Reasoning alone leaves `ttfa_s` blank."""
    assert recorded(arrived(300, 310, channels="rr")).ttfa_s is None


def test_tpot_excludes_the_first_token() -> None:
    """51 tokens over a second, one in each chunk and the first at its start, take 20 ms each, which is 50/s."""
    record = recorded(arrived(*range(200, 1201, 20), lengths=(1, 9) + (4,) * 49), output_tokens=51)
    assert record.tpot_s == pytest.approx(0.02)
    assert record.output_tps == pytest.approx(50)


def test_tpot_excludes_all_tokens_of_the_first_chunk() -> None:
    """32 tokens in four chunks, 40 ms apart, are 200 per second: the eight of the first are outside the span."""
    record = recorded(arrived(200, 240, 280, 320, lengths=(40, 40, 40, 40)), output_tokens=32)
    assert record.output_tps == pytest.approx(200)


def test_tpot_excludes_chunks_that_arrived_with_the_first() -> None:
    """Eight chunks of one token that arrive together count like one chunk of eight."""
    at_ms = [at + place * 0.01 for at in (200, 240) for place in range(8)]
    assert recorded(arrived(*at_ms[:2], *range(240, 281, 10)), output_tokens=7).output_tps == pytest.approx(5 / 0.08)
    assert recorded(arrived(*at_ms), output_tokens=16).output_tps is None


@pytest.mark.parametrize(("first_chars", "left"), [(1, 9), (100, 8), (1000, 2)])
def test_each_chunk_has_at_least_a_token(first_chars: int, left: int) -> None:
    """For any number of characters, the first of three chunks with ten tokens has at least one and at most eight."""
    lengths = (first_chars, *((200, 200) if left == 8 else (1, 1)))
    record = recorded(arrived(200, 300, 400, lengths=lengths if left != 9 else (1, 100, 100)), output_tokens=10)
    assert record.tpot_s == pytest.approx(0.2 / left)


def test_a_summary_of_reasoning_leaves_the_streamed_tokens_unknown() -> None:
    """20 characters cannot have 500 tokens of reasoning, so the number of streamed tokens is unknown."""
    said = arrived(200, 700, 1200, channels="raa", lengths=(20, 400, 400))
    assert recorded(said, output_tokens=700, reasoning_tokens=500).tpot_s is None
    assert recorded(said, output_tokens=200, reasoning_tokens=500).streamed_tokens is None
    assert recorded(said, output_tokens=220, reasoning_tokens=20).streamed_tokens == 220


WHOLE_REASONING = {
    "gpt-oss, English": ("The user asks about the weather in Paris. We have a function get_weather. " * 40, 640),
    "DeepSeek, Chinese": ("用户问的是二十七的因数，我先把它分解成三的立方，再逐个列出。" * 40, 800),
    "Qwen, mathematics": ("x^2 - 5x + 6 = 0, so (x-2)(x-3) = 0; x = 2 or x = 3. " * 40, 1200),
    "code": ("for i in range(10):\n    total += values[i] * weights[i]\n" * 40, 800),
    "digits": ("3.14159 26535 89793 23846 " * 40, 700),
    "a few words, with marks around them": ("Let me think.", 60),
}
SUMMARIES = {
    "OpenAI, a heading and a sentence": (
        "**Solving a percentage**\n\nI take 15% of 240 by 10% and half of it again, which is 24 and 12, so 36.",
        704,
    ),
    "Gemini, a thought summary": ("**Calculating**\n\nI break the problem down: 10% is 24, 5% is 12. " * 4, 405),
    "Claude, thinking that is summarised": (
        "27 is 3 x 9, and 9 is 3 x 3, so the factors are 1, 3, 9 and 27. " * 6,
        900,
    ),
    "a Chinese summary": ("先分解，再列出因数。" * 10, 400),
}
"""Reasoning text as vendors stream it -> its reasoning tokens."""


def reasoned(reasoning: str, tokens: int, **counts: object) -> Record:
    """Return the record of reasoning in four chunks and an answer of twenty tokens in two."""
    lengths = (*[len(reasoning) // 4] * 3, len(reasoning) - len(reasoning) // 4 * 3, 40, 40)
    said = arrived(200, 300, 400, 500, 600, 700, channels="rrrraa", lengths=lengths)
    counted = {"output_tokens": tokens + 20, "reasoning_tokens": tokens, **counts}
    return recorded(said, reasoning=reasoning, reply="a" * 80, outcome=Outcome.OK, **counted)


@pytest.mark.parametrize("name", WHOLE_REASONING)
def test_whole_reasoning_is_no_summary(name: str) -> None:
    """Reasoning that is streamed in full gives a rate with all its tokens."""
    record = reasoned(*WHOLE_REASONING[name])
    assert "summarised_reasoning" not in record.flags
    assert record.streamed_tokens == record.output_tokens
    assert record.output_tps is not None


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_of_reasoning_gives_no_rate_and_is_flagged(name: str) -> None:
    """The tokens of the reasoning are not divided by the time of its summary; the other durations are kept."""
    record = reasoned(*SUMMARIES[name])
    assert record.flags == ("summarised_reasoning",)
    assert (record.tpot_s, record.output_tps, record.streamed_tokens) == (None, None, None)
    assert (record.ttft_s, record.ttfa_s) == (0.2, 0.6)
    assert record.output_cps


def test_what_the_api_calls_a_summary_is_one_if_it_is_shorter_than_its_tokens() -> None:
    """LiteLLM sends whole reasoning in summary events; a real summary may have half the length of the thinking."""
    named = {"noted": ("reasoning_summary",)}
    text, tokens = WHOLE_REASONING["gpt-oss, English"]
    assert reasoned(text, tokens, **named).output_tps is not None
    half = reasoned(text, 2 * tokens, **named)
    assert half.flags == ("reasoning_summary", "summarised_reasoning")
    assert half.tpot_s is None
    assert not reasoned(text, 2 * tokens).summarised_reasoning


@pytest.mark.parametrize("tokens", [None, 0])
def test_a_summary_without_reasoning_tokens_gives_no_rate(tokens: int | None) -> None:
    """The number of streamed tokens is then unknown."""
    text, _ = WHOLE_REASONING["gpt-oss, English"]
    record = reasoned(text, 0, output_tokens=900, reasoning_tokens=tokens, noted=("reasoning_summary",))
    assert (record.summarised_reasoning, record.tpot_s) == (True, None)


def test_a_failed_reply_is_not_taken_for_a_summary() -> None:
    """It may contain less reasoning than the model wrote."""
    short, many = SUMMARIES["a Chinese summary"]
    assert replace(reasoned(short, many), outcome=Outcome.TRUNCATED).flags == ()


def test_reasoning_without_its_tokens_is_no_summary() -> None:
    """Without reasoning tokens there is no evidence of a summary."""
    text, tokens = SUMMARIES["Claude, thinking that is summarised"]
    for counted in (None, 0):
        assert not reasoned(text, tokens, output_tokens=150, reasoning_tokens=counted).summarised_reasoning


@pytest.mark.parametrize("tokens", [None, 0, 1])
def test_tpot_needs_two_tokens(tokens: int | None) -> None:
    """With fewer known tokens there is no time per token and no rate."""
    record = recorded(arrived(200, 700, 1200), output_tokens=tokens)
    assert (record.tpot_s, record.output_tps) == (None, None)


def test_output_cps_excludes_the_first_text() -> None:
    """The characters of the first event are outside the span."""
    assert recorded(arrived(200, 700, 1200, lengths=(100, 3, 7))).output_cps == pytest.approx(10)


@pytest.mark.parametrize(
    ("output", "reasoning", "channels", "expected"),
    [
        (None, None, "aaa", None),
        (None, 40, "aaa", None),
        (100, None, "aaa", 100),
        (100, 0, "aaa", 100),
        (100, 40, "aaa", 60),
        (100, 40, "raa", 100),
    ],
)
def test_streamed_tokens_exclude_hidden_reasoning(
    output: int | None, reasoning: int | None, channels: str, expected: int | None
) -> None:
    """Hidden reasoning is counted and paid, but is not part of the span that a rate is computed from."""
    record = recorded(arrived(1, 20, 40, channels=channels), output_tokens=output, reasoning_tokens=reasoning)
    assert record.streamed_tokens == expected


@pytest.mark.parametrize(
    ("at_ms", "flagged", "has_rate"),
    [
        ((200,), False, False),
        ((200, 200), False, False),
        ((200, 201), False, False),
        ((200, 205), False, False),
        ((200, 205.001), False, True),
        ((200, 200, 200), True, False),
        ((200, 202, 205), True, False),
        ((200, 202, 205.001), False, True),
    ],
)
def test_a_burst_gives_no_rate(at_ms: tuple[float, ...], flagged: bool, has_rate: bool) -> None:
    """Text that arrives at once was buffered on the way; with three or more pieces the row is flagged."""
    record = recorded(arrived(*at_ms), output_tokens=50)
    assert BURST_US == 5_000
    assert record.buffered is flagged
    assert ("buffered" in record.flags) is flagged
    assert [name for name in ("tpot_s", "output_tps", "output_cps") if getattr(record, name) is None] == (
        [] if has_rate else ["tpot_s", "output_tps", "output_cps"]
    )


def held_back(bursts: int, pieces: int, pause_ms: float, within_ms: float = 0.01) -> TextEvents:
    """Return text that came in bursts of this many pieces each."""
    starts = [200.0]
    for _ in range(bursts - 1):
        starts.append(starts[-1] + (pieces - 1) * within_ms + pause_ms)
    return arrived(*(start + place * within_ms for start in starts for place in range(pieces)))


BURSTS = {
    "nginx, 400 tokens in six buffers": held_back(6, 66, 300),
    "a short reply in two buffers": held_back(2, 12, 80),
    "a CDN that passes on 8 kB": held_back(20, 33, 660, 0.02),
    "a proxy that passes on once a second, a slow model": held_back(8, 5, 1000, 0.1),
    "haproxy's 200 ms, 25 tokens/s": held_back(30, 5, 200, 0.0),
    "a line of 10 Mbit/s": held_back(6, 66, 300, 0.19),
    "one burst that took 20 ms on the line": held_back(1, 500, 0, 0.04),
}
NO_BURSTS = {
    "one token in each chunk": arrived(*range(200, 4200, 10)),
    "many tokens in each chunk": arrived(*range(200, 2000, 60), lengths=(40,) * 30),
    "3000 tokens/s, one in each chunk": arrived(*(200 + place / 3 for place in range(1500))),
    "3000 tokens/s that stand still once": arrived(*(200 + place / 3 + 5000 * (place > 700) for place in range(1500))),
    "pairs, as some gateways write": held_back(60, 2, 20),
    "three at a time, by speculation": held_back(60, 3, 25),
    "read in batches of 2 ms": held_back(300, 4, 2, 0.0),
    "one stall, then what came meanwhile": arrived(
        *range(200, 1200, 10), *(1500 + place / 100 for place in range(30)), *range(1510, 2500, 10)
    ),
    "four words": arrived(200, 200.1, 200.2, 230),
}


@pytest.mark.parametrize("shape", BURSTS)
def test_text_in_bursts_is_flagged_and_gives_no_rate(shape: str) -> None:
    """The row has no rate and no inter-chunk latency, whatever caused the buffering."""
    record = recorded(BURSTS[shape], output_tokens=400)
    assert record.flags == ("buffered",)
    assert (record.tpot_s, record.output_tps, record.output_cps, record.inter_chunk_latency_s(0.5)) == (None,) * 4
    assert record.ttft_s == 0.2


@pytest.mark.parametrize("shape", NO_BURSTS)
def test_text_that_was_not_buffered_is_not_flagged(shape: str) -> None:
    """Models that write many tokens in a chunk, write fast, or pause, keep their rates."""
    record = recorded(NO_BURSTS[shape], output_tokens=2000)
    assert record.flags == ()
    assert record.output_tps is not None
    assert record.inter_chunk_latency_s(0.5) is not None


def test_bursts_that_this_process_may_have_caused_are_not_flagged() -> None:
    """A process that is late by 300 ms reads all data of that time together; its row has the flag of a late client."""
    said = BURSTS["nginx, 400 tokens in six buffers"]
    assert recorded(said, late_ns=350 * MS).flags == ("client_late",)
    assert recorded(said, late_ns=5 * MS).flags == ("buffered",)


def test_client_error_includes_how_early_sent_may_be() -> None:
    """If a request may have left up to 4 ms after `sent`, `client_error_s` includes them."""
    marks = replace(FULL, sent_by=204 * MS)
    assert replace(recorded(arrived(300)), timestamps=marks, late_ns=2 * MS).client_error_s == pytest.approx(0.006)
    assert replace(recorded(arrived(300)), timestamps=marks, late_ns=None).client_error_s is None


def test_a_non_streamed_reply_has_a_total_and_no_ttft() -> None:
    """Only connection set-up, headers and total have values."""
    record = recorded(arrived(1200), noted=("not_streamed",), output_tokens=50)
    assert [getattr(record, name) for name in ("ttfc_s", *RESTS_ON_TEXT)] == [None] * 7
    assert (record.total_s, record.headers_s, record.inter_chunk_latency_s(1.0)) == (1.2, 0.04, None)


# Inter-chunk latency


def test_inter_chunk_latency_quantiles_use_nearest_rank() -> None:
    """The median of 1, 2, 3 and 10 ms is 2; the 99th percentile and the maximum are 10."""
    record = recorded(arrived(100, 102, 112, 113, 116))
    assert record.inter_chunk_latencies_s == (0.001, 0.002, 0.003, 0.01)
    assert [record.inter_chunk_latency_s(quantile) for quantile in (0.0, 0.25, 0.5, 0.99, 1.0)] == [
        0.001,
        0.001,
        0.002,
        0.01,
        0.01,
    ]


@given(st.lists(st.integers(0, 10**7), min_size=3, max_size=300).map(sorted), st.sampled_from([50, 90, 95, 99, 100]))
def test_inter_chunk_latency_quantile_is_the_smallest_that_covers_its_share(at_us: list[int], percent: int) -> None:
    """The value is one of the latencies, the smallest that at least this share does not exceed."""
    record = recorded(TextEvents(tuple(at_us), "a" * len(at_us), (1,) * len(at_us)))
    gaps = sorted((b - a) / 1e6 for a, b in pairwise(at_us))
    value = record.inter_chunk_latency_s(percent / 100)
    if record.buffered:
        assert value is None
        return
    assert value in gaps
    assert 100 * sum(gap <= value for gap in gaps) >= percent * len(gaps)
    assert 100 * sum(gap < value for gap in gaps) < percent * len(gaps)


@pytest.mark.parametrize("at_ms", [(), (200,), (200, 201, 202)])
def test_inter_chunk_latency_needs_two_separate_events(at_ms: tuple[float, ...]) -> None:
    """A reply with one text, no text or one burst has no inter-chunk latency."""
    assert recorded(arrived(*at_ms)).inter_chunk_latency_s(0.5) is None


# Counts and flags


def test_chars_and_chunks_count_the_received_text() -> None:
    """They are computed from the stream, independently of the provider's counts."""
    record = recorded(arrived(1, 20, 40, lengths=(3, 4, 5)), reply="abcdefghijkl")
    assert (record.chars, record.chunks, record.tokens_source) == (12, 3, None)


def test_an_empty_reply_has_zero_chars_and_a_missing_one_is_blank() -> None:
    """A reply without text differs from no reply."""
    assert (recorded(TextEvents(), reply="").chars, recorded(TextEvents(), reply=None).chars) == (0, None)


WORDS = "The answer is four. " * 20

HARDEST = {
    "words": WORDS,
    "random letters": "QmFzZTY0IGlzIG5vdCBmdW4" * 40,
    "digits": "3.14159265358979" * 30,
    "chinese": "今天天气很好，我们去公园。" * 30,
    "emoji": "🌈🎉🦄" * 40,
    "code": "    if x == y:\n        return [a, b]\n" * 20,
}
"""Texts of which tokenizers make much."""


def replied(reply: str | None, **counts: int) -> Record:
    """Return the record of a reply in ten chunks."""
    size = len(reply or "")
    lengths = [size // 10] * 9 + [size - size // 10 * 9] if size else []
    return recorded(arrived(*range(len(lengths)), lengths=lengths), reply=reply, outcome=Outcome.OK, **counts)


@pytest.mark.parametrize("name", HARDEST)
def test_possible_token_counts_are_not_doubted(name: str) -> None:
    """One token per byte, 0.6 per ASCII character, and one for ten characters are all possible."""
    text = HARDEST[name]
    most = len(text.encode()) if not text.isascii() else int(len(text) * 0.6)
    for tokens in (len(text) // 10 + 1, len(text) // 4, most):
        record = replied(text, output_tokens=tokens)
        assert (record.unseen_tokens, record.tokens_in_doubt) == (False, False)
        assert record.streamed_tokens == tokens


def test_tokens_beyond_what_the_text_can_hold_give_no_rate() -> None:
    """Reasoning that was neither streamed nor counted is flagged; counted reasoning is left out of the rate."""
    silent = replied(WORDS, output_tokens=1000)
    assert (silent.flags, silent.output_tps, silent.streamed_tokens) == (("unseen_tokens",), None, None)
    counted = replied(WORDS, output_tokens=1000, reasoning_tokens=900)
    assert (counted.unseen_tokens, counted.streamed_tokens) == (False, 100)
    streamed = replace(silent, reasoning=WORDS * 6)
    assert not streamed.unseen_tokens


def test_tokens_without_any_text_are_unseen() -> None:
    """A single token may be the end-of-text token; a failed request is not flagged."""
    assert [replied("", output_tokens=tokens).unseen_tokens for tokens in (0, 1, 2, 400)] == [False, False, True, True]
    assert not replace(replied("", output_tokens=400), outcome=Outcome.FILTERED).unseen_tokens
    assert not replied("", output_tokens=400, reasoning_tokens=400).unseen_tokens


@pytest.mark.parametrize(
    ("reply", "counts"),
    [(WORDS, {"output_tokens": 1}), (WORDS, {"output_tokens": 5, "reasoning_tokens": 50})],
    ids=["too-few", "more-thinking-than-output"],
)
def test_counts_that_contradict_the_text_give_no_rate(reply: str, counts: dict[str, int]) -> None:
    """With the tokens of the last chunk as those of the reply, its rate would be hundreds of times too low."""
    record = replied(reply, **counts)
    assert (record.flags, record.output_tps) == (("tokens_in_doubt",), None)


def test_rows_of_dashes_and_blanks_may_be_few_tokens() -> None:
    """One token may contain many of these characters."""
    assert not replied("-" * 300 + " " * 300 + "=" * 300, output_tokens=4).tokens_in_doubt


def test_records_without_stored_texts_have_no_flags_of_texts() -> None:
    """They have only lengths."""
    record = replace(replied(WORDS, output_tokens=5000), reply=None)
    assert (record.unseen_tokens, record.tokens_in_doubt) == (False, False)


@pytest.mark.parametrize("counted", ["input_tokens", "output_tokens"])
def test_tokens_source_is_usage_if_either_side_is_counted(counted: str) -> None:
    """A count on either side comes from the provider's usage."""
    assert recorded(TextEvents(), **{counted: 5}).tokens_source == "usage"


def test_flags_are_sorted_and_unique() -> None:
    """Flags of the wire and derived flags are in one list."""
    record = recorded(arrived(1, 2, 3), noted=("retired_model", "buffered"), cached_tokens=5, warmup=True)
    assert record.flags == ("buffered", "cached", "retired_model", "warmup")
    assert recorded(TextEvents(), cached_tokens=0).flags == ()


@pytest.mark.parametrize(
    ("ttft_ms", "bound_ms"), [(None, 10.0), (1000, 10.0), (200, 10.0), (100, 5.0), (60, 3.0), (10, 3.0), (0, 3.0)]
)
def test_client_late_by_ten_milliseconds_or_a_share_of_ttft(ttft_ms: float | None, bound_ms: float) -> None:
    """The bound is 10 ms, 5 % of a short TTFT, and never less than the clock's resolution."""
    said = TextEvents() if ttft_ms is None else arrived(ttft_ms)
    late = [recorded(said, late_ns=round(bound_ms * MS) + extra).is_client_late() for extra in (-1000, 1000)]
    assert late == [False, True]
    assert recorded(said, late_ns=None).is_client_late() is False
    if ttft_ms in (0, 10):  # rows of earlier versions do not count a period of the ticks
        marks = replace(FULL, sent_by=None)
        older = [recorded(said, late_ns=2 * MS + extra, timestamps=marks).is_client_late() for extra in (-1000, 1000)]
        assert older == [False, True]
    assert "client_late" in recorded(said, late_ns=11 * MS).flags


@pytest.mark.parametrize("outcome", Outcome)
def test_only_ok_and_length_enter_timing_statistics(outcome: Outcome) -> None:
    """`ok` and `length` do, except warm-ups; no other outcome does."""
    record = Record(ASKED, FULL, outcome)
    assert record.timed is (outcome in {Outcome.OK, Outcome.LENGTH})
    assert replace(record, warmup=True).timed is False


# The fold


def test_a_reply_ends_with_its_last_event_with_data() -> None:
    """[DONE], the end of the body and flags come after it and do not move it."""
    fold = fold_events(
        ResponseStarted(1, 200, "id"),
        EmptyChunk(10),
        text(20),
        Finished(30, "stop"),
        usage(40, 5),
        Flagged(45, "compressed"),
        StreamDone(50),
        Ended(60),
    )
    assert (fold.first_event, fold.last_event) == (10, 40)


def test_held_back_text_does_not_move_the_end_back() -> None:
    """It keeps the timestamp at which it arrived, which may be before that of another event."""
    fold = fold_events(EmptyChunk(10), usage(30, 5), text(20, "<"))
    assert (fold.first_event, fold.last_event) == (10, 30)


@pytest.mark.parametrize("event", [ResponseStarted(5, 200, None), StreamDone(5), Flagged(5, "compressed"), Ended(5)])
def test_an_event_without_data_is_no_first_event(event: Event) -> None:
    """Headers, [DONE] and flags neither start nor end a reply."""
    fold = fold_events(event)
    assert (fold.first_event, fold.last_event, fold.has_text) == (None, None, False)


def test_each_channel_has_its_own_text() -> None:
    """The texts of a channel are joined; a channel without text is None."""
    fold = fold_events(
        text(1, "thin", Channel.REASONING), text(2, "an"), text(3, "k", Channel.REASONING), text(4, "swer")
    )
    assert [fold.text(channel) for channel in Channel] == ["think", "answer", None]
    events = fold.text_events(0)
    assert (len(fold.timestamps_ns), events.channels, events.lengths) == (4, "rara", (4, 2, 1, 4))


def test_the_last_usage_wins_and_is_never_summed() -> None:
    """Cumulative counts in every chunk end with the total."""
    assert fold_events(usage(1, 5), usage(2, 9)).usage == usage(2, 9)


def test_the_first_failure_is_kept() -> None:
    """Later failures are consequences of the first."""
    first, second = Failed(1, Outcome.PROVIDER_ERROR, "first"), Failed(2, Outcome.CONNECTION, "second")
    assert fold_events(first, second).failed is first


CALL_PIECES = st.lists(st.tuples(st.sampled_from("xyz"), st.text("ab{}", min_size=1, max_size=5)), max_size=12)


@given(CALL_PIECES)
def test_alternating_pieces_of_tool_calls_are_read_call_by_call(pieces: list[tuple[str, str]]) -> None:
    """Calls are in the order in which they began; text events stay as they arrived."""
    events: list[Event] = []
    for at_ns, (call, said) in enumerate(pieces):
        events.append(CallPiece(at_ns, call, arguments=said))
    fold = fold_events(*events, Finished(20, "tool_calls"), StreamDone(21))
    begun = dict.fromkeys(call for call, _ in pieces)
    expected = "".join(said for call in begun for each, said in pieces if each == call)
    assert (fold.text(Channel.TOOL) or "", fold.notes) == (expected, ())
    assert fold.text_events(0).lengths == tuple(len(said) for _, said in pieces)


def test_a_repetition_in_the_answer_moves_no_tool_call() -> None:
    """Positions of calls count in the text of calls only, so that dropped pieces of the answer do not shift them."""
    pieces: list[Event] = [text(1, "Hello"), text(2, "Hello")]
    for at_ns, call in enumerate("xyxy", start=3):
        pieces.append(CallPiece(at_ns, call, arguments=call + str(at_ns)))
    fold = fold_events(*pieces, Finished(20, "tool_calls"))
    assert (fold.text(Channel.ANSWER), fold.text(Channel.TOOL)) == ("Hello", "x3x5y4y6")


def test_two_calls_of_which_one_begins_like_the_other_are_not_cumulative() -> None:
    """Pieces of two calls are never one text so far."""
    calls = (CallPiece(1, "x", "read"), CallPiece(2, "y", "read_file"))
    fold = fold_events(*calls, Finished(3, "tool_calls"), StreamDone(4))
    assert (fold.text(Channel.TOOL), fold.notes) == ("readread_file", ())


def test_a_later_response_start_only_adds_the_request_id() -> None:
    """If the headers have no id, that of the first body does not count as another response."""
    assert fold_events(
        ResponseStarted(1, 200, None), ResponseStarted(9, 500, "id-1")
    ).response_started == ResponseStarted(1, 200, "id-1")


def test_response_model_is_the_first_one_named() -> None:
    """A chunk without a model changes nothing, and a later name does not replace the first."""
    assert (
        fold_events(EmptyChunk(1), EmptyChunk(2, "m-1"), Text(3, Channel.ANSWER, "a", None, "m-2")).response_model
        == "m-1"
    )


def test_origin_timestamps_are_kept_only_if_complete() -> None:
    """A column with gaps could not be compared with the timestamps."""
    timestamped = Text(5000, Channel.ANSWER, "a", origin_ns=4000)
    assert fold_events(timestamped, timestamped).text_events(1000).origin_us == (3, 3)
    assert fold_events(timestamped, text(6000)).text_events(1000).origin_us == ()


@pytest.mark.parametrize("said", [lambda n: "x" * 20 if n == 0 else f"{n:021}", lambda n: f"{n:020}", lambda _: "ab"])
def test_a_finish_reason_with_every_piece_does_not_search_all_text_each_time(
    said: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repetitions are searched for a few times, not as often as there are pieces."""
    searches, pieces = list[int](), Fold._pieces

    def count(fold: Fold) -> list[Text]:
        found = pieces(fold)
        searches.append(len(found))
        return found

    monkeypatch.setattr(Fold, "_pieces", count)
    fold = fold_events(
        *(event for n in range(300) for event in (text(n, said(n)), Finished(n, "stop"))), StreamDone(300)
    )
    assert fold.text(Channel.ANSWER) == "".join(map(said, range(300)))
    assert len(searches) <= 3


def test_a_second_finish_reason_changes_no_text() -> None:
    """Without new text since the last one, the pieces stay as they are."""
    so_far = ["The", "The quick", "The quick brown fox"]
    once = fold_events(*(text(n, said) for n, said in enumerate(so_far)), Finished(5, "stop"))
    twice = fold_events(*(text(n, said) for n, said in enumerate(so_far)), *[Finished(5, "stop")] * 50, StreamDone(6))
    assert once.text(Channel.ANSWER) == twice.text(Channel.ANSWER) == "The quick brown fox"
    assert once.text_events(0) == twice.text_events(0)


OUTCOMES: list[tuple[tuple[Event, ...], Outcome]] = [
    ((), Outcome.TRUNCATED),
    ((StreamDone(1),), Outcome.TRUNCATED),
    ((Ended(1),), Outcome.TRUNCATED),
    ((EmptyChunk(1), Ended(2)), Outcome.TRUNCATED),
    ((text(1), Ended(2)), Outcome.TRUNCATED),
    ((text(1), StreamDone(2)), Outcome.OK),
    ((EmptyChunk(1), StreamDone(2)), Outcome.OK),
    ((text(1), Finished(2, "stop")), Outcome.OK),
    ((text(1), Finished(2, "tool_calls"), StreamDone(3)), Outcome.OK),
    ((Finished(1, "a reason nobody knows"),), Outcome.OK),
    ((text(1), Failed(2, Outcome.TIMEOUT, "idle")), Outcome.TIMEOUT),
    *(
        ((text(1), Finished(2, reason), StreamDone(3)), outcome)
        for kind, outcome in (
            (FinishClass.LENGTH, Outcome.LENGTH),
            (FinishClass.FILTER, Outcome.FILTERED),
            (FinishClass.ERROR, Outcome.PROVIDER_ERROR),
        )
        for reason in sorted(REASONS[kind].split())
    ),
    ((text(1), Finished(2, "stop"), Failed(3, Outcome.CONNECTION, "reset")), Outcome.CONNECTION),
]


@pytest.mark.parametrize(("events", "outcome"), OUTCOMES)
def test_a_stream_is_ok_only_with_a_finish_reason_or_done_after_data(
    events: tuple[Event, ...], outcome: Outcome
) -> None:
    """A failure gives its own outcome; success needs a finish_reason, or [DONE] after some data."""
    assert fold_events(*events).outcome() is outcome


# The fold and the clock together

AT = st.integers(0, 10**12)
CARRYING_DATA: st.SearchStrategy[EmptyChunk | Text | Usage | Finished] = st.one_of(
    st.builds(EmptyChunk, AT),
    st.builds(text, AT, st.text(min_size=1, max_size=9), st.sampled_from(Channel)),
    st.builds(usage, AT, st.integers(0, 500)),
    st.builds(Finished, AT, st.sampled_from(["stop", "length"])),
)


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    """Draw events with data in the order of their timestamps, ending as a stream does."""
    events = sorted(draw(st.lists(CARRYING_DATA, min_size=1, max_size=30)), key=lambda event: event.at_ns)
    later_ns = events[-1].at_ns + draw(AT)
    return [*events, StreamDone(later_ns), Ended(later_ns)]


DROPPED = frozenset({"repeated_reply", "cumulative_chunks", "doubled_chunks"})
"""The flags of a reply that has less text than was sent, since some of it was taken for a repetition."""


@example([text(0, "haha"), text(1, "haha"), Finished(2, "stop"), StreamDone(3), Ended(3)], 0)
@example([text(0, "test"), text(1, "testing"), Finished(2, "stop"), StreamDone(3), Ended(3)], 0)
@given(streams(), st.integers(0, 10**9))
def test_durations_of_a_stream_are_ordered(events: list[Event], wait_ns: int) -> None:
    """First event <= first text <= first answer <= total, exactly.

    Inter-chunk latencies sum to the text's span. Repeated text of a model is never left out without a flag.
    """
    sent_ns = events[0].at_ns - wait_ns
    fold = fold_events(*events)
    marks = Timestamps(sent=sent_ns, first_event=fold.first_event, last_event=fold.last_event)
    record = Record(ASKED, marks, fold.outcome(), fold.text_events(sent_ns))
    stages = [record.ttfc_s, record.ttft_s, record.ttfa_s, record.total_s]
    reached = [stage for stage in stages if stage is not None]
    assert reached == sorted(reached)
    assert reached[0] >= 0
    assert (record.ttft_s is None) is not fold.has_text
    sent = sum(len(event.text) for event in events if isinstance(event, Text)) or None
    if DROPPED.isdisjoint(fold.notes):
        assert record.chars == sent
    else:
        assert sent is not None
        assert 0 < (record.chars or 0) < sent
    if record.inter_chunk_latencies_s:
        span_us = record.text_events.at_us[-1] - record.text_events.at_us[0]
        assert sum(record.inter_chunk_latencies_s) == pytest.approx(span_us / 1e6)
        assert min(record.inter_chunk_latencies_s) >= 0
