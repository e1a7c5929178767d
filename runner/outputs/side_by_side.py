"""Replies side by side, one of each target for each turn: as HTML, and as text for a console without it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from runner.analysis.check_results import CheckedCell, Expectations
from runner.analysis.dataframe import targets_of, without_warmups
from runner.analysis.pass_rate import measure_pass_rate
from runner.analysis.result_columns import Row
from runner.analysis.side_by_side import excerpt, grid_of_table
from runner.errors import counted
from runner.outputs.report.reply import PageReply, describe_ending, show_reply
from runner.outputs.text.escape import one_line, printable
from runner.outputs.text.labels import SIMULATED
from runner.outputs.text.summary import format_pass_rate

if TYPE_CHECKING:
    import pandas as pd

MAX_CASES = 50
MAX_BYTES = 1_000_000
MAX_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class SideBySideReply:
    """One target's reply to a turn."""

    target: str
    ending: str
    """Outcome and duration of the request, in a line."""
    reply: PageReply


@dataclass(frozen=True, slots=True)
class SideBySideTurn:
    """One turn of one case, and the targets' replies."""

    label: str
    prompt: str
    replies: tuple[SideBySideReply, ...]


@dataclass(frozen=True, slots=True)
class SideBySidePage:
    """Turns to show, and remarks on what is left out, on pass rates and on simulated figures."""

    turns: tuple[SideBySideTurn, ...]
    remarks: tuple[str, ...]

    @property
    def columns(self) -> int:
        """The largest number of replies to one turn."""
        return max((len(turn.replies) for turn in self.turns), default=1)


def compose_side_by_side(
    table: "pd.DataFrame",
    targets: Sequence[str],
    cases: Sequence[str] = (),
    checked: Sequence[CheckedCell] = (),
    *,
    checks: Expectations | None = None,
    idles: Sequence[float] = (),
) -> SideBySidePage:
    """Return the page of a table of results; targets and cases that are not named follow in the order of their names.

    Args:
        table: the results.
        targets: targets in their order.
        cases: cases in their order.
        checked: results of the checks of the table's repeats. The last turn of a case shows how many passed, and a
            remark the pass rate of each target.
        checks: expectations of the cases.
        idles: pauses in seconds before the turns of a cache probe.

    """
    shown = excerpt(grid_of_table(table, cases, checks, idles), MAX_CASES, MAX_BYTES)
    place = {target: at for at, target in enumerate(targets)}
    last_turn = {row.case: row.turn for row in shown.rows}
    passed = {(last_turn.get(cell.case), cell.case, str(cell.target)): describe_repeats(cell) for cell in checked}
    turns = tuple(
        SideBySideTurn(
            row.label,
            row.prompt,
            tuple(
                _reply(str(target), row.replies[target], passed.get((row.turn, row.case, str(target))))
                for target in sorted(row.replies, key=lambda target: (place.get(str(target), len(place)), str(target)))
            ),
        )
        for row in shown.rows
    )
    more = shown.left_out
    left_out = f"Left out: {counted(more, 'further case')}; show part of the table." if more else None
    simulated = f"simulated: {SIMULATED}" if bool(table["simulated"].any()) else None
    remarks = (simulated, *_describe_pass_rates(checked), _describe_repeats(table), left_out)
    return SideBySidePage(turns, tuple(remark for remark in remarks if remark))


def _reply(target: str, row: Row, passed: str | None) -> SideBySideReply:
    ending = ", ".join(part for part in (describe_ending(row), passed) if part)
    return SideBySideReply(target, ending, show_reply(row, MAX_CHARACTERS))


def describe_repeats(cell: CheckedCell) -> str:
    """Return a phrase on the repeats of a case that passed its checks: `2 of 3 repeats passed, 1 undecided`."""
    undecided = f", {cell.undecided:,} undecided" if cell.undecided else ""
    return f"{cell.passed:,} of {counted(cell.n, 'repeat')} passed{undecided}"


def _describe_pass_rates(checked: Sequence[CheckedCell]) -> Iterator[str]:
    for target in dict.fromkeys(cell.target for cell in checked):
        rate = measure_pass_rate([cell for cell in checked if cell.target == target])
        if rate is not None:
            yield f"{target}: pass rate {format_pass_rate(rate)}"


def _describe_repeats(table: "pd.DataFrame") -> str | None:
    rows = without_warmups(table)
    replies = rows.groupby(["case", "turn", targets_of(rows)], dropna=False, observed=True).size()
    most = int(replies.max()) if len(replies) else 1
    return None if most == 1 else f"Of up to {most} repeats the first that ended well is shown."


