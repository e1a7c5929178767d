"""M/M/c queues under an open and a closed loop: simulated waits of requests, and the exact share that meets an SLO.

A server answers one request at a time, in 1 s on average, first come, first served. Many runs are simulated at once.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.integrate import trapezoid
from scipy.optimize import brentq
from scipy.stats import expon, gamma

from runner.analysis.capacity import CapacitySearch, TriedLoad
from runner.analysis.goodput import Goodput, design_effect_of_slow_requests, effective_readings, share_interval
from runner.core.slo import Slo

Floats = NDArray[np.float64]

SENT_S = 1e-6
"""Seconds until the first token of a request that does not wait."""


@dataclass(frozen=True, slots=True)
class QueueWorld:
    """An M/M/c queue with an SLO: on the wait (`ttft`), or on wait and service (`total`)."""

    servers: int
    within_s: float
    of_total: bool = False

    @property
    def slo(self) -> Slo:
        """The SLO in the form of a run."""
        return Slo(total_s=self.within_s) if self.of_total else Slo(ttft_s=self.within_s + SENT_S)

    def met_at_rate(self, rate: float) -> float:
        """Return the exact share under Poisson arrivals, by Erlang C; 0 if the queue grows without limit."""
        if rate >= self.servers:
            return 0.0
        waits, drain = _chance_to_wait(self.servers, rate), self.servers - rate + 1e-9
        if not self.of_total:
            return 1 - waits * math.exp(-drain * self.within_s)
        late = math.exp(-self.within_s)
        return 1 - ((1 - waits) * late + waits * (drain * late - math.exp(-drain * self.within_s)) / (drain - 1))

    def met_at_concurrency(self, concurrency: float) -> float:
        """Return the exact share in a closed loop.

        A new request waits for one departure for each other request beyond the number of servers, at full rate.
        """
        ahead = max(0, int(concurrency) - self.servers)
        if not ahead:
            return 1 - math.exp(-self.within_s) if self.of_total else 1.0
        if not self.of_total:
            return float(gamma.cdf(self.within_s, ahead, scale=1 / self.servers))
        waits = np.linspace(0, self.within_s, 2001)
        late = trapezoid(expon.sf(self.within_s - waits) * gamma.pdf(waits, ahead, scale=1 / self.servers), waits)
        return float(gamma.cdf(self.within_s, ahead, scale=1 / self.servers) - late)

    def rate_at(self, share: float) -> float:
        """Return the rate at which exactly this share meets the SLO."""
        return float(brentq(lambda rate: self.met_at_rate(rate) - share, 1e-6, self.servers * (1 - 1e-9)))

    def runs_at_rate(self, rng: np.random.Generator, rate: float, requests: int, runs: int) -> Iterator[pd.DataFrame]:
        """Yield the rows of open loops that start with an empty queue."""
        arrived = np.cumsum(rng.exponential(1 / rate, (requests, runs)), axis=0)
        lasts = rng.exponential(1, (requests, runs))
        free, each, started = np.zeros((runs, self.servers)), np.arange(runs), np.empty((requests, runs))
        for number in range(requests):
            first = free.argmin(axis=1)
            started[number] = np.maximum(free[each, first], arrived[number])
            free[each, first] = started[number] + lasts[number]
        for run in range(runs):
            waits, sent = started[:, run] - arrived[:, run], arrived[:, run]
            yield _rows(sent, waits, waits + lasts[:, run]).assign(planned_s=sent)

    def runs_at_concurrency(
        self, rng: np.random.Generator, concurrency: int, requests: int, runs: int
    ) -> Iterator[pd.DataFrame]:
        """Yield the rows of closed loops in their steady state: a request starts when another ends."""
        busy, ahead = min(concurrency, self.servers), max(0, concurrency - self.servers)
        ends = rng.exponential(1, (runs, busy))
        each, departed = np.arange(runs), np.empty((requests + ahead, runs))
        lasts = rng.exponential(1, (requests + ahead, runs))
        for number in range(requests + ahead):
            first = ends.argmin(axis=1)
            departed[number] = ends[each, first]
            ends[each, first] += lasts[number]
        arrived, started = departed[:requests], departed[ahead:]
        for run in range(runs):
            waits = started[:, run] - arrived[:, run]
            yield _rows(arrived[:, run], waits, waits + lasts[ahead:, run])


def world_at(servers: int, utilisation: float, share: float, *, of_total: bool) -> QueueWorld:
    """Return the queue whose SLO exactly this share of requests meets at this utilisation."""
    within_s = brentq(
        lambda within_s: QueueWorld(servers, within_s, of_total).met_at_rate(utilisation * servers) - share, 1e-9, 1e5
    )
    return QueueWorld(servers, float(within_s), of_total)


def mark_met(rows: pd.DataFrame, world: QueueWorld) -> "pd.Series[float]":
    """Return 1 for each row that met the SLO, else 0; this is faster than row by row, as for the rows of a run."""
    limits = world.slo.to_plain()
    return pd.concat([rows[name] <= limit for name, limit in limits.items()], axis=1).all(axis=1).astype(float)


def try_run(rows: pd.DataFrame, world: QueueWorld, load: float) -> TriedLoad:
    """Return the result of a run at a load."""
    met, is_open = mark_met(rows, world), bool(rows["planned_s"].notna().any())
    interval = share_interval(met, rows, design_effect_of_slow_requests(rows, world.slo) if is_open else 1.0)
    goodput = Goodput(float(met.mean()), len(met), interval, in_flight_n=effective_readings(rows) if is_open else None)
    return TriedLoad(load, goodput)


def search(world: QueueWorld, bounds: CapacitySearch, requests: int, rng: np.random.Generator) -> list[TriedLoad]:
    """Search the capacity of a queue, with one run at each load; return all loads that were tried."""
    tried: list[TriedLoad] = []
    while (load := bounds.next_load(tried)) is not None:
        if bounds.by_rate:
            (rows,) = world.runs_at_rate(rng, load, requests, 1)
        else:
            (rows,) = world.runs_at_concurrency(rng, int(load), requests - int(load), 1)
        tried.append(try_run(rows, world, load))
    return tried


def _chance_to_wait(servers: int, rate: float) -> float:
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = rate * blocked / (number + rate * blocked)
    return blocked / (1 - rate / servers * (1 - blocked))


def _rows(sent: Floats, waits: Floats, total: Floats) -> pd.DataFrame:
    """Return the table of a run with one case, in which each request is a round."""
    return pd.DataFrame(
        {
            "outcome": "ok", "flags": "", "case": "one", "block": np.arange(len(sent)), "sent_s": sent,
            "planned_s": np.nan, "ttft_s": waits + SENT_S, "tpot_s": np.nan, "total_s": total, "chunks": 2.0,
        }
    )  # fmt: skip
