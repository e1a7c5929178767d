"""The measurement of one client: timestamps, wall time and CPU time. Processes exchange it as JSON."""

import json
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import perf_counter_ns, process_time_ns
from typing import Self

from runner.analysis.timestamp_errors import ReplyTimestamps
from runner.calibration.measure import CalibrationLoad
from runner.commands.event_loop import run_async


@dataclass(slots=True)
class Measurement:
    """The replies to a load with one client's timestamps; `cpu_s` is the CPU time of the client's process alone."""

    replies: list[ReplyTimestamps] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0

    @contextmanager
    def timing(self) -> Iterator[None]:
        """Measure the CPU and wall time of a block, which sends the first request and ends after the last."""
        cpu_ns, wall_ns = process_time_ns(), perf_counter_ns()
        yield
        self.cpu_s, self.wall_s = (process_time_ns() - cpu_ns) / 1e9, (perf_counter_ns() - wall_ns) / 1e9

    def to_json(self) -> str:
        """Return the measurement as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse what `to_json` returned."""
        values = json.loads(text)
        return cls([ReplyTimestamps(*reply) for reply in values["replies"]], values["cpu_s"], values["wall_s"])


def timestamps_since(sent_ns: int, received_ns: int, at_ns: list[int], origin_ns: list[int]) -> ReplyTimestamps:
    """Return a reply's timestamps in microseconds since its request was sent; arguments in nanoseconds of one clock."""
    at_us, origin_us = ([(at - sent_ns) // 1000 for at in column] for column in (at_ns, origin_ns))
    return ReplyTimestamps((received_ns - sent_ns) // 1000, at_us, origin_us)


def run_client(ask: Callable[[str, CalibrationLoad], Coroutine[None, None, Measurement]]) -> None:
    """Run the load in the process's arguments against their base URL, and print the measurement."""
    base_url, load = sys.argv[1], CalibrationLoad(**json.loads(sys.argv[2]))
    print(run_async(ask, base_url, load).to_json())
