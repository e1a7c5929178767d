"""Fields of a request's body that the builders of all dialects make in the same way. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from runner.core.suite import Api, Parameters, Thinking
from runner.providers.part_fields import API_NAMES, read_text
from runner.providers.provider_row import Parameter, ProviderRow

Body = dict[str, object]
Notes = tuple[str, ...]
Messages = Sequence[Mapping[str, Any]]
"""The messages of a conversation, each with `role` and `content`. A message with attachments also has `parts`: texts
and `FilledAttachment`s, which are sent in place of the content."""


def roles_and_texts(messages: Messages, *, texts_inline: bool = False) -> Sequence[tuple[str, str]]:
    """Return the roles and texts of messages, with a mark in the place of each attachment.

    With `texts_inline`, the content of a text file is part of the text.
    """
    return [(str(message["role"]), read_text(message, texts_inline=texts_inline)) for message in messages]


@dataclass(frozen=True, slots=True)
class BodyBuilder:
    """How one dialect writes the body of a request."""

    fields: Callable[[ProviderRow, str, Parameters], tuple[Body, Notes]]
    """Returns the body without its messages, and a sentence on each parameter that is not sent as the suite has it."""
    with_messages: Callable[[Body, Messages], Body]
    """Returns a body with the messages of a conversation."""
    read_back: Callable[[Messages], Sequence[tuple[str, str]]] = roles_and_texts
    """Returns the roles and texts that a server reads in the body that was made of these messages."""
    gives_back_thinking: bool = False
    """Whether later turns return the signed thinking of earlier ones, in the messages' `signed_thinking`."""


def sampling_fields(
    row: ProviderRow, model: str, parameters: Parameters, names: Mapping[Parameter, str], api: Api
) -> tuple[Body, list[str]]:
    """Return the parameters that a model takes, under the names that a dialect has for them, and notes on the others.

    Args:
        row: the provider's row.
        model: the model's name there.
        parameters: the target's parameters.
        names: parameter -> field, for the parameters that the dialect has.
        api: the dialect.

    """
    asked: Mapping[Parameter, object] = {
        "temperature": parameters.temperature,
        "max_tokens": parameters.max_tokens,
        "top_p": parameters.top_p,
        "seed": parameters.seed,
        "stop": list(parameters.stop) or None,
    }
    body, notes = Body(), []
    for name, value in asked.items():
        if value is None:
            continue
        if matches_any(model, row.refuses.get(name, ())):
            notes.append(f"{model} refuses {name}, so it was not sent")
        elif name not in names:
            notes.append(f"{API_NAMES[api]} has no {name}, so it was not sent to {model}")
        else:
            body[names[name]] = value
    return body, notes


def thinking_fields(
    row: ProviderRow, model: str, setting: Thinking | None, api: Api, standard: Mapping[Thinking, Mapping[str, object]]
) -> tuple[Body, str | None]:
    """Return the fields that stand for a `thinking` setting at this provider, or a note that there are none.

    Args:
        row: the provider's row; its `thinking` is written for its own `api`.
        model: the model's name there.
        setting: the target's setting.
        api: the dialect of the request.
        standard: the dialect's own fields by setting, used if the row has none for the dialect.

    """
    if setting is None:
        return {}, None
    if setting == "off" and matches_any(model, row.thinking_always):
        return {}, f"{model} cannot be asked not to think: thinking: off was not sent"
    known = row.thinking if row.api == api and row.thinking else standard
    if setting not in known:
        return (
            {},
            f"thinking: {setting} is not known for {model} (known: {', '.join(known) or 'none'}) and was not sent",
        )
    return dict(known[setting]), None


def merge_fields(body: Body, fields: Mapping[str, object], merged: Iterable[str]) -> Body:
    """Return a body with further fields, which replace its own; of objects named in `merged`, only single members."""
    names, found = frozenset(merged), {**body}
    for name, value in fields.items():
        known = body.get(name) if name in names else None
        found[name] = {**known, **value} if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return found


def matches_any(model: str, globs: Iterable[str]) -> bool:
    """Return whether a model's name matches one of the globs."""
    return any(fnmatchcase(model, glob) for glob in globs)
