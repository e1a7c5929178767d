"""Tables and sentences on win rates and strengths, shared by terminal, Markdown and page."""

from collections.abc import Iterator

from runner.analysis.bradley_terry import Separation, Strength
from runner.analysis.intervals import MIN_UNITS
from runner.analysis.win_rates import WinRate, WinRates
from runner.outputs.text.number_format import MISSING, percent, with_interval, with_n
from runner.outputs.text.table import TextTable, TitledTable
from runner.outputs.text.translation import BilingualText, _, clauses, comma_list, plural


def tabulate_win_rates(rates: WinRates) -> tuple[TitledTable, ...]:
    """Return the table of targets and, for three or more, the table of pairs; empty if nothing was compared."""
    tables = []
    if rates.targets:
        tables.append(TitledTable(_("Win rates of targets"), tabulate_rates(rates)))
    if len(rates.targets) > 2:
        tables.append(TitledTable(_("Win rates of pairs"), _tabulate_pairs(rates)))
    return tuple(tables)


def tabulate_rates(rates: WinRates) -> TextTable:
    """Return a row for each target with its win rate against all others and its strength, with intervals and n."""
    headings = (_("target"), _("win rate"), _("won"), _("tied"), _("lost"), _("cases"), _("strength"))
    rows = (
        (rate.target, _share(rate), *_counts(rate), _strength(strength))
        for rate, strength in zip(rates.targets, rates.strengths, strict=True)
    )
    return TextTable(headings, tuple(rows))


def _tabulate_pairs(rates: WinRates) -> TextTable:
    """Return a row for each compared pair, with the win rate of its first target."""
    headings = (_("target"), _("against"), _("win rate"), _("won"), _("tied"), _("lost"), _("cases"))
    rows = ((rate.target, rate.against or "", _share(rate), *_counts(rate)) for rate in rates.pairs)
    return TextTable(headings, tuple(rows), frozenset({0, 1}))


def _counts(rate: WinRate) -> tuple[str, ...]:
    return tuple(f"{count:,}" for count in (rate.wins, rate.ties, rate.losses, rate.cases))


def _share(rate: WinRate) -> str:
    return with_n(with_interval(percent(rate.value), rate.interval, percent), rate.n)


def _strength(strength: Strength) -> str:
    if strength.value is None:
        return MISSING
    return with_n(with_interval(f"{strength.value:+.2f}", strength.interval, "{:+.2f}".format), strength.n)


def describe_rates(rates: WinRates) -> Iterator[BilingualText]:
    """Yield sentences that explain the figures and name the missing ones."""
    yield _(
        "A tie counts as half of a win. Intervals are 95 %, with cases as units: they hold for other cases like these "
        "and the same people or judge. A strength (Bradley-Terry) is relative to the mean of the targets; one that is "
        "higher by 1 stands for winning 73 % of comparisons."
    )
    if len(rates.components) > 1:
        yield _(
            "No comparison connects {groups}: their strengths have no common scale.",
            groups=clauses(comma_list(group) for group in rates.components),
        )
    yield from map(_describe_separation, rates.separations)
    if any(each.value is not None and each.interval is None for each in rates.strengths):
        yield _(
            "A strength has no interval with fewer than {n} cases, or where one case alone connects targets.",
            n=MIN_UNITS,
        )


def _describe_separation(separation: Separation) -> BilingualText:
    return plural(
        separation.n,
        "{above} won the only comparison with {below}: no finite strength tells by how much it is better.",
        "{above} won all {n} comparisons with {below}: no finite strength tells by how much it is better.",
        above=comma_list(separation.above),
        below=comma_list(separation.below),
    )
