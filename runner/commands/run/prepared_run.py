"""A run that is ready to start: its plan, endpoints and folder, and values derived from them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from runner.commands.run.options import RunOptions
from runner.commands.run.replay_source import ReplaySource
from runner.core.cluster_node import Node
from runner.core.load_profile import LoadProfile
from runner.core.model_family import family_of
from runner.core.suite import Suite
from runner.errors import CompareError
from runner.planning.cache_probe_suite import describe_pauses, describe_short
from runner.planning.forecast import Forecast, forecast_plan, provider_limit
from runner.planning.judge_forecast import forecast_judge
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from runner.planning.target_patterns import SelectedTargets
from runner.planning.target_prices import Prices
from runner.pricing.rates import Price
from runner.providers.endpoint import Endpoint
from runner.providers.provider_row import ProviderRow
from runner.providers.redaction import Redactor, secrets_of
from runner.storage.resume_state import ResumedRun
from runner.storage.run_folder import FolderClaim, name_of


@dataclass(frozen=True, slots=True)
class PreparedJudge:
    """The model that judges a run's replies, with its endpoint and prices."""

    target: Target
    endpoint: Endpoint
    prices: Prices
    notes: tuple[str, ...] = ()

    @property
    def price(self) -> Price | None:
        """Price of the judge; None if it is simulated or unknown."""
        return None if self.target.simulated else self.prices.known.get(self.target.name)


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run that is ready to start: every file, name and key that it needs exists."""

    suite: Suite
    plan: Plan
    selected: SelectedTargets
    folder: Path
    options: RunOptions
    outputs: tuple[Path, ...]
    """Further files to write, besides those in the folder."""
    prices: Prices
    started: datetime
    resumed: ResumedRun | None = None
    """Earlier part of a resumed run; None for a new run."""
    replay_source: ReplaySource | None = None
    """Recorded run whose replies are played back; None if providers answer."""
    claim: FolderClaim | None = None
    """Lock on the folder; None if nothing will be sent, or the folder's name is new and unique."""
    judge: PreparedJudge | None = None
    """Model that decides rubrics; None if no case has one, or if the judge has no key and `skip_missing` is set."""
    answered_turns: int = 0
    """Number of turns that earlier runs have sent to every target; this run sends no requests for them."""

    @property
    def run_id(self) -> str:
        """Id of the run; a resumed run keeps its id."""
        return name_of(self.folder) if self.resumed is None else self.resumed.journal.header.run_id

    @property
    def salt(self) -> str:
        """Text that makes the nonces of `cache: bust` differ between runs, and between the parts of a resumed run."""
        if self.resumed is None:
            return self.run_id
        return f"{self.run_id}/{self.resumed.journal.resumed + 1}"

    @property
    def simulated(self) -> bool:
        """Whether the built-in simulator answers for any target."""
        return any(target.simulated for target in self.plan.targets)

    @property
    def _rows(self) -> dict[str, ProviderRow]:
        return {name: endpoint.row for name, endpoint in self.selected.endpoints.items()}

    @property
    def limits(self) -> dict[str, int]:
        """Provider -> maximum number of requests in flight."""
        load = self.load
        return {name: provider_limit(row, load, self.concurrency) for name, row in self._rows.items()}

    @property
    def redactor(self) -> Redactor:
        """Redactor of the keys that this run may use, of secret headers, and of proxy passwords."""
        judges = () if self.judge is None else (self.judge.endpoint,)
        return Redactor(secrets_of((*self.selected.endpoints.values(), *judges), os.environ))

    @property
    def load(self) -> LoadProfile:
        """The load profile."""
        return self.options.load

    @property
    def concurrency(self) -> int | None:
        """Requests in flight per provider, if the user set a number."""
        return self.options.concurrency

    @property
    def forecast(self) -> Forecast:
        """Upper bound of what the whole plan sends and costs, including completed requests of a resumed run."""
        forecast = forecast_plan(self.plan, self._rows, self.prices.known, self.load, self.concurrency)
        judge = self.judge
        if judge is None:
            return forecast
        rows = {**self._rows, judge.target.provider: judge.endpoint.row}
        of_judge = forecast_judge(judge.target, judge.price, self.plan, rounds=forecast.rounds, rows=rows)
        return replace(forecast, judge=of_judge)

    @property
    def planned_requests(self) -> int | None:
        """Number of requests that the finished run will have; None if it is not known in advance."""
        most = self.load.max_requests
        bounds = (self.plan.requests, most and most * self.plan.levels)
        planned = min((bound for bound in bounds if bound is not None), default=None)
        return planned and planned - self.answered_turns * len(self.plan.targets)

    @property
    def remaining_requests(self) -> int | None:
        """Number of planned requests still to be sent; None if it is not known."""
        if self.planned_requests is None or self.resumed is None:
            return self.planned_requests
        return max(0, self.planned_requests - self.resumed.completed)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user before the run starts, a sentence each."""
        earlier = () if self.resumed is None else self.resumed.notes(self.plan, self.suite)
        vantages = ", ".join(map(str, self.plan.vantages))
        nodes = (f"everything is asked from each of {vantages}",) if vantages else ()
        judge = () if self.judge is None else (*self.judge.notes, *self.judge.prices.notes(), *self._family_note())
        return tuple(
            dict.fromkeys(
                (*self.selected.notes, *self.prices.notes(), *judge, *nodes, *self._notes_on_caches, *earlier)
            )
        )

    @property
    def _notes_on_caches(self) -> tuple[str, ...]:
        if not self.options.cache_probe:
            return ()
        short = describe_short(self.suite)
        return (describe_pauses(self.options.cache_idles), *([short] if short else []))

    def _family_note(self) -> Iterator[str]:
        """Yield a note if targets belong to the same model family as the judge."""
        assert self.judge is not None
        judge = self.judge.target
        family = family_of(judge.model)
        relatives = [target.name for target in self.plan.targets if family and family_of(target.model) == family]
        if relatives:
            yield f"the judge {judge.name} is of the same family as {', '.join(relatives)}, and may favour it"

    @property
    def wants_vantages(self) -> bool:
        """Whether each node of a cluster sends all remaining requests."""
        cluster = self.options.cluster
        return cluster is not None and self.remaining_requests != 0 and (cluster.vantage or bool(self.plan.vantages))

    def with_vantages(self, nodes: Sequence[Node]) -> Self:
        """Return the run with these nodes as its vantages; a resumed run keeps its vantages.

        Raises:
            CompareError: a vantage of the resumed run is not among the nodes.

        """
        if not self.plan.vantages:
            return replace(self, plan=replace(self.plan, vantages=tuple(nodes)))
        names = {node.name for node in nodes}
        absent = [node.name for node in self.plan.vantages if node.name not in names]
        if absent:
            raise CompareError(
                f"{self.run_id} asks from {', '.join(absent)}, too, which the cluster does not have now; it has "
                f"{', '.join(sorted(names))}. Start what is missing, or run anew. Nothing was sent"
            )
        return self

    def first_missing(self, opening: Request) -> Request | None:
        """Return the first request to send of the conversation that `opening` starts; None if it is complete."""
        return opening if self.resumed is None else self.resumed.state.first_missing(opening)
