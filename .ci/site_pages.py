"""Build the site of docs/ strictly: a dead link, or one to a heading that does not exist, ends in exit code 1.

Pages link to files outside of docs/ by relative paths, which work on GitHub and in an editor. In the site they become
addresses of the repository. It needs the dependency group `site`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from owner import CHECKOUT, with_addresses

DOCS = CHECKOUT / "docs"
PAGES = CHECKOUT / "build" / "site-pages"


def main() -> None:
    """Write the pages as the site has them, and build it."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(DOCS, PAGES)
    for page in DOCS.rglob("*.md"):
        (PAGES / page.relative_to(DOCS)).write_text(with_addresses(page, kept=DOCS), encoding="utf-8")
    generator = shutil.which("zensical", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if generator is None:
        sys.exit("zensical is not installed: pip install --group site")
    sys.exit(subprocess.run([generator, "build", "--clean", "--strict"], cwd=CHECKOUT, check=False).returncode)


if __name__ == "__main__":
    main()
