"""`compare init` writes a folder in which the first run works, and changes no existing file."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from runner.commands import package_requirement
from runner.commands.init import note_on_installing, workflow, write_starter_files
from runner.commands.package_requirement import install_command, installable_elsewhere
from runner.providers.registry import builtin
from runner.version import __version__
from tests.conftest import RunCli


def test_the_first_run_works_after_init(run_cli: RunCli, tmp_path: Path) -> None:
    """The suite runs by the command of the last line, and every check passes against the simulator."""
    laid = run_cli("init", "mine")
    ran = run_cli("run", "mine/prompts/first.yaml", "-m", "sim/quick")

    assert laid.stdout.splitlines()[-1] == "next: compare run mine/prompts/first.yaml"
    assert ran.returncode == 0, ran.stderr
    assert yaml.safe_load((tmp_path / "mine/.github/workflows/compare.yml").read_text(encoding="utf-8"))["jobs"]


def test_existing_files_are_kept(tmp_path: Path) -> None:
    """The second time nothing is written; a .gitignore only gains the lines it lacks."""
    (tmp_path / ".gitignore").write_text("*.log\n.env", encoding="utf-8")
    changes = {laid.path.name: laid.change for laid in write_starter_files(tmp_path, builtin().rows)}
    again = {laid.change for laid in write_starter_files(tmp_path, builtin().rows)}

    assert changes[".gitignore"] == "extended"
    assert (tmp_path / ".gitignore").read_text(encoding="utf-8") == "*.log\n.env\nresults/\n"
    assert again == {"left as it is"}


def test_env_example_names_every_provider_and_sets_none(tmp_path: Path) -> None:
    """Each provider that takes a key has its first variable, commented out."""
    list(write_starter_files(tmp_path, builtin().rows))
    lines = (tmp_path / ".env.example").read_text(encoding="utf-8").splitlines()

    for row in builtin().rows.values():
        if row.api_key_env and not row.keyless:
            assert any(line.startswith(f"# {row.api_key_env[0]}=") for line in lines)
    assert all(line.startswith("#") for line in lines if line)


def test_a_folder_that_cannot_be_written_is_an_error_of_one_sentence(run_cli: RunCli, tmp_path: Path) -> None:
    """A file in place of a folder ends in exit code 2, with the place and what to do."""
    (tmp_path / "prompts").write_text("", encoding="utf-8")
    told = run_cli("init")

    assert told.returncode == 2
    assert "cannot be written" in told.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(run_cli: RunCli, shell: str) -> None:
    """The lines name the variable with which click is asked to complete."""
    assert "_COMPARE_COMPLETE" in run_cli("completion", shell).stdout


# What the workflow installs


def installed_from(monkeypatch: pytest.MonkeyPatch, **origin: object) -> None:
    """Simulate that pip installed the package from this place, or from a package index if it is None."""
    found = SimpleNamespace(read_text=lambda _name: json.dumps(origin) if origin else None)
    monkeypatch.setattr(package_requirement, "distribution", lambda _name: found)


def test_a_version_from_an_index_is_named_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine can install the same version from the index."""
    installed_from(monkeypatch)
    assert installable_elsewhere() == f"compare-runner=={__version__}"


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (
            {"url": "https://git.example/me/compare.git", "vcs_info": {"vcs": "git", "commit_id": "0abc"}},
            "git+https://git.example/me/compare.git@0abc",
        ),
        (
            {"url": "https://me:secret@files.example/compare.whl", "archive_info": {}},
            "compare-runner @ https://files.example/compare.whl",
        ),
        ({"url": "file:///downloads/compare.whl", "archive_info": {}}, None),
    ],
)
def test_an_address_is_named_without_its_login(
    monkeypatch: pytest.MonkeyPatch, origin: dict[str, object], expected: str | None
) -> None:
    """A repository or a file on a server is named as pip takes it; a local file is of no use elsewhere."""
    installed_from(monkeypatch, **origin)
    assert installable_elsewhere() == expected


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("git@git.example:me/compare.git", "git+https://git.example/me/compare.git"),
        ("ssh://git@git.example/me/compare.git", "git+https://git.example/me/compare.git"),
        ("https://me:secret@git.example/me/compare", "git+https://git.example/me/compare"),
        ("ssh://git@git.example:2222/team/compare.git", "git+https://git.example/team/compare.git"),
        ("git.example:/me/compare.git", "git+https://git.example/me/compare.git"),
        ("../up.git", None),
        ("up/compare.git", None),
        ("git://git.example/me/compare.git", None),
        ("/srv/git/compare.git", None),
        ("C:/git/compare.git", None),
        (None, None),
    ],
)
def test_a_checkout_is_installed_from_its_remote(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, remote: str | None, expected: str | None
) -> None:
    """The remote has no login, and the commit is named once it has been pushed."""
    commit = checkout_with(tmp_path, remote)
    installed_from(monkeypatch, url=tmp_path.as_uri(), dir_info={"editable": True})

    assert installable_elsewhere() == expected
    git(tmp_path, "update-ref", "refs/remotes/origin/main", commit)
    assert installable_elsewhere() == (expected and f"{expected}@{commit}")


