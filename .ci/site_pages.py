"""Build the site of docs/ strictly: a dead link, or one to a heading that does not exist, ends in exit code 1.

Pages link to files outside of docs/ by relative paths, which work on GitHub and in an editor. In the site they become
addresses of the repository. It needs the dependency group `site`.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from owner import CHECKOUT, repository

DOCS = CHECKOUT / "docs"
PAGES = CHECKOUT / "build" / "site-pages"
LINK = re.compile(r"(?<=\]\()(?P<path>[\w./-]+)(?P<anchor>#[^)\s]*)?(?=\))")


def for_site(page: Path) -> str:
    """Return a page's text in which links that leave docs/ lead to the repository."""

    def replaced(found: re.Match[str]) -> str:
        target = Path(os.path.normpath(page.parent / found["path"]))
        if target.is_relative_to(DOCS):
            return found[0]
        if not target.exists():
            sys.exit(f"{page.relative_to(CHECKOUT)}: {found['path']} does not exist")
        kind = "tree" if target.is_dir() else "blob"
        inside = target.relative_to(CHECKOUT).as_posix()
        return f"https://github.com/{repository()}/{kind}/main/{inside}{found['anchor'] or ''}"

    return LINK.sub(replaced, page.read_text(encoding="utf-8"))


def main() -> None:
    """Write the pages as the site has them, and build it."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(DOCS, PAGES)
    for page in DOCS.rglob("*.md"):
        (PAGES / page.relative_to(DOCS)).write_text(for_site(page), encoding="utf-8")
    generator = shutil.which("zensical", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if generator is None:
        sys.exit("zensical is not installed: pip install --group site")
    sys.exit(subprocess.run([generator, "build", "--clean", "--strict"], cwd=CHECKOUT, check=False).returncode)


if __name__ == "__main__":
    main()
