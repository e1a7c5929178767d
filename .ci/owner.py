"""Write the repository's owner wherever a file names it. The one place to set it is `Repository` in pyproject.toml.

`python .ci/owner.py` writes; with `--check` it prints what is not in step and exits with 1.
"""

import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
NAMING = ("pyproject.toml", "mkdocs.yml", "README.md", "README.zh-CN.md", "docs/**/*.md")
"""Files that may name the repository."""

MENTION = re.compile(r"(?P<before>github\.com/|uses: )[\w.-]+/compare(?![\w-])")


LINK = re.compile(r"(?P<image>!?)(?P<label>\[[^\]]*\]\()(?P<path>(?!https?:)[\w./-]+)(?P<anchor>#[^)\s]*)?(?=\))")


def repository() -> str:
    """Return `owner/compare`, as pyproject.toml names it."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"]["Repository"]).removeprefix("https://github.com/")


def with_repository(text: str, name: str) -> str:
    """Return a text in which every mention of the repository has this name."""
    return MENTION.sub(lambda found: f"{found['before']}{name}", text)


def with_addresses(page: Path, *, kept: Path | None = None) -> str:
    """Return a page's text with addresses of the repository for relative links, except those into the folder `kept`."""

    def replaced(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(page.parent / found["path"]))
        if kept and target.is_relative_to(kept):
            return found[0]
        if not target.exists():
            sys.exit(f"{page}: {found['path']} does not exist")
        kind = "raw" if found["image"] else "tree" if target.is_dir() else "blob"
        inside = target.relative_to(CHECKOUT).as_posix()
        address = f"https://github.com/{repository()}/{kind}/main/{inside}{found['anchor'] or ''}"
        return f"{found['image']}{found['label']}{address}"

    return LINK.sub(replaced, page.read_text(encoding="utf-8"))


def outdated() -> Iterator[tuple[Path, str]]:
    """Yield each file that names another repository, and what it is to hold."""
    name = repository()
    for path in (path for pattern in NAMING for path in sorted(CHECKOUT.glob(pattern))):
        text = path.read_text(encoding="utf-8")
        if (wanted := with_repository(text, name)) != text:
            yield path, wanted


def main() -> None:
    """Write the files, or only name them."""
    found = list(outdated())
    for path, wanted in found:
        print(path.relative_to(CHECKOUT))
        if "--check" not in sys.argv:
            path.write_text(wanted, encoding="utf-8")
    sys.exit(1 if found and "--check" in sys.argv else 0)


if __name__ == "__main__":
    main()
