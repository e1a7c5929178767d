"""Sentences on runs whose rounds are spread over hours: of what span their figures speak."""

from runner.analysis.run_results import Run
from runner.core.load_profile import LoadProfile
from runner.outputs.text.language import _, plural


def describe_spread(run: Run) -> list[str]:
    """Return of what span the figures of a spread run speak, by the rounds that it has; nothing of another run."""
    span_s = LoadProfile.from_plain(run.header.load).spread_s
    if span_s is None:
        return []
    rounds = run.measured["block"].nunique()
    span = write_span(span_s)
    if rounds == run.header.repeat:
        return [
            plural(
                rounds,
                "figures and intervals speak of {span}: {n} round, at a random moment of its own part of it",
                "figures and intervals speak of {span}: {n} rounds, each at a random moment of its own part of it",
                span=span,
            )
        ]
    return [
        _(
            "figures and intervals speak of {span}: {n} of {planned} rounds, each at a random moment of its own part",
            span=span,
            n=rounds,
            planned=run.header.repeat,
        )
    ]


def write_span(span_s: float) -> str:
    """Format a span in its largest whole unit: `24 h`, `90 min`, `45 s`."""
    unit, size = next((each for each in (("h", 3600), ("min", 60)) if span_s % each[1] == 0), ("s", 1))
    return f"{span_s / size:g} {unit}"
