"""One reply as a page shows it: its text as safe HTML, its language, and its figures as a list of facts."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from runner.analysis.judge import JUDGED, read_rubric_verdicts
from runner.analysis.result_columns import Cell, Row
from runner.checks.check_finding import CheckVerdict
from runner.checks.language import is_japanese
from runner.core.cjk_characters import HAN, HANGUL, KANA
from runner.core.events import TIMED, Outcome
from runner.core.tool_call import calls_in, canonical_calls, indented_arguments
from runner.outputs.report.markdown_to_html import safe_html
from runner.outputs.report.reply_grid import FAILED_CHECKS, has_failed
from runner.outputs.text.escape import printable
from runner.outputs.text.labels import describe_flag, describe_row
from runner.outputs.text.number_format import amount, rate, seconds
from runner.outputs.text.translation import BilingualText, _, comma_list, labelled, plural, translate

VERDICT_ICONS = {CheckVerdict.PASSED: "✓", CheckVerdict.FAILED: "✗", CheckVerdict.UNDECIDED: "?"}


@dataclass(frozen=True, slots=True)
class ShownRubricVerdict:
    """A judge's verdict on one rubric, and its reason."""

    kind: CheckVerdict
    icon: str
    verdict: str
    rubric: str
    why: str


@dataclass(frozen=True, slots=True)
class PageCall:
    """A tool call to show: the tool's name, and its arguments as indented JSON, or as text if they are no JSON."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class PageReply:
    """A reply to show; `text` is the reply as it was written, `html` the same, rendered.

    `call_lines` has its tool calls, each on a line, so that equal calls are equal lines in an order of their own.
    """

    failed: bool
    ending: str | None
    """How it ended; None if it ended ok."""
    facts: tuple[str, ...]
    failed_checks: str | None
    """The names of the checks that it failed."""
    verdicts: tuple[ShownRubricVerdict, ...]
    """What a judge says of it on each rubric."""
    flags: tuple[str, ...]
    text: str | None
    html: Markup | None
    reasoning: str | None
    reasoning_characters: int
    error: str | None
    calls: tuple[PageCall, ...]
    call_lines: tuple[str, ...]

    @property
    def compared(self) -> str | None:
        """The text with the calls below it, as replies are searched and compared; None if there is neither."""
        if self.text is None and not self.call_lines:
            return None
        return "\n".join([*([self.text] if self.text else []), *self.call_lines])


def show_reply(row: Row, characters: int) -> PageReply:
    """Return the reply of a table's row, with no text longer than this many characters."""
    text = _shortened(row["reply"], characters)
    calls = calls_in(row.get("tool_calls"))
    return PageReply(
        failed=has_failed(row),
        ending=None if row["outcome"] == Outcome.OK else describe_row(row),
        facts=tuple(_facts(row)),
        failed_checks=_text(row.get(FAILED_CHECKS)),
        verdicts=tuple(_verdicts(row)),
        flags=tuple(map(describe_flag, str(row["flags"]).split(";"))) if row["flags"] else (),
        text=text,
        html=None if text is None else safe_html(text),
        reasoning=_shortened(row["reasoning"], characters),
        reasoning_characters=len(str(row["reasoning"] or "")),
        error=_shortened(row["error"], characters),
        calls=tuple(PageCall(printable(call.name), shorten(indented_arguments(call), characters)) for call in calls),
        call_lines=tuple(shorten(str(call), characters) for call in canonical_calls(calls)),
    )


def _verdicts(row: Row) -> Iterator[ShownRubricVerdict]:
    for verdict, rubric, why in read_rubric_verdicts(row.get(JUDGED)):
        reason = translate(why) if verdict is CheckVerdict.UNDECIDED else why
        yield ShownRubricVerdict(
            verdict, VERDICT_ICONS[verdict], _(verdict.value), printable(rubric), _printable(reason)
        )


def _text(cell: Cell) -> str | None:
    return cell if isinstance(cell, str) else None


