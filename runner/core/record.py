"""The record of one request. Every duration is derived here and nowhere else.

A record stores only observations: timestamps, texts, counts as sent. Durations, rates and the flags that follow from
them are properties, so that an improved definition also applies to old journals. docs/metrics.md has the definitions
and their sources. Performs no I/O and reads no clock.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from runner.core.buffered_bursts import count_in_first_burst, in_one_burst, is_held_back
from runner.core.events import TIMED, UNTRIED, Channel, Outcome
from runner.core.model_family import is_other_model
from runner.core.record_fields import Identity, JudgeAnswer, TextEvents, Timestamps
from runner.core.reply_flags import flags_of_texts
from runner.core.suite import DEFAULT_API
from runner.core.token_estimate import LETTERS_PER_TOKEN, UNSTREAMED_TOKENS, fewest_tokens, is_summary, most_tokens
from runner.core.tool_call import ToolCall
from runner.core.usage_fields import charged_cost

LATE_S, LATE_SHARE, LATE_FLOOR_S, OLD_LATE_FLOOR_S = 0.010, 0.05, 0.003, 0.002
"""Bounds on the delay of a row's timestamps, above which it is flagged: in seconds, and as a share of its TTFT. A delay
below the floor cannot be distinguished from the clock's ticks. Rows without `sent_by` do not include a tick's period,
so they have a floor of their own."""


@dataclass(frozen=True)
class Record:
    """All observations of one request."""

    identity: Identity
    timestamps: Timestamps
    outcome: Outcome
    text_events: TextEvents = field(default_factory=TextEvents)
    reply: str | None = None
    reasoning: str | None = None
    tool_calls: str | None = None
    response_model: str | None = None
    finish_reason: str | None = None
    error_type: str | None = None
    error: str | None = None
    error_code: str | None = None
    http_status: int | None = None
    request_id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    usage: dict[str, object] | None = None
    reused: bool | None = None
    attempts: int = 1
    backoff_ns: int = 0
    in_flight: int | None = None
    received_us: int | None = None
    """Time at which the whole request had arrived, in microseconds since `sent`, by the server's clock; None if the
    server does not report it."""
    late_ns: int | None = None
    clock: str | None = None
    noted: tuple[str, ...] = ()
    started_at: str | None = None
    node: str | None = None
    region: str | None = None
    warmup: bool = False
    rate_limits: dict[str, str] | None = None
    """Rate-limit headers of the response, as they were sent."""
    custom_checks: dict[str, str | None] | None = None
    """Verdicts of the suite's own functions and of plug-ins: name -> reason of the failure, None if it passed."""
    api: str = DEFAULT_API
    """Dialect of the request and the response."""
    served_by: str | None = None
    """Vendor behind a router, as the response names it."""
    system_fingerprint: str | None = None
    service_tier: str | None = None
    signed_thinking: list[dict[str, str]] | None = None
    """Blocks of thinking with the provider's signature, which the next turn sends back."""
    calls: tuple[ToolCall, ...] = ()
    """Tool calls of the reply, in the order in which they started."""
    judgements: Mapping[str, JudgeAnswer] | None = None
    """Rubric -> the judge's answer about it; in a journal the judge's requests have lines of their own."""
    earlier_calls: tuple[ToolCall, ...] = ()
    """Tool calls of the earlier replies of the conversation."""

    def _span_s(self, start: int | None, end: int | None) -> float | None:
        return None if start is None or end is None else (end - start) / 1e9

    def _since_sent_s(self, at_ns: int | None) -> float | None:
        """Return the seconds since `sent`, in whole microseconds.

        Text events have whole microseconds too, so no time precedes the first event because of rounding.
        """
        sent = self.timestamps.sent
        return None if sent is None or at_ns is None else (at_ns - sent) // 1000 / 1e6

    @property
    def planned_s(self) -> float | None:
        """Seconds from the start of the run to the scheduled time."""
        return None if self.timestamps.planned is None else self.timestamps.planned / 1e9

    @property
    def queue_s(self) -> float | None:
        """Seconds from the moment the lane was ready for the request until a slot was free."""
        return self._span_s(self.timestamps.ready, self.timestamps.slot)

    @property
    def backoff_s(self) -> float:
        """Sum of the waits between attempts, in seconds."""
        return self.backoff_ns / 1e9

    @property
    def dns_s(self) -> float | None:
        """Seconds of the DNS lookup for the connection that this request opened."""
        return self._span_s(self.timestamps.dns_start, self.timestamps.dns_end)

    @property
    def tcp_s(self) -> float | None:
        """Seconds of the TCP connect for the connection that this request opened."""
        return self._span_s(self.timestamps.tcp_start, self.timestamps.tcp_end)

    @property
    def tls_s(self) -> float | None:
        """Seconds of the TLS handshake for the connection that this request opened; None on plain HTTP."""
        return self._span_s(self.timestamps.tcp_end, self.timestamps.tls_end)

    @property
    def upload_s(self) -> float | None:
        """Seconds from writing the first byte of the request to `sent`."""
        return self._span_s(self.timestamps.write_start, self.timestamps.sent)

    @property
    def headers_s(self) -> float | None:
        """Seconds from `sent` to the response headers."""
        return self._since_sent_s(self.timestamps.headers)

    @property
    def ttfc_s(self) -> float | None:
        """Seconds from `sent` to the first SSE event of any kind."""
        return None if "not_streamed" in self.noted else self._since_sent_s(self.timestamps.first_event)

    @property
    def ttft_s(self) -> float | None:
        """Time to first token (TTFT): seconds from `sent` to the first non-empty text of any channel."""
        return self.text_events.at_us[0] / 1e6 if self._streamed else None

    @property
    def ttfa_s(self) -> float | None:
        """Time to first answer: seconds from `sent` to the first non-empty answer text."""
        first = self.text_events.channels.find(Channel.ANSWER)
        return self.text_events.at_us[first] / 1e6 if self._streamed and first >= 0 else None

    @property
    def tool_call_s(self) -> float | None:
        """Seconds from `sent` until the first tool call was complete."""
        return self._since_sent_s(self.timestamps.first_call) if self._streamed else None

    @property
    def total_s(self) -> float | None:
        """Seconds from `sent` to the last event with data."""
        return self._since_sent_s(self.timestamps.last_event)

    @property
    def ttft_from_planned_s(self) -> float | None:
        """Seconds from the scheduled time to the first text: the wait of a caller independent of other replies."""
        late_s = self._span_s(self.timestamps.planned, self.timestamps.sent)
        return None if late_s is None or self.ttft_s is None else late_s + self.ttft_s

    @property
    def total_from_planned_s(self) -> float | None:
        """Seconds from the scheduled time to the last event with data."""
        return self._span_s(self.timestamps.planned, self.timestamps.last_event)

    @property
    def _streamed(self) -> bool:
        return bool(self.text_events.at_us) and "not_streamed" not in self.noted

    @property
    def _text_span_s(self) -> float | None:
        """Seconds from the first to the last text; None if the text was not streamed or came in bursts."""
        at_us = self.text_events.at_us
        if not self._streamed or self.buffered or in_one_burst(at_us):
            return None
        return (at_us[-1] - at_us[0]) / 1e6

    @cached_property
    def buffered(self) -> bool:
        """Whether pieces of text came in bursts, so that an intermediary must have buffered them."""
        return self._streamed and is_held_back(self.text_events.at_us, (self.client_error_s or 0.0) * 1e6)

    @property
    def streamed_tokens(self) -> int | None:
        """Number of output tokens that were streamed: without reasoning tokens that were not.

        None if unknown, for example if the streamed reasoning is a summary.
        """
        is_unknown = self.summarised_reasoning or self.unseen_tokens or self.tokens_in_doubt
        return None if is_unknown else self._reported_tokens

    @cached_property
    def summarised_reasoning(self) -> bool:
        """Whether the streamed reasoning is a summary: far shorter than its token count."""
        chars, is_named = self._reasoning_chars, "reasoning_summary" in self.noted
        return self.outcome in TIMED and is_summary(self.reasoning, chars, self.reasoning_tokens, is_named=is_named)

    @cached_property
    def unseen_tokens(self) -> bool:
        """Whether more output tokens were counted than the text can have.

        Then the model wrote reasoning that was neither streamed nor counted as reasoning.
        """
        tokens, chars = self._reported_tokens, self.chars or 0
        if tokens is None or self.summarised_reasoning or self.outcome not in TIMED:
            return False
        if not chars:
            return tokens > 1  # a single one may be the end-of-text token
        # The comparison of numbers comes first, since few replies need their texts searched.
        most = self._bound(most_tokens) if tokens > chars / 4 + UNSTREAMED_TOKENS else 0
        return 0 < most < tokens - UNSTREAMED_TOKENS

    @cached_property
    def tokens_in_doubt(self) -> bool:
        """Whether the counts contradict the text or each other: too few tokens, or a part larger than the whole."""
        if "tokens_in_doubt" in self.noted:
            return True
        if self.output_tokens is None or self.outcome not in TIMED:
            return False
        of_input = self.input_tokens is not None and (self.cached_tokens or 0) > self.input_tokens
        if of_input or (self.reasoning_tokens or 0) > self.output_tokens:
            return True
        least = self.output_tokens * LETTERS_PER_TOKEN + UNSTREAMED_TOKENS
        return (self.chars or 0) > least and self._bound(fewest_tokens) * LETTERS_PER_TOKEN > least

    def _bound(self, bound: Callable[[str], float]) -> float:
        """Return the sum of a bound on tokens over the texts that were streamed."""
        return sum(bound(text) for text in (self.reasoning, self.reply, self.tool_calls) if text)

    @property
    def _reported_tokens(self) -> int | None:
        """Number of tokens of the streamed text according to the provider's counts; None if they do not give it."""
        if self.output_tokens is None or not self.reasoning_tokens or self._reasoning_chars:
            return self.output_tokens
        hidden = self.reasoning_tokens
        return self.output_tokens - hidden if hidden <= self.output_tokens else None

    @property
    def _reasoning_chars(self) -> int:
        """Number of characters of the streamed reasoning."""
        columns = zip(self.text_events.channels, self.text_events.lengths, strict=True)
        return sum(length for channel, length in columns if channel == Channel.REASONING)

    @property
    def _chars_after_first(self) -> int:
        """Number of characters that came after the first chunk and the chunks that arrived with it."""
        return sum(self.text_events.lengths[count_in_first_burst(self.text_events.at_us) :])

    @property
    def _tokens_after_first(self) -> float | None:
        """Number of streamed tokens without those of the first chunk and the chunks that arrived with it.

        The first chunks get a share of the tokens in proportion to their characters, but at least one token each. Each
        later chunk keeps at least one token. None if the tokens are unknown.
        """
        tokens, chars = self.streamed_tokens, self.chars
        if tokens is None or tokens < 2 or not chars:
            return None
        first, chunks = count_in_first_burst(self.text_events.at_us), len(self.text_events.at_us)
        share = tokens * (1 - self._chars_after_first / chars)
        left = tokens - max(min(share, tokens - (chunks - first)), first)
        return left if left > 0 else None

    @cached_property
    def tpot_s(self) -> float | None:
        """Time per output token (TPOT) in seconds: (last text - first text) / (streamed tokens - first chunk's tokens).

        With one token in each chunk this is vLLM's TPOT, which always subtracts 1.
        """
        span, tokens = self._text_span_s, self._tokens_after_first
        return None if span is None or tokens is None else span / tokens

    @property
    def output_tps(self) -> float | None:
        """Output tokens per second while text arrived: 1 / tpot_s."""
        tpot_s = self.tpot_s
        return 1 / tpot_s if tpot_s else None

    @property
    def output_cps(self) -> float | None:
        """Characters per second after the first text; comparable across tokenizers."""
        span = self._text_span_s
        return self._chars_after_first / span if span else None

    @cached_property
    def inter_chunk_latencies_s(self) -> tuple[float, ...]:
        """Inter-chunk latencies (ICL) in seconds between successive text events, sorted in ascending order."""
        if not self._streamed or self.buffered:
            return ()
        return tuple(sorted((b - a) / 1e6 for a, b in pairwise(self.text_events.at_us)))

    def inter_chunk_latency_s(self, quantile: float) -> float | None:
        """Return the nearest-rank quantile, from 0 to 1, of the inter-chunk latencies in seconds."""
        if not self.inter_chunk_latencies_s:
            return None
        rank = -int(-quantile * len(self.inter_chunk_latencies_s) // 1)
        return self.inter_chunk_latencies_s[max(rank, 1) - 1]

    @property
    def client_error_s(self) -> float | None:
        """Upper bound in seconds on the error of a time since `sent`: its end may be late and its start early."""
        if self.late_ns is None:
            return None
        return self.late_ns / 1e9 + (self._span_s(self.timestamps.sent, self.timestamps.sent_by) or 0.0)

    @property
    def tokens_source(self) -> str | None:
        """The source of the token counts; None if there are none."""
        return None if self.output_tokens is None and self.input_tokens is None else "usage"

    @property
    def chars(self) -> int | None:
        """Number of characters received on all channels; None if no reply started."""
        return None if self.reply is None and not self.text_events.lengths else sum(self.text_events.lengths)

    @property
    def chunks(self) -> int | None:
        """Number of events with text; None if there are none."""
        return len(self.text_events.lengths) or None

    def is_client_late(self, bound_s: float = LATE_S) -> bool:
        """Return whether the row's timestamps may be late by more than `bound_s`, or by more than 5 % of its TTFT."""
        if self.client_error_s is None:
            return False
        share_s = bound_s if self.ttft_s is None else LATE_SHARE * self.ttft_s
        floor_s = OLD_LATE_FLOOR_S if self.timestamps.sent_by is None else LATE_FLOOR_S
        return self.client_error_s > min(bound_s, max(share_s, floor_s))

    @property
    def flags(self) -> tuple[str, ...]:
        """The sorted flags of the row, which qualify its values."""
        return self.flags_within(LATE_S)

    def flags_within(self, late_bound_s: float) -> tuple[str, ...]:
        """Return the sorted flags of the row; its timestamps are flagged if they may be later than `late_bound_s`."""
        derived = {
            "client_late": self.is_client_late(late_bound_s),
            "buffered": self.buffered,
            "cached": bool(self.cached_tokens),
            "warmup": self.warmup,
            "other_model": self.other_model,
            "summarised_reasoning": self.summarised_reasoning,
            "unseen_tokens": self.unseen_tokens,
            "tokens_in_doubt": self.tokens_in_doubt,
            "provider_cost": bool(charged_cost(self.usage)) and not self.identity.simulated,
        }
        doubts = flags_of_texts(self.outcome, self.finish_reason, self.text_events.channels, self.reply, self.reasoning)
        return tuple(sorted({*self.noted, *doubts, *(word for word, true in derived.items() if true)}))

    @property
    def other_model(self) -> bool:
        """Whether the reply names a model outside the family of the requested one."""
        identity = self.identity
        return not identity.simulated and is_other_model(identity.provider, identity.model, self.response_model)

    @property
    def failed(self) -> bool:
        """Whether this row counts against its target: the request was tried and has no reply that can be timed."""
        return self.outcome not in TIMED | UNTRIED and not self.warmup

    @property
    def timed(self) -> bool:
        """Whether this row may enter timing statistics."""
        return self.outcome in TIMED and not self.warmup


def skipped(identity: Identity, failed_turn: int) -> Record:
    """Return the record of a turn that is not sent because an earlier turn of the user, `failed_turn`, failed."""
    reason = f"turn {failed_turn} of this conversation failed"
    return Record(identity, Timestamps(), Outcome.SKIPPED, error=reason, attempts=0)
