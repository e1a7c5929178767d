"""Refuse attachments that a target's API has no form for, and describe attachments for a run's header."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from runner.core.attachment_parts import Attachment, attachments_of
from runner.core.suite import Case, Suite
from runner.errors import InvalidFile, Problem
from runner.planning.request import Target
from runner.providers.endpoint import Endpoint
from runner.providers.part_fields import detail_notes, unsent_reason
from runner.providers.request_body import api_of


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
