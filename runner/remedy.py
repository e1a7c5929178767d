"""What to do about a request that failed, in one clause for each kind of failure.

Derived on reading from what a record says, so that better advice also serves old journals.
"""

from dataclasses import dataclass

from runner.events import Outcome


@dataclass(frozen=True, slots=True)
class Remedy:
    """What is wrong, in a few words, and what may help."""

    what: str
    help: str


REMEDIES: dict[str, Remedy] = {
    # The provider, or what stands before it, refused.
    "key": Remedy("key refused", "check that the key belongs to this provider and region"),
    "balance": Remedy("balance used up", "top up"),
    "plan": Remedy("not covered by the plan", "change the plan or the model"),
    "permission": Remedy("access denied", "ask for access to the model, or use another key or region"),
    "proxy_auth": Remedy("user or password refused by the proxy", "correct them in HTTPS_PROXY or HTTP_PROXY"),
    "model": Remedy("no such model", "`compare providers --models {provider}` lists those there are"),
    "address": Remedy("nothing at this address", "check base_url, which often ends in /v1"),
    "rate": Remedy("asked too often", "lower --concurrency"),
    "quota": Remedy("quota used up", "wait for its reset, or raise it"),
    "content_filter": Remedy("content filter", "change the prompt"),
    "context": Remedy("prompt too long", "shorten it, or ask a model with a longer context"),
    "request": Remedy("request refused", "change what it names"),
    "redirect": Remedy("redirected", "correct base_url, often to https or by a missing /v1"),
    # The provider failed.
    "overloaded": Remedy("overloaded", "try again later"),
    "server": Remedy("failure", "try again later"),
    "server_timeout": Remedy("time-out", "try again later"),
    "unsupported": Remedy("not supported", "ask without it, or another model"),
    # What came was no reply.
    "empty": Remedy("empty answer", "try again later"),
    "broken_json": Remedy("broken JSON", "try again later"),
    "html": Remedy("a web page", "check base_url, or log in to the network"),
    "not_a_reply": Remedy("no chat completion", "check base_url, which often ends in /v1"),
    "too_long": Remedy("an event beyond all bounds", "check base_url"),
    # The connection.
    "dns": Remedy("unknown host", "check base_url, and whether names resolve on this network"),
    "refused": Remedy("nobody reached", "check base_url, the network, and that the server runs"),
    "tls_certificate": Remedy("certificate not trusted", "name a private authority's in SSL_CERT_FILE"),
    "tls": Remedy("no TLS", "check whether base_url has to begin with http://"),
    "proxy": Remedy("no way through the proxy", "check HTTPS_PROXY, or spare this host in NO_PROXY"),
    "bad_proxy": Remedy("unusable proxy", "correct the variable, or spare this host in NO_PROXY"),
    "cut": Remedy("connection broken inside the reply", "try again; a gateway on the way may limit the time"),
    "compression": Remedy("unreadable compression", "ask without the proxy or gateway that compresses"),
    "disconnected": Remedy("connection closed without an answer", "try again later"),
    "reset": Remedy("connection reset", "try again later; something on the way may forbid it"),
    "bad_http": Remedy("no HTTP", "check base_url, its port above all"),
    "bad_url": Remedy("impossible address", "correct base_url"),
    "worker_lost": Remedy("worker of the cluster lost", "see Ray's own logs; its memory may have been too little"),
    "connection": Remedy("connection failed", "check base_url and the network"),
    # The timeouts.
    "connect": Remedy("no connection in time", "check the network, or raise timeouts.connect"),
    "first_token": Remedy("no text in time", "lower --concurrency, or raise timeouts.first_token"),
    "idle": Remedy("fell silent", "try again later, or raise timeouts.idle"),
    "total": Remedy("not finished in time", "lower max_tokens, or raise timeouts.total"),
}
"""By `error_type`."""

OUTCOME_REMEDIES = {
    Outcome.TRUNCATED: Remedy("ended without a finish_reason", "try again; a gateway on the way may have cut it"),
    Outcome.FILTERED: REMEDIES["content_filter"],
}
"""For outcomes that need no `error_type` to be clear."""


def advise(
    provider: str, outcome: str, error_type: str | None, *, code: str | None = None, attempts: int = 1
) -> str | None:
    """Say in one clause what was wrong, what to do next, and what has been tried; None where nothing can be done."""
    remedy = REMEDIES.get(error_type or "") or OUTCOME_REMEDIES.get(Outcome(outcome))
    if remedy is None:
        return None
    named = f" (code {code})" if code else ""
    tried = "not retried" if attempts <= 1 else f"given up after {attempts} attempts"
    return f"{remedy.what} at {provider}{named}: {remedy.help.format(provider=provider)}; {tried}"
