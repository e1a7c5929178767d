"""Build the body of a request in the dialect that a target is asked in. Pure."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from runner.core.suite import Api, Parameters
from runner.providers.body_fields import Body, BodyBuilder, Notes, merge_fields
from runner.providers.chat_completions_body import CHAT_COMPLETIONS
from runner.providers.messages_body import MESSAGES
from runner.providers.provider_row import ProviderRow
from runner.providers.responses_body import RESPONSES

BUILDERS: Mapping[Api, BodyBuilder] = {
    "chat_completions": CHAT_COMPLETIONS,
    "responses": RESPONSES,
    "messages": MESSAGES,
}
"""The request builder of each dialect; the decoders are in `runner.wire.dialects`."""


def api_of(row: ProviderRow, parameters: Parameters) -> Api:
    """Return the dialect of a target's requests: its own, else the one of its provider's row."""
    return parameters.api or row.api


def request_body(row: ProviderRow, model: str, parameters: Parameters) -> tuple[Body, Notes]:
    """Return the body without its messages, and a sentence on each parameter that was not sent as the suite has it."""
    body, notes = BUILDERS[api_of(row, parameters)].fields(row, model, parameters)
    if parameters.route is None or row.route is None:
        return body, notes
    fields = row.route.body_for(parameters.route)
    return merge_fields(body, fields, fields) | {"model": row.route.model_for(model, parameters.route)}, notes


def route_problem(provider: str, row: ProviderRow, parameters: Parameters) -> str | None:
    """Return why a target's `route` cannot be pinned; None if it can, or there is none."""
    if parameters.route is None or row.route is not None:
        return None
    return (
        f"{provider} is asked with route: {parameters.route}, but no way is known to pin a vendor there. Leave `route` "
        "out, or write the way as `route` into the provider's row in compare.yaml: see docs/providers.md"
    )


def retirement(row: ProviderRow, model: str) -> str | None:
    """Return a note on a model name that is no longer current but still sent; None for other names."""
    return next((f"{model}: {text}" for name, text in row.retired.items() if fnmatchcase(model, name)), None)
