"""Measure the error of each client's TTFT and the CPU time of a token: all clients in one run, against one server.

python tests/benchmarks/accuracy.py [--saturated | --scale] [--clients compare,sdk,bare,aiperf,guidellm]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tabulate import tabulate

from runner.analysis.timestamp_errors import ErrorSpread, TimestampErrors, measure_errors
from runner.calibration.measure import CalibrationLoad
from runner.simulator.child_process import launch_sync
from tests.benchmarks.client import Measurement
from tests.benchmarks.other_tools import OTHER_TOOLS
from tests.benchmarks.targets import PerformanceTarget, ratio

CHECKOUT = Path(__file__).parents[2]
CLIENTS = ("compare", "sdk", "bare")
"""Clients with a module beside this one: `compare_client` and so on."""

LIMIT_S = 900

STEADY = CalibrationLoad(concurrency=200, requests=600, ttft_ms=200, gap_ms=20, tokens=100)
SCALE = CalibrationLoad(concurrency=1000, requests=2000, ttft_ms=200, gap_ms=50, tokens=100)
SATURATED = CalibrationLoad(concurrency=32, requests=640, ttft_ms=0, gap_ms=0, tokens=100)


@dataclass(frozen=True, slots=True)
class ClientFigures:
    """The figures of one client; a figure is None if the client does not report it, or if it cannot be compared."""

    client: str
    errors: TimestampErrors
    cpu_per_token_s: float | None
    wall_s: float

    @property
    def tokens_per_s(self) -> float:
        """Tokens per second, over all streams."""
        return self.errors.tokens / self.wall_s


def main() -> None:
    """Run every client once and print the table."""
    options = parse_options()
    load = load_of(options)
    busy = ", ".join(f"{share:.2f}" for share in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    machine = f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, load before: {busy}"
    with launch_sync() as base_url:
        rows = list(run_clients(options, base_url, load))
    if options.json:
        figures = [{**asdict(row), "tokens_per_s": row.tokens_per_s} for row in rows]
        print(json.dumps({"machine": machine, "load": asdict(load), "rows": figures}, indent=2))
    else:
        print(render(machine, load, rows))


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--saturated", action="store_true", help="no delays, 32 streams: how much can a client take?")
    mode.add_argument("--scale", action="store_true", help="1000 streams of 20 tokens a second")
    parser.add_argument("--streams", type=int, help="requests in flight (200)")
    parser.add_argument("--rate", type=float, help="tokens a second of each stream (50)")
    parser.add_argument("--tokens", type=int, help="tokens of each reply (100)")
    parser.add_argument("--requests", type=int, help="requests in all (600)")
    parser.add_argument("--clients", default=",".join((*CLIENTS, *OTHER_TOOLS)), help="which ones, in which order")
    for name in OTHER_TOOLS:
        parser.add_argument(f"--{name}", default=os.environ.get(name.upper()), metavar="EXECUTABLE")
    parser.add_argument("--tokenizer", default=os.environ.get("TOKENIZER", "gpt2"), help="what the other tools load")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser.parse_args()


def load_of(options: argparse.Namespace) -> CalibrationLoad:
    """Return the load of the mode, with the changes that the options make."""
    mode = SATURATED if options.saturated else SCALE if options.scale else STEADY
    return CalibrationLoad(
        concurrency=options.streams or mode.concurrency,
        requests=options.requests or mode.requests,
        ttft_ms=mode.ttft_ms,
        gap_ms=1000 / options.rate if options.rate else mode.gap_ms,
        tokens=options.tokens or mode.tokens,
    )


def run_clients(options: argparse.Namespace, base_url: str, load: CalibrationLoad) -> Iterator[ClientFigures]:
    """Run one client after the other, each in a process of its own; yield its row."""
    for name in options.clients.split(","):
        if name in CLIENTS:
            yield run_client_process(name, base_url, load)
        elif name not in OTHER_TOOLS:
            sys.exit(f"no client is called {name}; there are {', '.join((*CLIENTS, *OTHER_TOOLS))}")
        elif executable := getattr(options, name):
            report = OTHER_TOOLS[name](executable, options.tokenizer, base_url, load)
            yield ClientFigures(name, report.errors(load), None, report.measuring_s)
        else:
            print(f"{name}: skipped; --{name} or {name.upper()} names its executable", file=sys.stderr)


def run_client_process(name: str, base_url: str, load: CalibrationLoad) -> ClientFigures:
    """Run one of the clients beside this module in a new process; return its row."""
    command = [sys.executable, "-m", f"tests.benchmarks.{name}_client", base_url, json.dumps(asdict(load))]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, timeout=LIMIT_S, check=True)
    measurement = Measurement.from_json(done.stdout)
    errors = measure_errors(measurement.replies, load.requests)
    return ClientFigures(name, errors, ratio(measurement.cpu_s, errors.tokens), measurement.wall_s)


def render(machine: str, load: CalibrationLoad, rows: Sequence[ClientFigures]) -> str:
    """Return the table with the machine, the load, ratios of clients, and verdicts on the targets."""
    pace = f"{1000 / load.gap_ms:g} tokens/s each" if load.gap_ms else "no delays"
    head = f"{load.concurrency} streams, {pace}, {load.requests} requests of {load.tokens} tokens"
    found = {row.client: row for row in rows}
    return "\n".join([machine, head, "", tabulate_rows(rows), "", *ratios(found), "", *map(str, judge(load, found))])


def tabulate_rows(rows: Sequence[ClientFigures]) -> str:
    """Return the table; times are in milliseconds, CPU times in microseconds."""
    reported, error = ("TTFT p50", "p90", "p99"), ("TTFT error p50", "p90", "p99", "max")
    headers = (
        "client",
        "n",
        *reported,
        *error,
        "ICL n",
        "ICL error p99",
        "sent p99",
        "text p99",
        "CPU us/token",
        "tokens/s",
        "wall s",
    )
    table = [
        (
            row.client,
            row.errors.timed,
            *_milliseconds(row.errors.reported_ttft)[:3],
            *_milliseconds(row.errors.ttft),
            row.errors.gap.n if row.errors.gap else "–",
            *(_milliseconds(errors)[2] for errors in (row.errors.gap, row.errors.request, row.errors.stamp)),
            "–" if row.cpu_per_token_s is None else f"{row.cpu_per_token_s * 1e6:.1f}",
            f"{row.tokens_per_s:.0f}",
            f"{row.wall_s:.2f}",
        )
        for row in rows
    ]
    return tabulate(table, headers, disable_numparse=True, colalign=("left", *["right"] * (len(headers) - 1)))


def _milliseconds(spread: ErrorSpread | None) -> tuple[str, ...]:
    if spread is None:
        return ("–",) * 4
    return tuple(f"{value * 1000:.2f}" for value in (spread.p50_s, spread.p90_s, spread.p99_s, spread.max_s))


def ratios(found: Mapping[str, ClientFigures]) -> list[str]:
    """Return a line for each ratio of two clients that were both run."""
    figures = {
        "CPU per token, compare / bare": _cpu_ratio(found, "compare", "bare"),
        "CPU per token, sdk / compare": _cpu_ratio(found, "sdk", "compare"),
        "tokens/s, compare / sdk": _speed_ratio(found, "compare", "sdk"),
        "tokens/s, bare / compare": _speed_ratio(found, "bare", "compare"),
    }
    return [f"{words}: {value:.2f}" for words, value in figures.items() if value is not None]


def _cpu_ratio(found: Mapping[str, ClientFigures], above: str, below: str) -> float | None:
    if not {above, below} <= found.keys():
        return None
    return ratio(found[above].cpu_per_token_s, found[below].cpu_per_token_s)


def _speed_ratio(found: Mapping[str, ClientFigures], above: str, below: str) -> float | None:
    if not {above, below} <= found.keys():
        return None
    return ratio(found[above].tokens_per_s, found[below].tokens_per_s)


def judge(load: CalibrationLoad, found: Mapping[str, ClientFigures]) -> list[PerformanceTarget]:
    """Return the targets that are stated for a load; empty for another load."""
    errors = found["compare"].errors if "compare" in found else None
    ttft, gap = (errors.ttft, errors.gap) if errors else (None, None)
    p50, p99 = (ttft.p50_s * 1000, ttft.p99_s * 1000) if ttft else (None, None)
    pace = load.concurrency, load.gap_ms
    if pace == (STEADY.concurrency, STEADY.gap_ms):
        return [
            PerformanceTarget(1, "TTFT error p50", p50, 0.5, " ms"),
            PerformanceTarget(1, "TTFT error p99", p99, 5, " ms"),
            PerformanceTarget(1, "ICL error p99", gap.p99_s * 1000 if gap else None, 5, " ms"),
            PerformanceTarget(3, "CPU per token, compare / bare", _cpu_ratio(found, "compare", "bare"), 2),
            PerformanceTarget(3, "CPU per token, compare / sdk", _cpu_ratio(found, "compare", "sdk"), 0.2),
        ]
    if pace == (SCALE.concurrency, SCALE.gap_ms):
        return [
            PerformanceTarget(2, "TTFT error p50", p50, 2, " ms"),
            PerformanceTarget(2, "TTFT error p99", p99, 25, " ms"),
        ]
    if pace == (SATURATED.concurrency, SATURATED.gap_ms):
        return [PerformanceTarget(4, "tokens/s, sdk / compare", _speed_ratio(found, "sdk", "compare"), 0.1)]
    return []


if __name__ == "__main__":
    main()
