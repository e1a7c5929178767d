"""The digest of a suite: equal for files with the same meaning, however they are written."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass, replace
from hashlib import sha256

from runner.core.attachment_parts import sent_content
from runner.core.non_default_fields import non_default_fields
from runner.core.suite import Case, Message, Suite

_IGNORED = frozenset(
    {"digest", "name", "description", "path", "line", "files", "expectations", "reply_limit", "settings", "judge"}
    | {"slo", "whole_text", "text_name"}
)
"""Fields that change nothing that is sent: runs with equal digests sent the same, whatever checks the suite has."""


def digest_of(suite: Suite, providers: Mapping[str, object]) -> str:
    """Return the SHA-256 of all that a suite sends, its own provider rows included.

    It is the digest of one JSON text, made case by case, since a suite may be hundreds of megabytes long.
    """
    digest = sha256()
    for piece in _pieces(suite, providers):
        digest.update(piece.encode())
    return digest.hexdigest()


def _pieces(suite: Suite, providers: Mapping[str, object]) -> Iterator[str]:
    """Yield the JSON of a suite and its providers, with sorted keys; `cases` is the first key of a suite."""
    yield f'{{"providers": {_json(providers)}, "suite": {{"cases": ['
    for number, case in enumerate(suite.cases):
        yield f"{', ' if number else ''}{_json(_plain(case))}"
    others = _plain(replace(suite, cases=()))
    assert isinstance(others, dict)
    rest = _json({key: value for key, value in others.items() if key != "cases"})[1:]
    yield f"]{', ' if rest != '}' else ''}{rest}}}"


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True)


def _plain(value: object) -> object:
    """Return plain data without fields at their default, so that a new field leaves old digests unchanged."""
    if is_dataclass(value):
        plain = {name: _plain(item) for name, item in non_default_fields(value, never=_IGNORED).items()}
        plain |= _sent_contents(value) if plain.pop("parts", None) else {}
        # A value that differs from the default only in ignored fields is left out, too.
        return {name: item for name, item in plain.items() if item != {} or not is_dataclass(getattr(value, name))}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _sent_contents(value: object) -> dict[str, object]:
    """Return the members of a case or message with attachments, which are digested by their content."""
    if isinstance(value, Message):
        return {"content": sent_content(value.content, value.parts)}
    assert isinstance(value, Case)
    return {"turns": [sent_content(turn, value.parts_of(at)) for at, turn in enumerate(value.turns, 1)]}
