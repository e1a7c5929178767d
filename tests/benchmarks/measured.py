"""What a client hands to the benchmark that started it: all its stamps, and what taking them cost."""

import json
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import perf_counter_ns, process_time_ns
from typing import Self

import anyio

from runner.analysis.calibration import ReplyTimestamps
from runner.calibration.measure import CalibrationLoad
from runner.commands.run.perform import backend


@dataclass(slots=True)
class Measured:
    """A load as one client saw it. CPU is that of the client's process alone."""

    replies: list[ReplyTimestamps] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Note what the block costs: from just before the first request to just after the last."""
        cpu_ns, wall_ns = process_time_ns(), perf_counter_ns()
        yield
        self.cpu_s, self.wall_s = (process_time_ns() - cpu_ns) / 1e9, (perf_counter_ns() - wall_ns) / 1e9

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read it back."""
        values = json.loads(text)
        return cls([ReplyTimestamps(*reply) for reply in values["replies"]], values["cpu_s"], values["wall_s"])


def stamps_since(sent_ns: int, received_ns: int, at_ns: list[int], origin_ns: list[int]) -> ReplyTimestamps:
    """Return a reply's stamps relative to the moment its request was sent."""
    at_us, origin_us = ([(at - sent_ns) // 1000 for at in column] for column in (at_ns, origin_ns))
    return ReplyTimestamps((received_ns - sent_ns) // 1000, at_us, origin_us)


def be_client(ask: Callable[[str, CalibrationLoad], Coroutine[None, None, Measured]]) -> None:
    """Do in this process as its arguments say, on uvloop where there is one, and print what was measured."""
    base_url, load = sys.argv[1], CalibrationLoad(**json.loads(sys.argv[2]))
    print(anyio.run(ask, base_url, load, **backend()).to_json())
