"""What was observed of one request. Every duration is derived here and nowhere else.

A record stores observations only: stamps, texts, counts as sent. Durations, rates and the flags that
follow from them are properties, so that a better definition can re-read an old journal.
Definitions and their sources are in docs/metrics.md. Performs no I/O and reads no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from runner.core.events import TIMED, Channel, Outcome

BURST_S = 0.005
"""Text that arrives whole within this span was buffered somewhere: no rate can be read off it."""

LATE_S, LATE_SHARE, LATE_FLOOR_S = 0.010, 0.05, 0.002
"""A row whose stamps may be later than this, or than this share of its TTFT, is flagged; what is shorter than the
floor cannot be told apart from ticks."""


@dataclass(frozen=True, slots=True)
class Timestamps:
    """When a request reached each stage, in nanoseconds since the run's start.

    None is a stage that never happened: a reused connection has no `tcp_start`.
    """

    planned: int | None = None
    ready: int | None = None
    slot: int | None = None
    dns_start: int | None = None
    dns_end: int | None = None
    tcp_start: int | None = None
    tcp_end: int | None = None
    tls_end: int | None = None
    sent: int | None = None
    headers: int | None = None
    first_event: int | None = None
    last_event: int | None = None


@dataclass(frozen=True, slots=True)
class TextEvents:
    """The text events of a reply as parallel columns: microseconds since `sent`, channel, characters.

    `origin_us` is the sender's own clock for each event, on the same scale; empty unless it sent one.
    """

    at_us: Sequence[int] = ()
    channels: str = ""
    lengths: Sequence[int] = ()
    origin_us: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """Which request of the run this is. `key` digests its content, for resuming and for pairing."""

    key: str
    case: str
    turn: int
    repeat: int
    block: int
    provider: str
    model: str
    prompt: str
    simulated: bool = False

    @property
    def target(self) -> str:
        """The target as it is written everywhere: provider/model."""
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True)
class Record:
    """All that was observed of one request."""

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
    """When the request had arrived, by the sender's own clock, since `sent`; None unless it said so."""
    late_ns: int | None = None
    clock: str | None = None
    noted: tuple[str, ...] = ()
    started_at: str | None = None
    node: str | None = None
    region: str | None = None
    warmup: bool = False
    custom_checks: dict[str, str | None] | None = None
    """What functions of the suite's own and of plug-ins said: name -> why it fails, None where it passed."""

    def _span_s(self, start: int | None, end: int | None) -> float | None:
        return None if start is None or end is None else (end - start) / 1e9

    def _since_sent_s(self, mark: int | None) -> float | None:
        """Return whole microseconds, as text is stamped: else a first event would come after its own text."""
        sent = self.timestamps.sent
        return None if sent is None or mark is None else (mark - sent) // 1000 / 1e6

    @property
    def planned_s(self) -> float | None:
        """Start of the run -> when the schedule wanted it sent."""
        return None if self.timestamps.planned is None else self.timestamps.planned / 1e9

    @property
    def queue_s(self) -> float | None:
        """The lane could have taken it -> a slot was free."""
        return self._span_s(self.timestamps.ready, self.timestamps.slot)

    @property
    def backoff_s(self) -> float:
        """Waited between attempts, all of them."""
        return self.backoff_ns / 1e9

    @property
    def dns_s(self) -> float | None:
        """Name look-up for the connection this request opened."""
        return self._span_s(self.timestamps.dns_start, self.timestamps.dns_end)

    @property
    def tcp_s(self) -> float | None:
        """TCP connect for the connection this request opened."""
        return self._span_s(self.timestamps.tcp_start, self.timestamps.tcp_end)

    @property
    def tls_s(self) -> float | None:
        """TLS handshake for the connection this request opened; blank on plain HTTP."""
        return self._span_s(self.timestamps.tcp_end, self.timestamps.tls_end)

    @property
    def headers_s(self) -> float | None:
        """Sent -> response headers."""
        return self._since_sent_s(self.timestamps.headers)

    @property
    def ttfc_s(self) -> float | None:
        """Sent -> first SSE event of any kind."""
        return None if "not_streamed" in self.noted else self._since_sent_s(self.timestamps.first_event)

    @property
    def ttft_s(self) -> float | None:
        """Sent -> first non-empty text of any channel."""
        return self.text_events.at_us[0] / 1e6 if self._streamed else None

    @property
    def ttfa_s(self) -> float | None:
        """Sent -> first non-empty answer text."""
        first = self.text_events.channels.find(Channel.ANSWER)
        return self.text_events.at_us[first] / 1e6 if self._streamed and first >= 0 else None

    @property
    def total_s(self) -> float | None:
        """Sent -> last event that carried data."""
        return self._since_sent_s(self.timestamps.last_event)

    @property
    def ttft_from_planned_s(self) -> float | None:
        """The schedule wanted it sent -> first text: what a caller met who would not wait for others' replies."""
        late_s = self._span_s(self.timestamps.planned, self.timestamps.sent)
        return None if late_s is None or self.ttft_s is None else late_s + self.ttft_s

    @property
    def total_from_planned_s(self) -> float | None:
        """The schedule wanted it sent -> last event that carried data."""
        return self._span_s(self.timestamps.planned, self.timestamps.last_event)

    @property
    def _streamed(self) -> bool:
        return bool(self.text_events.at_us) and "not_streamed" not in self.noted

    @property
    def _text_span_s(self) -> float | None:
        """First text -> last text; None where there is no span to speak of."""
        if not self._streamed or self._in_one_burst:
            return None
        return (self.text_events.at_us[-1] - self.text_events.at_us[0]) / 1e6

    @property
    def _in_one_burst(self) -> bool:
        return self.text_events.at_us[-1] - self.text_events.at_us[0] <= BURST_S * 1e6

    @property
    def buffered(self) -> bool:
        """Several pieces of text in one burst: something between the model and us held them back."""
        return self._streamed and len(self.text_events.at_us) >= 3 and self._in_one_burst

    @property
    def streamed_tokens(self) -> int | None:
        """Output tokens less reasoning tokens that were never streamed; None where unknown."""
        if self.output_tokens is None:
            return None
        if self.reasoning_tokens and Channel.REASONING not in self.text_events.channels:
            return self.output_tokens - self.reasoning_tokens
        return self.output_tokens

    @property
    def tpot_s(self) -> float | None:
        """(last text - first text) / (heard tokens - 1), as vLLM defines TPOT."""
        span, tokens = self._text_span_s, self.streamed_tokens
        return None if span is None or tokens is None or tokens < 2 else span / (tokens - 1)

    @property
    def output_tps(self) -> float | None:
        """Tokens a second while text arrived: 1 / tpot_s."""
        return 1 / self.tpot_s if self.tpot_s else None

    @property
    def output_cps(self) -> float | None:
        """Characters after the first text a second; comparable where tokenizers differ."""
        span = self._text_span_s
        return sum(self.text_events.lengths[1:]) / span if span else None

    @cached_property
    def gaps_s(self) -> tuple[float, ...]:
        """Seconds between successive events that carry text, ascending."""
        if not self._streamed or self.buffered:
            return ()
        return tuple(sorted((b - a) / 1e6 for a, b in pairwise(self.text_events.at_us)))

    def gap_s(self, quantile: float) -> float | None:
        """Nearest-rank quantile of the gaps between text events; 1.0 is the longest."""
        if not self.gaps_s:
            return None
        rank = -int(-quantile * len(self.gaps_s) // 1)
        return self.gaps_s[max(rank, 1) - 1]

    @property
    def client_error_s(self) -> float | None:
        """How late this process may have been on this row's stamps."""
        return None if self.late_ns is None else self.late_ns / 1e9

    @property
    def tokens_source(self) -> str | None:
        """Where the token counts come from; None where nobody counted."""
        return None if self.output_tokens is None and self.input_tokens is None else "usage"

    @property
    def chars(self) -> int | None:
        """Characters heard on all channels; None where no reply began."""
        return None if self.reply is None and not self.text_events.lengths else sum(self.text_events.lengths)

    @property
    def chunks(self) -> int | None:
        """Events that carried text."""
        return len(self.text_events.lengths) or None

    def client_late(self, bound_s: float = LATE_S) -> bool:
        """Tell whether this process may have falsified the row: by more than a bound, or by 5 % of its TTFT."""
        if self.client_error_s is None:
            return False
        share_s = bound_s if self.ttft_s is None else LATE_SHARE * self.ttft_s
        return self.client_error_s > min(bound_s, max(share_s, LATE_FLOOR_S))

    @property
    def flags(self) -> tuple[str, ...]:
        """Words on what to know before trusting this row, sorted."""
        return self.flags_within(LATE_S)

    def flags_within(self, late_bound_s: float) -> tuple[str, ...]:
        """Return the flags where stamps may be so late before the row is flagged for it."""
        derived = {
            "client_late": self.client_late(late_bound_s),
            "buffered": self.buffered,
            "cached": bool(self.cached_tokens),
            "warmup": self.warmup,
        }
        return tuple(sorted({*self.noted, *(word for word, true in derived.items() if true)}))

    @property
    def timed(self) -> bool:
        """Whether this row may enter timing statistics."""
        return self.outcome in TIMED and not self.warmup


def skipped(identity: Identity, failed_turn: int) -> Record:
    """Return the row of a turn that is not asked because an earlier one of its conversation failed."""
    reason = f"turn {failed_turn} of this conversation failed"
    return Record(identity, Timestamps(), Outcome.SKIPPED, error=reason, attempts=0)
