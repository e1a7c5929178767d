"""The scripts and workflows that publish the project: the owner in one place, releases, the site."""

import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.support.documents import CHECKOUT, DOCS

WORKFLOWS = sorted((CHECKOUT / ".github" / "workflows").glob("*.yml"))


def script(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """Return a script of .ci as a module."""
    monkeypatch.syspath_prepend(CHECKOUT / ".ci")
    return importlib.import_module(name)


def steps_of(workflow: Path) -> list[dict[str, Any]]:
    """Return the steps of all jobs of a workflow."""
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def test_every_mention_of_the_repository_has_the_owner_of_pyproject(monkeypatch: pytest.MonkeyPatch) -> None:
    """All files name the repository of pyproject.toml."""
    owner = script(monkeypatch, "owner")
    assert [path.name for path, _ in owner.outdated()] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- uses: OWNER/compare@v1\n", "- uses: ada/compare@v1\n"),
        ("git+https://github.com/OWNER/compare`.", "git+https://github.com/ada/compare`."),
        ('"https://github.com/OWNER/compare"\n', '"https://github.com/ada/compare"\n'),
        ("https://github.com/OWNER/compare/blob/main/x", "https://github.com/ada/compare/blob/main/x"),
        ("uses: actions/checkout@v4", "uses: actions/checkout@v4"),
        ("https://github.com/other/compare-images", "https://github.com/other/compare-images"),
    ],
)
def test_a_new_owner_is_written_into_every_mention(monkeypatch: pytest.MonkeyPatch, text: str, expected: str) -> None:
    """Addresses and `uses:` of this repository get its new owner; other repositories keep theirs."""
    assert script(monkeypatch, "owner").with_repository(text, "ada/compare") == expected


def test_a_release_needs_its_version_and_its_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag of another version, and a repository that pyproject.toml does not name, are refused with what to do."""
    reasons = script(monkeypatch, "releasable").reasons_against

    assert reasons("v1.2.3", "1.2.3", "ada/compare", "ada/compare") == []
    (tag,) = reasons("v1.2.4", "1.2.3", "ada/compare", "ada/compare")
    (repository,) = reasons("v1.2.3", "1.2.3", "ada/compare", "OWNER/compare")
    assert "runner/version.py has 1.2.3" in tag
    assert "python .ci/owner.py" in repository


def test_a_release_is_checked_and_needs_no_password() -> None:
    """It must be releasable, is built and tested by .ci/package, and published with the job's own identity."""
    path = CHECKOUT / ".github" / "workflows" / "release.yml"
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    runs = [step.get("run", "") for step in jobs["build"]["steps"]]

    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["needs"] == "build"
    assert "secrets." not in path.read_text(encoding="utf-8")
    assert [run.split()[0:2] for run in runs if ".ci/" in run] == [["python", ".ci/releasable.py"], [".ci/package"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_scripts_and_groups_of_workflows_exist(workflow: Path) -> None:
    """Scripts are those of .ci, and dependency groups those of pyproject.toml."""
    runs = "\n".join(step.get("run", "") for step in steps_of(workflow))
    groups = re.findall(r"^(\w+) = \[", (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)

    assert [name for name in re.findall(r"\.ci/[\w.]+", runs) if not (CHECKOUT / name).is_file()] == []
    assert set(re.findall(r"--group (\w+)", runs)) <= set(groups)


def test_macos_and_windows_run_the_readmes_test_command() -> None:
    """The lanes cover three systems and run the command that the README shows, in the environment that they have."""
    jobs = yaml.safe_load((CHECKOUT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))["jobs"]
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("<!-- ci: tests -->")[2].partition("```\n")[0].rpartition("&& .venv/bin/")[2].strip()

    assert {name.partition("-")[0] for name in jobs["lanes"]["strategy"]["matrix"]["os"]} == {
        "ubuntu",
        "macos",
        "windows",
    }
    assert [step for step in jobs["lanes"]["steps"] if step.get("run", "").endswith(f"python -m {shown}")]


def test_links_out_of_the_docs_lead_to_the_repository_in_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's link to a file outside of docs/ becomes an address; one to another page stays."""
    owner = script(monkeypatch, "owner")
    text = owner.with_addresses(DOCS / "zh" / "troubleshooting.md", kept=DOCS)

    assert f"(https://github.com/{owner.repository()}/blob/main/SECURITY.md)" in text
    assert "(../runs.md#what-is-safe-when)" in text


def test_a_package_indexs_page_has_no_relative_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """The README of the package links to the repository, and its pictures to their bytes."""
    owner = script(monkeypatch, "owner")
    text = owner.with_addresses(CHECKOUT / "README.md")

    assert re.findall(r"\]\((?!https://)[^)]*\)", text) == []
    assert f"](https://github.com/{owner.repository()}/raw/main/docs/images/report-light.png)" in text
    assert f"](https://github.com/{owner.repository()}/blob/main/docs/suite.md)" in text
