"""Refuse a release whose tag is not the version, or whose repository is not the one that pyproject.toml names."""

import sys

from owner import CHECKOUT, repository


def reasons_against(tag: str, version: str, here: str, named: str) -> list[str]:
    """Return what is wrong with releasing a version by this tag, from here, where pyproject.toml names a repository."""
    wrong = []
    if tag != f"v{version}":
        wrong.append(f"the tag is {tag}, but runner/version.py has {version}: tag v{version}, or change the version")
    if named != here:
        wrong.append(
            f"[project.urls] in pyproject.toml names {named}, but this is {here}:"
            " set Repository there, then run `python .ci/owner.py`"
        )
    return wrong


def main() -> None:
    """Exit with 1 and the reasons if there are any."""
    version: dict[str, str] = {}
    exec((CHECKOUT / "runner" / "version.py").read_text(encoding="utf-8"), version)  # noqa: S102 -- our own file
    tag, here = sys.argv[1:]
    wrong = reasons_against(tag, version["__version__"], here, repository())
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
