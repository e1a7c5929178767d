"""The names of what a folder holds, in order."""

from pathlib import Path


def names_in(folder: Path) -> list[str]:
    """Return the sorted names in a folder, hidden files included."""
    return sorted(path.name for path in folder.iterdir())
