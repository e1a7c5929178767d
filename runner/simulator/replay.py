"""Replay of a run's recordings: the same bytes, at the recorded pace or as fast as they can be written.

A conversation is identified by its messages and its model, written `model#variant` if the run had variants. The n-th
request for it gets its n-th recording, in the order of sending; after the last one the first follows again. Every head
has `x-simulated: true`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from runner.core.events import Failed, Outcome
from runner.core.suite import MAX_REPLY_LIMIT, Api
from runner.errors import counted, did_you_mean
from runner.simulator.http_request import HttpRequest, RequestError
from runner.simulator.response_steps import (
    FOREVER_NS,
    Ending,
    Framing,
    Headers,
    Response,
    Step,
    json_response,
)
from runner.simulator.routes import DIALECTS, METHODS, MODELS, ServedDialect, describe_error, refuse_method
from runner.simulator.server import answer_with
from runner.storage.find_run import find_run
from runner.storage.recordings.reader import RecordingEntry, Recordings, read_recordings
from runner.storage.recordings.recording_format import Label, Reads, conversation_digest

PATH = re.compile(rf"(?:/(?P<provider>[^/]+))?(?P<what>{'|'.join(METHODS)})/?")

NOT_REPLAYED_HEADERS = frozenset(
    {
        *("alt-svc", "connection", "content-encoding", "content-length", "keep-alive", "proxy-authenticate", "trailer"),
        *("transfer-encoding", "upgrade", "x-received-ns", "x-simulated"),
    }
)
"""Recorded headers that are not sent: those about the recorded connection, and those that every head gets anyway."""

BLANKS = b" " * 65_536
"""Bytes after a reply that was given up at its limit: the reply is again too large, and no event is completed."""

UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

RECORDED_TIMESTAMP = re.compile(rb'(?<="sent_ns":) *[0-9]{1,19}')
"""Pattern of the simulator's own timestamp in a recording; a replay replaces it by the current time."""


class ReplayHandler:
    """A handler that answers requests from the recordings of one run."""

    def __init__(self, recordings: Recordings, *, fast: bool) -> None:
        self.in_flight = 0
        self._recordings = recordings
        self._fast = fast
        self._entries: dict[tuple[str | None, Api, str], list[RecordingEntry]] = defaultdict(list)
        self._requests: Counter[tuple[str | None, Api, str]] = Counter()
        for entry in sorted(recordings.entries, key=_started_ns):
            for provider in (entry.label.provider, None):
                self._entries[provider, entry.label.api, entry.label.conversation].append(entry)

    @property
    def providers(self) -> tuple[str, ...]:
        """The recorded providers."""
        return tuple(dict.fromkeys(entry.label.provider for entry in self._recordings.entries))

    def models_of(self, provider: str | None) -> tuple[str, ...]:
        """Return the recorded models of a provider, or of all providers, each with its variant if it has one."""
        labels = (entry.label for entry in self._recordings.entries)
        names = (label.target.model_and_variant for label in labels if provider in (None, label.provider))
        return tuple(dict.fromkeys(names))

    def respond(self, request: HttpRequest, received_ns: int) -> Response:  # noqa: ARG002 -- a replay depends on no clock
        """Return the recorded response to a request, or an error."""
        found = PATH.fullmatch(request.path)
        try:
            return self._route(request, found)
        except RequestError as error:
            return describe_error(error, DIALECTS.get(found["what"]) if found else None)

    def _route(self, request: HttpRequest, found: re.Match[str] | None) -> Response:
        if found is None:
            known = ", ".join(METHODS)
            known += ", and all behind a provider's name, as in /acme/v1/models"
            raise RequestError(404, f"Unknown path '{request.path}': there are {known}.", code="unknown_url")
        provider, what = found["provider"], found["what"]
        if provider is not None and provider not in self.providers:
            recorded = ", ".join(self.providers) or "no provider"
            raise RequestError(404, f"Nothing of '{provider}' was recorded; there is {recorded}.", code="unknown_url")
        if request.method != METHODS[what]:
            return refuse_method(request.path, METHODS[what], DIALECTS.get(what))
        return self._list_models(provider) if what == MODELS else self._reply(provider, DIALECTS[what], request.body)

    def _list_models(self, provider: str | None) -> Response:
        models = [{"id": model, "object": "model", "owned_by": "recorded"} for model in self.models_of(provider)]
        return json_response(200, {"object": "list", "data": models})

    def _reply(self, provider: str | None, dialect: ServedDialect, body: bytes) -> Response:
        model, messages = dialect.parse_conversation(body)
        digest = conversation_digest(model, ((message.role, message.text_with_file_marks) for message in messages))
        conversation = provider, dialect.api, digest
        recorded = self._entries.get(conversation, [])
        usable = _usable(recorded)
        if not usable:
            raise RequestError(404, self._why_not(provider, model, recorded), code="not_recorded", param="messages")
        entry = usable[self._requests[conversation] % len(usable)]
        self._requests[conversation] += 1
        return replay_response(entry.label, self._recordings.reads(entry), fast=self._fast)

    def _why_not(self, provider: str | None, model: str, recorded: list[RecordingEntry]) -> str:
        models = self.models_of(provider)
        if model not in models:
            hint = did_you_mean(model, models, f"There is: {', '.join(models) or 'nothing'}.")
            return f"The model '{model}' was not recorded. {hint}"
        if any(entry.label.withheld for entry in recorded):
            return f"The reply of '{model}' was not kept because it contains a key. Record the run again."
        if recorded:
            return f"The run was interrupted before '{model}' had answered this. Record the run again."
        return f"'{model}' was not asked this when it was recorded. All messages, of the system too, must be the same."


