"""`compare init` writes a folder in which the first run works, and changes no file that exists."""

from pathlib import Path

import pytest
import yaml

from runner.commands.init import write_starter_files
from runner.providers.registry import builtin
from tests.conftest import RunCli


def test_the_first_run_works_after_init(run_cli: RunCli, tmp_path: Path) -> None:
    """The suite can be run as the last line says, and every check passes against the simulator."""
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
    """The lines name the variable by which click is asked to complete."""
    assert "_COMPARE_COMPLETE" in run_cli("completion", shell).stdout
