"""A bug's traceback, without keys: chained causes of HTTP libraries print whole headers."""

import gc
import os
import sys
from types import TracebackType

SECRET_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD")


def print_redacted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback as Python does, with every known key and whatever looks like one hidden.

    Known are the environment's secrets, and the keys in use wherever they came from: those are found among all
    objects, since a register of keys would be one more place to leak from.
    """
    import traceback  # noqa: PLC0415 -- only a crash needs it

    from runner.providers.key import Key  # noqa: PLC0415
    from runner.providers.redaction import Redactor  # noqa: PLC0415

    gc.unfreeze()
    keys = [thing for thing in gc.get_objects() if isinstance(thing, Key)]
    keys += [
        Key(value, name) for name, value in os.environ.items() if value and any(word in name for word in SECRET_WORDS)
    ]
    text = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(Redactor(keys).in_errors(text))
