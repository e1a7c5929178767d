"""Compare language models across OpenAI-compatible providers: `from runner import run, ask, load, summary, diff`.

    run, arun         ask all targets a suite or prompts; a DataFrame, one row a request
    ask, stream       one prompt: replies side by side, or one reply piece by piece
    load              an earlier run, as `run` returned it
    diff              compare two runs, or two targets of one, with a verdict on each measure
    runs              the runs in a folder, a row for each run and target
    judge             a model compares a run's replies in pairs
    history           the changes of levels over the runs in a folder
    watch             a run every so often
    capacity          the highest load at which a target keeps an SLO
    caches            what a prompt cache saved in a cache probe
    votes             what blind votes say about a run's replies
    summary           a run's figures by target: speed, tails, cost, checks
    side_by_side      replies of a run in columns
    pictures          charts of a run
    CompareError      raised for a mistake, before anything is sent

Names are loaded when they are first used, so that importing the package, as the command line does, is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from runner.version import __version__

if TYPE_CHECKING:
    from runner.api.ask import ask
    from runner.api.caches import caches
    from runner.api.capacity import capacity
    from runner.api.diff import diff
    from runner.api.history import history
    from runner.api.judge import judge
    from runner.api.load_results import load
    from runner.api.run import arun, run
    from runner.api.runs import runs
    from runner.api.side_by_side import pictures, side_by_side
    from runner.api.stream import stream
    from runner.api.summary import summary
    from runner.api.votes import votes
    from runner.api.watch import watch
    from runner.errors import CompareError

__all__ = [
    "CompareError",
    "__version__",
    "arun",
    "ask",
    "caches",
    "capacity",
    "diff",
    "history",
    "judge",
    "load",
    "pictures",
    "run",
    "runs",
    "side_by_side",
    "stream",
    "summary",
    "votes",
    "watch",
]

_HOMES = {
    "CompareError": "runner.errors",
    "arun": "runner.api.run",
    "ask": "runner.api.ask",
    "caches": "runner.api.caches",
    "capacity": "runner.api.capacity",
    "diff": "runner.api.diff",
    "history": "runner.api.history",
    "judge": "runner.api.judge",
    "load": "runner.api.load_results",
    "pictures": "runner.api.side_by_side",
    "run": "runner.api.run",
    "runs": "runner.api.runs",
    "side_by_side": "runner.api.side_by_side",
    "stream": "runner.api.stream",
    "summary": "runner.api.summary",
    "votes": "runner.api.votes",
    "watch": "runner.api.watch",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'runner' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
