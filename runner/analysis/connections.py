"""What it took to open a provider's connections, before the first request."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

PHASES = {"dns": ("dns_start", "dns_end"), "TCP": ("tcp_start", "tcp_end"), "TLS": ("tcp_end", "tls_end")}


@dataclass(frozen=True, slots=True)
class Setup:
    """How many connections were opened to a provider, and the median seconds of each phase that took place."""

    provider: str
    n: int
    phases_s: Mapping[str, float]


def summarize_connections(lines: Iterable[Mapping[str, Any]]) -> tuple[Setup, ...]:
    """Sum up the `connection` lines of a journal, by provider in order of appearance."""
    by_provider: dict[str, list[Mapping[str, int]]] = defaultdict(list)
    for line in lines:
        by_provider[line["provider"]].append(line["marks"])
    return tuple(Setup(provider, len(marks), _medians(marks)) for provider, marks in by_provider.items())


def _medians(marks: list[Mapping[str, int]]) -> dict[str, float]:
    medians = {}
    for phase, (start, end) in PHASES.items():
        spans = [(mark[end] - mark[start]) / 1e9 for mark in marks if start in mark and end in mark]
        if spans:
            medians[phase] = median(spans)
    return medians
