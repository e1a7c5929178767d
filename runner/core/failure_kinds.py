"""The kinds of failure: their outcomes, whether the request may be repeated, and hints on what to do.

Hints are derived from a record when it is read, so that better hints also appear for old journals.
"""

from dataclasses import dataclass

from runner.core.events import Failed, Outcome

NO_MESSAGE = "without a message"
"""Shown in place of a failure's message if there is none."""


@dataclass(frozen=True, slots=True)
class FailureKind:
    """The outcome of a kind of failure, its cause in a few words, advice on it, and whether to repeat the request."""

    outcome: Outcome
    what: str
    help: str
    repeat: bool = False


FAILURE_KINDS: dict[str, FailureKind] = {
    # The provider, or a gateway before it, refused the request.
    "key": FailureKind(Outcome.AUTH, "key refused", "check that the key belongs to this provider and region"),
    "balance": FailureKind(Outcome.AUTH, "balance used up", "top up"),
    "plan": FailureKind(Outcome.AUTH, "not covered by the plan", "change the plan or the model"),
    "permission": FailureKind(
        Outcome.AUTH, "access denied", "ask for access to the model, or use another key or region"
    ),
    "proxy_auth": FailureKind(
        Outcome.AUTH, "user or password refused by the proxy", "correct them in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"
    ),
    "model": FailureKind(
        Outcome.NOT_FOUND,
        "no such model",
        "`compare providers --models {provider}` lists its models, with --suite FILE for a suite's provider",
    ),
    "not_recorded": FailureKind(
        Outcome.NOT_FOUND, "not recorded", "replay what was asked then, or record it with `compare run --record`"
    ),
    "address": FailureKind(Outcome.NOT_FOUND, "nothing at this address", "check base_url, which often ends in /v1"),
    "rate": FailureKind(Outcome.RATE_LIMITED, "too many requests", "lower --concurrency", repeat=True),
    "quota": FailureKind(Outcome.RATE_LIMITED, "quota used up", "wait for its reset, or raise it"),
    "content_filter": FailureKind(Outcome.FILTERED, "content filter", "change the prompt"),
    "context": FailureKind(Outcome.BAD_REQUEST, "prompt too long", "shorten it, or ask a model with a longer context"),
    "request": FailureKind(Outcome.BAD_REQUEST, "request refused", "change what the message names"),
    "plain_http": FailureKind(
        Outcome.BAD_REQUEST, "plain HTTP to a port that speaks HTTPS", "begin base_url with https://"
    ),
    "body_size": FailureKind(
        Outcome.BAD_REQUEST,
        "request too large for a proxy or gateway",
        "raise its limit, client_max_body_size in nginx, or send less",
    ),
    "redirect": FailureKind(Outcome.BAD_REQUEST, "redirected", "correct base_url: often https or /v1 is missing"),
    # The provider failed.
    "overloaded": FailureKind(Outcome.PROVIDER_ERROR, "overloaded", "try again later", repeat=True),
    "server": FailureKind(Outcome.PROVIDER_ERROR, "failure", "try again later", repeat=True),
    "server_timeout": FailureKind(Outcome.PROVIDER_ERROR, "server timeout", "try again later", repeat=True),
    "other_route": FailureKind(
        Outcome.PROVIDER_ERROR, "another vendor answered", "check `route` against the router's name of the vendor"
    ),
    "unsupported": FailureKind(Outcome.PROVIDER_ERROR, "not supported", "leave it out, or use another model"),
    # The response was not a reply.
    "empty": FailureKind(Outcome.BAD_STREAM, "empty answer", "try again later", repeat=True),
    "broken_json": FailureKind(Outcome.BAD_STREAM, "broken JSON", "try again later", repeat=True),
    "html": FailureKind(Outcome.BAD_STREAM, "a web page", "check base_url, or log in to the network"),
    "not_a_reply": FailureKind(Outcome.BAD_STREAM, "no chat completion", "check base_url, which often ends in /v1"),
    "too_long": FailureKind(Outcome.BAD_STREAM, "an event that is too large", "check base_url"),
    # The connection.
    "dns": FailureKind(
        Outcome.CONNECTION, "unknown host", "check base_url, and whether names resolve on this network", repeat=True
    ),
    "refused": FailureKind(
        Outcome.CONNECTION, "connection refused", "check base_url, the network, and that the server runs", repeat=True
    ),
    "tls_certificate": FailureKind(
        Outcome.CONNECTION, "certificate not trusted", "set SSL_CERT_FILE for a private authority"
    ),
    "tls": FailureKind(Outcome.CONNECTION, "no TLS", "check whether base_url should begin with http://", repeat=True),
    "proxy": FailureKind(
        Outcome.CONNECTION,
        "no connection through the proxy",
        "check HTTPS_PROXY, or exclude this host with NO_PROXY",
        repeat=True,
    ),
    "bad_proxy": FailureKind(
        Outcome.CONNECTION, "unusable proxy", "correct the variable, or exclude this host with NO_PROXY"
    ),
    "cut": FailureKind(
        Outcome.CONNECTION,
        "connection broken during the reply",
        "try again; a gateway on the way may limit the time",
        repeat=True,
    ),
    "compression": FailureKind(
        Outcome.CONNECTION, "unreadable compression", "avoid the proxy or gateway that compresses"
    ),
    "disconnected": FailureKind(
        Outcome.CONNECTION, "connection closed without an answer", "try again later", repeat=True
    ),
    "reset": FailureKind(
        Outcome.CONNECTION, "connection reset", "try again later; a firewall or gateway may block it", repeat=True
    ),
    "bad_http": FailureKind(Outcome.CONNECTION, "not HTTP", "check base_url, especially its port"),
    "bad_url": FailureKind(Outcome.CONNECTION, "invalid address", "correct base_url"),
    "worker_lost": FailureKind(
        Outcome.CONNECTION, "cluster worker lost", "see Ray's own logs; it may have run out of memory", repeat=True
    ),
    "connection": FailureKind(Outcome.CONNECTION, "connection failed", "check base_url and the network", repeat=True),
    # Limits of this machine.
    "reply_limit": FailureKind(
        Outcome.TOO_LARGE, "reply larger than its limit", "lower max_tokens, or raise --reply-limit"
    ),
    "undecodable": FailureKind(
        Outcome.BAD_STREAM, "reply that cannot be decoded", "report it with the recording of `compare run --record`"
    ),
    # The timeouts.
    "connect": FailureKind(
        Outcome.TIMEOUT, "no connection in time", "check the network, or raise timeouts.connect", repeat=True
    ),
    "first_token": FailureKind(
        Outcome.TIMEOUT, "no text in time", "lower --concurrency, or raise timeouts.first_token", repeat=True
    ),
    "idle": FailureKind(Outcome.TIMEOUT, "no data in time", "try again later, or raise timeouts.idle"),
    "total": FailureKind(Outcome.TIMEOUT, "not finished in time", "lower max_tokens, or raise timeouts.total"),
}
"""`error_type` -> the kind of failure."""

