"""A bug's traceback, without keys: chained causes of HTTP libraries print whole headers."""

import os
import sys
import traceback
from types import TracebackType

SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD")


def print_redacted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback as Python does, with every known key and whatever looks like one hidden."""
    from runner.providers.key import Key  # noqa: PLC0415 -- only a crash needs it
    from runner.providers.redaction import Redactor  # noqa: PLC0415

    secrets = [
        Key(value, name) for name, value in os.environ.items() if value and any(word in name for word in SECRET_WORDS)
    ]
    text = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(Redactor(secrets).in_errors(text))
