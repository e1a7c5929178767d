"""Sentences on targets that several vendors, fingerprints or service tiers answered."""

from collections.abc import Sequence

from runner.analysis.mixed_answers import AnswerGroup, MixedAnswers
from runner.outputs.text.figures import seconds
from runner.outputs.text.labels import name_in_words
from runner.outputs.text.language import _, listed, plural

MAX_GROUPS = 6
"""Of more vendors than this, the others are counted."""


def describe_mixed(found: Sequence[MixedAnswers]) -> list[str]:
    """Return a sentence on each target whose figures mix several vendors, fingerprints or tiers."""
    return [_describe(each) for each in found]


def _describe(mixed: MixedAnswers) -> str:
    values = {"target": name_in_words(mixed.target), "groups": _list_groups(mixed), "number": len(mixed.groups)}
    if mixed.column == "served_by":
        return _(
            "{target}: {number} vendors answered, and its figures mix them: {groups}; --by served_by splits them",
            **values,
        )
    if mixed.column == "system_fingerprint":
        return _(
            "{target}: replies have {number} system fingerprints, and its figures mix them: {groups}; "
            "--by system_fingerprint splits them",
            **values,
        )
    return _(
        "{target}: replies came from {number} service tiers, and its figures mix them: {groups}; "
        "--by service_tier splits them",
        **values,
    )


def _list_groups(mixed: MixedAnswers) -> str:
    parts = [_describe_group(group) for group in mixed.groups[:MAX_GROUPS]]
    more = len(mixed.groups) - MAX_GROUPS
    rest = [_("{n} more", n=more)] if more > 0 else []
    unknown = [_("not known of {n}", n=f"{mixed.unknown:,}")] if mixed.unknown else []
    return listed([*parts, *rest, *unknown])


def _describe_group(group: AnswerGroup) -> str:
    requests = plural(group.n, "{n} request", "{n} requests")
    if group.ttft_p50 is None:
        return _("{name} {requests}", name=group.name, requests=requests)
    ttft, n = seconds(group.ttft_p50.value), f"{group.ttft_p50.n:,}"
    return _("{name} {requests} (median TTFT {ttft}, n {n})", name=group.name, requests=requests, ttft=ttft, n=n)
