"""A server that misbehaves by name: its behaviour for each name of a model, and the row that results.

docs/wire.md lists all of them; `python -m tests.wire.test_wire_docs --write` writes that table from this one.
"""

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal

from runner.core.events import Outcome
from runner.core.suite import Timeouts
from tests.support.scripted_server import (
    DONE_EVENT,
    FINISH_EVENT,
    STREAM_HEAD,
    Ending,
    ReceivedRequest,
    ScriptedReply,
    delta_event,
    http_chunk,
    http_head,
    sse_event,
    streamed_reply,
)

LIMIT = 256 * 1024
"""The limit of replies with which all behaviours are tried."""

PATIENT = Timeouts(connect=20, first_token=20, idle=20, total=30)
"""Timeouts that no behaviour but those about time meets, on a busy machine either."""

Address = Literal["plain", "tls", "tls-untrusted", "tls-other-name", "tls-to-plain", "tls-garbage", "tls-silent"]


@dataclass(frozen=True)
class Behaviour:
    """A behaviour of the server, and the resulting row.

    `reply` is the text that is kept; a callable judges a long one. `at` is the server that is asked, or a base URL
    without a server.
    """

    does: str
    make: Callable[[], ScriptedReply]
    outcome: Outcome
    error_type: str | None = None
    reply: str | Callable[[str], bool] | None = "Hello"
    flags: tuple[str, ...] = ()
    tokens: tuple[int | None, int | None] | None = None
    retry_after_s: Callable[[float], bool] | None = None
    timeouts: Timeouts = PATIENT
    at: Address | str = "plain"
    retried: bool = False
    """Whether a run retries it, so that it takes longer."""
    settle_s: float = 0.0
    """Seconds until the next request is sent."""


def sends(*pieces: bytes | tuple[float, bytes], ending: Ending = "close", linger_s: float = 0) -> ScriptedReply:
    """Return a reply of pieces, each at once or after a pause."""
    return ScriptedReply([(0.0, p) if isinstance(p, bytes) else p for p in pieces], ending, linger_s)


def chunked(*data: bytes, end: bytes = b"0\r\n\r\n", ending: Ending = "keep") -> ScriptedReply:
    """Return an event stream in chunks."""
    return sends(STREAM_HEAD + b"".join(map(http_chunk, data)) + end, ending=ending)


def counted(data: bytes, status: str = "200 OK", ending: Ending = "keep", **headers: str) -> ScriptedReply:
    """Return a body with its length."""
    return sends(http_head(status, content_length=str(len(data)), **headers) + data, ending=ending)


def endless(piece: bytes, head: bytes = STREAM_HEAD, pause_s: float = 0.0, count: int = 4000) -> ScriptedReply:
    """Return a reply that goes on until the client closes the connection."""
    return ScriptedReply([(0.0, head), *[(pause_s, piece)] * count], "close")


def gzipped(data: bytes, codings: str = "gzip") -> ScriptedReply:
    """Return an event stream that says how it is compressed."""
    return counted(data, content_type="text/event-stream", content_encoding=codings)


def refused(**headers: str) -> ScriptedReply:
    """Return a 429."""
    text = b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'
    return sends(http_head("429 Too Many", content_length=str(len(text)), **headers) + text, ending="keep")


HELLO = delta_event("Hello")
END = FINISH_EVENT + DONE_EVENT
WHOLE = HELLO + END
PLAIN_HEAD = http_head(content_type="text/event-stream")
BLOCK = http_chunk(delta_event("x" * 1000) * 30)


def usage(value: object) -> ScriptedReply:
    """Return a whole reply with a usage; a text is sent unchanged."""
    written = value if isinstance(value, str) else json.dumps(value)
    event = f'data: {{"choices": [], "usage": {written}}}\n\n'.encode()
    return chunked(HELLO + FINISH_EVENT + event + DONE_EVENT)


