"""Build the body of a request, except its messages, in the provider's dialect. Pure."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from runner.core.suite import Parameters, Thinking
from runner.providers.provider_row import Parameter, Row

Body = dict[str, object]


def request_body(row: Row, model: str, parameters: Parameters) -> tuple[Body, tuple[str, ...]]:
    """Return the body without its messages, and a sentence on each parameter that was not sent as the suite has it."""
    sampling, notes = _sampling(row, model, parameters)
    thinking, note = thinking_body(row, model, parameters.thinking)
    body: Body = {"model": model, **sampling, "stream": parameters.stream}
    if parameters.response_format is not None:
        body["response_format"] = dict(parameters.response_format)
    if parameters.stream and row.stream_options:
        body["stream_options"] = {"include_usage": True}
    return body | thinking | dict(parameters.extra_body), (*notes, *([note] if note else []))


def thinking_body(row: Row, model: str, setting: Thinking | None) -> tuple[Body, str | None]:
    """Return the fields that stand for a `thinking` setting at this provider, or a note that there are none."""
    if setting is None:
        return {}, None
    if setting == "off" and matches_any(model, row.thinking_always):
        return {}, f"{model} cannot be asked not to think: thinking: off was not sent"
    if setting not in row.thinking:
        known = ", ".join(row.thinking) or "none"
        return {}, f"thinking: {setting} is not known for {model} (known: {known}) and was not sent"
    return dict(row.thinking[setting]), None


def retirement(row: Row, model: str) -> str | None:
    """Return a note on a model name that is no longer current, but sent all the same; None for other names."""
    return next((f"{model}: {text}" for name, text in row.retired.items() if fnmatchcase(model, name)), None)


def matches_any(model: str, globs: Iterable[str]) -> bool:
    """Return whether a model's name matches one of the globs."""
    return any(fnmatchcase(model, glob) for glob in globs)


def _sampling(row: Row, model: str, parameters: Parameters) -> tuple[Body, list[str]]:
    asked: Mapping[Parameter, object] = {
        "temperature": parameters.temperature,
        "max_tokens": parameters.max_tokens,
        "top_p": parameters.top_p,
        "seed": parameters.seed,
        "stop": list(parameters.stop) or None,
    }
    fields: Mapping[Parameter, str] = {"max_tokens": row.max_tokens_field}
    body, notes = Body(), []
    for name, value in asked.items():
        if value is None:
            continue
        if matches_any(model, row.refuses.get(name, ())):
            notes.append(f"{model} refuses {name}, so it was not sent")
        else:
            body[fields.get(name, name)] = value
    return body, notes
