"""Every command in a document runs, every option in it exists, and every link leads to a file and a heading.

No command names a retired model, and JSON members that programs read exist.
"""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from runner.cli import commands
from runner.cli.command_groups import COMMANDS
from runner.providers.registry import builtin
from tests.support import command
from tests.support.command import write_config
from tests.support.documents import CHECKOUT, DOCS, DOCUMENTS, FENCE, INLINE, LINK, TWINS, anchors_of, name_of, prose_of

PATH = re.compile(r"`((?:runner|tests|docs|prompts)/[\w./-]+|[a-z_]+/[\w/]+\.py)`")

UNTIL_STOPPED = {"simulate": "http://", "replay": "http://", "watch": " answered"}
"""Commands that run until they are interrupted -> what they print when they do what they are for."""

SHORTER = {
    "calibrate": ("--no-search", "--requests", "24"),
    "run": ("--concurrency", "24"),
    "snapshot": ("--concurrency", "24"),
}
"""Command -> options that leave out its waiting: a search of up to a minute, requests one after the other."""

MANY_ROUNDS = {"--repeat", "prompts/ci.yaml"}
"""Words of a command that asks everything a dozen times; twice will do."""

LONG = frozenset(
    {"docs/ci.md", "docs/history.md", "docs/load.md", "docs/recipes.md", "docs/recording.md", "docs/report.md"}
)
"""Pages whose commands take several seconds each: they are run with --thorough alone."""

EXPECTED_CODES = frozenset({0, 1, 3, 5})
"""Done; done and a gate failed; done and requests failed; undecided. A wrong option or a wrong suite is 2."""

INTERRUPTED = 130
STDIN = "你好\n"

QUOTED = re.compile(r"'[^']*'|\"[^\"$`]*\"| #.*")
COMMENT = re.compile(r"\s#.*")
"""A `#` inside a word, as in a variant's name, begins none."""

SHELL_SYNTAX = re.compile(r"[|&;<>$`*?~{}()\\]")
"""What only a shell can do, outside of quotes and comments."""

SECOND_SERVER = """
import sys
from llmock.testing import LLMockServer
with LLMockServer() as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class ShownCommand:
    """A command in a shell block of a document."""

    document: Path
    line: str

    @property
    def words(self) -> list[str]:
        """The command without its comment."""
        return shlex.split(COMMENT.sub("", self.line))

    @property
    def shorter(self) -> "ShownCommand":
        """The command with options that make it wait less, if there are any."""
        words = set(self.words)
        options = SHORTER.get(self.words[1], ()) if not {"--resume", "--from", "--sweep"} & words else ()
        if options and MANY_ROUNDS & words:
            options += ("--repeat", "2")
        return ShownCommand(self.document, shlex.join([*self.words, *options])) if options else self


def blocks_of(document: Path) -> Iterator[tuple[str, str]]:
    """Yield each shell block, and the mark above it."""
    for found in FENCE.finditer(document.read_text(encoding="utf-8")):
        if found["language"] == "sh":
            yield found["mark"] or "", found["body"]


def commands_of(document: Path, *, elsewhere: bool = False) -> list[ShownCommand]:
    """Return the commands of a document, optionally with those that are marked as needing another machine."""
    lines = (
        line
        for mark, body in blocks_of(document)
        if elsewhere or not mark.startswith(("ci:", "needs "))
        for line in body.replace("\\\n", " ").splitlines()
    )
    return [ShownCommand(document, line.strip()) for line in lines if line.strip().startswith("compare ")]


def named(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words name, and the words after it."""
    found: click.Command = commands
    rest = words[1:]
    while rest and isinstance(found, click.Group) and not rest[0].startswith("-"):
        below = found.get_command(click.Context(found), rest[0])
        assert below is not None, f"there is no command {' '.join(words[: len(words) - len(rest) + 1])}"
        found, rest = below, rest[1:]
    return found, rest


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_command_and_option_named_exists(document: Path) -> None:
    """Each command and option that a document names, in a block or in a sentence, is defined."""
    text = document.read_text(encoding="utf-8")
    lines = [
        *(found[1] for found in INLINE.finditer(text)),
        *(shown.line for shown in commands_of(document, elsewhere=True)),
    ]
    for line in lines:
        meant, rest = named(shlex.split(line.replace("…", "").replace("...", ""), comments=True))
        known = {option for parameter in meant.params for option in (*parameter.opts, *parameter.secondary_opts)}
        known |= {"-h", "--help", "--version"} if meant is commands else {"-h", "--help"}
        unknown = [word for word in rest if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]
        assert not unknown, f"{document.name}: {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    """A relative link of a document names a file of the checkout and, behind `#`, one of its headings."""
    dead = []
    for found in LINK.finditer(prose_of(document)):
        path = (document.parent / found["path"]) if found["path"] else document
        if not path.exists() or (found["anchor"] and path.suffix == ".md" and found["anchor"] not in anchors_of(path)):
            dead.append(found[0])
    assert dead == []


def test_every_page_is_reached_from_the_start_page_and_the_site() -> None:
    """docs/index.md leads to each page by its links, directly; the site's navigation names each page once."""
    pages = {name_of(page).removeprefix("docs/") for page in DOCUMENTS if page.is_relative_to(DOCS)}
    linked = {found["path"] for found in LINK.finditer(prose_of(DOCS / "index.md"))}
    settings = (CHECKOUT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = yaml.safe_load(settings.partition("\nnav:\n")[2].partition("\nvalidation:")[0])
    listed = [page for part in nav for section in part.values() for page in section]

    assert pages - linked == {"index.md"}
    assert sorted(listed) == sorted(pages)


def test_the_index_names_every_command_and_every_option_of_a_run() -> None:
    """docs/index.md has a row for each command, docs/a-z.md a mention of each option of `compare run`."""
    start, index = ((DOCS / name).read_text(encoding="utf-8") for name in ("index.md", "a-z.md"))
    run, _ = named(["compare", "run"])
    options = {option for each in run.params for option in each.opts if option.startswith("--")}

    shown = [name for group in COMMANDS.values() for name in group]
    assert {name for name in shown if f"`compare {name}" not in start} == set()
    assert {option for option in options if f"`{option}`" not in index} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_path_named_exists(document: Path) -> None:
    """A file or folder that a document names exists in the checkout; the CHANGELOG may name former ones, too."""
    if document.name != "CHANGELOG.md":
        named_paths = PATH.findall(document.read_text(encoding="utf-8"))
        missing = [path for path in named_paths if not any((CHECKOUT / up / path).exists() for up in ("", "runner"))]
        assert missing == []


@pytest.fixture(scope="module")
def second_server() -> Iterator[str]:
    """Run a server that answers for any model, and return its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", SECOND_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.kill()
    process.communicate()


@dataclass(frozen=True)
class DocumentShell:
    """The shell of a document's reader: a folder to work in, and environment variables."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, shown: ShownCommand) -> int:
        """Run a command as shown; return its exit code."""
        if command.always_start or SHELL_SYNTAX.search(QUOTED.sub("", shown.line)):
            return self.run_in_shell(shown.line)
        ended = command.call(shown.words[1:], self.folder, self.environment, STDIN)
        print(f"$ {shown.line}\n{ended.stdout}{ended.stderr}")
        return ended.returncode

    def run_in_shell(self, line: str) -> int:
        """Run a line of shell to its end."""
        ended = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environment,
            input=STDIN,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=180,
            check=False,
            text=True,
        )
        print(f"$ {line}\n{ended.stdout}")
        return ended.returncode

    def run_until(self, sign: str, line: str) -> int:
        """Run a line until it prints this, and stop it with Ctrl-C."""
        with subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            printed = ""
            while sign not in printed and (read := process.stdout.readline()):
                printed += read
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=60)
        print(f"$ {line}\n{printed}{rest}")
        return 0 if process.returncode == INTERRUPTED and sign in printed else process.returncode


