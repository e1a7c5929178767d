"""Recorded replies served again: the same bytes, at the recorded pace or as fast as they can be written.

A question is known by its model and its messages. Asked for the n-th time, it gets its n-th recording, in the order
in which they were sent; behind the last one comes the first again. Every head says `x-simulated: true`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from runner.errors import did_you_mean
from runner.simulator.chat import parse_conversation
from runner.simulator.refusal import Refusal
from runner.simulator.replay_session import play_back
from runner.simulator.request import HttpRequest
from runner.simulator.response import Response, error_response, json_response
from runner.simulator.server import answer_with
from runner.storage.recordings.reader import RecordingEntry, Recordings, read_recordings
from runner.storage.recordings.recording import conversation_digest

PATH = re.compile(r"(?:/(?P<provider>[^/]+))?/v1/(?P<what>chat/completions|models)/?")
METHODS = {"chat/completions": "POST", "models": "GET"}


class Replay:
    """Answers from the recordings of one run."""

    def __init__(self, recordings: Recordings, *, fast: bool) -> None:
        self.in_flight = 0
        self._recordings = recordings
        self._fast = fast
        self._entries: dict[tuple[str | None, str], list[RecordingEntry]] = defaultdict(list)
        self._times_asked: Counter[tuple[str | None, str]] = Counter()
        for entry in sorted(recordings.entries, key=_began_ns):
            for provider in (entry.label.provider, None):
                self._entries[provider, entry.label.conversation].append(entry)

    @property
    def providers(self) -> tuple[str, ...]:
        """Who was recorded."""
        return tuple(dict.fromkeys(entry.label.provider for entry in self._recordings.entries))

    def models_of(self, provider: str | None) -> tuple[str, ...]:
        """Return which models of a provider, or of all, were recorded."""
        labels = (entry.label for entry in self._recordings.entries)
        return tuple(dict.fromkeys(label.model for label in labels if provider in (None, label.provider)))

    def respond(self, request: HttpRequest, received_ns: int) -> Response:  # noqa: ARG002 -- a replay depends on no clock
        """Answer one request; what was not recorded is answered with an error."""
        try:
            return self._route(request)
        except Refusal as refusal:
            return error_response(refusal)

    def _route(self, request: HttpRequest) -> Response:
        found = PATH.fullmatch(request.path)
        if found is None:
            known = "/v1/chat/completions, /v1/models, and both behind a provider's name, as in /acme/v1/models"
            raise Refusal(404, f"Unknown path '{request.path}': there are {known}.", code="unknown_url")
        provider, what = found["provider"], found["what"]
        if provider is not None and provider not in self.providers:
            recorded = ", ".join(self.providers) or "nobody"
            raise Refusal(404, f"Nothing of '{provider}' was recorded; there is {recorded}.", code="unknown_url")
        if request.method != METHODS[what]:
            refusal = Refusal(405, f"'{request.path}' answers {METHODS[what]} only.", code="method_not_allowed")
            return error_response(refusal, (("allow", METHODS[what]),))
        return self._list_models(provider) if what == "models" else self._reply(provider, request.body)

    def _list_models(self, provider: str | None) -> Response:
        models = [{"id": model, "object": "model", "owned_by": "recorded"} for model in self.models_of(provider)]
        return json_response(200, {"object": "list", "data": models})

    def _reply(self, provider: str | None, body: bytes) -> Response:
        model, messages = parse_conversation(body)
        question = provider, conversation_digest(model, ((said.role, said.text) for said in messages))
        recorded = self._entries.get(question, [])
        playable = _playable(recorded)
        if not playable:
            raise Refusal(404, self._why_not(provider, model, recorded), code="not_recorded", param="messages")
        entry = playable[self._times_asked[question] % len(playable)]
        self._times_asked[question] += 1
        return play_back(entry.label, self._recordings.reads(entry), fast=self._fast)

    def _why_not(self, provider: str | None, model: str, recorded: list[RecordingEntry]) -> str:
        models = self.models_of(provider)
        if model not in models:
            near = did_you_mean(model, models)
            return f"The model '{model}' was not recorded. " + (
                f"Did you mean '{near}'?" if near else f"There is: {', '.join(models) or 'nothing'}."
            )
        if any(entry.label.withheld for entry in recorded):
            return f"The reply of '{model}' was not kept: a key stands in it. Record it anew."
        if recorded:
            return f"The run was interrupted before '{model}' had answered this. Record it anew."
        return f"'{model}' was not asked this when it was recorded. All messages, of the system too, must be the same."


def _began_ns(entry: RecordingEntry) -> int:
    """Return when an attempt was sent, or failed without, counted from the run's start: runs may span processes."""
    label = entry.label
    at_ns = label.sent_ns if label.sent_ns is not None else label.failed.at_ns if label.failed else label.epoch_ns
    return at_ns - label.epoch_ns


def _playable(entries: Iterable[RecordingEntry]) -> list[RecordingEntry]:
    """Leave out what nobody heard to its end; and warm-up requests, unless there is nothing else."""
    whole = [entry for entry in entries if not entry.label.withheld and not entry.label.is_interrupted]
    return [entry for entry in whole if not entry.label.warmup] or whole


def provider_url(base_url: str, provider: str) -> str:
    """Return where the replies of one provider alone are, on a server with this base URL."""
    return f"{base_url.removesuffix('/v1')}/{provider}/v1"


def play(
    folder: Path,
    host: str,
    port: int,
    *,
    fast: bool,
    on_ready: Callable[[str], None],
    until_stdin_closes: bool = False,
) -> None:
    """Serve what was recorded of a run until a signal; `on_ready` is given the base URL.

    Raises:
        CompareError: nothing was recorded, or the address cannot be listened on.

    """
    replay = Replay(read_recordings(folder), fast=fast)
    answer_with(replay, host, port, on_ready=on_ready, until_stdin_closes=until_stdin_closes)


def serve(folder: Path, host: str, port: int, *, fast: bool, announce: Callable[[str], object]) -> None:
    """Do so in the foreground; `announce` is given the lines that say how to use it."""
    recordings = read_recordings(folder)
    replay = Replay(recordings, fast=fast)

    def say_how(base_url: str) -> None:
        pace = "as fast as possible" if fast else "at the recorded pace"
        announce(f"{len(recordings.entries)} recorded replies at {base_url}, {pace} (Ctrl-C ends it).")
        if recordings.is_torn:
            announce("The last one was cut off when it was recorded, and is left out.")
        announce("Parameters do not count; a question is known by its model and its messages. Each provider alone:")
        for provider in replay.providers:
            announce(f"  {provider_url(base_url, provider)}  {', '.join(replay.models_of(provider))}")
        announce(f"Without a server: compare run SUITE --replay {folder}")

    answer_with(replay, host, port, on_ready=say_how)
