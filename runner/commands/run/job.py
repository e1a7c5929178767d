"""A run that is ready to start, and the wishes it was made from: plain values, and what follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Self, cast

from runner.commands.run.replay_source import ReplaySource
from runner.core.load import LoadProfile
from runner.core.nodes import ClusterOptions, Node
from runner.core.percentiles import PERCENTILES
from runner.core.suite import Suite
from runner.errors import CompareError
from runner.planning.forecast import Forecast, worst_case
from runner.planning.plan import Order, Plan, Request
from runner.planning.prices import Prices
from runner.planning.targets import SelectedTargets, TargetSelection
from runner.pricing.money import Money, parse_money
from runner.providers.redaction import Redactor
from runner.storage.journal import Header
from runner.storage.resume import (
    ResumedRun,
)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a command says beside the suite; None leaves the suite's, or the default, in force."""

    wish: TargetSelection = field(default_factory=TargetSelection)
    cases: tuple[str, ...] = ()
    repeat: int | None = None
    seed: int | None = None
    order: Order | None = None
    concurrency: int | None = None
    load: LoadProfile = field(default_factory=LoadProfile)
    fleet: ClusterOptions | None = None
    """Whose workers hear the run; None for this machine alone."""
    vantages: tuple[Node, ...] = ()
    """The nodes that each ask everything, in a run that is resumed; of a new one they are found in the cluster."""
    budgets: tuple[Money, ...] = ()
    until_ci: float | None = None
    """How narrow every target's median TTFT is to be known, as a share of it."""
    late_bound_s: float | None = None
    """How late this machine may be on a row's stamps before the row is flagged."""
    env_files: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    bom: bool = False
    warmup_requests: int = 0
    estimate_tokens: bool = False
    percents: tuple[float, ...] = PERCENTILES
    """Percentiles to show beside the median: a way of looking, which a resumed run does not remember."""
    resume: Path | None = None
    """A run to go on with: its folder, its journal, or `latest`. What is left open here is as it was there."""
    retry_errors: bool = False
    """Whether to ask again, in a resumed run, what failed."""
    record: bool = False
    """Whether to keep what is heard, byte for byte."""
    replay: Path | None = None
    """A recorded run whose replies are played back, in place of asking anybody."""
    fast: bool = False
    """Whether they are played as fast as possible, and not at the recorded pace."""

    def like(self, header: Header) -> Self:
        """Return the options with what they leave open taken from a run that is resumed."""
        names_targets = self.wish.models or self.wish.providers
        return replace(
            self,
            wish=self.wish if names_targets else replace(self.wish, models=header.targets),
            cases=self.cases or header.case_patterns,
            repeat=self.repeat or header.repeat,
            seed=header.seed if self.seed is None else self.seed,
            order=self.order or cast("Order", header.order),
            concurrency=self.concurrency or header.concurrency,
            load=LoadProfile.from_plain({**header.load, **self.load.to_plain()}),
            budgets=self.budgets or tuple(map(parse_money, header.budgets)),
            until_ci=self.until_ci or header.until_ci,
            late_bound_s=self.late_bound_s or header.late_bound_s,
            vantages=tuple(Node(name, region) for name, region in header.vantages.items()),
        )


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run that is ready to start: nothing about it can fail for want of a file, a name or a key."""

    suite: Suite
    plan: Plan
    choice: SelectedTargets
    folder: Path
    options: RunOptions
    outputs: tuple[Path, ...]
    prices: Prices
    started: datetime
    past: ResumedRun | None = None
    """What is there already of a run that is resumed."""
    stand_in: ReplaySource | None = None
    """Whose recordings answer in place of the providers."""

    @property
    def run_id(self) -> str:
        """What the run is called; a resumed one keeps its name."""
        return self.folder.name if self.past is None else self.past.journal.header.run_id

    @property
    def salt(self) -> str:
        """What makes the nonces of `cache: bust` differ from all others, those of the run's earlier parts included."""
        return self.run_id if self.past is None else f"{self.run_id}/{self.past.journal.resumptions + 1}"

    @property
    def simulated(self) -> bool:
        """Whether the built-in simulator stands in."""
        return any(target.simulated for target in self.plan.targets)

    @property
    def limits(self) -> dict[str, int]:
        """How many requests each provider may have under way."""
        rows = {name: endpoint.row for name, endpoint in self.choice.endpoints.items()}
        chosen, default = self.options.concurrency, self.options.load.concurrency
        return {name: chosen or row.concurrency or default for name, row in rows.items()}

    @property
    def redactor(self) -> Redactor:
        """Hides the keys this job may use."""
        return Redactor(endpoint.key for endpoint in self.choice.endpoints.values() if endpoint.key is not None)

    @property
    def load(self) -> LoadProfile:
        """How hard it presses."""
        return self.options.load

    @property
    def concurrency(self) -> int | None:
        """Requests under way at each provider, if the user says so."""
        return self.options.concurrency

    @property
    def forecast(self) -> Forecast:
        """What the whole plan may send and cost at most, what a resumed run has done already included."""
        rows = {name: endpoint.row for name, endpoint in self.choice.endpoints.items()}
        return worst_case(self.plan, rows, self.prices.known, self.load, self.concurrency)

    @property
    def planned_requests(self) -> int | None:
        """How many requests count in the end, as far as that is known beforehand."""
        most = self.load.max_requests
        bounds = (self.plan.requests, most and most * self.plan.levels)
        return min((bound for bound in bounds if bound is not None), default=None)

    @property
    def left(self) -> int | None:
        """How many of them are still to be asked."""
        if self.planned_requests is None or self.past is None:
            return self.planned_requests
        return max(0, self.planned_requests - self.past.completed)

    @property
    def notes(self) -> tuple[str, ...]:
        """What its user should know first, a sentence each."""
        past = () if self.past is None else self.past.notes(self.plan, self.suite)
        vantages = ", ".join(map(str, self.plan.vantages))
        where = (f"everything is asked from each of {vantages}",) if vantages else ()
        return (*self.choice.notes, *self.prices.notes(), *where, *past)

    @property
    def wants_vantages(self) -> bool:
        """Whether each node of a cluster is to ask what is left."""
        fleet = self.options.fleet
        return fleet is not None and self.left != 0 and (fleet.vantage or bool(self.plan.vantages))

    def seen_from(self, nodes: Sequence[Node]) -> Self:
        """Return the job with these nodes as its vantages; a resumed run keeps its own.

        Raises:
            CompareError: a vantage of the run that is resumed is not among them.

        """
        if not self.plan.vantages:
            return replace(self, plan=replace(self.plan, vantages=tuple(nodes)))
        there = {node.name for node in nodes}
        gone = [node.name for node in self.plan.vantages if node.name not in there]
        if gone:
            raise CompareError(
                f"{self.run_id} asks from {', '.join(gone)}, too, which the cluster does not have now; it has "
                f"{', '.join(sorted(there))}. Start what is missing, or run anew. Nothing was sent"
            )
        return self

    def first_missing(self, opening: Request) -> Request | None:
        """Return where to take up the conversation that a request would open; None where nothing of it is left."""
        return opening if self.past is None else self.past.state.first_missing(opening)