@pytest.fixture(scope="module")
def earlier_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a suite once; return the folder, with the suites and the results."""
    folder = tmp_path_factory.mktemp("earlier")
    shutil.copytree(CHECKOUT / "prompts", folder / "prompts")
    first = "run prompts/basic.yaml -k who-* --repeat 2 -m sim/quick -m sim/steady -q"
    done = command.compare(folder, *first.split())
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def reader(tmp_path: Path, second_server: str, earlier_run: Path) -> DocumentShell:
    """Prepare what a reader has at that point: the suites, three keys, `compare` on the PATH, one earlier run."""
    shutil.copytree(earlier_run, tmp_path, symlinks=True, dirs_exist_ok=True)
    write_config(tmp_path, **{name: {"base_url": f"{second_server}/v1"} for name in ("dashscope", "zhipu", "deepseek")})
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "compare"
    shim.write_text(f'#!/bin/sh\nPYTHONPATH={CHECKOUT} exec {sys.executable} -m runner "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    keys = {f"{name}_API_KEY": "not-a-key" for name in ("DASHSCOPE", "ZHIPUAI", "DEEPSEEK")}
    return DocumentShell(tmp_path, environment | keys)


@pytest.mark.parametrize(
    "document",
    # The Chinese documents show the same commands, which another test asserts.
    [
        pytest.param(document, marks=[pytest.mark.thorough] if name_of(document) in LONG else [], id=name_of(document))
        for document in DOCUMENTS
        if commands_of(document) and document not in TWINS
    ],
)
def test_every_command_shown_runs(document: Path, reader: DocumentShell) -> None:
    """The commands of a document, run in order, end with an exit code that is no usage error.

    They run as shown with the option --thorough, otherwise some of them with options that make them wait less.
    """
    ends: dict[str, int] = {}
    write_named_files(document, reader.folder)
    for shown in commands_of(document):
        if (sign := UNTIL_STOPPED.get(shown.words[1])) is not None:
            ends[shown.line] = reader.run_until(sign, shown.line)
        else:
            ends[shown.line] = reader.run(shown if command.always_start else shown.shorter)
    assert {line: end for line, end in ends.items() if end not in EXPECTED_CODES} == {}


def test_the_readme_shows_what_a_run_writes(earlier_run: Path) -> None:
    """Its table has the first columns of results.md, and the columns it shows of results.csv are there."""
    shown = [found["body"] for found in FENCE.finditer((CHECKOUT / "README.md").read_text(encoding="utf-8"))]
    table, rows = (next(body for body in shown if body.startswith(start)) for start in ("| target", '"case"'))
    written = (earlier_run / "results" / "latest" / "results.md").read_text(encoding="utf-8")
    headings = next(line for line in written.splitlines() if line.startswith("| target"))

    assert _cells(headings)[: len(_cells(table.splitlines()[0]))] == _cells(table.splitlines()[0])
    with (earlier_run / "results" / "latest" / "results.csv").open(encoding="utf-8", newline="") as file:
        assert set(next(csv.reader([rows.splitlines()[0]]))) <= set(next(csv.reader(file)))


def _cells(line: str) -> list[str]:
    """Return the cells of a row of Markdown."""
    return [cell.strip() for cell in line.strip("| \n").split("|")]


def write_named_files(document: Path, folder: Path) -> None:
    """Write each block with a title as the file of that name, unless the reader has such a file already."""
    for found in FENCE.finditer(document.read_text(encoding="utf-8")):
        if found["title"] and not (folder / found["title"]).exists():
            (folder / found["title"]).parent.mkdir(parents=True, exist_ok=True)
            (folder / found["title"]).write_text(found["body"], encoding="utf-8")


# Retired models

RETIRED = re.compile(
    "|".join(
        sorted({translate(name) for row in builtin().rows.values() for name in row.retired if "*" not in name[:1]})
    )
)
WORD = re.compile(r"[\w.@/:+-]*[\w]")


def retired_names(text: str) -> list[str]:
    """Return the names of retired models in a text, with and without their provider."""
    words = {name for word in WORD.findall(text) for name in (word, word.partition("/")[2], word.partition(":")[2])}
    return sorted(name for name in words if RETIRED.fullmatch(name))


def helps(command: click.Command, name: str = "compare") -> Iterator[tuple[str, str]]:
    """Yield the help of a command and of all its sub-commands."""
    context = click.Context(command, info_name=name)
    yield name, command.get_help(context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            each = command.get_command(context, below)
            assert each is not None, below
            yield from helps(each, f"{name} {below}")


def test_no_command_names_a_retired_model() -> None:
    """No block, command or help names a model that the registry calls retired: a reader would copy it."""
    shown = {
        name_of(path): "\n".join([*(found["body"] for found in FENCE.finditer(text)), *INLINE.findall(text)])
        for path in DOCUMENTS
        if path.name != "CHANGELOG.md"
        for text in [path.read_text(encoding="utf-8")]
    }
    suites = (*(CHECKOUT / "prompts").glob("*.yaml"), *(CHECKOUT / "runner" / "commands" / "init").glob("*.y*ml"))
    shown |= {name_of(path): path.read_text(encoding="utf-8") for path in suites}
    shown |= dict(helps(commands))

    assert retired_names("-m deepseek/deepseek-chat, openai:gpt-4o-2024-08-06") == [
        "deepseek-chat",
        "gpt-4o-2024-08-06",
    ]
    assert {place: names for place, text in shown.items() if (names := retired_names(text))} == {}


# JSON members that programs read


def members_of(document: Path) -> list[tuple[str, str]]:
    """Return the commands and members that a page's table of JSON names."""
    rows = re.findall(r"^\| `(\w+)` \| `([\w.\[\]]+)` \|", prose_of(document), re.MULTILINE)
    return [(command, member) for command, member in rows]


