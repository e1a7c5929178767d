"""The fields in which providers put the reason for which a reply ended."""

from collections.abc import Iterable, Mapping

from runner.core.finish_reasons import FinishClass, classify_reason
from runner.wire.text_fields import Choice, sent_parts

NO_REASON = frozenset({"", "null", "None", "none"})
"""Values of finish_reason that mean null: gateways send them on every chunk, xAI behind tool calls."""

NAMES = ("finish_reason", "finishReason", "finish_details")
INNER_NAMES = ("finish_reason", "finishReason", "stop_reason")


def reasons_of(choices: Iterable[Choice], chunk: Mapping[str, object]) -> list[str]:
    """Return the finish_reasons of a chunk's choices; where none has one, the chunk's own, as some gateways send it."""
    found = [reason for choice in choices if (reason := reason_of(choice)) is not None]
    if found or "choices" not in chunk:
        return found
    own = reason_of(chunk)
    return [] if own is None else [own]


def reason_of(choice: Mapping[str, object]) -> str | None:
    """Return a choice's finish_reason; the vendor's own where a router says `stop` for something else."""
    native, reason = _first_reason(choice, ("native_finish_reason",)), _first_reason(choice, NAMES)
    if reason is None:
        inner = (_first_reason(part, INNER_NAMES) for part in sent_parts(choice))
        reason = next(filter(None, inner), None)
    if reason is None:  # vLLM's stop_reason is the text or the token that stopped it, beside a finish_reason
        reasons = (native, _first_reason(choice, ("stop_reason",)))
        return next((each for each in reasons if each and classify_reason(each) is not FinishClass.UNKNOWN), None)
    if native is not None and classify_reason(reason) is FinishClass.STOP:
        return reason if classify_reason(native) <= FinishClass.TOOLS else native
    return reason


def stops_otherwise(choice: Mapping[str, object]) -> bool:
    """Return whether a choice's stop_reason says more than the `stop` beside it; it may be the text that stopped it."""
    stop = _first_reason(choice, ("stop_reason",))
    if stop is None or classify_reason(stop) <= FinishClass.UNKNOWN:
        return False
    reason = reason_of(choice)
    return reason is not None and classify_reason(reason) is FinishClass.STOP


def _first_reason(holder: Mapping[str, object], names: Iterable[str]) -> str | None:
    """Return the first reason under some names. Nearly all are null, which is passed over at once."""
    for name in names:
        if (value := holder.get(name)) and (reason := _as_text(value)):
            return reason
    return None


def _as_text(reason: object) -> str | None:
    """Return a reason of any shape as text; None for null and its imitations. A number says that there is an end."""
    if isinstance(reason, list) and reason:
        reason = reason[0]
    if isinstance(reason, dict):
        reason = reason.get("type") or reason.get("reason")
    if isinstance(reason, int) and not isinstance(reason, bool) and reason > 0:
        return str(reason)
    return reason if isinstance(reason, str) and reason not in NO_REASON else None
