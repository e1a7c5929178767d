"""Make a suite that probes prompt caches: it repeats each case's first request, at once and after pauses."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from runner.core.suite import Case, Suite
from runner.core.token_estimate import likely_tokens
from runner.errors import counted, list_first
from runner.planning.request_size import counted_texts, likely_file_tokens

CACHE_WAITS = (60.0, 300.0)
"""Default pauses of a cache probe in seconds; published lifetimes of prompt caches are five minutes and more."""

MIN_CACHED_TOKENS = 1_024
"""Tokens of the shortest beginning that most providers keep in a prompt cache, as they publish it."""


def probe_caches(suite: Suite, idle_s: Sequence[float]) -> Suite:
    """Return a suite whose cases repeat their first turn, each time after a pause.

    Results of tools are not sent: with them, the next request would differ.

    Args:
        suite: the suite.
        idle_s: the pause before each turn, in seconds.

    """
    cases = tuple(_repeat_opening(case, tuple(map(float, idle_s))) for case in suite.cases)
    digest = sha256(
        f"{suite.digest} {[*map(float, idle_s)]}".encode()
    ).hexdigest()  # the suite itself sends other requests
    return replace(suite, cases=cases, digest=digest)


def _repeat_opening(case: Case, idle_s: tuple[float, ...]) -> Case:
    times = len(idle_s)
    return replace(
        case, turns=case.turns[:1] * times, parts=case.parts[:1] * times, idle_s=idle_s, tool_results={}, max_steps=1
    )


def describe_pauses(idle_s: Sequence[float]) -> str:
    """Return a sentence on the time that the pauses of a cache probe take; all its conversations pause together."""
    minutes, rest_s = divmod(sum(idle_s), 60)
    how_long = " ".join([*([f"{minutes:.0f} min"] if minutes else []), *([f"{rest_s:g} s"] if rest_s else [])])
    return f"each request of a cache probe is repeated at once and after pauses, {how_long or '0 s'} in all"


def describe_short(suite: Suite) -> str | None:
    """Return a sentence on the cases that are too short for most prompt caches; None if there are none."""
    sizes = {case.id: _estimated_tokens(case, suite) for case in suite.cases}
    short = [
        f"{case} (about {counted(round(size), 'token')})" for case, size in sizes.items() if size < MIN_CACHED_TOKENS
    ]
    if not short:
        return None
    return (
        f"most providers cache no beginning below {MIN_CACHED_TOKENS:,} tokens, and these are likely to be shorter: "
        f"{list_first(short)}; `input: {{tokens: 4k}}` in a case puts a text before its prompt"
    )


def _estimated_tokens(case: Case, suite: Suite) -> float:
    """Return an estimate of the tokens of a case's first request."""
    if case.input is not None:
        return float(case.input.tokens)
    parameters = case.parameters(suite.parameters)
    messages = (*case.messages_before(suite.parameters), parameters.user_message(case.turns[0], case.parts_of(1)))
    return sum(map(likely_tokens, counted_texts(messages, parameters))) + likely_file_tokens(messages)
