"""Refuse attachments that a target's API has no form for, and contents that hold a secret of the user.

A provider would see the secret. Contents are prompts, parameters and attached texts.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import chain

from runner.core.media_types import TEXT
from runner.core.suite import Case, Suite, ToolDefinition
from runner.errors import InvalidFile, Problem
from runner.planning.request import Target
from runner.providers.endpoint import Endpoint
from runner.providers.key import Key
from runner.providers.part_fields import detail_notes, unsent_reason
from runner.providers.provider_row import ProviderRow
from runner.providers.redaction import SHORTEST, secrets_of
from runner.providers.request_body import api_of
from runner.storage.attachment_files import AttachmentFiles


def refuse_unsendable(suite: Suite, targets: Sequence[Target], endpoints: Mapping[str, Endpoint]) -> list[str]:
    """Return a note on each target that does not get all details of an attachment.

    Raises:
        InvalidFile: a target's API has no form for an attachment; the message lists all cases.

    """
    attached = [case for case in suite.cases if case.attachments]
    if not attached:
        return []
    apis = [(each, api_of(endpoints[each.provider].row, each.parameters)) for each in _one_of_each(targets)]
    problems = [
        Problem(
            suite.path or suite.name,
            case.line or 1,
            1,
            f"{attachment} of `{case.id}` cannot be sent to {target.name}: {reason[0]}",
            reason[1],
        )
        for case in attached
        for attachment in dict.fromkeys(case.attachments)
        for target, api in apis
        if (reason := unsent_reason(api, attachment))
    ]
    if problems:
        raise InvalidFile(problems)
    everything = [each for case in attached for each in case.attachments]
    return [note for target, api in apis for note in detail_notes(api, target.name, everything)]


def _one_of_each(targets: Iterable[Target]) -> Iterator[Target]:
    """Yield the first of the targets with equal provider, model and API."""
    seen = set()
    for target in targets:
        key = (target.provider, target.model, target.parameters.api)
        if key not in seen:
            seen.add(key)
            yield target


_SECRET_VARIABLE = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD)(?:_|S?$)", re.IGNORECASE)


def known_secrets(endpoints: Iterable[Endpoint], rows: Iterable[ProviderRow], environ: Mapping[str, str]) -> list[Key]:
    """Return the keys set for any provider, and the variables whose names mark them as secrets."""
    names = {name for row in rows for name in row.api_key_env}
    named = {name for name, value in environ.items() if _SECRET_VARIABLE.search(name) and _is_no_word(value)}
    variables = [Key(environ[name].strip(), name) for name in sorted(names | named) if name in environ]
    keys = [*secrets_of(endpoints, os.environ), *variables]
    return [key for key in keys if len(key.reveal()) >= SHORTEST]


def refuse_secrets(suite: Suite, secrets: Sequence[Key]) -> None:
    """Raise InvalidFile, which lists every case, if a prompt or a parameter holds the value of a secret."""
    _refuse_secrets_in(suite, chain(map(_prompt_of, suite.cases), _parameters_of(suite)), secrets)


def refuse_secret_files(suite: Suite, secrets: Sequence[Key]) -> None:
    """Raise InvalidFile, which lists every case, if an attached text file holds the value of a secret."""
    _refuse_secrets_in(suite, _attached_texts_of(suite), secrets)


_Content = tuple[int, str, Sequence[str]]
"""A line of the suite's file, what the content is, and its texts."""


def _refuse_secrets_in(suite: Suite, contents: Iterable[_Content], secrets: Sequence[Key]) -> None:
    found = dict.fromkeys(
        (line, f"{what} holds the value of {key.variable}")
        for line, what, texts in contents
        for key in secrets
        if any(key.reveal() in text for text in texts)
    )
    if found:
        hint = "Take it out: a provider would see it"
        raise InvalidFile([Problem(suite.path or suite.name, line, 1, fault, hint) for line, fault in found])


def _prompt_of(case: Case) -> _Content:
    texts = [*case.turns, *(message.content for message in case.history), case.system or ""]
    texts += [case.input.whole_text] if case.input else []
    texts += [call.arguments for message in case.history for call in message.calls]
    texts += [*case.tool_results.values(), *_texts_in(case.overrides), *case.rubrics]
    texts += [each.url or "" for each in case.attachments]
    return case.line or 1, f"the prompt of `{case.id}`", texts


def _parameters_of(suite: Suite) -> Iterator[_Content]:
    """Yield each parameter of a target or variant, with its texts at any depth."""
    variants = chain(suite.variants, *(row.variants for row in suite.targets))
    rows = (row.parameters for row in suite.targets)
    for parameters in (suite.parameters, *rows, *(variant.parameters for variant in variants)):
        for name in (field.name for field in fields(parameters)):
            yield 1, f"a `{name}`", list(_texts_in(getattr(parameters, name)))


def _attached_texts_of(suite: Suite) -> Iterator[_Content]:
    files = AttachmentFiles()
    for case in suite.cases:
        for each in dict.fromkeys(case.attachments):
            if each.media_type == TEXT:
                yield case.line or 1, f"the file {each.name} of `{case.id}`", [files.read(each)]


def _texts_in(value: object) -> Iterator[str]:
    """Yield the texts in plain data, including the names of members."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from chain(*map(_texts_in, chain.from_iterable(value.items())))
    elif isinstance(value, ToolDefinition):
        yield from _texts_in([value.name, value.description, value.parameters])
    elif isinstance(value, Sequence):
        yield from chain(*map(_texts_in, value))


def _is_no_word(value: str) -> bool:
    """Return whether a value can be searched for in prompts: many contain a word such as `postgres` by chance."""
    return len(value) >= 2 * SHORTEST or any(character.isdigit() for character in value)
