"""Provider failures: statuses, error bodies and waiting times of every shape are classified."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.events import Failed, Outcome
from runner.core.failure_kinds import FAILURE_KINDS
from runner.wire.decoders.error_body import LONGEST_MESSAGE, page_title
from runner.wire.decoders.provider_failures import (
    BASE_RESP_CODES,
    CODES,
    PHRASES,
    STATUS_CLASSES,
    STATUSES,
    TYPES,
    classify_error,
    classify_response,
)
from runner.wire.decoders.response_decoder import ResponseDecoder
from runner.wire.decoders.response_head import ResponseHead, response_started
from runner.wire.decoders.retry_after import parse_duration_s, rate_limits, retry_after_s, retry_in_message_s
from tests.support.fold_events import fold_events


def refusal(status: int, body: object = "", headers: dict[str, str] | None = None) -> Failed:
    """Return the failure that a response reports; a body that is not text is encoded as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    return classify_response(status, headers or {}, text.encode(), at_ns=1)


@pytest.mark.parametrize(
    ("status", "outcome", "again"),
    [
        (302, Outcome.BAD_REQUEST, False),
        (400, Outcome.BAD_REQUEST, False),
        (401, Outcome.AUTH, False),
        (402, Outcome.AUTH, False),
        (403, Outcome.AUTH, False),
        (404, Outcome.NOT_FOUND, False),
        (405, Outcome.NOT_FOUND, False),
        (408, Outcome.PROVIDER_ERROR, True),
        (409, Outcome.PROVIDER_ERROR, True),
        (413, Outcome.BAD_REQUEST, False),
        (418, Outcome.BAD_REQUEST, False),
        (422, Outcome.BAD_REQUEST, False),
        (429, Outcome.RATE_LIMITED, True),
        (500, Outcome.PROVIDER_ERROR, True),
        (501, Outcome.PROVIDER_ERROR, False),
        (503, Outcome.PROVIDER_ERROR, True),
        (529, Outcome.PROVIDER_ERROR, True),
        (999, Outcome.PROVIDER_ERROR, True),
    ],
)
def test_status_decides_where_the_body_is_empty(status: int, outcome: Outcome, again: bool) -> None:
    """Every status has an outcome, and is worth repeating or not."""
    failed = refusal(status)
    assert (failed.outcome, failed.worth_repeating, failed.http_status) == (outcome, again, status)
    assert str(status) in failed.message or status == 302


