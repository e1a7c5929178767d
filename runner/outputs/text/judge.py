"""Sentences on the judgement of pairs of replies, shared by terminal, Markdown and page."""

from collections.abc import Iterator

from runner.analysis.judge import JudgedPairs, JudgedShare
from runner.analysis.judge_costs import JudgeCost
from runner.outputs.text.number_format import percent, with_interval
from runner.outputs.text.translation import BilingualText, _, clauses, comma_list, plural
from runner.outputs.text.variants import describe_settings
from runner.outputs.text.win_rates import describe_rates


def describe_judged(judged: JudgedPairs) -> list[BilingualText]:
    """Return sentences on the pairs judged, possible bias of the judge, how to read the figures, and the cost."""
    return [
        _describe_pairs(judged),
        *_describe_bias(judged),
        *_describe_same_family(judged),
        *describe_rates(judged.rates),
        describe_judge_cost(judged.cost),
    ]


def describe_plan(pairs: int, of_pairs: int, requests: int) -> BilingualText:
    """Return a sentence on the requests that judging would send."""
    return _(
        "{n} of {all} pairs of replies, each in both orders: {requests} left to send.",
        n=f"{pairs:,}",
        all=f"{of_pairs:,}",
        requests=plural(requests, "{n} request", "{n} requests"),
    )


def _describe_pairs(judged: JudgedPairs) -> BilingualText:
    parts = [
        _(
            "{judge} compared {n} of {all} pairs of replies, each in both orders",
            judge=judged.judge,
            n=f"{judged.pairs:,}",
            all=f"{judged.of_pairs:,}",
        )
    ]
    if judged.settings:
        parts.append(_("with {settings}", settings=describe_settings(judged.settings)))
    if judged.undecided:
        parts.append(_("{n} not decided, in no figure", n=f"{judged.undecided:,}"))
    if judged.equal:
        parts.append(_("{n} of equal replies, counted as ties", n=f"{judged.equal:,}"))
    return clauses(parts)


def _describe_bias(judged: JudgedPairs) -> Iterator[BilingualText]:
    biases = (
        (judged.flips, "position: {share} of the pairs had another winner in each order, which counts as a tie"),
        (
            judged.first_named,
            "position: {share} of the answers with a winner name the reply shown first; a half would be without bias",
        ),
        (judged.longer_won, "length: the longer reply won {share} of the pairs with a winner"),
    )
    yield from (_(sentence, share=format_share(share)) for share, sentence in biases if share.n)


def format_share(share: JudgedShare) -> str:
    """Format a share with its counts, interval and number of cases: `5 of 40 (12.5 % [4.4, 30.8], 8 cases)`."""
    figure = with_interval(percent(share.value), share.interval, percent)
    cases = plural(share.cases, "{n} case", "{n} cases")
    return _("{k} of {n} ({sample})", k=f"{share.count:,}", n=f"{share.n:,}", sample=comma_list((figure, cases)))


def _describe_same_family(judged: JudgedPairs) -> Iterator[BilingualText]:
    if judged.relatives:
        yield _(
            "{judge} is of the same family as {targets}, and may favour what reads like its own replies",
            judge=judged.judge,
            targets=comma_list(judged.relatives),
        )


def describe_judge_cost(cost: JudgeCost) -> BilingualText:
    """Return a sentence on a judge's requests, their failures, and their cost as far as known."""
    parts = [
        _("{judge}, the judge: {asked}", judge=cost.target, asked=plural(cost.requests, "{n} request", "{n} requests"))
    ]
    if cost.failed:
        parts.append(_("{n} failed", n=f"{cost.failed:,}"))
    if cost.unclear:
        parts.append(_("{n} without a clear verdict", n=f"{cost.unclear:,}"))
    if cost.spent:
        parts.append(_("cost {sums}, n {n}", sums=" + ".join(map(str, cost.spent)), n=f"{cost.priced:,}"))
    elif cost.simulated:
        parts.append(_("simulated"))
    elif cost.requests:
        parts.append(_("cost not known"))
    return clauses(parts)