def date_in(seconds: float) -> str:
    """Return a date of HTTP."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def nested(depth: int) -> bytes:
    """Return a deeply nested object."""
    return b'{"a":' * depth + b"1" + b"}" * depth


def is_long(text: str) -> bool:
    """Return whether most of a reply that was cut at its limit was kept."""
    return LIMIT * 0.8 < len(text) <= LIMIT


FRAMING: dict[str, Behaviour] = {
    "head-endless": Behaviour(
        "a header that never ends", lambda: endless(b"x" * 5000, b"HTTP/1.1 200 OK\r\nX: "),
        Outcome.CONNECTION, "bad_http", None,
    ),
    "head-many-lines": Behaviour(
        "headers without end", lambda: endless(b"X-Y: z\r\n" * 500, b"HTTP/1.1 200 OK\r\n"),
        Outcome.CONNECTION, "bad_http", None,
    ),
    "status-garbage": Behaviour(
        "no status line", lambda: sends(b"HELLO THERE\r\n\r\n"), Outcome.CONNECTION, "bad_http", None
    ),
    "http-0.9": Behaviour("events without a head", lambda: sends(WHOLE), Outcome.CONNECTION, "bad_http", None),
    "http-2": Behaviour(
        "frames of HTTP/2", lambda: sends(b"\x00\x00\x12\x04" + bytes(23)), Outcome.CONNECTION, "bad_http", None
    ),
    "head-cut": Behaviour(
        "the connection ends inside the head", lambda: sends(b"HTTP/1.1 200 OK\r\nContent-"),
        Outcome.CONNECTION, "disconnected", None, retried=True,
    ),
    "head-reset": Behaviour(
        "a reset inside the head", lambda: sends(b"HTTP/1.1 200 OK\r\nContent-", ending="reset"),
        Outcome.CONNECTION, "reset", None, retried=True,
    ),
    "closed-at-once": Behaviour(
        "the connection ends without a byte", lambda: sends(b""), Outcome.CONNECTION, "disconnected", None, retried=True
    ),
    "head-slow": Behaviour(
        "a head byte by byte",
        lambda: ScriptedReply([*((0.001, bytes([b])) for b in STREAM_HEAD), (0.0, http_chunk(WHOLE) + b"0\r\n\r\n")]),
        Outcome.OK,
    ),
    "lines-lf": Behaviour(
        "lines of the head end in LF alone", lambda: sends(PLAIN_HEAD.replace(b"\r\n", b"\n") + WHOLE), Outcome.OK
    ),
    "length-missing": Behaviour("the connection's end ends the body", lambda: sends(PLAIN_HEAD + WHOLE), Outcome.OK),
    "length-short": Behaviour(
        "a length that ends inside the text",
        lambda: sends(http_head(content_length=str(len(HELLO))) + HELLO + delta_event(" world") + END),
        Outcome.TRUNCATED,
    ),
    "length-long": Behaviour(
        "a length that the body does not reach", lambda: sends(http_head(content_length="99999") + HELLO),
        Outcome.CONNECTION, "cut",
    ),
    "length-negative": Behaviour(
        "a negative length", lambda: sends(http_head(content_length="-5") + WHOLE), Outcome.CONNECTION, "bad_http", None
    ),
    "length-huge": Behaviour(
        "a length beyond 64 bits", lambda: sends(http_head(content_length="9" * 30) + WHOLE),
        Outcome.CONNECTION, "bad_http", None,
    ),
    "length-conflict": Behaviour(
        "two lengths that differ",
        lambda: sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 500\r\n\r\n" + WHOLE),
        Outcome.CONNECTION, "bad_http", None,
    ),
    "chunk-size-garbage": Behaviour(
        "a chunk whose size is not a number", lambda: sends(STREAM_HEAD + http_chunk(HELLO) + b"zz\r\n"),
        Outcome.CONNECTION, "bad_http",
    ),
    "chunk-size-huge": Behaviour(
        "a chunk size beyond 64 bits", lambda: sends(STREAM_HEAD + http_chunk(HELLO) + b"f" * 17 + b"\r\n"),
        Outcome.CONNECTION, "bad_http",
    ),
    "chunk-end-missing": Behaviour(
        "a chunk that is longer than it says",
        lambda: sends(STREAM_HEAD + http_chunk(HELLO) + b"5\r\n" + WHOLE), Outcome.CONNECTION, "bad_http",
    ),
    "chunk-extension-endless": Behaviour(
        "a chunk's extension that never ends",
        lambda: endless(b"x" * 5000, STREAM_HEAD + http_chunk(HELLO) + b"5;x="), Outcome.CONNECTION, "bad_http",
    ),
    "trailer-endless": Behaviour(
        "a trailer that never ends",
        lambda: endless(b"x" * 5000, STREAM_HEAD + http_chunk(HELLO) + b"0\r\nX: "), Outcome.CONNECTION, "bad_http",
    ),
    "trailer-endless-after-done": Behaviour(
        "the same behind [DONE]",
        lambda: endless(b"x" * 5000, STREAM_HEAD + http_chunk(WHOLE) + b"0\r\nX: "), Outcome.OK
    ),
    "body-cut": Behaviour(
        "the connection ends between two chunks", lambda: sends(STREAM_HEAD + http_chunk(HELLO)),
        Outcome.CONNECTION, "cut",
    ),
    "body-reset": Behaviour(
        "a reset between two chunks", lambda: sends(STREAM_HEAD + http_chunk(HELLO), (0.2, b""), ending="reset"),
        Outcome.CONNECTION, "cut",
    ),
    "body-absent": Behaviour(
        "status 204", lambda: sends(b"HTTP/1.1 204 No Content\r\n\r\n", ending="keep"),
        Outcome.BAD_STREAM, "empty", None, retried=True,
    ),
    "hints-many": Behaviour(
        "fifty provisional answers", lambda: sends(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 50 + STREAM_HEAD
        + http_chunk(WHOLE) + b"0\r\n\r\n", ending="keep"), Outcome.OK,
    ),
    "hints-endless": Behaviour(
        "provisional answers without end", lambda: endless(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 100, b""),
        Outcome.CONNECTION, "bad_http", None,
    ),
    "upgrade": Behaviour(
        "status 101", lambda: sends(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nyz"),
        Outcome.CONNECTION, "bad_http", None,
    ),
}  # fmt: skip

DESYNC: dict[str, Behaviour] = {
    "answers-two": Behaviour(
        "a second answer that nobody asked for",
        lambda: sends(*(piece for _, piece in (*streamed_reply("Hello").pieces, *streamed_reply("Stolen").pieces)),
                      ending="keep"), Outcome.OK,
    ),
    "answer-late": Behaviour(
        "the same a moment later, before the next request",
        lambda: ScriptedReply([*streamed_reply("Hello").pieces, (0.15, b""), *streamed_reply("Stolen").pieces]),
        Outcome.OK, settle_s=0.5,
    ),
    "bytes-behind": Behaviour(
        "bytes behind the last chunk", lambda: chunked(WHOLE, end=b"0\r\n\r\nleft over"), Outcome.OK
    ),
    "half-an-answer-behind": Behaviour(
        "the head of one more answer", lambda: chunked(WHOLE, end=b"0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Le"), Outcome.OK
    ),
    "length-behind": Behaviour(
        "more than the length says", lambda: sends(http_head(content_length=str(len(WHOLE))) + WHOLE + WHOLE,
        ending="keep"), Outcome.OK,
    ),
    "closes-unsaid": Behaviour(
        "the connection ends behind a whole answer that did not say so", lambda: chunked(WHOLE, ending="close"),
        Outcome.OK,
    ),
    "stays-open": Behaviour(
        "`Connection: close`, and the connection stays open",
        lambda: sends(http_head(connection="close", content_length=str(len(WHOLE))) + WHOLE, ending="keep"), Outcome.OK,
    ),
    "end-missing": Behaviour(
        "[DONE], and the last chunk never comes",
        lambda: sends(STREAM_HEAD + http_chunk(WHOLE), ending="keep", linger_s=5), Outcome.OK,
    ),
    "http-1.0": Behaviour(
        "an answer of HTTP/1.0", lambda: sends(PLAIN_HEAD.replace(b"1.1", b"1.0") + WHOLE), Outcome.OK
    ),
}  # fmt: skip

REDIRECTS: dict[str, Behaviour] = {
    "redirect-away": Behaviour(
        "a redirect to another host", lambda: counted(b"", "302 Found", location="https://evil.example/v1"),
        Outcome.BAD_REQUEST, "redirect", None,
    ),
    "redirect-to-itself": Behaviour(
        "a redirect to itself", lambda: counted(b"", "307 Temporary Redirect", location="/v1/chat/completions"),
        Outcome.BAD_REQUEST, "redirect", None,
    ),
    "redirect-nowhere": Behaviour(
        "a redirect without a place", lambda: counted(b"", "301 Moved"), Outcome.BAD_REQUEST, "redirect", None
    ),
    "redirect-to-no-url": Behaviour(
        "a redirect to what is not a URL", lambda: counted(b"", "308 Moved", location="http://[::1"),
        Outcome.BAD_REQUEST, "redirect", None,
    ),
    "redirect-with-secrets": Behaviour(
        "a redirect with a password in it", lambda: counted(b"", "302 Found", location="https://u:pw@h.example/?k=1"),
        Outcome.BAD_REQUEST, "redirect", None,
    ),
}  # fmt: skip

COMPRESSION: dict[str, Behaviour] = {
    "gzip-bomb": Behaviour(
        "20 kB that become 20 MB of blanks", lambda: gzipped(gzip.compress(b" " * 20_000_000)),
        Outcome.TOO_LARGE, "reply_limit", None, flags=("compressed",),
    ),
    "gzip-bomb-text": Behaviour(
        "a small body that becomes 5 MB of text", lambda: gzipped(gzip.compress(delta_event("y" * 1000) * 5000)),
        Outcome.TOO_LARGE, "reply_limit", is_long, flags=("compressed",),
    ),
    "gzip-bomb-twice": Behaviour(
        "a bomb within a bomb",
        lambda: gzipped(gzip.compress(gzip.compress(bytes(20_000_000))), "gzip, gzip"),
        Outcome.TOO_LARGE, "reply_limit", None, flags=("compressed",),
    ),
    "gzip-members": Behaviour(
        "a thousand members of gzip, each with an event",
        lambda: gzipped(gzip.compress(delta_event("ab")) * 1000 + gzip.compress(END)),
        Outcome.OK, reply="ab" * 1000, flags=("compressed",),
    ),
    "gzip-empty-members": Behaviour(
        "empty members of gzip without end",
        lambda: endless(gzip.compress(b"") * 100, http_head(content_encoding="gzip"), 0.01),
        Outcome.TIMEOUT, "total", None, timeouts=Timeouts(20, 20, 20, total=1), flags=("compressed",),
    ),
    "gzip-broken": Behaviour(
        "gzip with a wrong checksum", lambda: gzipped(gzip.compress(WHOLE)[:-8] + bytes(8)),
        Outcome.CONNECTION, "compression", None,
    ),
    "gzip-cut": Behaviour(
        "gzip that stops", lambda: gzipped(gzip.compress(HELLO + END, 0)[: len(HELLO) + 20]),
        Outcome.TRUNCATED, flags=("compressed",),
    ),
    "coding-unasked": Behaviour(
        "brotli, which was not asked for",
        lambda: counted(b"\x8b\x02\x80abc\x03" * 9, content_encoding="br"), Outcome.CONNECTION, "compression", None,
    ),
    "codings-many": Behaviour(
        "a thousand codings", lambda: counted(gzip.compress(WHOLE), content_encoding=", ".join(["gzip"] * 1000)),
        Outcome.CONNECTION, "compression", None,
    ),
    "deflate-garbage": Behaviour(
        "deflate that is none", lambda: counted(b"\xff\xfe\xfd" * 20, content_encoding="deflate"),
        Outcome.CONNECTION, "compression", None,
    ),
    "deflate-raw": Behaviour(
        "deflate without a header", lambda: counted(zlib.compress(WHOLE)[2:-4], content_encoding="deflate"),
        Outcome.OK, flags=("compressed",),
    ),
}  # fmt: skip

DEPTH: dict[str, Behaviour] = {
    "json-deep-broken": Behaviour(
        "100,000 open brackets", lambda: chunked(b"data: " + b"[" * 100_000 + b"\n\n"),
        Outcome.BAD_STREAM, "broken_json", None, retried=True,
    ),
    "json-deep": Behaviour(
        "an object 40,000 deep", lambda: chunked(HELLO + b"data: " + nested(40_000) + b"\n\n" + END),
        Outcome.BAD_STREAM, "broken_json",
    ),
    "json-deep-beside": Behaviour(
        "an object 400 deep beside the text",
        lambda: chunked(b'data: {"x": ' + nested(400) + b', "choices": [{"delta": {"content": "Hello"}}]}\n\n' + END),
        Outcome.OK,
    ),
    "content-deep": Behaviour(
        "content that is a list 300 deep",
        lambda: chunked(b'data: {"choices": [{"delta": {"content": ' + b"[" * 300 + b"]" * 300 + b"}}]}\n\n" + WHOLE),
        Outcome.OK,
    ),
    "usage-deep": Behaviour(
        "a usage 400 deep",
        lambda: usage('{"prompt_tokens": 7, "completion_tokens": 3, "x": ' + nested(400).decode() + "}"),
        Outcome.OK, tokens=(7, 3),
    ),
    "error-deep": Behaviour(
        "an error's message 300 deep", lambda: counted(b'{"error": {"message": ' + nested(300) + b"}}", "400 Bad"),
        Outcome.BAD_REQUEST, "request", None,
    ),
    "document-deep": Behaviour(
        "a reply in one piece, 40,000 deep", lambda: counted(nested(40_000)),
        Outcome.BAD_STREAM, "broken_json", None, retried=True,
    ),
    "data-in-data": Behaviour(
        "`data:` 40,000 times in a line", lambda: chunked(b"data:" * 40_000 + HELLO + END), Outcome.OK,
    ),
    "marks-many": Behaviour(
        "50,000 byte order marks", lambda: chunked(b"\xef\xbb\xbf" * 50_000, WHOLE), Outcome.OK
    ),
    "blanks-many": Behaviour("100,000 blank lines", lambda: chunked(b"\n" * 100_000, WHOLE), Outcome.OK),
    "choices-many": Behaviour(
        "3,000 choices in a chunk",
        lambda: chunked(
            sse_event({"choices": [{"index": n, "delta": {"content": "Hello"}} for n in range(3000)]}), END),
        Outcome.OK, flags=("several_choices",),
    ),
    "number-huge": Behaviour(
        "an index of 5,000 digits",
        lambda: chunked(
            b'data: {"choices": [{"index": ' + b"1" * 5000 + b', "delta": {"content": "Hello"}}]}\n\n', END),
        Outcome.BAD_STREAM, "broken_json", None, retried=True,
    ),
    "thought-in-two-fields": Behaviour(
        "2,000 pieces of a thought, each under two names",
        lambda: chunked(
            b"".join(sse_event({"choices": [{"delta": {name: "ab " * 9}}]}) for _ in range(1000)
                     for name in ("reasoning", "reasoning_content")), WHOLE), Outcome.OK,
    ),
    "message-with-every-chunk": Behaviour(
        "3,000 whole messages that differ from the text",
        lambda: chunked(HELLO, sse_event({"choices": [{"message": {"content": "other"}}]}) * 3000, END),
        Outcome.OK, flags=("message_differs",),
    ),
    "calls-named-with-every-piece": Behaviour(
        "2,000 pieces of a tool call, each with its name and a brace",
        lambda: chunked(
            HELLO, sse_event({"choices": [{"delta": {"tool_calls": [
                {"index": 0, "function": {"name": "f", "arguments": "a}"}}]}}]}) * 2000, END), Outcome.OK,
    ),
}  # fmt: skip

NO_TOKENS = (None, None)

USAGE: dict[str, Behaviour] = {
    "usage-negative": Behaviour(
        "negative counts", lambda: usage({"prompt_tokens": -7, "completion_tokens": -3}), Outcome.OK, tokens=NO_TOKENS
    ),
    "usage-huge": Behaviour(
        "a count beyond 2^53", lambda: usage({"prompt_tokens": 7, "completion_tokens": 2**60}), Outcome.OK,
        tokens=(7, None),
    ),
    "usage-infinite": Behaviour(
        "a count of 1e400", lambda: usage('{"prompt_tokens": 7, "completion_tokens": 1e400}'), Outcome.OK,
        tokens=(7, None),
    ),
    "usage-nan": Behaviour(
        "a count of NaN", lambda: usage('{"prompt_tokens": 7, "completion_tokens": NaN}'), Outcome.OK, tokens=(7, None)
    ),
    "usage-text": Behaviour(
        "counts in words", lambda: usage({"prompt_tokens": "many", "completion_tokens": True}), Outcome.OK,
        tokens=NO_TOKENS,
    ),
    "usage-list": Behaviour("a usage that is a list", lambda: usage([[7], [3]]), Outcome.OK, tokens=NO_TOKENS),
    "usage-wide": Behaviour(
        "a usage with 10,000 members",
        lambda: usage({"prompt_tokens": 7, "completion_tokens": 3, **{f"x{n}": n for n in range(10_000)}}),
        Outcome.OK, tokens=(7, 3),
    ),
}  # fmt: skip

RETRY_AFTER: dict[str, Behaviour] = {
    "wait-date": Behaviour(
        "Retry-After with a date, and no `Date`", lambda: refused(retry_after=date_in(7200)),
        Outcome.RATE_LIMITED, "rate", None, retry_after_s=lambda s: 7000 < s <= 7200,
    ),
    "wait-date-past": Behaviour(
        "a date that is over", lambda: refused(retry_after="Wed, 21 Oct 2015 07:28:00 GMT"),
        Outcome.RATE_LIMITED, "rate", None, retried=True,
    ),
    "wait-date-impossible": Behaviour(
        "a date that there is not", lambda: refused(retry_after="Wed, 99 Feb 99999 25:61:61 GMT"),
        Outcome.RATE_LIMITED, "rate", None, retried=True,
    ),
    "wait-unix": Behaviour(
        "Unix time, and no `Date`", lambda: refused(retry_after=str(int(datetime.now(UTC).timestamp()) + 7200)),
        Outcome.RATE_LIMITED, "rate", None, retry_after_s=lambda s: 7000 < s <= 7200,
    ),
    "wait-negative": Behaviour(
        "a negative wait", lambda: refused(retry_after="-5"), Outcome.RATE_LIMITED, "rate", None, retried=True
    ),
    "wait-nan": Behaviour(
        "a wait of NaN", lambda: refused(retry_after="nan"), Outcome.RATE_LIMITED, "rate", None, retried=True
    ),
    "wait-infinite": Behaviour(
        "a wait of 1e400", lambda: refused(retry_after="1e400"), Outcome.RATE_LIMITED, "rate", None, retried=True
    ),
    "wait-a-year": Behaviour(
        "a wait of a year", lambda: refused(retry_after="31536000"), Outcome.RATE_LIMITED, "rate", None,
        retry_after_s=lambda s: s == 31_536_000,
    ),
    "wait-garbage": Behaviour(
        "a wait of 60,000 commas", lambda: refused(retry_after="," * 60_000), Outcome.RATE_LIMITED, "rate", None,
        retried=True,
    ),
}  # fmt: skip

SIZES: dict[str, Behaviour] = {
    "text-endless": Behaviour("text without end, as fast as it goes", lambda: endless(BLOCK),
        Outcome.TOO_LARGE, "reply_limit", is_long),
    "tokens-endless": Behaviour("short pieces without end", lambda: endless(http_chunk(delta_event("ab") * 500)),
        Outcome.TOO_LARGE, "reply_limit", lambda text: len(text) > 5000 and set(text) == {"a", "b"}),
    "comments-endless": Behaviour("comments without end", lambda: endless(http_chunk(b": ping\n\n" * 4000)),
        Outcome.TOO_LARGE, "reply_limit", None),
    "event-endless": Behaviour("one event without end",
        lambda: endless(http_chunk(b"x" * 30_000), STREAM_HEAD + http_chunk(HELLO + b"data: {")),
        Outcome.TOO_LARGE, "reply_limit"),
    "event-lines-endless": Behaviour("lines of one event without end",
        lambda: endless(http_chunk(b"data: [\n" * 4000), STREAM_HEAD + http_chunk(HELLO)),
        Outcome.TOO_LARGE, "reply_limit"),
    "document-endless": Behaviour("JSON without end", lambda: endless(http_chunk(b'{"a":' * 6000)),
        Outcome.TOO_LARGE, "reply_limit", None),
    "page-endless": Behaviour("a web page without end",
        lambda: endless(http_chunk(b"<p>" * 10_000), STREAM_HEAD + http_chunk(b"<html><title>Portal</title>")),
        Outcome.BAD_STREAM, "html", None),
    "error-endless": Behaviour("an error without end",
        lambda: endless(http_chunk(b"x" * 30_000), http_head("500 Oops", transfer_encoding="chunked")),
        Outcome.PROVIDER_ERROR, "server", None, retried=True),
    "endless-after-done": Behaviour("events without end behind [DONE]",
        lambda: endless(BLOCK, STREAM_HEAD + http_chunk(WHOLE)), Outcome.OK),
    "endless-after-finish": Behaviour("comments without end behind the finish_reason",
        lambda: endless(http_chunk(b": x\n\n" * 4000), STREAM_HEAD + http_chunk(HELLO + FINISH_EVENT)),
        Outcome.OK, flags=("cut_after_finish",)),
    "silent": Behaviour("nothing", lambda: ScriptedReply([(5.0, b"")]),
        Outcome.TIMEOUT, "first_token", None, timeouts=Timeouts(20, 0.5, 20, 30), retried=True),
    "drip": Behaviour("a comment every 50 ms", lambda: endless(http_chunk(b":\n\n"), pause_s=0.05, count=100),
        Outcome.TIMEOUT, "first_token", None, timeouts=Timeouts(20, 0.5, 20, 30), retried=True),
    "falls-silent": Behaviour("text, and then nothing",
        lambda: sends(STREAM_HEAD + http_chunk(HELLO), linger_s=5),
        Outcome.TIMEOUT, "idle", timeouts=Timeouts(20, 20, 0.5, 30)),
    "never-done": Behaviour("a piece of text every 50 ms",
        lambda: endless(http_chunk(delta_event("ab")), pause_s=0.05, count=100),
        Outcome.TIMEOUT, "total", lambda text: set(text) == {"a", "b"}, timeouts=Timeouts(20, 20, 20, 1)),
}  # fmt: skip


def nothing() -> ScriptedReply:
    """Return a reply for servers that never send it."""
    return sends(b"")


TLS: dict[str, Behaviour] = {
    "tls-untrusted": Behaviour("a certificate of nobody", nothing, Outcome.CONNECTION, "tls_certificate", None,
        at="tls-untrusted"),
    "tls-other-name": Behaviour("a certificate for another name", nothing, Outcome.CONNECTION, "tls_certificate", None,
        at="tls-other-name"),
    "tls-to-plain": Behaviour("plain HTTP where TLS is expected", nothing, Outcome.CONNECTION, "tls", None,
        at="tls-to-plain", retried=True),
    "tls-garbage": Behaviour("bytes that are not TLS", nothing, Outcome.CONNECTION, "tls", None, at="tls-garbage",
        retried=True),
    "tls-silent": Behaviour("a handshake that is never answered", nothing, Outcome.TIMEOUT, "connect", None,
        at="tls-silent", timeouts=Timeouts(0.5, 20, 20, 30), retried=True),
    "tls-cut": Behaviour("the connection ends without TLS's closing message",
        lambda: sends(STREAM_HEAD + http_chunk(HELLO)), Outcome.CONNECTION, "cut", at="tls"),
    "tls-endless": Behaviour("text without end over TLS", lambda: endless(BLOCK),
        Outcome.TOO_LARGE, "reply_limit", is_long,
        at="tls"),
}  # fmt: skip

LABEL = "a" * 64

NAMES: dict[str, Behaviour] = {
    "name-empty-part": Behaviour("a host name with two dots side by side", nothing, Outcome.CONNECTION, "bad_url", None,
        at="http://api..example.com/v1"),
    "name-long-part": Behaviour("a host name with a part of 64 characters", nothing,
        Outcome.CONNECTION, "bad_url", None,
        at=f"http://{LABEL}.example.com/v1"),
    "name-long": Behaviour("a host name of 300 characters", nothing, Outcome.CONNECTION, "bad_url", None,
        at=f"http://{'.'.join(['abcdefgh'] * 33)}.com/v1"),
    "name-long-idn": Behaviour("a Chinese host name that is too long when it is encoded", nothing,
        Outcome.CONNECTION, "bad_url", None, at=f"http://{'模型' * 40}.example/v1"),
    "name-unknown": Behaviour("a host name that nobody knows", nothing, Outcome.CONNECTION, "dns", None,
        at="http://nowhere.invalid/v1", retried=True),
    "port-closed": Behaviour("a port at which nobody listens", nothing, Outcome.CONNECTION, "refused", None,
        at="http://127.0.0.1:1/v1", retried=True),
}  # fmt: skip

GROUPS: dict[str, dict[str, Behaviour]] = {
    "framing": FRAMING,
    "desync after keep-alive": DESYNC,
    "redirects": REDIRECTS,
    "compression": COMPRESSION,
    "depth": DEPTH,
    "usage": USAGE,
    "Retry-After": RETRY_AFTER,
    "endless and huge": SIZES,
    "TLS": TLS,
    "names": NAMES,
}

BEHAVIOURS: dict[str, Behaviour] = {name: each for group in GROUPS.values() for name, each in group.items()}


def answer(request: ReceivedRequest) -> ScriptedReply:
    """Misbehave as the request's model says; a model called `good` repeats the prompt."""
    model = request.json["model"]
    return streamed_reply(request.prompt) if model == "good" else BEHAVIOURS[model].make()
