"""Streams of events with a named type, as in all dialects except chat completions. Performs no I/O."""

from collections.abc import Callable, Generator, Iterable, Mapping

from runner.core.events import Channel
from runner.simulator.answer_chunks import Chunk
from runner.simulator.response_steps import Step, encode, open_timestamp

Part = tuple[Channel, int | None]
"""A part of an answer: its channel, and the number of the tool call if it is one."""

Document = Mapping[str, object]


def named_event(document: Document) -> bytes:
    """Return an event of a stream with the type of its document as its name."""
    return b"event: %b\ndata: %b\n\n" % (str(document["type"]).encode(), encode(document))


def open_named_event(document: Document) -> bytes:
    """Return an event as `named_event` does, up to its timestamp."""
    return b"event: %b\ndata: %b" % (str(document["type"]).encode(), open_timestamp(document))


def named_step(due_ns: int, before: Iterable[Document], document: Document) -> Step:
    """Return a step with the events `before`, then an event with its timestamp."""
    return Step(due_ns, b"".join([*map(named_event, before), open_named_event(document)]), b"}\n\n")


def part_steps(
    chunks: Iterable[Chunk],
    begin: Callable[[int, Part], Document],
    delta: Callable[[int, Part, str], bytes],
    end: Callable[[int, Part, str], list[Document]],
) -> Generator[Step, None, list[Document]]:
    """Yield a step for each chunk of an answer; return the events that end its last part.

    Events that start and end parts are in the step of the text after them, so that each chunk is one step.

    Args:
        chunks: the chunks of the answer.
        begin: returns the event that starts a part, given its index; for a tool call it has the name of the tool.
        delta: returns the event that adds a text to a part, up to its timestamp.
        end: returns the events that end a part, given its whole text.

    """
    index, part, said = -1, None, ""
    for due_ns, channel, text, call, is_name in chunks:
        before = list[Document]()
        if (channel, call) != part:
            before = [] if part is None else end(index, part, said)
            index, part, said = index + 1, (channel, call), ""
            begun = begin(index, part)
            if is_name:
                yield named_step(due_ns, before, begun)
                continue
            before = [*before, begun]
        said += text
        yield Step(due_ns, b"".join(map(named_event, before)) + delta(index, part, text), b"}\n\n")
    return [] if part is None else end(index, part, said)
