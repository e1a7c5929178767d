"""`compare votes`: read and count people's blind votes on a run's replies."""

from collections.abc import Callable, Sequence
from pathlib import Path

from runner.analysis.match_votes import judge_outcomes, match_votes
from runner.analysis.run_results import Run
from runner.analysis.votes import Votes, count_votes
from runner.commands.load_stored_run import find_folder, load_run
from runner.errors import CompareError, ErrorCollector
from runner.storage.atomic_write import write_by_suffix
from runner.storage.run_folder import check_outputs
from runner.storage.vote_file import PATTERN, find_vote_files, read_vote_files

SUFFIX = ".json"


def load_named_votes(names: Sequence[Path], outputs: Sequence[Path] = ()) -> Votes:
    """Return the figures of votes on runs, named in front of the files of votes.

    Args:
        names: the runs, then files of votes; by default those in the runs' folders.
        outputs: files that the figures will be written to.

    Raises:
        CompareError: no run is named, there is no file of votes, an output cannot be written, or as for `load_votes`.

    """
    from runner.outputs.votes import VOTES_WRITERS

    errors = ErrorCollector()
    named = errors.attempt(choose_files, names)
    loaded = [errors.attempt(load_run, run) for run in (named[0] if named else ())]
    errors.attempt(check_outputs, outputs, VOTES_WRITERS, reads=names)
    errors.raise_collected()
    assert named is not None
    return load_votes([run for run in loaded if run is not None], named[1])


def choose_files(names: Sequence[Path]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Split names into runs and files of votes; without such files, return those in the runs' folders, if any.

    Raises:
        CompareError: no run is named.

    """
    runs = tuple(name for name in names if name.suffix != SUFFIX)
    if not runs:
        raise CompareError("name the run that was voted on in front of the files of votes, such as latest")
    return runs, tuple(name for name in names if name.suffix == SUFFIX) or find_votes(runs)


def find_votes(runs: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files of votes in the folders of runs, in order of their names."""
    return tuple(path for folder in dict.fromkeys(map(find_folder, runs)) for path in find_vote_files(folder))


def load_votes(runs: Sequence[Run], files: Sequence[Path]) -> Votes:
    """Return the figures of the votes on these runs in these files.

    Raises:
        CompareError: there is no file, or a file has entries that are not votes, or not on these runs; the message
            lists all problems.

    """
    if not files:
        raise CompareError(
            f"there is no {PATTERN} in the folder of {' or '.join(run.header.run_id for run in runs)}: open the "
            "report, press b, vote, export as JSON, and name the file"
        )
    read, problems = read_vote_files(files)
    votes, more = match_votes(runs, read)
    if problems or more:
        raise CompareError("\n".join(("the votes cannot be counted:", *problems, *more)))
    if not votes:
        raise CompareError(
            f"there is no vote in {', '.join(map(str, files))}: vote on the report's page, and export again"
        )
    names = [run.header.run_id for run in runs]
    return count_votes(names, votes, judge_outcomes(runs), simulated=any(run.simulated for run in runs))


def try_votes(runs: Sequence[Run], names: Sequence[Path], note: Callable[[str], None]) -> Votes | None:
    """Return the figures of votes in the runs' folders; None if there are none, or if they are wrong, with a note."""
    files = find_votes(names)
    if not files:
        return None
    try:
        return load_votes(runs, files)
    except CompareError as error:
        note(f"no votes are shown: {error}")
        return None


def write_votes(votes: Votes, outputs: Sequence[Path]) -> None:
    """Write the figures to files, each in the format of its suffix."""
    from runner.outputs.votes import VOTES_WRITERS

    write_by_suffix(outputs, lambda suffix: VOTES_WRITERS[suffix](votes))
