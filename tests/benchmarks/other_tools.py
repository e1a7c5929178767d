"""Runs of AIPerf and GuideLLM, if they are installed, in the way of their users, and their reports.

They report no timestamps, so the error of their TTFT is its difference from the delay requested from the server.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from runner.analysis.timestamp_errors import ErrorSpread, TimestampErrors
from runner.calibration.measure import CalibrationLoad

LIMIT_S = 900


@dataclass(frozen=True, slots=True)
class Report:
    """A tool's report on a load. `measuring_s` is the duration it reports; `wall_s` is that of the whole command."""

    ttft_ms: tuple[float, ...]
    tokens: int
    measuring_s: float
    wall_s: float

    def errors(self, load: CalibrationLoad) -> TimestampErrors:
        """Return the errors of the reported TTFT against the delay requested from the server."""
        us = [round(ttft * 1000) for ttft in self.ttft_ms]
        off_us = [at - round(load.ttft_ms * 1000) for at in us]
        return TimestampErrors(
            load.requests,
            len(us),
            self.tokens,
            ErrorSpread.of(us),
            ErrorSpread.of(off_us),
            gap=None,
            request=None,
            stamp=None,
        )


def run_aiperf(executable: str, tokenizer: str, base_url: str, load: CalibrationLoad) -> Report:
    """Run `aiperf profile` against a running simulator."""
    with _new_folder() as folder:
        options = {
            "--model": load.model,
            "--url": base_url.removesuffix("/v1"),
            "--endpoint-type": "chat",
            "--concurrency": load.concurrency,
            "--request-count": load.requests,
            "--tokenizer": tokenizer,
            "--isl": 8,
            "--artifact-dir": folder,
            "--ui": "none",
        }
        wall_s = _run([executable, "profile", "--streaming", "--use-server-token-count", *_flattened(options)])
        rows = [json.loads(line) for line in (folder / "profile_export.jsonl").read_text().splitlines()]
        whole = json.loads((folder / "profile_export_aiperf.json").read_text())
    return Report(
        ttft_ms=tuple(row["metrics"]["time_to_first_token"]["value"] for row in rows),
        tokens=sum(row["metrics"]["usage_completion_tokens"]["value"] for row in rows),
        measuring_s=whole["benchmark_duration"]["avg"],
        wall_s=wall_s,
    )


def run_guidellm(executable: str, tokenizer: str, base_url: str, load: CalibrationLoad) -> Report:
    """Run `guidellm run` against a running simulator, without a health check: the simulator has no such route."""
    target = base_url.removesuffix("/v1")
    with _new_folder() as folder:
        options = {
            "--backend": {"kind": "openai_http", "target": target, "model": load.model, "validate_backend": False},
            "--profile": {"kind": "concurrent", "streams": [load.concurrency]},
            "--constraint": {"kind": "max_requests", "count": load.requests},
            "--data": {"kind": "synthetic_text", "prompt_tokens": 8, "output_tokens": load.tokens},
            "--tokenizer": {"kind": "hf_auto", "model": tokenizer},
            "--output": {"kind": "json", "path": str(folder / "report.json")},
        }
        wall_s = _run([executable, "run", "--disable-console", *_flattened(options)])
        [benchmark] = json.loads((folder / "report.json").read_text())["benchmarks"]
    rows = benchmark["requests"]["successful"]
    return Report(
        ttft_ms=tuple(row["time_to_first_token_ms"] for row in rows),
        tokens=sum(row["output_tokens"] for row in rows),
        measuring_s=benchmark["duration"],
        wall_s=wall_s,
    )


OTHER_TOOLS = {"aiperf": run_aiperf, "guidellm": run_guidellm}


@contextmanager
def _new_folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


def _flattened(options: Mapping[str, object]) -> Iterator[str]:
    for name, value in options.items():
        yield name
        yield json.dumps(value) if isinstance(value, dict) else str(value)


def _run(command: list[str]) -> float:
    """Run a command to its end; return the seconds it took. Its output is printed only if it failed."""
    start = perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return perf_counter() - start
