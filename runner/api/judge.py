"""`judge`: have a model compare a run's replies in pairs; the results as tables."""

from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from runner.analysis.judge import JudgedPairs
from runner.api.keywords import Paths, Texts, refuse_unknown_keywords
from runner.api.options import read_options, read_values
from runner.api.run_in_thread import start_in_thread
from runner.api.run_table import RunName, pair_rate_table, read_run_name, target_rate_rows
from runner.commands.judge import JudgeOptions, perform_judging, prepare_judging, read_criteria
from runner.commands.load_stored_run import load_run
from runner.core.judge_prompt import CRITERIA
from runner.core.suite import Parameters
from runner.errors import CompareError
from runner.outputs.judge import judged_as_data, plain_cost, write_markdown


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """One judge's comparison of a run's replies, as a notebook shows it; `pairs` holds all of it."""

    pairs: JudgedPairs
    run_id: str

    @property
    def judge(self) -> str:
        """The target that judged."""
        return self.pairs.judge

    @property
    def targets(self) -> pd.DataFrame:
        """A row for each target, the highest win rate first.

        `win_rate` is the share of `n` pairs that the target won in both orders, a tie counting half, with its 95 %
        interval by case (`low`, `high`). `won`, `tied` and `lost` count pairs, `cases` the cases. `strength` is the
        Bradley-Terry strength with its interval; only strengths of the same `scale` can be compared.
        """
        return pd.DataFrame(target_rate_rows(self.pairs.rates)).convert_dtypes()

    @property
    def against(self) -> pd.DataFrame:
        """A row for each pair of targets, with the win rate of `target` against the other one."""
        return pair_rate_table(self.pairs.rates)

    @property
    def flips(self) -> dict[str, Any]:
        """Pairs whose winner differs between the two orders: `count` of `n`, `share`, and its `interval`."""
        return self._share("flips")

    @property
    def first_named(self) -> dict[str, Any]:
        """Answers that name the reply shown first, among those that name a winner."""
        return self._share("first_named")

    @property
    def longer_won(self) -> dict[str, Any]:
        """Pairs that the longer reply won, among those with a winner."""
        return self._share("longer_won")

    @property
    def cost(self) -> dict[str, Any]:
        """Number of the judge's requests and of the failed ones, and their known cost."""
        return plain_cost(self.pairs.cost)

    def _share(self, name: str) -> dict[str, Any]:
        share: dict[str, Any] = judged_as_data(self.pairs)[name]
        return share

    def __repr__(self) -> str:
        return write_markdown([self.pairs], self.run_id)

    _repr_markdown_ = __repr__


@refuse_unknown_keywords
def judge(
    run: RunName,
    by: str | None = None,
    *,
    criteria: str | PathLike[str] | None = None,
    pairs: int | None = None,
    seed: int = 0,
    max_tokens: int | None = None,
    temperature: float | None = None,
    concurrency: int | None = None,
    budget: Texts = (),
    env_file: Paths = (),
    allow_host: Texts = (),
) -> JudgedRun:
    """Have a model compare the replies of a run in pairs, each in both orders. Stored answers are not requested again.

        judge("latest", by="deepseek/deepseek-flash", pairs=100, budget="2USD").targets
        judge("latest")  # the results of the last judge

    Args:
        run: a run's folder, its id in results/, or `latest`.
        by: the judge, as `provider/model`; without it nothing is sent.
        criteria: the criteria of the comparison: a text, or the path of a text file; the built-in text by default. One
            line that ends in .md or .txt is a path.
        pairs: number of pairs to judge, chosen at random; all by default.
        seed: seed of the choice of pairs.
        max_tokens: token limit of an answer.
        temperature: sampling temperature of the judge, from 0 to 2.
        concurrency: number of requests in flight.
        budget: sums at which to stop, one per currency.
        env_file: further files with environment variables.
        allow_host: hosts that a suite or a compare.yaml or .env found beside it may send to.

    Raises:
        CompareError: there is no such run, no judge has compared its replies, or the judge cannot be asked.
        KeyboardInterrupt: the user interrupted it; the answers received are kept.

    """
    place = read_run_name(run)
    if by is None:
        return _last_judged(place)
    if not isinstance(by, str):
        raise CompareError(f"by={by!r}: give one judge as 'provider/model'")
    sending = {"concurrency": concurrency, "budget": budget, "env_file": env_file, "allow_host": allow_host}
    options = JudgeOptions(
        by,
        _read_criteria(criteria),
        **read_values({"pairs": pairs, "seed": seed}),
        parameters=Parameters(**read_values({"max_tokens": max_tokens, "temperature": temperature})),
        run=read_options(sending),
    )
    prepared = prepare_judging(place, options)
    with start_in_thread(partial(perform_judging, prepared)) as task:
        task.result()
    return _last_judged(place, by=prepared.judge, criteria=options.criteria)


def _read_criteria(criteria: object) -> str:
    """Return criteria: a text as it is, unless it is empty or looks like the path of a file, which is read."""
    if criteria is None:
        return CRITERIA
    if not isinstance(criteria, str | PathLike) or not str(criteria).strip():
        raise CompareError(f"criteria={criteria!r}: give a text, or the path of a text file")
    if isinstance(criteria, str) and ("\n" in criteria or Path(criteria).suffix.lower() not in {".md", ".txt"}):
        return criteria
    return read_criteria(Path(criteria))


def _last_judged(place: Path, by: str | None = None, criteria: str | None = None) -> JudgedRun:
    run = load_run(place)
    found = [each for each in run.judged if by in (None, each.judge) and criteria in (None, each.criteria)]
    if not found:
        raise CompareError(f"no judge has compared the replies of {run.header.run_id} yet: give by='provider/model'")
    return JudgedRun(found[-1], run.header.run_id)
