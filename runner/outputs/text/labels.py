"""Display text for outcomes, flags, names of requests and targets, and unfinished runs."""

from collections.abc import Sequence

from runner.analysis.check_results import Expectations, steps_in
from runner.analysis.measured_targets import MeasuredTarget
from runner.analysis.result_columns import Row
from runner.analysis.run_results import Run
from runner.core.events import Outcome
from runner.core.turns_and_steps import Steps
from runner.outputs.text.translation import BilingualText, _, comma_list, labelled, plural, translate

OUTCOMES = {
    Outcome.OK: "ok",
    Outcome.LENGTH: "cut at the length limit",
    Outcome.FILTERED: "held back by a content filter",
    Outcome.TRUNCATED: "broke off before its end",
    Outcome.BAD_STREAM: "invalid response",
    Outcome.PROVIDER_ERROR: "the provider failed",
    Outcome.RATE_LIMITED: "rate limited",
    Outcome.AUTH: "key or balance refused",
    Outcome.NOT_FOUND: "not found",
    Outcome.BAD_REQUEST: "request refused",
    Outcome.CONNECTION: "connection failed",
    Outcome.TIMEOUT: "timed out",
    Outcome.TOO_LARGE: "larger than its limit",
    Outcome.CANCELLED: "cancelled",
    Outcome.SKIPPED: "skipped, an earlier turn failed",
}

FLAGS = {
    "adjusted": "the request was adapted to what this provider accepts",
    "answered_by_differs": (
        "the response names a second vendor, fingerprint or service tier while it streams; the first vendor and "
        "fingerprint, and the last tier, are kept"
    ),
    "buffered": (
        "something on the way held the text back and let it through in bursts, so TTFT is not the model's and no speed "
        "is given; nginx needs proxy_buffering off, or the response header X-Accel-Buffering: no"
    ),
    "cached": "the provider read part of the prompt from its cache, which shortens TTFT",
    "client_late": "timestamps on this row may be late: this machine was busy",
    "compressed": "the stream came compressed, so its times are those of whole blocks",
    "cumulative_chunks": "each piece repeated all text before it; only what it added is kept",
    "cut_after_finish": "the connection broke after the reply was complete",
    "doubled_chunks": "every piece came twice and counts once",
    "draining": (
        "one of the last requests at its load, some of which ended while the load was changing; all are left out of "
        "latencies"
    ),
    "estimated_input": "the text's size is an estimate, since the provider did not count the tokens of a probe",
    "filling": "sent before the load was steady, and left out of latencies",
    "finish_reasons_differ": "two finish_reasons came; the one that says more is kept",
    "headed_thinking": "text between headings in plain words, such as Granite's, was read as reasoning",
    "invalid_utf8": "some bytes were not UTF-8 and were replaced",
    "max_steps": "the model called tools in the last step that its turn may have, so they got no results",
    "message_differs": "a whole message came after its pieces and differs from them; the pieces are kept",
    "no_answer": "the reply is complete but has no answer, only reasoning or nothing",
    "no_tool_call": "the reply says that it ended for a tool call but has none",
    "no_tool_result": "the model called a tool for which the suite has no result, which ended its turn",
    "not_streamed": "the reply came in one piece, so there is no TTFT",
    "other_model": "the reply names another model than the one that was asked",
    "provider_cost": "the cost is what the provider says it charged",
    "reads_paused": "the reply came faster than this machine could decode it, which made the server wait",
    "reasoning_is_answer": "the reasoning and the answer are the same text",
    "reasoning_summary": "the reasoning came as what the API calls a summary",
    "refusal": "the model said, in a field of its own, that it will not answer",
    "repeated": "sent again to probe a cache, and left out of latencies except those of prompt caches",
    "repeated_reply": "a last piece repeated all before it and was dropped",
    "retired_model": "the provider has retired this model's name",
    "route_unconfirmed": "the reply does not say whether the vendor of `route` answered",
    "several_choices": "more than one reply came; the first is shown",
    "skipped_data": "some events could not be read and were skipped",
    "summarised_reasoning": "a summary of the reasoning was streamed, so no speed in tokens is given",
    "think_tag_in_answer": "the answer contains a think tag, so it may include reasoning",
    "tokens_from_total": "output tokens were taken from the total, since only the total counts the thinking",
    "tokens_in_doubt": "the counts contradict the text or each other, so no speed in tokens is given",
    "unknown_finish_reason": "ended for an unknown reason, so it may be incomplete",
    "unopened_thinking": "text before a closing think tag that was never opened was read as reasoning",
    "unseen_tokens": "more output tokens were counted than the text can hold, so no speed in tokens is given",
    "warmup": "sent to warm up, and left out of every figure",
}
"""Flag of a row -> its explanation. Every flag that a row can have is here."""

