"""Refuse attachments that a target's API has no form for, and contents that hold a secret of the user.

A provider would see the secret. Contents are prompts, parameters and attached texts.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import chain

from runner.core.attachment_parts import Attachment, attachments_of
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


def plain_attachments(case: Case) -> list[list[dict[str, object]]]:
    """Return the attachments of each turn as plain data for a run's header: digests and sizes, no content."""
    return [[_plain(each) for each in attachments_of(parts)] for parts in case.parts]


def _plain(attachment: Attachment) -> dict[str, object]:
    names = ("digest", "media_type", "size", "width", "height", "pages", "seconds", "detail")
    facts = {name: value for name in names if (value := getattr(attachment, name)) is not None}
    return {"kind": attachment.kind, "name": attachment.name, **facts}


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


def refuse_secrets(suite: Suite, secrets: Iterable[Key]) -> None:
    """Raise InvalidFile, which lists every case, if a prompt or a parameter holds the value of a secret."""
    listed = list(secrets)
    problems = [problem for case in suite.cases for problem in _secrets_in_prompts(case, suite, listed)]
    problems += dict.fromkeys(_secrets_in_parameters(suite, listed))
    if problems:
        raise InvalidFile(problems)


def _secrets_in_prompts(case: Case, suite: Suite, secrets: Iterable[Key]) -> Iterator[Problem]:
    texts = [*case.turns, *(message.content for message in case.history), case.system or ""]
    texts += [case.input.whole_text] if case.input else []
    texts += [call.arguments for message in case.history for call in message.calls]
    texts += [*case.tool_results.values(), *_texts_in(case.overrides), *case.rubrics]
    texts += [each.url or "" for each in case.attachments]
    held = [key.variable for key in secrets if any(key.reveal() in text for text in texts)]
    for variable in dict.fromkeys(held):
        what = f"the prompt of `{case.id}` holds the value of {variable}"
        yield Problem(suite.path or suite.name, case.line or 1, 1, what, "Take it out: a provider would see it")


def _secrets_in_parameters(suite: Suite, secrets: Iterable[Key]) -> Iterator[Problem]:
    """Yield a problem for each parameter of a target or variant that holds a secret at any depth."""
    variants = chain(suite.variants, *(row.variants for row in suite.targets))
    rows = (row.parameters for row in suite.targets)
    for parameters in (suite.parameters, *rows, *(variant.parameters for variant in variants)):
        for name in (field.name for field in fields(parameters)):
            texts = list(_texts_in(getattr(parameters, name)))
            for key in secrets:
                if any(key.reveal() in text for text in texts):
                    what = f"a `{name}` holds the value of {key.variable}"
                    yield Problem(suite.path or suite.name, 1, 1, what, "Take it out: a provider would see it")


def refuse_secret_files(suite: Suite, secrets: Iterable[Key]) -> None:
    """Raise InvalidFile, which lists every case, if an attached text file holds the value of a secret."""
    listed, files = list(secrets), AttachmentFiles()
    problems = [problem for case in suite.cases for problem in _secrets_in_files(case, suite, files, listed)]
    if problems:
        raise InvalidFile(problems)


def _secrets_in_files(case: Case, suite: Suite, files: AttachmentFiles, secrets: Iterable[Key]) -> Iterator[Problem]:
    for each in (each for each in dict.fromkeys(case.attachments) if each.media_type == TEXT):
        text = files.read(each)
        for key in secrets:
            if key.reveal() in text:
                what = f"the file {each.name} of `{case.id}` holds the value of {key.variable}"
                yield Problem(suite.path or suite.name, case.line or 1, 1, what, "Take it out: a provider would see it")


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
