"""Import a promptfoo configuration of a given text."""

from pathlib import Path
from textwrap import dedent
from typing import Any

from runner.commands.import_suite import ImportedSuite, import_file
from runner.document import parse
from runner.providers.registry import builtin
from runner.suite.load import load


def imported(text: str) -> ImportedSuite:
    """Import a configuration of this text."""
    Path("promptfooconfig.yaml").write_text(dedent(text), encoding="utf-8")
    return import_file(Path("promptfooconfig.yaml"), None)


def suite_of(made: ImportedSuite) -> dict[str, Any]:
    """Return the data of the imported suite."""
    data = parse(made.text, "suite.yaml").data
    assert isinstance(data, dict)
    return data


def prompts_sent(made: ImportedSuite) -> list[str]:
    """Return the last prompt of each case, as `compare run` fills it."""
    Path("suite.yaml").write_text(made.text, encoding="utf-8")
    return [case.turns[-1] for case in load(Path("suite.yaml"), builtin().names)[0].cases]


def reasons(made: ImportedSuite) -> list[str]:
    """Return the parts that were not imported, each with its place and without its hint."""
    return [left.removeprefix("promptfooconfig.yaml:").partition(". ")[0] for left in made.not_imported]


def write(name: str, text: str) -> None:
    """Write a file beside the configuration."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")
