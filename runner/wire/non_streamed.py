"""The body of a success that is no event stream: a completion in one piece, an error, or something else."""

from runner.core.events import Event, Flagged, StreamDone
from runner.wire.error_body import READ_LIMIT, find_error, is_markup, page_title, shorten
from runner.wire.failure import fail
from runner.wire.json_value import as_object, read_json, write_json
from runner.wire.reply import ReplyDecoder


def read_whole_body(body: bytes, at_ns: int, reply: ReplyDecoder) -> list[Event]:
    """Return what a body tells, all of it at the moment when its last byte came."""
    if not body:
        words = f"HTTP {reply.status} with an empty body"
        return reply.end(fail("empty", words, at_ns, status=reply.status))
    text = body[: READ_LIMIT * 4].decode(errors="replace")
    if is_markup(text):
        words = f"a web page instead of a reply: {page_title(text) or 'it has no title'}"
        return reply.end(fail("html", words, at_ns, status=reply.status))
    try:
        value, replaced = read_json(body)
    except ValueError:
        return reply.end(fail("broken_json", f"broken JSON: {shorten(text)}", at_ns, status=reply.status))
    flags: list[Event] = [Flagged(at_ns, "invalid_utf8")] if replaced else []
    return flags + _hear_value(value, at_ns, reply)


def _hear_value(value: object, at_ns: int, reply: ReplyDecoder) -> list[Event]:
    if as_object(value).get("choices"):
        events = [Flagged(at_ns, "not_streamed"), *reply.hear(value, at_ns)]
        return events if reply.over else events + reply.end(StreamDone(at_ns))
    if find_error(value) is not None:
        return reply.hear(value, at_ns)
    words = f"no chat completion: {shorten(write_json(value))}"
    return reply.end(fail("not_a_reply", words, at_ns, status=reply.status))
