"""A run without its texts: what a later run's times are held against, fit to be committed. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from runner.core.record import Record
from runner.storage.journal import Header, encode_record
from runner.storage.journal.header import encode_header


def stripped_lines(
    header: Header, records: Iterable[Record], end: Mapping[str, Any] | None
) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of a journal that holds stamps, counts and outcomes, and no word of anybody."""
    yield encode_header(replace(header, path=None, checks={}))
    for record in records:
        yield encode_record(strip(record))
    if end is not None:
        yield end


def strip(record: Record) -> Record:
    """Return a record without what was said, asked or complained of, and without ids that lead back to it."""
    return replace(
        record,
        identity=replace(record.identity, prompt=""),
        text_events=replace(record.text_events, origin_us=()),
        reply=None,
        reasoning=None,
        tool_calls=None,
        error=None,
        request_id=None,
        node=None,
        custom_checks=None,
    )