def checkout_with(folder: Path, remote: str | None) -> str:
    """Make a repository with one commit and, if given, a remote; return the commit's name."""
    git(folder, "init", "--quiet")
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    git(folder, *author, "commit", "--quiet", "--allow-empty", "--message", "One")
    if remote:
        git(folder, "remote", "add", "origin", remote)
    return git(folder, "rev-parse", "HEAD")


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder; return what it prints."""
    ran = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, encoding="utf-8")
    return ran.stdout.strip()


def test_extras_are_added_from_where_the_package_came(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the index, a repository, a file or a checkout, which stays editable if it is."""
    extras = ("images", "prices")
    installed_from(monkeypatch)
    assert install_command(extras) == "pip install 'compare-runner[images,prices]'"
    git_url = "https://git.example/me/compare"
    installed_from(monkeypatch, url=git_url, vcs_info={"vcs": "git", "commit_id": "0abc"})
    assert install_command(extras) == f"pip install 'compare-runner[images,prices] @ git+{git_url}@0abc'"
    installed_from(monkeypatch, url="file:///downloads/compare.whl", archive_info={})
    assert install_command(extras) == "pip install 'compare-runner[images,prices] @ file:///downloads/compare.whl'"
    for about, option in (({"editable": True}, "--editable "), ({}, "")):
        installed_from(monkeypatch, url=tmp_path.as_uri(), dir_info=about)
        assert install_command(extras) == f"pip install {option}'{tmp_path}[images,prices]'"


@pytest.mark.parametrize("source", ["git+https://git.example/me/compare@0abc", "compare-runner==1.2.3"])
def test_the_workflow_installs_the_named_requirement(source: str) -> None:
    """The requirement is in one place, a shell variable, and is the only one that is installed."""
    written = workflow(source)
    jobs = yaml.safe_load(written)
    installing = [step["run"] for step in jobs["jobs"]["compare"]["steps"] if "pip" in step.get("run", "")]

    assert jobs["env"] == {"COMPARE": source}
    assert written.count(source) == 1
    assert [line.rpartition("install ")[2] for line in installing] == ['"$COMPARE"']


def test_init_notes_an_installation_that_others_cannot_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a remote the workflow names the version, and a note says what to write until it is published."""
    installed_from(monkeypatch, url="file:///downloads/compare.whl", archive_info={})
    told = list(write_starter_files(tmp_path, builtin().rows))

    assert f"COMPARE: compare-runner=={__version__}" in told[-1].path.read_text(encoding="utf-8")
    line = told[-1].path.read_text(encoding="utf-8").splitlines().index(f"  COMPARE: compare-runner=={__version__}") + 1
    assert "git+https://" in str(note_on_installing())
    assert f"after COMPARE: in line {line}" in str(note_on_installing())
    installed_from(monkeypatch)
    assert note_on_installing() is None
