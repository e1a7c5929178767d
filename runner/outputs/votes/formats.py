"""The file formats of votes, by suffix. A format's libraries are loaded at its first use."""

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.analysis.votes import Votes


def _write_markdown(votes: "Votes") -> str:
    from runner.outputs.votes.markdown import write  # noqa: PLC0415

    return write(votes)


def _write_json(votes: "Votes") -> str:
    from runner.outputs.votes.json import write  # noqa: PLC0415

    return write(votes)


VOTES_WRITERS: MappingProxyType[str, Callable[["Votes"], str]] = MappingProxyType(
    {".md": _write_markdown, ".json": _write_json}
)