def _shortened(cell: Cell, characters: int) -> str | None:
    return shorten(cell, characters) if isinstance(cell, str) else None


def shorten(text: str, characters: int) -> str:
    """Make a text printable and cut it to a length; a text that was cut ends with a note."""
    more = len(text) - characters
    if more <= 0:
        return _printable(text)
    note = plural(more, "[{n} more character]", "[{n} more characters]")
    return f"{printable(text[:characters])}…\n\n" + note


def _printable(text: str) -> str:
    shown = printable(text)
    return BilingualText(shown, printable(text.other)) if isinstance(text, BilingualText) else shown


def describe_ending(row: Row) -> str:
    """Return in a line how a reply ended and, if it was timed, how long it took."""
    if row["outcome"] not in TIMED:
        return labelled(describe_row(row), str(row["error"])) if row["error"] else describe_row(row)
    ended = [] if row["outcome"] == Outcome.OK else [describe_row(row)]
    return comma_list([*ended, *_times(row), *([_("simulated")] if row["simulated"] else [])]) or _("ok")


def _facts(row: Row) -> Iterator[str]:
    """Yield the figures that are known, each with its name."""
    yield from _times(row)
    yield from _tokens(row)
    if isinstance(cost := row["cost"], float | int):
        yield f"{amount(cost)} {row['currency']}"
    if row["finish_reason"] is not None:
        yield _("finish {reason}", reason=row["finish_reason"])
    if isinstance(row["attempts"], int) and row["attempts"] > 1:
        yield _("{n} attempts", n=row["attempts"])
    passed, failed = row["checks_passed"], row["checks_failed"]
    if isinstance(passed, int) and isinstance(failed, int) and passed + failed:
        yield _("checks {k} of {n} passed", k=passed, n=passed + failed)


def _times(row: Row) -> Iterator[str]:
    ttft, ttfa = row["ttft_s"], row["ttfa_s"]
    if isinstance(ttft, float):
        yield f"TTFT {seconds(ttft)}"
    if isinstance(ttfa, float) and ttfa != ttft:
        yield _("answer {time}", time=seconds(ttfa))
    if isinstance(first_call := row.get("tool_call_s"), float):
        yield _("first call {time}", time=seconds(first_call))
    if isinstance(row["total_s"], float) and row["outcome"] in TIMED:
        yield _("total {time}", time=seconds(row["total_s"]))
    if isinstance(row["output_tps"], float):
        yield _("{rate} tokens/s", rate=rate(row["output_tps"]))


def _tokens(row: Row) -> Iterator[str]:
    names = {
        "input_tokens": _("{n} in"),
        "output_tokens": _("{n} out"),
        "reasoning_tokens": _("{n} thinking"),
        "cached_tokens": _("{n} cached"),
    }
    counts = [_fill(name, count) for column, name in names.items() if isinstance(count := row[column], int) and count]
    if counts:
        yield _("tokens {counts}", counts=comma_list(counts))


def _fill(text: BilingualText, number: int) -> BilingualText:
    return BilingualText(text.format(n=f"{number:,}"), text.other.format(n=f"{number:,}"))


MAX_CHARACTERS = 2_000
"""The characters of a long text that are looked at."""

_LETTERS = re.compile(
    rf"(?P<han>[{HAN}])|(?P<kana>[{KANA}])|(?P<hangul>[{HANGUL}])|(?P<word>[^\W\d_{HAN}{KANA}{HANGUL}]+)"
)


def language_of_text(text: str | None) -> str:
    """Return `zh`, `ja` or `ko`; empty, which is HTML's word for unknown, where many languages have these letters."""
    beginning = (text or "")[:MAX_CHARACTERS]
    if beginning.isascii():
        return ""
    counts = Counter(found.lastgroup for found in _LETTERS.finditer(beginning))
    han, kana, hangul = counts["han"], counts["kana"], counts["hangul"]
    if hangul > max(han + kana, counts["word"]):
        return "ko"
    if han + kana <= counts["word"]:
        return ""
    return "ja" if is_japanese(han=han, kana=kana) else "zh"
