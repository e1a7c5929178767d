"""`votes`: count blind votes on replies; the results also as tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import pandas as pd

from runner.analysis.votes import VoterFigures, Votes
from runner.api.keywords import refuse_unknown_keywords
from runner.api.options import read_value
from runner.api.run_table import RunName, pair_rate_table, run_of, target_rate_rows
from runner.commands.votes import find_votes, load_votes
from runner.outputs.votes import write_markdown


@dataclass(frozen=True, slots=True)
class CountedVotes:
    """Counted votes as a notebook shows them; `votes` holds all of it, including the agreement of the voters."""

    votes: Votes

    @property
    def frame(self) -> pd.DataFrame:
        """A row for each target over all voters (`voter` is NA), then a row for each target and voter.

        `win_rate` is the share of `n` comparisons with other targets that the target won, a tie counting half, with its
        95 % interval by case (`low`, `high`). `won`, `tied` and `lost` count comparisons, `cases` the cases.
        `strength` is the Bradley-Terry strength with its interval; only strengths of the same `scale` can be compared.
        `votes`, `ties` and `none` (no reply is good) count the voter's votes.
        """
        figures = (self.votes.together, *self.votes.voters)
        return pd.DataFrame([row for each in figures for row in _rows(each)]).convert_dtypes()

    @property
    def pairs(self) -> pd.DataFrame:
        """A row for each pair of targets, over all voters, with the win rate of `target`."""
        return pair_rate_table(self.votes.together.rates)

    @property
    def alpha(self) -> float | None:
        """Krippendorff's alpha, the agreement of the voters; None if the votes do not determine it."""
        return self.votes.agreement.alpha

    def __repr__(self) -> str:
        return write_markdown(self.votes)

    _repr_markdown_ = __repr__


@refuse_unknown_keywords
def votes(run: RunName | pd.DataFrame | Sequence[RunName], *files: str | PathLike[str]) -> CountedVotes:
    """Count blind votes on the replies of a run, or of several runs that one page shows.

        counted = votes("latest", "ada.json", "grace.json")
        counted.frame, counted.pairs, counted.alpha

    Args:
        run: a run's folder, its id in results/, `latest`, or its table; a list of runs for a page with several.
        files: files that voters exported; votes*.json in the runs' folders by default.

    Raises:
        CompareError: there is no file, or a file has entries that are not votes on these runs; all are named.

    """
    named = [run] if isinstance(run, str) or not isinstance(run, Sequence) else list(run)
    runs = [run_of(each) for each in named]
    found = read_value("files", files) or find_votes([folder for each in named for folder in _folder(each)])
    return CountedVotes(load_votes(runs, found))


def _folder(run: RunName | pd.DataFrame) -> list[Path]:
    """Return the folder of a run in a list; an empty list for a table without a folder."""
    folder = run.attrs.get("folder") if isinstance(run, pd.DataFrame) else run
    return [] if folder is None else [Path(folder)]


def _rows(figures: VoterFigures) -> Iterator[dict[str, object]]:
    counts = {"voter": figures.voter, "votes": figures.votes, "ties": figures.ties, "none": figures.none}
    return ({**counts, **row} for row in target_rate_rows(figures.rates))
