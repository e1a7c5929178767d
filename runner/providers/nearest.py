"""The nearest file of a name: beside a suite, or in a folder above it."""

from pathlib import Path


def find_nearest(name: str, start: Path) -> Path | None:
    """Look in a folder and its parents; `start` is the folder, or a file in it."""
    start = start.absolute()
    return next((folder / name for folder in (start, *start.parents) if (folder / name).is_file()), None)
