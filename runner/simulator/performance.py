"""A response while it is being played: what is due by now, as bytes with their stamp. Performs no I/O.

A step is due counted from the request's last byte and never from the step before, so that no delay adds up.
What is due at the same time is handed out together, with one stamp.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter_ns

from runner.simulator.response import STAMP_BYTES, Ending, Framing, Response, Step

STEPS_PER_WRITE = 64
"""A stream without delays lets the others have their turn after so many."""

LAST_CHUNK = b"0\r\n\r\n"


@dataclass(slots=True)
class Performance:
    """A response being played; `head` and `step` are what comes next, None when there is no more."""

    head: bytes | None
    step: Step | None
    steps: Iterator[Step]
    start_ns: int
    head_due_ns: int
    chunked: bool
    ending: Ending

    @classmethod
    def of(cls, response: Response, head: bytes | None, start_ns: int, *, bodiless: bool) -> "Performance":
        """Get a response ready; its delays count from `start_ns`."""
        steps = iter(() if bodiless else response.steps)
        return cls(
            head=head,
            step=next(steps, None),
            steps=steps,
            start_ns=start_ns,
            head_due_ns=response.head_due_ns,
            chunked=response.framing is Framing.CHUNKED,
            ending=response.ending,
        )

    @property
    def due_ns(self) -> int | None:
        """When something is to be written next; None when all is."""
        if self.head is not None:
            return self.start_ns + self.head_due_ns
        return None if self.step is None else self.start_ns + self.step.due_ns

    def take_due(self, now_ns: int) -> bytes:
        """Return the bytes that are due by now, stamped with the moment they are handed out."""
        head = self._take_head(now_ns)
        steps = self._take_steps(now_ns) if self.head is None else []
        end = LAST_CHUNK if self.chunked and self.due_ns is None else b""
        stamp = b"%*d" % (STAMP_BYTES, perf_counter_ns())
        return b"".join([head, *(_frame(step, stamp, chunked=self.chunked) for step in steps), end])

    def _take_head(self, now_ns: int) -> bytes:
        if self.head is None or self.start_ns + self.head_due_ns > now_ns:
            return b""
        head, self.head = self.head, None
        return head

    def _take_steps(self, now_ns: int) -> list[Step]:
        taken: list[Step] = []
        due_by_ns = now_ns - self.start_ns
        while self.step is not None and self.step.due_ns <= due_by_ns and len(taken) < STEPS_PER_WRITE:
            taken.append(self.step)
            self.step = next(self.steps, None)
        return taken


def _frame(step: Step, stamp: bytes, *, chunked: bool) -> bytes:
    body = step.head if step.tail is None else step.head + stamp + step.tail
    # An empty chunk would be the last one.
    return b"%x\r\n%b\r\n" % (len(body), body) if chunked and body else body
