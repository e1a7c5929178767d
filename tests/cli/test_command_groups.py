"""Help in groups: a full line for each command, each option under one heading, the most used first."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from runner import cli
from runner.cli import FILES, commands
from runner.cli.command_groups import COMMANDS, OPTIONS, GroupedCommand
from tests.conftest import RunCli
from tests.support.command import compare

CLI = Path(cli.__file__).parent
ALL = [name for lines in COMMANDS.values() for name in lines]


def command_of(name: str) -> click.Command:
    """Return a command by its name."""
    command = commands.get_command(click.Context(commands), name)
    assert command is not None
    return command


def headings(text: str) -> list[str]:
    """Return the headings of a help page."""
    return re.findall(r"^(\w[\w ]*):$", text, re.MULTILINE)


def test_every_command_has_a_whole_line_under_a_heading(tmp_path: Path) -> None:
    """No line is cut or wrapped on a terminal of 80 columns, and no command is missing."""
    text = compare(tmp_path, "--help").stdout
    assert headings(text) == ["Options", *COMMANDS]
    files = {
        path.stem
        for path in CLI.glob("*.py")
        if re.search(r"^@click\.(command|group)\(", path.read_text("utf-8"), re.MULTILINE)
    }
    assert files - {"__init__"} == {FILES.get(name, name) for name in ALL}
    lines = text.splitlines()
    for described in (line for group in COMMANDS.values() for line in group.items()):
        assert any(
            line.split(None, 1) == list(described) for line in lines if line.startswith("  ") and len(line) <= 80
        )


@pytest.mark.parametrize("name", [name for name in ALL if isinstance(command_of(name), GroupedCommand)])
def test_every_option_stands_under_one_heading(tmp_path: Path, name: str) -> None:
    """The groups are in their order, and hold each option once."""
    text = compare(tmp_path, name, "--help").stdout
    assert headings(text) == [each for each in (*OPTIONS, "Options") if each in headings(text)]
    described = re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE)
    params = command_of(name).get_params(click.Context(commands))
    options = [each for each in params if isinstance(each, click.Option)]
    assert len(described) == len(options)
    assert {option for each in options for option in each.opts if option in described} == set(described)


def test_the_options_of_a_run_are_grouped(tmp_path: Path) -> None:
    """The most used group is first, and only help is outside the groups."""
    text = compare(tmp_path, "run", "--help").stdout
    assert headings(text) == ["Targets", "What to ask", "Load", "Output", "Comparing", "Cluster", "Options"]
    assert text.index("--model") < text.index("--case") < text.index("--concurrency") < text.index("--engine")
    assert text.rpartition("Options:")[2].split()[:2] == ["-h,", "--help"]


def test_a_former_name_works_and_is_not_shown(run_cli: RunCli) -> None:
    """`compare serve` is `compare simulate`; neither the help nor a suggestion names it."""
    assert run_cli("serve", "--fault", "list").stdout == run_cli("simulate", "--fault", "list").stdout != ""
    assert " serve " not in run_cli("--help").stdout
    assert "'serve'" not in run_cli("serv").stderr


def test_capacity_offers_only_options_that_it_can_use() -> None:
    """The search sets the concurrency itself and writes no CSV file; `-o` names its folder."""
    page = CliRunner().invoke(commands, ["capacity", "--help"]).stdout
    assert "--output FOLDER" in page
    assert "Folder of the search" in page
    assert not {"--concurrency", "--bom"} & {*page.split()}


def test_ask_lists_attachments_with_what_to_ask() -> None:
    """`--attach` has a group, so no option is left for the heading "Options"."""
    page = CliRunner().invoke(commands, ["ask", "--help"]).stdout
    assert page.index("What to ask:") < page.index("--attach FILE") < page.index("Load:")