STYLE = Markup("""<style>
.compare-grid { font-size: 0.9em; line-height: 1.5; }
.compare-grid .turn { margin: 0.6em 0 0.3em; white-space: pre-wrap; overflow-wrap: anywhere; }
.compare-grid .replies { display: grid; gap: 0.6em; grid-template-columns: repeat(auto-fit, minmax(16em, 1fr)); }
.compare-grid article { min-width: 0; padding: 0.5em 0.8em; border: 1px solid rgb(128 128 128 / 40%);
  border-radius: 0.4em; overflow-wrap: anywhere; unicode-bidi: isolate; contain: paint; }
.compare-grid .facts, .compare-grid .remark { margin: 0 0 0.4em; font-size: 0.85em; opacity: 0.75; }
.compare-grid .written { white-space: pre-wrap; }
.compare-grid .thoughts { margin-bottom: 0.4em; padding-left: 0.6em; border-left: 2px solid rgb(128 128 128 / 40%);
  opacity: 0.75; white-space: pre-wrap; }
.compare-grid .call { margin-top: 0.4em; padding: 0.3em 0.6em; border-left: 2px solid rgb(128 128 128 / 40%); }
.compare-grid .call > code { font-weight: bold; }
.compare-grid article :is(p, ul, ol, pre, table) { margin: 0.4em 0; }
.compare-grid article pre { white-space: pre-wrap; }
</style>""")

_ARTICLE = Markup('<article><strong>{}</strong><div class="facts">{}</div>{}</article>')
_PAGE = Markup('{}<div class="compare-grid">{}{}</div>')
_TURN = Markup('<div class="turn"><strong>{}</strong>\n{}</div><div class="replies">{}</div>')
_REMARK = Markup('<div class="remark">{}</div>')
_THOUGHTS = Markup('<div class="thoughts">{}</div>')
_FOLDED = Markup("<details><summary>reasoning, {:,} characters</summary>{}</details>")
_ARGUMENTS = Markup("<pre>{}</pre>")
_CALL = Markup('<div class="call"><code>{}</code><pre>{}</pre></div>')
_WRITTEN = Markup('<div class="written">{}</div>')


def write_html(page: SideBySidePage) -> str:
    """Return a page as safe HTML: the remarks, then each turn with its rendered replies."""
    remarks = _join(_REMARK.format(remark) for remark in page.remarks)
    return _PAGE.format(STYLE, remarks, _join(map(_turn, page.turns)))


def write_partial(name: str, ending: str, thoughts: str, reply: str, calls: str = "") -> Markup:
    """Return the HTML of a reply that is still arriving: its Markdown source, not rendered, and its tool calls."""
    thinking = _THOUGHTS.format(printable(thoughts)) if thoughts else Markup()
    calling = _ARGUMENTS.format(printable(calls)) if calls else Markup()
    return _ARTICLE.format(one_line(name), one_line(ending), thinking + _WRITTEN.format(printable(reply)) + calling)


def write_row(articles: Iterable[Markup]) -> str:
    """Return the HTML of the replies to one prompt, side by side."""
    return _PAGE.format(STYLE, Markup(), Markup('<div class="replies">{}</div>').format(_join(articles)))


def _turn(turn: SideBySideTurn) -> Markup:
    return _TURN.format(one_line(turn.label), printable(turn.prompt), _join(map(_article, turn.replies)))


def _article(shown: SideBySideReply) -> Markup:
    reply = shown.reply
    thoughts = _THOUGHTS.format(reply.reasoning) if reply.reasoning else Markup()
    folded = _FOLDED.format(reply.reasoning_characters, thoughts) if thoughts else Markup()
    text = reply.html if reply.html is not None else Markup()
    calls = _join(_CALL.format(one_line(call.name), call.arguments) for call in reply.calls)
    return _ARTICLE.format(one_line(shown.target), one_line(shown.ending), folded + text + calls)


def _join(parts: Iterable[Markup]) -> Markup:
    return Markup().join(parts)


def write_text(page: SideBySidePage) -> str:
    """Return a page as text; control characters in replies are replaced, so that none can drive the terminal."""
    return "\n".join([*page.remarks, *_text_lines(page)])


def _text_lines(page: SideBySidePage) -> Iterator[str]:
    for turn in page.turns:
        yield f"{one_line(turn.label)}: {printable(turn.prompt)}"
        for each in turn.replies:
            yield f"── {one_line(each.target)} ({one_line(each.ending)})"
            if each.reply.text is not None:
                yield each.reply.text
            yield from each.reply.call_lines
        yield ""
