"""The requests that are sent in addition to those of a plan: probes of sized inputs, and cache warming."""

from collections.abc import Iterator
from dataclasses import replace

from runner.core.sized_input import PROBE_QUESTION
from runner.core.suite import Case
from runner.planning.plan import Plan, Request, Target

BRIEF_TOKENS = 16
"""Limit on a reply that is not used, in tokens; the lowest that the Responses API accepts."""


def probe_requests(plan: Plan, provider: str) -> Iterator[tuple[str, Request]]:
    """Yield the digest of each text, and the request that probes its tokens, for each target of a provider."""
    for target in plan.targets:
        if target.provider == provider:
            for text_digest, case in probed_cases(plan):
                yield text_digest, Request(with_short_replies(target), case, repeat=0, block=0, warmup=True)


def probed_cases(plan: Plan) -> Iterator[tuple[str, Case]]:
    """Yield the digest of each text that a plan cuts to a size, and the case that probes it: excerpts of the largest.

    The probe has the id of the case with the largest size of that text.
    """
    largest: dict[str, Case] = {}
    for case in plan.cases:
        if case.input is not None:
            known = largest.get(case.input.sha256, case)
            assert known.input is not None
            largest[case.input.sha256] = case if case.input.tokens > known.input.tokens else known
    for text_digest, case in largest.items():
        assert case.input is not None
        yield text_digest, Case(case.id, (f"{PROBE_QUESTION}\n\n{case.input.excerpts}",), system=case.system)


WARMING_REPEAT = -1_000_000
"""Repeat number of a request that warms a cache: below those of a plan's warm-ups, which count down from 0."""


def warm_request(opening: Request) -> Request:
    """Return the request that puts the beginning of a conversation into a prompt cache."""
    return replace(opening, target=with_short_replies(opening.target), repeat=WARMING_REPEAT, block=0, warmup=True)


def warms(target: Target, case: Case) -> bool:
    """Return whether the beginning of a case's conversations is sent to a target before the conversations."""
    return target.parameters.cache == "warm" and not case.idle_s


def warmed_cases(plan: Plan, target: Target) -> list[Case]:
    """Return a case for each beginning that is sent to a target before its conversations."""
    of_prefix = {Request(target, case, 0, 0).prefix_key: case for case in plan.cases if warms(target, case)}
    return list(of_prefix.values())


def with_short_replies(target: Target) -> Target:
    """Return a target with a low limit on replies, since they are not used.

    If it thinks, its limit stays: some providers refuse a limit below the tokens that thinking may take, and a cache
    may miss a prompt that is sent with other settings.
    """
    parameters = target.parameters
    if parameters.thinking not in (None, "off") or parameters.extra_body:
        return target
    limit = min(parameters.max_tokens or BRIEF_TOKENS, BRIEF_TOKENS)
    return replace(target, parameters=replace(parameters, max_tokens=limit))
