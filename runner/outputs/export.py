"""What a run becomes for another tool, and what of it that tool will not see."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Export:
    """A file's text, and a sentence on each thing that was left out, cut or changed for it."""

    text: str
    notes: tuple[str, ...] = ()


def counted(number: int, one: str, many: str) -> str:
    """Say how many things there are."""
    return f"{number:,} {one if number == 1 else many}"