def _started_ns(entry: RecordingEntry) -> int:
    """Return the time at which an attempt was sent, or failed before that, in nanoseconds since the run's start."""
    # Values of the clock itself cannot be compared: each process of a resumed run has a clock of its own.
    label = entry.label
    at_ns = label.sent_ns if label.sent_ns is not None else label.failed.at_ns if label.failed else label.epoch_ns
    return at_ns - label.epoch_ns


def _usable(entries: Iterable[RecordingEntry]) -> list[RecordingEntry]:
    """Return the complete recordings; those of warm-up requests only if there are no others."""
    whole = [entry for entry in entries if not entry.label.withheld and not entry.label.is_interrupted]
    return [entry for entry in whole if not entry.label.warmup] or whole


def replay_response(label: Label, reads: Reads, *, fast: bool) -> Response:
    """Return a recorded attempt as a response: its status, headers, reads and end, each at its recorded time.

    With `fast`, a timeout is still replayed as a timeout, so that it does not become another failure.
    """
    start_ns = label.sent_ns if label.sent_ns is not None else label.epoch_ns
    steps = [Step(0 if fast else max(0, at_ns - start_ns), data) for at_ns, data in reads]
    head_due_ns = 0 if fast or label.headers_ns is None else max(0, label.headers_ns - start_ns)
    end_due_ns = max([head_due_ns, *(step.due_ns for step in steps)])
    if label.failed is not None and not fast:
        end_due_ns = max(end_due_ns, label.failed.at_ns - start_ns)
    if label.headers.get("x-simulated") == "true":
        steps = [part for step in steps for part in _with_new_timestamps(step)]
    if label.failed is None:
        framing = Framing.CHUNKED if steps else Framing.LENGTH
        return Response(label.status, _replayed_headers(label.headers), tuple(steps), framing, head_due_ns)
    return _cut_response(label, label.failed, steps, head_due_ns, end_due_ns)


def _cut_response(label: Label, failed: Failed, steps: list[Step], head_due_ns: int, end_due_ns: int) -> Response:
    """Return an incomplete response, after which nothing more is sent or the connection is closed or reset."""
    silent = failed.outcome is Outcome.TIMEOUT
    last = Step(FOREVER_NS if silent else end_due_ns, b"")
    ending = Ending.RESET if failed.error_type == "reset" else Ending.CLOSE
    if label.status is None:
        return Response(None, (), (last,), Framing.RAW, ending=ending)
    headers = (*_replayed_headers(label.headers), ("transfer-encoding", "chunked"))
    if failed.outcome is Outcome.TOO_LARGE:
        steps = [*steps, *[Step(end_due_ns, BLANKS)] * (MAX_REPLY_LIMIT // len(BLANKS))]
    return Response(label.status, headers, (*_in_chunks(steps), last), Framing.RAW, head_due_ns, ending)


def _in_chunks(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps as chunks of a body without a last chunk."""
    for step in steps:
        if step.size:
            head = b"%x\r\n%b" % (step.size, step.head)
            yield (
                Step(step.due_ns, head + b"\r\n") if step.tail is None else Step(step.due_ns, head, step.tail + b"\r\n")
            )


def _with_new_timestamps(step: Step) -> Iterator[Step]:
    """Yield a step in pieces, split at the simulator's timestamps, so that the current time replaces each of them."""
    timestamps = list(RECORDED_TIMESTAMP.finditer(step.head))
    if not timestamps:
        yield step
        return
    head = step.head[: timestamps[0].start()]
    ends = [*(timestamp.start() for timestamp in timestamps[1:]), len(step.head)]
    for timestamp, end in zip(timestamps, ends, strict=True):
        yield Step(step.due_ns, head, step.head[timestamp.end() : end])
        head = b""


def _replayed_headers(headers: Mapping[str, str]) -> Headers:
    """Return the recorded headers that can be sent again."""
    return tuple(
        (name, UNSENDABLE.sub(" ", value).encode().decode("latin-1"))
        for name, value in headers.items()
        if name not in NOT_REPLAYED_HEADERS
    )


def provider_url(base_url: str, provider: str) -> str:
    """Return the base URL of one provider's recordings on the server at `base_url`."""
    return f"{base_url.removesuffix('/v1')}/{provider}/v1"


def serve(run: Path, host: str, port: int, *, fast: bool, announce: Callable[[str], object]) -> None:
    """Serve the recordings of a run until a signal; call `announce` with each line of instructions.

    The run is named by its folder, its id or `latest`.

    Raises:
        CompareError: there is no such run, it has no recordings, or the address cannot be used.

    """
    folder = find_run(run)
    recordings = read_recordings(folder)
    handler = ReplayHandler(recordings, fast=fast)

    def announce_usage(base_url: str) -> None:
        pace = "as fast as possible" if fast else "at the recorded pace"
        number = counted(len(recordings.entries), "recorded reply", "recorded replies")
        announce(f"{number} at {base_url}, {pace} (Ctrl-C ends it).")
        if recordings.is_torn:
            announce("The last one was cut off when it was recorded, and is left out.")
        announce("Parameters do not count; a question is known by its model and its messages. Each provider alone:")
        for provider in handler.providers:
            announce(f"  {provider_url(base_url, provider)}  {', '.join(handler.models_of(provider))}")
        announce(f"Without a server: compare run SUITE --replay {folder}")

    answer_with(handler, host, port, on_ready=announce_usage)
