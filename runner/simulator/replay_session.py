"""One recording -> the response that plays it. Performs no I/O and reads no clock."""

import re
from collections.abc import Iterable, Iterator, Mapping

from runner.core.events import Failed, Outcome
from runner.simulator.response import Ending, Framing, Headers, Response, Step
from runner.storage.recordings.recording import Label, Reads

FOREVER_NS = 24 * 3600 * 1_000_000_000

UNPLAYED_HEADERS = frozenset(
    {
        *("alt-svc", "connection", "content-encoding", "content-length", "keep-alive", "proxy-authenticate", "trailer"),
        *("transfer-encoding", "upgrade", "x-received-ns", "x-simulated"),
    }
)
"""Headers about a connection that is no more, and those that every head gets anyway."""

UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

OLD_STAMP = re.compile(rb'(?<="sent_ns":) *[0-9]{1,19}')
"""What the simulator said of its clock when it was recorded; it says what its clock shows now."""


def play_back(label: Label, reads: Reads, *, fast: bool) -> Response:
    """Return a recorded attempt as a response: its status, headers and reads, each when it came, and its end.

    Silence stays silence, however fast: a reply that was waited for in vain must not become another failure.
    """
    start_ns = label.sent_ns if label.sent_ns is not None else label.epoch_ns
    steps = [Step(0 if fast else max(0, at_ns - start_ns), data) for at_ns, data in reads]
    head_due_ns = 0 if fast or label.headers_ns is None else max(0, label.headers_ns - start_ns)
    end_due_ns = max([head_due_ns, *(step.due_ns for step in steps)])
    if label.failed is not None and not fast:
        end_due_ns = max(end_due_ns, label.failed.at_ns - start_ns)
    if label.headers.get("x-simulated") == "true":
        steps = [part for step in steps for part in _with_new_stamps(step)]
    if label.failed is None:
        framing = Framing.CHUNKED if steps else Framing.LENGTH
        return Response(label.status, _headers(label.headers), tuple(steps), framing, head_due_ns)
    return _break_off(label, label.failed, steps, head_due_ns, end_due_ns)


def _break_off(label: Label, failed: Failed, steps: list[Step], head_due_ns: int, end_due_ns: int) -> Response:
    """Return a response that has no end: it falls silent, or its connection is closed or reset."""
    silent = failed.outcome is Outcome.TIMEOUT
    last = Step(FOREVER_NS if silent else end_due_ns, b"")
    ending = Ending.RESET if failed.error_type == "reset" else Ending.CLOSE
    if label.status is None:
        return Response(None, (), (last,), Framing.RAW, ending=ending)
    headers = (*_headers(label.headers), ("transfer-encoding", "chunked"))
    return Response(label.status, headers, (*_in_chunks(steps), last), Framing.RAW, head_due_ns, ending)


def _in_chunks(steps: Iterable[Step]) -> Iterator[Step]:
    """Frame steps as chunks of a body whose last chunk never comes."""
    for step in steps:
        if step.size:
            head = b"%x\r\n%b" % (step.size, step.head)
            yield (
                Step(step.due_ns, head + b"\r\n") if step.tail is None else Step(step.due_ns, head, step.tail + b"\r\n")
            )


def _with_new_stamps(step: Step) -> Iterator[Step]:
    """Cut a step where the simulator stamped it, so that it is stamped there again."""
    stamps = list(OLD_STAMP.finditer(step.head))
    if not stamps:
        yield step
        return
    head, ends = step.head[: stamps[0].start()], [*(stamp.start() for stamp in stamps[1:]), len(step.head)]
    for stamp, end in zip(stamps, ends, strict=True):
        yield Step(step.due_ns, head, step.head[stamp.end() : end])
        head = b""


def _headers(headers: Mapping[str, str]) -> Headers:
    """Return a recorded head's headers, as far as they can be sent again."""
    return tuple(
        (name, UNSENDABLE.sub(" ", value).encode().decode("latin-1"))
        for name, value in headers.items()
        if name not in UNPLAYED_HEADERS
    )