def nested(code: object, message: str = "no", **more: object) -> dict[str, object]:
    """Return an error in OpenAI's shape."""
    return {"error": {"message": message, "code": code, **more}}


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (429, nested("1113"), "balance"),
        (429, nested(1113), "balance"),
        (429, nested("1302"), "rate"),
        (429, nested("1303"), "rate"),
        (429, nested("1304"), "quota"),
        (429, nested("1305"), "overloaded"),
        (429, nested("1308"), "quota"),
        (429, nested("1309"), "plan"),
        (429, nested("1312"), "overloaded"),
        (500, nested("1234"), "server"),
        (400, nested("1211"), "model"),
        (400, nested("1261"), "context"),
        (400, nested("1301"), "content_filter"),
        (401, nested("1002"), "key"),
        (200, {"base_resp": {"status_code": 1002, "status_msg": "limit"}}, "rate"),
        (200, {"base_resp": {"status_code": 1008, "status_msg": "x"}}, "balance"),
        (200, {"base_resp": {"status_code": 9999, "status_msg": "x"}}, "server"),
        (429, nested("insufficient_quota"), "balance"),
        (429, nested(None, type="exceeded_current_quota_error"), "balance"),
        (429, nested(429, status="RESOURCE_EXHAUSTED"), "rate"),
        (404, nested("model_not_found"), "model"),
        (400, {"code": "ModelNotFound", "message": "x"}, "model"),
        (404, nested("DeploymentNotFound"), "model"),
        (404, {"object": "error", "message": "The model `m` does not exist."}, "model"),
        (404, nested(404, "No endpoints found for m/n."), "model"),
        (404, {"detail": "Not Found"}, "address"),
        (400, nested("data_inspection_failed"), "content_filter"),
        (400, nested(None, innererror={"code": "ResponsibleAIPolicyViolation"}), "content_filter"),
        (403, nested(403, "m requires moderation and your input was flagged"), "content_filter"),
        (
            400,
            {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."},
            "balance",
        ),
        (403, nested("AccountOverdueError"), "balance"),
        (500, nested(None, "insufficient balance (1008)"), "balance"),
        (400, nested("context_length_exceeded"), "context"),
        (400, nested(None, "This model's maximum context length is 4096 tokens"), "context"),
        (400, nested("invalid_api_key"), "key"),
        (400, nested(None, "Incorrect API key provided"), "key"),
        (503, nested(503, "Loading model"), "overloaded"),
        (200, nested(None, "too many requests, slow down"), "rate"),
        (200, nested(402, "Payment"), "balance"),
        (200, nested(None, type="invalid_request_error"), "request"),
        (200, nested(None), "server"),
        (429, nested(None, type="invalid_request_error"), "rate"),
        (402, nested("invalid_request_error"), "balance"),
    ],
)
def test_codes_and_messages_precede_the_status(status: int, body: object, cause: str) -> None:
    """A specific code decides first, then the message, the status, and broad types last."""
    failed = classify_error(body, at_ns=1) if status == 200 else refusal(status, body)
    assert failed.error_type == cause
    assert (failed.outcome, failed.worth_repeating) == (FAILURE_KINDS[cause].outcome, FAILURE_KINDS[cause].repeat)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"error":{"message":"words"}}', "words"),
        ('{"error":"words"}', "words"),
        ('[{"error":{"message":"words"}}]', "words"),
        ('{"error":[{"message":"words"}]}', "words"),
        ('{"code":1,"msg":"words"}', "words"),
        ('{"error_code":17,"error_msg":"words"}', "words"),
        ('{"detail":"words"}', "words"),
        ('{"detail":[{"loc":["body","n"],"msg":"words"},"more"]}', "body.n: words; more"),
        ('{"message":{"detail":[{"loc":["body"],"msg":"words"}]}}', "body: words"),
        ('{"error":{"message":"words","metadata":{"raw":"more"}}}', "words: more"),
        ('{"error":{"message":"","code":7}}', '{"error":{"message":"","code":7}}'),
        ('"words"', "words"),
        ('event: error\ndata: {"code":"x","message":"words"}\n\n', "words"),
        ('error 7:\n{"message":"words"}\n', "words"),
        ('\ufeff{"message":"words"}', "words"),
        ("words\n  and\tmore\n", "words and more"),
        ("{ words", "{ words"),
        ("<html><title>\nBad &lt;Gateway&gt; </title>", "Bad <Gateway>"),
        ("\ufeff \n<?xml version='1.0'?><Error><Message>words</Message></Error>", "words"),
        ("<html><body><h1>words</h1></body>", "words"),
        ("<html></html>", "HTTP 500 Internal Server Error, without a message"),
        ("", "HTTP 500 Internal Server Error, without a message"),
        ("[]", "HTTP 500 Internal Server Error, without a message"),
        ("{}", "{}"),
    ],
)
def test_message_of_the_provider_is_found_in_every_shape(body: str, message: str) -> None:
    """Any shape of an error body gives the message, on one line."""
    assert refusal(500, body).message == message


def test_message_is_bounded() -> None:
    """A long body does not become a long message or code."""
    for body in (
        "x " * 100_000,
        "<title>" + "x" * 100_000,
        json.dumps({"error": {"message": "x" * 100_000, "code": "y" * 100_000}}),
    ):
        failed = refusal(500, body)
        assert len(failed.message) == LONGEST_MESSAGE
        assert failed.message.endswith("…")
        assert len(failed.code or "") <= 100


