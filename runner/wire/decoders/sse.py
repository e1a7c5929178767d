"""Server-sent events: bytes, however they are cut into reads, become frames with the timestamp of their last data line.

The grammar is the HTML standard's, relaxed where real servers break it. Frames without data are ignored, a missing
blank line between events or after the last one is supplied, and llama.cpp's `error:` field and a bare JSON object count
as data. The code is pure and fast, because it shares a core with what is being measured.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from runner.core.suite import MAX_REPLY_LIMIT
from runner.wire.decoders.lenient_json import read_json

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

DATA_AGAIN = re.compile(rb"(?:data: ?)+")


class Frame(NamedTuple):
    """The data of one event. `at_ns` is the timestamp of the read that completed its last data line."""

    at_ns: int
    data: bytes
    event: bytes | None = None


class FrameReader:
    """Parses reads of any size into frames."""

    def __init__(self, limit: int = MAX_REPLY_LIMIT) -> None:
        self.overflowed = False
        """Whether a frame exceeded the limit: the frame is dropped, and nothing more is read."""
        self._limit = limit
        self._tail = bytearray()
        self._tail_at_ns = 0
        self._after_cr = False
        self._event: bytes | None = None
        self._data: list[bytes] = []
        self._data_size = 0
        self._data_at_ns = 0
        self._data_event: bytes | None = None

    def feed(self, data: bytes, at_ns: int) -> list[Frame]:
        """Return the frames that one read completes."""
        if not data or self.overflowed:
            return []
        frames: list[Frame] = []
        for line in self._complete_lines(data, at_ns):
            self._take_line(line, at_ns, frames)
        if len(self._tail) + self._data_size > self._limit:
            self._overflow()
        return frames

    def lone_object(self, data: bytes) -> bytes | None:
        """Return the JSON object of a read that is one whole frame and nothing else; None for any other read.

        Nearly all reads are of this kind; in some dialects an event's name precedes the data. `feed` returns the same
        for them in four times the time.
        """
        at = 0
        if data[:7] == b"event: ":
            at = data.find(b"\n") + 1
            if data[7 : at - 1] == b"error":
                return None
        is_lone = data[at : at + 7] == b"data: {" and data.find(b"\n", at) == len(data) - 2 and data[-3:] == b"}\n\n"
        if not is_lone or b"\r" in data or self._tail or self._data or self._event is not None or self.overflowed:
            return None
        self._after_cr = False
        return data[at + 6 : -2]

    def lone_objects(self, reads: Sequence[tuple[int, bytes]]) -> list[bytes]:
        """Return the JSON objects of the first reads, up to one for which `lone_object` returns None."""
        objects: list[bytes] = []
        if self._tail or self._data or self._event is not None or self.overflowed:
            return objects
        for _, data in reads:
            if (
                data[:7] == b"data: {"
                and data.find(b"\n") == len(data) - 2
                and data[-3:] == b"}\n\n"
                and b"\r" not in data
            ):
                objects.append(data[6:-2])
            elif (lone := self.lone_object(data)) is not None:
                objects.append(lone)
            else:
                break
        self._after_cr = self._after_cr and not objects
        return objects

    def close(self) -> list[Frame]:
        """Return the frame that no blank line has ended. An incomplete line counts only if its JSON is complete."""
        frames: list[Frame] = []
        if self._tail:
            self._take_line(bytes(self._tail), self._tail_at_ns, frames)
            self._dispatch(self._event, frames)
            frames = [frame for frame in frames if is_whole(frame.data)]
            self._tail.clear()
        self._dispatch(self._event, frames)
        return frames

    def _complete_lines(self, data: bytes, at_ns: int) -> list[bytes]:
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        lines = data.splitlines()  # of bytes: at CR, LF and CRLF only
        rest = lines.pop() if lines and not data.endswith((b"\r", b"\n")) else b""
        if lines and self._tail:
            lines[0] = bytes(self._tail) + lines[0]
            self._tail.clear()
        if rest:
            self._tail += rest
            self._tail_at_ns = at_ns
        return lines

    def _take_line(self, line: bytes, at_ns: int, frames: list[Frame]) -> None:
        if line.startswith(BYTE_ORDER_MARK):  # belongs at the start only; some relays send one with every event
            line = line.removeprefix(BYTE_ORDER_MARK)
        if not line:
            self._dispatch(self._event, frames)
            self._event = None
            return
        name, _, value = (b"data", b":", line) if line.startswith(b"{") or is_done(line) else line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._event = value
        elif name == b"error":
            self._event = name
            self._take_data(value, at_ns, frames)
        elif name == b"data" or name.strip().lower() == b"data":
            if again := DATA_AGAIN.match(value):  # some relays wrap each line again
                value = value[again.end() :]
            self._take_data(value, at_ns, frames)

    def _take_data(self, value: bytes, at_ns: int, frames: list[Frame]) -> None:
        if not value.strip():
            return
        if len(self._data) == 1 and is_whole(self._data[0]):
            # Nothing can follow a whole JSON value: a blank line between two events is missing.
            self._dispatch(self._data_event, frames)
        self._data.append(value)
        self._data_size += len(value)
        self._data_at_ns = at_ns
        self._data_event = self._event

    def _dispatch(self, event: bytes | None, frames: list[Frame]) -> None:
        if self._data:
            frames.append(Frame(self._data_at_ns, b"\n".join(self._data), event))
            self._data.clear()
            self._data_size = 0

    def _overflow(self) -> None:
        self.overflowed = True
        self._tail.clear()
        self._data.clear()
        self._data_size = 0


def is_done(data: bytes) -> bool:
    """Return whether a frame's data is the `[DONE]` sentinel, which some relays put in quotes or in lower case."""
    return len(data) < 16 and data.replace(b" ", b"").strip(b"\t\"'").upper() == b"[DONE]"


def is_whole(data: bytes) -> bool:
    """Return whether data is a whole JSON value or the `[DONE]` sentinel."""
    try:
        read_json(data)
    except ValueError:
        return is_done(data)
    return True
