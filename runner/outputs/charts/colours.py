"""The colours of targets and of phases: the page's own, or ones that stand out on white and on black alike.

They repeat after eight: nothing is told by colour alone.
"""

_FALLBACKS = ("#0072b2", "#c8590a", "#00875f", "#b5568c", "#a87400", "#3187c4", "#8662c7", "#7a7a7a")
"""Hues that the colour-blind tell apart, after Okabe and Ito, darkened or lightened until each has a contrast of at
least 3 to white and to a dark page."""


def series(place: int) -> str:
    """Return the colour of the target at a place, from 0, in the suite's order."""
    at = place % len(_FALLBACKS)
    return f"var(--series-{at + 1}, {_FALLBACKS[at]})"
