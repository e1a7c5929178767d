"""Hints on what to do about failed requests, one for each kind of failure.

They are derived from a record when it is read, so that better hints also appear for old journals.
"""

from dataclasses import dataclass

from runner.core.events import Outcome


@dataclass(frozen=True, slots=True)
class Hint:
    """A cause in a few words, and advice on it."""

    what: str
    help: str


HINTS: dict[str, Hint] = {
    # The provider, or a gateway before it, refused the request.
    "key": Hint("key refused", "check that the key belongs to this provider and region"),
    "balance": Hint("balance used up", "top up"),
    "plan": Hint("not covered by the plan", "change the plan or the model"),
    "permission": Hint("access denied", "ask for access to the model, or use another key or region"),
    "proxy_auth": Hint("user or password refused by the proxy", "correct them in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"),
    "model": Hint(
        "no such model",
        "`compare providers --models {provider}` lists its models, with --suite FILE for a suite's provider",
    ),
    "not_recorded": Hint("not recorded", "replay what was asked then, or record it with `compare run --record`"),
    "address": Hint("nothing at this address", "check base_url, which often ends in /v1"),
    "rate": Hint("too many requests", "lower --concurrency"),
    "quota": Hint("quota used up", "wait for its reset, or raise it"),
    "content_filter": Hint("content filter", "change the prompt"),
    "context": Hint("prompt too long", "shorten it, or ask a model with a longer context"),
    "request": Hint("request refused", "change what the message names"),
    "plain_http": Hint("plain HTTP to a port that speaks HTTPS", "begin base_url with https://"),
    "body_size": Hint(
        "request too large for a proxy or gateway", "raise its limit, client_max_body_size in nginx, or send less"
    ),
    "redirect": Hint("redirected", "correct base_url: often https or /v1 is missing"),
    # The provider failed.
    "overloaded": Hint("overloaded", "try again later"),
    "server": Hint("failure", "try again later"),
    "server_timeout": Hint("server timeout", "try again later"),
    "other_route": Hint("another vendor answered", "check `route` against the router's name of the vendor"),
    "unsupported": Hint("not supported", "leave it out, or use another model"),
    # The response was not a reply.
    "empty": Hint("empty answer", "try again later"),
    "broken_json": Hint("broken JSON", "try again later"),
    "html": Hint("a web page", "check base_url, or log in to the network"),
    "not_a_reply": Hint("no chat completion", "check base_url, which often ends in /v1"),
    "too_long": Hint("an event that is too large", "check base_url"),
    # The connection.
    "dns": Hint("unknown host", "check base_url, and whether names resolve on this network"),
    "refused": Hint("connection refused", "check base_url, the network, and that the server runs"),
    "tls_certificate": Hint("certificate not trusted", "set SSL_CERT_FILE for a private authority"),
    "tls": Hint("no TLS", "check whether base_url should begin with http://"),
    "proxy": Hint("no connection through the proxy", "check HTTPS_PROXY, or exclude this host with NO_PROXY"),
    "bad_proxy": Hint("unusable proxy", "correct the variable, or exclude this host with NO_PROXY"),
    "cut": Hint("connection broken during the reply", "try again; a gateway on the way may limit the time"),
    "compression": Hint("unreadable compression", "avoid the proxy or gateway that compresses"),
    "disconnected": Hint("connection closed without an answer", "try again later"),
    "reset": Hint("connection reset", "try again later; a firewall or gateway may block it"),
    "bad_http": Hint("not HTTP", "check base_url, especially its port"),
    "bad_url": Hint("invalid address", "correct base_url"),
    "worker_lost": Hint("cluster worker lost", "see Ray's own logs; it may have run out of memory"),
    "connection": Hint("connection failed", "check base_url and the network"),
    # Limits of this machine.
    "reply_limit": Hint("reply larger than its limit", "lower max_tokens, or raise --reply-limit"),
    "undecodable": Hint("reply that cannot be decoded", "report it with the recording of `compare run --record`"),
    # The timeouts.
    "connect": Hint("no connection in time", "check the network, or raise timeouts.connect"),
    "first_token": Hint("no text in time", "lower --concurrency, or raise timeouts.first_token"),
    "idle": Hint("no data in time", "try again later, or raise timeouts.idle"),
    "total": Hint("not finished in time", "lower max_tokens, or raise timeouts.total"),
}
"""`error_type` -> its hint."""

OUTCOME_HINTS = {
    Outcome.TRUNCATED: Hint("ended without a finish_reason", "try again; a gateway on the way may have cut it"),
    Outcome.FILTERED: HINTS["content_filter"],
}
"""Hints for outcomes without an `error_type`."""


def hint_for(
    provider: str, outcome: str, error_type: str | None, *, code: str | None = None, attempts: int = 1
) -> str | None:
    """Return a clause with the cause, the advice and the number of attempts; None if there is no hint."""
    hint = HINTS.get(error_type or "") or OUTCOME_HINTS.get(Outcome(outcome))
    if hint is None:
        return None
    named = f" (code {code})" if code else ""
    tried = "not retried" if attempts <= 1 else f"given up after {attempts} attempts"
    return f"{hint.what} at {provider}{named}: {hint.help.format(provider=provider)}; {tried}"