def test_code_is_the_most_specific_one() -> None:
    """A code that only repeats the HTTP status is taken if there is no other."""
    assert refusal(429, nested(429, status="RESOURCE_EXHAUSTED")).code == "RESOURCE_EXHAUSTED"
    assert refusal(402, nested(402)).code == "402"
    assert refusal(429, nested("1113")).code == "1113"
    assert refusal(500, nested(None)).code is None


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("https://host.example/v1?key=secret", "redirected to https://host.example/v1"),
        ("https://user:secret@host.example/v1", "redirected to https://host.example/v1"),
        ("/login#top", "redirected to /login"),
        ("//host.example/x", "redirected to host.example/x"),
        ("http://[bad", "redirected to an invalid URL"),
        (None, "redirected without a Location header"),
    ],
)
def test_redirect_is_reported_without_secrets(location: str | None, message: str) -> None:
    """The message holds host and path, and neither query nor user."""
    assert refusal(307, headers={"Location": location} if location else {}).message == message


def test_tables_of_codes_name_only_known_causes() -> None:
    """No code is both specific and broad."""
    named = {*CODES.values(), *BASE_RESP_CODES.values(), *TYPES.values(), *STATUSES.values(), *STATUS_CLASSES.values()}
    assert named | {cause for cause, _ in PHRASES} <= set(FAILURE_KINDS)
    assert not set(CODES) & set(TYPES)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        ({"retry-after": "2s"}, 2.0),
        ({"retry-after": "2 seconds"}, 2.0),
        ({"retry-after": "1m30s"}, 90.0),
        ({"retry-after": "PT1M30S"}, 90.0),
        ({"retry-after": "2026-11-22T12:00:30Z"}, 20.0),
        ({"retry-after": "3,9"}, 9.0),
        ({"retry-after": "3, 3"}, 3.0),
        ({"retry-after": "1795348840"}, 30.0),
        ({"retry-after": "1795348840000"}, 30.0),
        ({"retry-after": "1795348000"}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT"}, 20.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT", "date": "Sun, 22 Nov 2026 12:00:00 GMT"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7.66s"}, 7.66),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "7.66s"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "12"}, 12),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset-after": "12.5"}, 12.5),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "12"}, 12),
        ({"ratelimit-remaining": "3", "ratelimit-reset": "12"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "-1"}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "-1, 12"}, 12),
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({}, None),
    ],
)
def test_retry_after_is_parsed_in_every_spelling(headers: dict[str, str], expected: float | None) -> None:
    """Seconds, milliseconds, dates and resets are parsed; nonsensical values are ignored."""
    assert retry_after_s(headers, datetime(2026, 11, 22, 12, 0, 10, tzinfo=UTC)) == expected


def test_headers_on_rate_limits_are_kept_as_they_were_sent() -> None:
    """Headers of all known families are kept, up to a bound, and no others; without any the value is None."""
    limits = {
        "x-ratelimit-limit-requests": "5000",
        "x-ratelimit-remaining-tokens": "900",
        "anthropic-ratelimit-tokens-reset": "2026-11-30T12:00:00Z",
        "ratelimit": '"default";r=50;t=30',
        "x-rate-limit-remaining": "7",
    }
    assert rate_limits({"date": "today", "retry-after": "7", "x-request-id": "ratelimit", **limits}) == limits
    assert rate_limits({"retry-after": "7"}) is None
    flood = rate_limits({f"x-ratelimit-{n}": "9" * 5000 for n in range(1000)}) or {}
    assert (len(flood), max(map(len, flood.values()))) == (32, 200)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("250ms", 0.25),
        ("2d", 172800.0),
        ("7", None),
        ("7x", None),
        ("", None),
        ("1 minute, 30 seconds", 90.0),
        ("5 mins", 300.0),
        ("7 sheep", None),
    ],
)
def test_durations_are_parsed(text: str, seconds: float | None) -> None:
    """A duration is parsed as a whole or not at all."""
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"x-request-id": "a", "cf-ray": "b"}, b"", "a"),
        ({"cf-ray": "b"}, b'{"id":"c"}', "c"),
        ({"cf-ray": "b"}, b"", "b"),
        ({"x-litellm-call-id": "d", "cf-ray": "b"}, b"", "d"),
        ({"x-request-id": " "}, b'{"request_id":"c"}', "c"),
        ({}, b'{"error":{"request_id":"c"}}', "c"),
        ({}, b'{"id":7}', None),
        ({}, b'event: error\ndata: {"request_id":"c"}\n\n', "c"),
        ({}, b"<html>", None),
        ({"x-request-id": "x" * 999}, b"", "x" * 200),
    ],
)
def test_request_id_is_found_in_headers_and_body(headers: dict[str, str], body: bytes, expected: str | None) -> None:
    """The provider's header precedes the body, and the body the network's header."""
    decoder, started = ResponseDecoder(500, headers), response_started(ResponseHead(500, headers), 1)
    fold = fold_events(started, *decoder.feed(2, body), *decoder.close(3))
    assert fold.response_started is not None
    assert fold.response_started.request_id == expected


