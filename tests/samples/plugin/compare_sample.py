"""A plug-in of each kind, as small as they come."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.analysis.run_results import Run

PROVIDER = {
    "label": "A server of this machine",
    "base_url": "http://127.0.0.1:8000/v1",
    "base_url_env": "SAMPLE_BASE_URL",
    "keyless": True,
    "models": ["quick"],
}


def write_tsv(run: "Run") -> str:
    """Write one line a request: who was asked what, how it ended, when the first text came."""
    columns = ["provider", "model", "case", "outcome", "ttft_s"]
    return run.frame[columns].to_csv(sep="\t", index=False, lineterminator="\n")


def has_lines(answer: str, wanted: int) -> bool | str:
    """Pass where an answer has so many lines."""
    found = len(answer.splitlines())
    return found == wanted or f"{found} lines, not {wanted}"
