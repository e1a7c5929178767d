"""Recorded responses of providers: load them, decode them at any cuts, and compare them with what is expected."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from runner.core.events import (
    Channel,
    Event,
    Failed,
    Outcome,
)
from runner.core.record import Record
from runner.core.record_fields import Identity, Timestamps
from runner.core.record_from_events import Fold
from runner.core.suite import DEFAULT_API, Api
from runner.engine.make_record import with_response
from runner.providers.redaction import Redactor
from runner.wire.decoders.chat_completions import ChatCompletionsDecoder
from runner.wire.decoders.dialect_decoder import DialectDecoder
from runner.wire.decoders.response_decoder import ResponseDecoder
from runner.wire.decoders.response_head import ResponseHead, response_started
from runner.wire.dialects import DIALECTS
from tests.support.fold_events import fold_events
from tests.support.scripted_server import (
    ScriptedReply,
)

SAMPLE_FOLDER = Path(__file__).parents[1] / "samples"


@dataclass(frozen=True)
class Sample:
    """One recorded response and its expected fold."""

    name: str
    status: int
    headers: dict[str, str]
    body: bytes
    about: dict[str, Any]
    """Its expected.yaml."""

    @property
    def expected(self) -> dict[str, Any]:
        """The expected fold."""
        expected: dict[str, Any] = self.about["expected"]
        return expected


LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast in C, where PyYAML has it."""


def load_sample(folder: Path) -> Sample:
    """Return the sample in a folder."""
    head, _, body = (folder / "response.http").read_bytes().partition(b"\r\n\r\n")
    status_line, *lines = head.decode("ascii").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)  # the last one of a repeated name
    about = yaml.load((folder / "expected.yaml").read_text(encoding="utf-8"), LOADER)
    return Sample(folder.name, int(status_line.split()[1]), headers, body, about)


SAMPLES = [load_sample(folder) for folder in sorted((SAMPLE_FOLDER / "wire").iterdir()) if folder.is_dir()]


def head_of(sample: Sample) -> ResponseHead:
    """Return a sample's head with the names of its headers in lower case, as framing gives it."""
    return ResponseHead(sample.status, {name.lower(): value for name, value in sample.headers.items()})


def decode(
    sample: Sample,
    reads: Iterable[bytes],
    ended_by: Failed | None = None,
    dialect: Callable[[int], DialectDecoder] = ChatCompletionsDecoder,
) -> list[Event]:
    """Return the events of a sample in the given reads, all with the same timestamp."""
    decoder = ResponseDecoder(sample.status, head_of(sample).headers, dialect=dialect)
    events = [event for read in reads for event in decoder.feed(7, read)]
    return [*events, *decoder.close(7, ended_by)]


def fold_of(sample: Sample, events: Iterable[Event]) -> Fold:
    """Return the fold of a sample's events, as the client makes it."""
    return fold_events(response_started(head_of(sample), 5), *events)


def observe(fold: Fold) -> dict[str, Any]:
    """Return the fields of a record that are not blank."""
    failed = fold.failed
    observed = {
        "outcome": fold.outcome().value,
        "error_type": failed and failed.error_type,
        "error": failed and failed.message,
        "code": failed and failed.code,
        "retry_after_s": failed and failed.retry_after_s,
        "worth_repeating": failed and failed.worth_repeating,
        "http_status": fold.response_started and fold.response_started.status,
        "request_id": fold.response_started and fold.response_started.request_id,
        "reply": fold.text(Channel.ANSWER),
        "reasoning": fold.text(Channel.REASONING),
        "tool_calls": fold.text(Channel.TOOL),
        "calls": [[call.name, call.arguments, call.id] for call in fold.calls.values],
        "finish_reason": fold.finish_reason,
        "response_model": fold.response_model,
        "served_by": fold.answered_by.served_by,
        "system_fingerprint": fold.answered_by.system_fingerprint,
        "service_tier": fold.answered_by.service_tier,
        "input_tokens": fold.usage and fold.usage.input_tokens,
        "output_tokens": fold.usage and fold.usage.output_tokens,
        "reasoning_tokens": fold.usage and fold.usage.reasoning_tokens,
        "cached_tokens": fold.usage and fold.usage.cached_tokens,
        "signed_thinking": list(fold.signed_thinking),
        "notes": list(fold.notes),
    }
    return {name: value for name, value in observed.items() if value is not None and value != [] and value is not False}


def expectation(sample: Sample) -> dict[str, Any]:
    """Return the expected fields, without flags that follow from timestamps, which bytes do not have."""
    return {name: value for name, value in sample.expected.items() if name != "derived_flags"}


FROM_TEXTS = frozenset(
    {"no_answer", "no_tool_call", "reasoning_is_answer", "summarised_reasoning", "think_tag_in_answer"}
    | {"tokens_in_doubt", "unseen_tokens"}
)
"""Flags that follow from texts and counts, and not from timestamps."""


def flags_from_texts(fold: Fold) -> frozenset[str]:
    """Return the flags of a record that follow from its texts and counts, without those of the wire."""
    asked = Record(Identity("k", "c", 1, 1, 1, "p", "m-1", "Hello"), Timestamps(sent=0), Outcome.OK)
    record = with_response(asked, fold, (), Redactor(()), sent_ns=0, epoch_ns=0)
    return FROM_TEXTS.intersection(record.flags) - frozenset(fold.notes)


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Return bytes cut at the given places."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def sample_of(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Sample:
    """Return a sample that is not on disk."""
    return Sample("", status, headers or {}, body, {})


def reply_of(sample: Sample) -> ScriptedReply:
    """Return the scripted reply of a sample, its behaviour included."""
    folder = SAMPLE_FOLDER / "wire" / sample.name
    behaviour = sample.about.get("behaviour", {})
    pieces: list[tuple[float, bytes]] = [(0, (folder / "response.http").read_bytes())]
    if "repeat" in behaviour:
        pieces += [(behaviour["every_ms"] / 1000, behaviour["repeat"].encode())] * 100
    return ScriptedReply(pieces, "close", linger_s=behaviour.get("linger_ms", 0) / 1000)


@dataclass(frozen=True)
class DialectSample:
    """A sample, and the dialect of its bytes."""

    api: Api
    folder: Path
    sample: Sample

    def __str__(self) -> str:
        return f"{self.api}/{self.sample.name}"

    def decode(self, reads: Iterable[bytes], ended_by: Failed | None = None) -> list[Event]:
        """Return the events of the sample in the given reads."""
        return decode(self.sample, reads, ended_by, DIALECTS[self.api].decoder)


DIALECT_SAMPLES = [
    DialectSample(api, folder, load_sample(folder))
    for api in DIALECTS
    if api != DEFAULT_API
    for folder in sorted((SAMPLE_FOLDER / api).iterdir())
]