FLAGS_OF_REPLAY = {
    "buffered": "the text came in bursts, because it was played back at once or was recorded so; no speed is given",
}
"""Flag of a row -> its explanation in a run whose replies were played back, where it differs."""


SIMULATED = "the built-in simulator answered; its figures say nothing about any provider."
"""To follow the word "simulated"."""


def describe_outcome(outcome: str, error_type: str | None = None, http_status: int | None = None) -> str:
    """Return a description of an outcome, with the error type and the HTTP status if known.

    Raises:
        ValueError: `outcome` is not the name of an Outcome.

    """
    status = None if http_status is None or http_status == 200 else f"HTTP {http_status}"
    details = comma_list(detail for detail in (error_type, status) if detail)
    words = _(OUTCOMES[Outcome(outcome)])
    return _("{what} ({details})", what=words, details=details) if details else words


def name_question(case: str, turn: int, steps: Steps) -> str:
    """Return the name of a question like `Steps.name_question`, but in the page's languages."""
    if 1 < turn <= len(steps.idles):
        return f"{case} · " + translate(steps.name(turn))
    asked, step = steps.turn_and_step(turn)
    question = case if asked == 1 else _("{case} · turn {turn}", case=case, turn=asked)
    return question if step == 1 else _("{question} · step {step}", question=question, step=step)


def name_request(case: str, turn: int, repeat: int, checks: Expectations, idles: Sequence[float] = ()) -> str:
    """Return the name of a request: `sum`, `sum · turn 2 · repeat 3`.

    `checks` holds the expectations of all cases, and `idles` the pauses in seconds before the turns of a cache probe.
    """
    question = name_question(case, turn, steps_in(checks, case, idles))
    return question if repeat == 1 else _("{question} · repeat {repeat}", question=question, repeat=repeat)


def name_in_words(target: MeasuredTarget) -> BilingualText:
    """Return the display name of a target, with its place, the vendor that answered and its run if it has them."""
    name = BilingualText(target.name, target.name)
    if target.place is not None:
        name = _("{target} from {place}", target=name, place=target.place)
    if target.answered_by is not None:
        name = _("{target} by {vendor}", target=name, vendor=target.answered_by)
    if target.run is not None:
        name = _("{target} · {run}", target=name, run=_("run {n}", n=target.run.removeprefix("run ")))
    return name


def describe_flag(flag: str) -> str:
    """Return a flag with its explanation; an unknown flag, from a later version, is returned alone."""
    return labelled(flag, _(FLAGS[flag])) if flag in FLAGS else flag


def describe_row(row: Row) -> str:
    """Return a description of the outcome of a row of results."""
    error_type, http_status = row["error_type"], row["http_status"]
    return describe_outcome(
        str(row["outcome"]),
        error_type if isinstance(error_type, str) else None,
        http_status if isinstance(http_status, int) else None,
    )


def describe_partial(run: Run) -> str | None:
    """Return a sentence on the extent of an unfinished run, to follow "partial"; None if the run is finished."""
    if run.ended:
        return None
    if run.missing:
        return plural(
            run.missing,
            "of {planned} planned requests {n} has no record, though the run came to its end: lines of its journal are "
            "lost or damaged. Take the journal from a backup, or go on with the run",
            "of {planned} planned requests {n} have no record, though the run came to its end: lines of its journal "
            "are lost or damaged. Take the journal from a backup, or go on with the run",
            planned=translate(run.header.planned),
        )
    if run.header.planned_requests is None:
        return _describe_open(len(run.measured), run.header.most_requests)
    return plural(
        len(run.measured),
        "the run is unfinished: {n} request of {planned} planned",
        "the run is unfinished: {n} requests of {planned} planned",
        planned=translate(run.header.planned),
    )


def _describe_open(n: int, most: int | None) -> str:
    """Return a sentence on an unfinished run whose number of requests was not known in advance."""
    if most is None:
        return plural(n, "the run is unfinished: {n} request so far", "the run is unfinished: {n} requests so far")
    return plural(
        n,
        "the run is unfinished: {n} request so far of at most {most}",
        "the run is unfinished: {n} requests so far of at most {most}",
        most=f"{most:,}",
    )