@given(
    st.integers(0, 999),
    st.dictionaries(st.sampled_from(["retry-after", "date", "location"]), st.text(max_size=20)),
    st.binary(max_size=99),
)
def test_any_response_is_classified(status: int, headers: dict[str, str], body: bytes) -> None:
    """Nothing raises, and there is always a message."""
    failed = classify_response(status, headers, body, at_ns=1)
    assert failed.message
    assert failed.error_type in FAILURE_KINDS


def test_page_of_unclosed_titles_is_searched_in_one_pass() -> None:
    """A page made to exhaust a pattern has no title."""
    assert page_title("<title" * 100_000) is None


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit reached. Please try again in 2.5s.", 2.5),
        ("Please try again in 1m30s. Visit https://example.com/5s", 90.0),
        ("Please retry after 20 seconds.", 20.0),
        ("Please retry in 26.408231s.", 26.408231),
        ("Too many requests, wait 3 minutes and retry", 180.0),
        ("try again in 350ms", 0.35),
        ("Retry after: 7 sec", 7.0),
        ("please try again after 1 hour 5 minutes", 3900.0),
        ("请在 20 秒后重试", 20.0),
        ("Limit 200, Used 200, Requested 1", None),
        ("try again in 5 sheep", None),
        ("The model m-70b is busy, try again later", None),
    ],
)
def test_wait_is_parsed_from_the_message(message: str, seconds: float | None) -> None:
    """It is a duration after words that ask to wait, in any unit."""
    assert retry_in_message_s(message) == seconds


@pytest.mark.parametrize(
    ("status", "message", "cause"),
    [
        (403, "Your team has used all available credits or reached its monthly spending limit", "balance"),
        (429, "You have reached your spending limit", "balance"),
        (402, "This request requires more credits, or fewer max_tokens", "balance"),
        (400, "Your credit balance is too low to access the API", "balance"),
        (401, "账户余额不足", "balance"),
        (429, "Rate limit exceeded: free-models-per-day", "quota"),
        (403, "Daily request limit reached", "quota"),
        (429, "You have hit your weekly usage limit", "quota"),
        (429, "The monthly token quota is used up", "quota"),
        (429, "今日调用次数已达上限", "quota"),
        (429, "Quota exceeded for metric generate_requests_per_model_per_day. Please retry in 34.5s.", "quota"),
        (429, "Session limit hit", "quota"),
        (429, "Rate limit reached: 60 requests per minute", "rate"),
        (400, "max_tokens must be greater than thinking.budget_tokens", "request"),
        (403, "You may not use this model", "permission"),
    ],
)
def test_exhausted_balances_and_daily_limits_are_not_retried(status: int, message: str, cause: str) -> None:
    """This holds for many messages and any status; a limit per minute is retried."""
    failed = classify_response(status, {}, json.dumps({"error": {"message": message}}).encode(), at_ns=1)
    assert (failed.error_type, failed.worth_repeating) == (cause, cause == "rate")
