"""The keyword arguments of the functions that run a suite; and the refusal of those that a function does not have."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import wraps
from inspect import signature
from os import PathLike
from typing import Any, Literal, ParamSpec, TypedDict, TypeVar

from runner.core.answered_by import AnsweredByColumn
from runner.core.load_profile import Arrivals
from runner.errors import CompareError, closest_word, suggest
from runner.planning.plan import Order

P = ParamSpec("P")
R = TypeVar("R")

Texts = str | Sequence[str]
PathName = str | PathLike[str]
Paths = PathName | Sequence[PathName]


class TargetKeywords(TypedDict, total=False):
    """Options that select targets and outputs."""

    targets: Texts
    """`provider/model` names a target with any model, `provider/model#variant` one of its variants; a pattern without a
    slash filters the configured targets."""
    provider: Texts
    """Only these providers."""
    vary: Mapping[str, Sequence[Any]]
    """Parameter -> values; each value makes a variant of every target: `{"thinking": ["off", "high"]}`."""
    skip_missing: bool
    """Leave out named targets that have no key, instead of stopping."""
    env_file: Paths
    """Read variables from these files as well; the environment takes precedence."""
    allow_host: Texts
    """Hosts, such as `"llm.example.com"`, that a suite or a compare.yaml or .env found beside it may send to."""
    concurrency: int
    """Requests in flight per provider, 1 to 10,000; by default 4."""
    output: Paths
    """A path without a suffix is the run's folder; with one of csv, md, json, jsonl, html, xml, parquet, prom it is a
    further file."""
    bom: bool
    """Begin CSV files with a byte order mark, for Excel."""
    reply_limit: int | str
    """Abort a reply larger than this: bytes, or a size such as `"32MiB"`; by default 16 MiB."""


class RunKeywords(TargetKeywords, total=False):
    """The options of `run`, apart from its arguments."""

    case: Texts
    """Send only the cases whose id matches one of these globs."""
    repeat: int
    """Number of shuffled rounds, each of which sends everything once; 1 or more."""
    seed: int
    """Seed of the order; by default random, and stored in the run."""
    warmup_requests: int
    """Number of requests to send to each target first; they are marked, and excluded from every figure."""
    cache_probe: bool
    """Start each case's prompt with text that no prompt cache holds; repeat the request at once and after pauses."""
    cache_waits: Sequence[float]
    """With `cache_probe`, the seconds to wait before each further repetition; by default [60, 300]."""
    order: Order
    """`blocks`, `free` or `as-written`."""
    lead: int
    """Number of rounds that a lane may be ahead of the slowest one; by default all targets of a case start together."""
    adaptive: bool
    """Raise a lane's limit while its provider keeps up."""
    rate: float
    """Open loop: conversations to start per second with each target, whether or not earlier ones have ended."""
    arrivals: Arrivals
    """Spacing of the conversations that `rate` starts: `constant` or `poisson`."""
    duration: float
    """Seconds after which no request starts."""
    spread: float
    """Seconds over which the rounds are spread; each begins at a random moment of its own part."""
    requests: int
    """Total number of requests after which the run ends."""
    ramp: float | Literal["auto", "none"]
    """Seconds over which the places in flight open one by one. `"auto"`, the default with `sweep`, takes the mean
    duration of a conversation; `"none"` opens all at once. In a sweep, only the places that a level adds open."""
    sweep: Sequence[int]
    """Concurrencies to measure one after the other, such as `[1, 2, 4, 8]`."""
    budget: Texts
    """Stop starting requests once this much is spent: `"5USD"`, or a list with one sum per currency."""
    until_ci: float | str | Mapping[str, float]
    """Repeat rounds until the 95 % interval of every median TTFT is within this share of it: `0.05` or `"5%"`."""
    late_bound: float
    """Flag rows whose timestamps may be late by more than this, in seconds; by default 0.01."""
    slo: str | Mapping[str, float]
    """Durations that a request must not exceed to count as goodput: `"ttft=800ms,tpot=50ms"`, or seconds by name,
    `{"ttft": 0.8, "tpot": 0.05}`."""
    estimate_tokens: bool
    """Estimate tokens per second where a provider reports no token counts."""
    percentiles: Sequence[float]
    """Percentiles to show beside the median in tables and in the report, such as `[50, 90, 99]`; by default 95."""
    by: AnsweredByColumn
    """Column that says who answered, such as `"served_by"`; tables and the report split each target by it."""
    resume: PathName
    """A run to resume: its folder, or `latest`. Options you omit keep their values."""
    retry_errors: bool
    """With `resume`, send failed requests again."""
    record: bool
    """Keep every reply byte for byte, with the time of each read."""
    replay: PathName
    """A recorded run whose replies are played back; nothing is sent to a provider."""
    fast: bool
    """With `replay`, play replies as fast as possible."""


TARGET_OPTIONS = tuple(TargetKeywords.__annotations__)
RUN_OPTIONS = tuple(RunKeywords.__annotations__)

_OF_PROMPTS = ("system", "temperature", "max_tokens", "top_p", "stop", "thinking", "extra_body")
_SYNONYMS = dict.fromkeys(("model", "models", "target"), "targets") | dict.fromkeys(_OF_PROMPTS, "defaults")
_SYNONYMS |= dict.fromkeys(("attached", "attachments", "file", "files", "image", "images", "audio"), "attach")
_SYNONYMS |= {"start": "first", "from": "first", "from_": "first", "slo_share": "share"}
"""Name that a user may write -> the option that was probably meant."""


def refuse_unknown_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that raises CompareError, not TypeError, for a keyword that its signature does not have."""
    known = tuple(signature(function).parameters)

    @wraps(function)
    def checked(*args: P.args, **given: P.kwargs) -> R:
        refuse_unknown(given, known, function.__name__)
        return function(*args, **given)

    return checked


def refuse_unknown(given: Collection[str], known: Sequence[str], function: str) -> None:
    """Raise CompareError for the first option that a function does not have, and suggest the closest one."""
    for name in given:
        if name not in known:
            near = _SYNONYMS.get(name) or closest_word(name, known)
            hint = suggest(near) if near and near in known else f"It knows {', '.join(known)}."
            raise CompareError(f"{function}() has no option `{name}`. {hint}")
