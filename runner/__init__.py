"""Compare language models across OpenAI-compatible providers: `from runner import run, ask, load, summary, diff`.

    run, arun         send a suite or prompts to all targets; return a DataFrame with a row for each request
    ask, stream       send one prompt; return replies side by side, or one reply as it arrives
    load              load an earlier run as the table that `run` returned
    diff              compare two runs, or two targets of one run, with a verdict on each measure
    runs              list the runs in a folder, a row for each run and target
    judge             have a model compare a run's replies in pairs
    history           find changes of each target's level over the runs in a folder
    watch             repeat a run at a fixed interval
    capacity          search the highest load at which each target keeps an SLO
    caches            return what a prompt cache saved in a cache probe
    votes             count blind votes on a run's replies
    summary           return a run's figures by target: speed, tails, cost, checks
    side_by_side      show replies in columns, one for each target
    pictures          draw charts of a run
    CompareError      raised for wrong input, before anything is sent

Names are loaded on first use, so importing the package is fast; the command line imports it, too.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from runner.version import __version__

if TYPE_CHECKING:
    from runner.api.ask import ask, stream
    from runner.api.caches import caches
    from runner.api.capacity import capacity
    from runner.api.diff import diff
    from runner.api.history import history
    from runner.api.judge import judge
    from runner.api.run import arun, run
    from runner.api.run_table import load
    from runner.api.runs import runs
    from runner.api.side_by_side import pictures, side_by_side
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

_MODULES = {
    "CompareError": "runner.errors",
    "arun": "runner.api.run",
    "ask": "runner.api.ask",
    "caches": "runner.api.caches",
    "capacity": "runner.api.capacity",
    "diff": "runner.api.diff",
    "history": "runner.api.history",
    "judge": "runner.api.judge",
    "load": "runner.api.run_table",
    "pictures": "runner.api.side_by_side",
    "run": "runner.api.run",
    "runs": "runner.api.runs",
    "side_by_side": "runner.api.side_by_side",
    "stream": "runner.api.ask",
    "summary": "runner.api.summary",
    "votes": "runner.api.votes",
    "watch": "runner.api.watch",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'runner' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