TRUNCATED = FailureKind(
    Outcome.TRUNCATED, "ended without a finish_reason", "try again; a gateway on the way may have cut it"
)
OUTCOME_HINTS = {Outcome.TRUNCATED: TRUNCATED, Outcome.FILTERED: FAILURE_KINDS["content_filter"]}
"""Hints for outcomes without an `error_type`."""


def failure(
    error_type: str,
    message: str,
    at_ns: int,
    *,
    status: int | None = None,
    code: str | None = None,
    retry_after_s: float | None = None,
) -> Failed:
    """Return a failure of a kind in `FAILURE_KINDS`, with the HTTP status and the provider's code if there are any."""
    kind = FAILURE_KINDS[error_type]
    return Failed(
        at_ns,
        kind.outcome,
        message,
        error_type=error_type,
        http_status=status,
        code=code,
        retry_after_s=retry_after_s,
        worth_repeating=kind.repeat,
    )


def hint_for(
    provider: str, outcome: str, error_type: str | None, *, code: str | None = None, attempts: int = 1
) -> str | None:
    """Return a clause with the cause, the advice and the number of attempts; None if there is no hint."""
    kind = FAILURE_KINDS.get(error_type or "") or OUTCOME_HINTS.get(Outcome(outcome))
    if kind is None:
        return None
    named = f" (code {code})" if code else ""
    tried = "not retried" if attempts <= 1 else f"given up after {attempts} attempts"
    return f"{kind.what} at {provider}{named}: {kind.help.format(provider=provider)}; {tried}"
