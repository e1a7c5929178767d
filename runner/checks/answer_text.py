"""Checks of an answer's text. They ignore white space around the answer, and are case-sensitive."""

from collections.abc import Callable, Mapping, Sequence

from runner.checks.check_finding import PASSED, CheckFinding, failed, undecided
from runner.checks.regex import is_found, limit_work
from runner.core.events import Channel
from runner.core.record import Record
from runner.errors import counted

MAX_QUOTED = 60


def answer_of(record: Record) -> str | None:
    """Return the answer, empty if there was none; None if an answer arrived but was not stored."""
    if record.reply is not None:
        return record.reply.strip()
    return None if Channel.ANSWER in record.text_events.channels else ""


def check_of_answer(check: Callable[[str, object], CheckFinding]) -> Callable[[Record, object], CheckFinding]:
    """Return a check of a record that applies a check of a text to its answer."""

    def check_record(record: Record, wanted: object) -> CheckFinding:
        answer = answer_of(record)
        return undecided("the reply was not kept") if answer is None else check(answer, wanted)

    return check_record


def equals(answer: str, wanted: object) -> CheckFinding:
    """Pass if the answer is one of the texts."""
    texts = as_tuple(wanted)
    if answer in [text.strip() for text in texts]:
        return PASSED
    return failed(f"{quote(answer)} is not {quoted_alternatives(texts)}")


def starts_with(answer: str, wanted: object) -> CheckFinding:
    """Pass if the answer begins with one of the texts."""
    texts = as_tuple(wanted)
    if answer.startswith(texts):
        return PASSED
    return failed(f"{quote(answer)} does not begin with {quoted_alternatives(texts)}")


def contains(answer: str, wanted: object) -> CheckFinding:
    """Pass if the answer contains every text."""
    missing = [quote(text) for text in as_tuple(wanted) if text not in answer]
    return failed(f"{', '.join(missing)} is not in it") if missing else PASSED


def not_contains(answer: str, wanted: object) -> CheckFinding:
    """Pass if the answer contains none of the texts."""
    found = [quote(text) for text in as_tuple(wanted) if text in answer]
    return failed(f"{', '.join(found)} is in it") if found else PASSED


def match_patterns(answer: str, wanted: object) -> CheckFinding:
    """Pass if every pattern matches somewhere in the answer."""
    patterns = as_tuple(wanted)
    limit_work(patterns, answer)
    missing = [quote(pattern) for pattern in patterns if not is_found(pattern, answer)]
    return failed(f"{', '.join(missing)} not found") if missing else PASSED


def length(answer: str, wanted: object) -> CheckFinding:
    """Pass if the answer has at least `min` and at most `max` characters."""
    assert isinstance(wanted, Mapping)
    least, most = wanted.get("min"), wanted.get("max")
    if least is not None and len(answer) < least:
        return failed(f"{counted(len(answer), 'character')}, fewer than {least:,}")
    if most is not None and len(answer) > most:
        return failed(f"{counted(len(answer), 'character')}, more than {most:,}")
    return PASSED


def as_tuple(wanted: object) -> tuple[str, ...]:
    """Return one text or several as a tuple."""
    if isinstance(wanted, str):
        return (wanted,)
    assert isinstance(wanted, Sequence)
    return tuple(wanted)


def quoted_alternatives(texts: Sequence[str]) -> str:
    """Return texts in quotes, joined by `or`."""
    return " or ".join(map(quote, texts))


def quote(text: str) -> str:
    """Return the beginning of a text in quotes, on one line."""
    return f"“{shorten(text)}”"


def shorten(text: str) -> str:
    """Return the beginning of a text, on one line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= MAX_QUOTED else f"{flat[: MAX_QUOTED - 1]}…"
