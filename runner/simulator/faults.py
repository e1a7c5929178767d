"""Everything that goes wrong on purpose, by name: `compare serve --fault NAME`, or the model `sim/fault-NAME`."""

from dataclasses import dataclass

from runner.simulator.inject import (
    HTML,
    STEPS_BEFORE_FAULT,
    Spoil,
    break_framing,
    break_json,
    break_utf8,
    comment_forever,
    delay_headers,
    edit_stream,
    fail_at_first,
    filter_content,
    leave_out_done,
    leave_out_usage,
    limit_rate,
    limit_rate_until_date,
    linger,
    redirect,
    refuse,
    refuse_stream_options,
    report_error,
    send_error_with_200,
    send_in_one_burst,
    send_page,
    send_whole,
    stall,
    stop_early,
    write_oddly,
)
from runner.simulator.response import Ending


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """One thing that goes wrong: its name, what a client meets, and how it is made."""

    name: str
    description: str
    spoil: Spoil


def _refuse_key() -> Spoil:
    message = "Simulated: incorrect API key provided."
    return refuse(401, message, code="invalid_api_key", kind="authentication_error")


def _refuse_model() -> Spoil:
    message = "Simulated: the model does not exist or you have no access to it."
    return refuse(404, message, code="model_not_found", kind="invalid_request_error")


def _refuse_balance() -> Spoil:
    message = "Simulated: your balance is used up, please top up."
    return refuse(429, message, code="insufficient_quota", kind="insufficient_quota")


def _refuse_all() -> Spoil:
    return refuse(500, "Simulated: internal server error.", code="internal_error", kind="server_error")


FAULTS = {
    fault.name: fault
    for fault in (
        InjectedFault("unauthorized", "401: the key is wrong", _refuse_key()),
        InjectedFault("unknown-model", "404: the model does not exist", _refuse_model()),
        InjectedFault("rate-limited", "429 with Retry-After: 2 seconds", limit_rate(("retry-after", "2"))),
        InjectedFault("rate-limited-ms", "429 with retry-after-ms: 300", limit_rate(("retry-after-ms", "300"))),
        InjectedFault("rate-limited-date", "429 with Retry-After: an HTTP date in two seconds", limit_rate_until_date),
        InjectedFault("no-balance", "429 that no waiting cures: the balance is used up", _refuse_balance()),
        InjectedFault("server-error", "500 with a JSON error", _refuse_all()),
        InjectedFault("bad-gateway", "502 with an HTML page", send_page(502, HTML)),
        InjectedFault("flaky", "503 the first times (?times=2) a content is asked, then a good answer", fail_at_first),
        InjectedFault("redirect", "301 to another path", redirect),
        InjectedFault("no-stream-options", "400 naming stream_options, if it was sent", refuse_stream_options),
        InjectedFault("html", "200 with an HTML page", send_page(200, HTML)),
        InjectedFault("empty", "200 with nothing in it", send_page(200, b"")),
        InjectedFault("error-with-200", "200 with a JSON error", send_error_with_200),
        InjectedFault(
            "not-streamed", "200 with the whole completion as JSON, though a stream was asked for", send_whole
        ),
        InjectedFault("slow-headers", "the response's head is held back (?hold_ms=5000)", delay_headers),
        InjectedFault(
            "stall-first", "head sent, then silence before the first token (?hold_ms=)", edit_stream(stall(0))
        ),
        InjectedFault("stall-middle", "silence after three tokens (?hold_ms=)", edit_stream(stall(STEPS_BEFORE_FAULT))),
        InjectedFault("comments-forever", "keep-alive comments and never a token", edit_stream(comment_forever)),
        InjectedFault("burst", "all tokens at once, when the last is due", edit_stream(send_in_one_burst)),
        InjectedFault(
            "cut-mid-chunk", "the connection is closed half-way through a chunk", break_framing(Ending.CLOSE)
        ),
        InjectedFault("reset", "the connection is reset half-way through a chunk", break_framing(Ending.RESET)),
        InjectedFault(
            "cut-clean", "the body ends properly after three tokens, nothing finished", edit_stream(stop_early)
        ),
        InjectedFault("no-done", "a finish_reason, but no [DONE]", edit_stream(leave_out_done)),
        InjectedFault("no-usage", "no usage, even if asked for", edit_stream(leave_out_usage)),
        InjectedFault("filtered", "a content filter ends the answer after three tokens", edit_stream(filter_content)),
        InjectedFault("error-first", "an error as the stream's first event", edit_stream(report_error(0))),
        InjectedFault(
            "error-middle", "an error in the stream after three tokens", edit_stream(report_error(STEPS_BEFORE_FAULT))
        ),
        InjectedFault("broken-json", "one event's JSON is cut off", edit_stream(break_json)),
        InjectedFault("invalid-utf8", "one event's text holds a byte that is not UTF-8", edit_stream(break_utf8)),
        InjectedFault("odd-framing", "legal but rare: BOM, CRLF, ids, events without data", edit_stream(write_oddly)),
        InjectedFault("lingers", "the body stays open after [DONE] (?hold_ms=5000)", edit_stream(linger)),
    )
}
