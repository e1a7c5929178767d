"""Keeps keys out of what the SDK logs, which anyone may have switched on by OPENAI_LOG."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from runner.providers.redaction import Redactor

LOGGER = logging.getLogger("openai._base_client")
"""Where the SDK tells of requests, and of the ids that servers give them."""


@contextmanager
def keys_hidden(redactor: Redactor) -> Iterator[None]:
    """Hide keys in the SDK's log for the length of a `with` block."""

    def hide(record: logging.LogRecord) -> bool:
        record.msg, record.args = redactor.in_errors(record.getMessage()), ()
        return True

    LOGGER.addFilter(hide)
    try:
        yield
    finally:
        LOGGER.removeFilter(hide)
