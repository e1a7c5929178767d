"""One reply as the board shows it: its text made safe, and the facts about it in a line."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup

from runner.analysis.columns import Cell, Row
from runner.core.events import TIMED, Outcome
from runner.outputs.report.comparison_grid import has_failed
from runner.outputs.report.safe_html import safe_html
from runner.outputs.text.figures import count, rate, seconds
from runner.outputs.text.printable import printable
from runner.outputs.text.words import describe_flag, describe_row
from runner.pricing.money import write_amount


@dataclass(frozen=True, slots=True)
class ShownReply:
    """What was said; `text` is the reply as it was written, `html` the same, rendered."""

    failed: bool
    ending: str | None
    """How it ended, where that was not well."""
    facts: tuple[str, ...]
    flags: tuple[str, ...]
    text: str | None
    html: Markup | None
    reasoning: str | None
    reasoning_characters: int
    error: str | None


def show(row: Row, characters: int) -> ShownReply:
    """Make a row of the table fit to be shown, no text longer than so many characters."""
    text = _shown(row["reply"], characters)
    return ShownReply(
        failed=has_failed(row),
        ending=None if row["outcome"] == Outcome.OK else describe_row(row),
        facts=tuple(_facts(row)),
        flags=tuple(map(describe_flag, str(row["flags"]).split(";"))) if row["flags"] else (),
        text=text,
        html=None if text is None else safe_html(text),
        reasoning=_shown(row["reasoning"], characters),
        reasoning_characters=len(str(row["reasoning"] or "")),
        error=_shown(row["error"], characters),
    )


def _shown(cell: Cell, characters: int) -> str | None:
    return shorten(cell, characters) if isinstance(cell, str) else None


def shorten(text: str, characters: int) -> str:
    """Make a text fit to be shown: controls made visible, and a long one cut, which it then says itself."""
    more = len(text) - characters
    return printable(text) if more <= 0 else f"{printable(text[:characters])}…\n\n[{count(more, 'more character')}]"


def describe_ending(row: Row) -> str:
    """Say in a line how a reply ended, and how long it took where it ended well."""
    if row["outcome"] not in TIMED:
        return f"{describe_row(row)}: {row['error']}" if row["error"] else describe_row(row)
    ended = [] if row["outcome"] == Outcome.OK else [describe_row(row)]
    return ", ".join([*ended, *_times(row), *(["simulated"] if row["simulated"] else [])]) or "ok"


def _facts(row: Row) -> Iterator[str]:
    """Yield what was measured and counted, each with its name; nothing for what is absent."""
    yield from _times(row)
    yield from _tokens(row)
    if row["cost"] is not None:
        yield f"{write_amount(Decimal(repr(row['cost'])))} {row['currency']}"
    if row["finish_reason"] is not None:
        yield f"finish {row['finish_reason']}"
    if isinstance(row["attempts"], int) and row["attempts"] > 1:
        yield f"{row['attempts']} attempts"
    passed, failed = row["checks_passed"], row["checks_failed"]
    if isinstance(passed, int) and isinstance(failed, int) and passed + failed:
        yield f"checks {passed} of {passed + failed} passed"


def _times(row: Row) -> Iterator[str]:
    ttft, ttfa = row["ttft_s"], row["ttfa_s"]
    if isinstance(ttft, float):
        yield f"TTFT {seconds(ttft)}"
    if isinstance(ttfa, float) and ttfa != ttft:
        yield f"answer {seconds(ttfa)}"
    if isinstance(row["total_s"], float) and row["outcome"] in TIMED:
        yield f"total {seconds(row['total_s'])}"
    if isinstance(row["output_tps"], float):
        yield f"{rate(row['output_tps'])} tokens/s"


def _tokens(row: Row) -> Iterator[str]:
    names = {"input_tokens": "in", "output_tokens": "out", "reasoning_tokens": "thinking", "cached_tokens": "cached"}
    told = [f"{row[column]:,} {name}" for column, name in names.items() if isinstance(row[column], int) and row[column]]
    if told:
        yield f"tokens {', '.join(told)}"