def has_member(value: Any, path: Sequence[str]) -> bool:
    """Return whether a JSON value has a member: `a[].b` is member b of each element of a, of which there are some."""
    if not path:
        return True
    name, is_list = path[0].removesuffix("[]"), path[0].endswith("[]")
    if name not in value:
        return False
    return all(has_member(each, path[1:]) for each in value[name]) and bool(value[name]) if is_list else True


def test_the_json_that_agents_read_has_the_members_of_the_page(tmp_path: Path) -> None:
    """Each member that docs/agents.md names is in the output of the page's commands."""
    page = DOCS / "agents.md"
    shutil.copytree(CHECKOUT / "prompts", tmp_path / "prompts")
    printed: dict[str, Any] = {}
    for shown in commands_of(page):
        ended = command.call(shown.shorter.words[1:], tmp_path, command.own_environment(tmp_path))
        assert ended.returncode == 0, ended.stderr
        printed[shown.words[1]] = json.loads(ended.stdout)

    named_members = members_of(page)
    assert len(named_members) > 15
    assert [each for each in named_members if not has_member(printed[each[0]], each[1].split("."))] == []


def test_every_command_in_a_block_is_in_a_block_of_shell() -> None:
    """No command is in an indented block, which no test would run."""
    shown = {name_of(path): re.findall(r"^ {4}compare .*", prose_of(path), re.MULTILINE) for path in DOCUMENTS}
    assert {name: lines for name, lines in shown.items() if lines} == {}
