"""Every command a document shows runs, every option it names exists, and every link leads to a file."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from runner.cli import commands
from tests.support import command
from tests.support.command import write_config

CHECKOUT = Path(__file__).parents[1]
DOCUMENTS = (*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").glob("*.md")))

FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<language>\w*)[^\n`]*\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL
)
INLINE = re.compile(r"`(compare(?: [^`\n]+)?)`")
PATH = re.compile(r"`((?:runner|tests|docs|prompts)/[\w./-]+|[a-z_]+/[\w/]+\.py)`")
LINK = re.compile(r"\]\((?!https?://|mailto:|#)(?P<path>[^)#\s]+)")

UNTIL_STOPPED = ("simulate", "replay")
"""Commands that run until they are interrupted."""

SHORTER = {"calibrate": ("--no-search", "--requests", "24"), "run": ("--concurrency", "24")}
"""Command -> options that leave out its waiting: a search of up to a minute, requests one after the other."""

EXPECTED_CODES = frozenset({0, 1, 3, 5})
"""Done; done and a gate failed; done and requests failed; undecided. A wrong option or a wrong suite is 2."""

INTERRUPTED = 130
STDIN = "你好\n"

QUOTED = re.compile(r"'[^']*'|\"[^\"$`]*\"| #.*")
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
class Shown:
    """A command as a document shows it in a block of shell."""

    document: Path
    line: str

    @property
    def words(self) -> list[str]:
        """The command without its comment."""
        return shlex.split(self.line, comments=True)

    @property
    def shorter(self) -> "Shown":
        """The command with options that make it wait less, if there are any."""
        options = SHORTER.get(self.words[1], ())
        return Shown(self.document, shlex.join([*self.words, *options])) if options else self


def blocks_of(document: Path) -> Iterator[tuple[str, str]]:
    """Yield each fenced block of shell, and the mark above it."""
    for found in FENCE.finditer(document.read_text(encoding="utf-8")):
        if found["language"] == "sh":
            yield found["mark"] or "", found["body"]


def commands_of(document: Path) -> list[Shown]:
    """Return the commands of a document, without those of blocks that are marked as needing another machine."""
    lines = (
        line
        for mark, body in blocks_of(document)
        if not mark.startswith(("ci:", "needs "))
        for line in body.replace("\\\n", " ").splitlines()
    )
    return [Shown(document, line.strip()) for line in lines if line.strip().startswith("compare ")]


def named(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words name, and the words after it."""
    found: click.Command = commands
    rest = words[1:]
    while rest and isinstance(found, click.Group) and not rest[0].startswith("-"):
        below = found.commands.get(rest[0])
        assert below is not None, f"there is no command {' '.join(words[: len(words) - len(rest) + 1])}"
        found, rest = below, rest[1:]
    return found, rest


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_and_option_named_exists(document: Path) -> None:
    """Each command and option that a document names, in a block or in a sentence, is defined."""
    text = document.read_text(encoding="utf-8")
    lines = [*(found[1] for found in INLINE.finditer(text)), *(shown.line for shown in commands_of(document))]
    for line in lines:
        meant, rest = named(shlex.split(line.replace("…", "").replace("...", ""), comments=True))
        known = {option for parameter in meant.params for option in (*parameter.opts, *parameter.secondary_opts)}
        known |= {"-h", "--help", *(["--version"] if meant is commands else [])}
        unknown = [word for word in rest if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]
        assert not unknown, f"{document.name}: {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    """A relative link of a document names a file of the checkout."""
    links = [found["path"] for found in LINK.finditer(document.read_text(encoding="utf-8"))]
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_named_exists(document: Path) -> None:
    """A file or folder of the checkout that a document names is there; the CHANGELOG tells of former ones, too."""
    if document.name != "CHANGELOG.md":
        named_paths = PATH.findall(document.read_text(encoding="utf-8"))
        missing = [path for path in named_paths if not any((CHECKOUT / up / path).exists() for up in ("", "runner"))]
        assert missing == []


@pytest.fixture(scope="module")
def second_server() -> Iterator[str]:
    """Run a server that answers to any model's name, and return its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", SECOND_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.kill()
    process.communicate()


@dataclass(frozen=True)
class Reader:
    """Someone who follows a document: a folder to work in, and the environment of their shell."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, shown: Shown) -> int:
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

    def serve(self, line: str) -> int:
        """Run a line that serves until it prints its address, and stop it with Ctrl-C."""
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
            while "http://" not in printed and (read := process.stdout.readline()):
                printed += read
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=60)
        print(f"$ {line}\n{printed}{rest}")
        return 0 if process.returncode == INTERRUPTED and "http://" in printed else process.returncode


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
def reader(tmp_path: Path, second_server: str, earlier_run: Path) -> Reader:
    """Lay out what a reader has by then: the suites, three keys, `compare` on the PATH, one earlier run."""
    shutil.copytree(earlier_run, tmp_path, symlinks=True, dirs_exist_ok=True)
    write_config(tmp_path, **{name: {"base_url": f"{second_server}/v1"} for name in ("dashscope", "zhipu", "deepseek")})
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "compare"
    shim.write_text(f'#!/bin/sh\nPYTHONPATH={CHECKOUT} exec {sys.executable} -m runner "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    keys = {f"{name}_API_KEY": "not-a-key" for name in ("DASHSCOPE", "ZHIPUAI", "DEEPSEEK")}
    return Reader(tmp_path, environment | keys)


@pytest.mark.parametrize(
    "document",
    # The Chinese README shows the very same commands, which another test asserts.
    [document for document in DOCUMENTS if commands_of(document) and document.name != "README.zh-CN.md"],
    ids=lambda path: path.name,
)
def test_every_command_shown_runs(document: Path, reader: Reader) -> None:
    """The commands of a document, run one after the other, end with an exit code that is no mistake.

    As shown with the option --thorough, else with options that make some of them wait less.
    """
    ends: dict[str, int] = {}
    for shown in commands_of(document):
        if shown.words[1] in UNTIL_STOPPED:
            ends[shown.line] = reader.serve(shown.line)
        else:
            ends[shown.line] = reader.run(shown if command.always_start else shown.shorter)
    assert {line: end for line, end in ends.items() if end not in EXPECTED_CODES} == {}


def outline_of(document: Path) -> tuple[list[int], list[str], list[str]]:
    """Return the levels of a document's headings, its blocks of code, and the files it links to."""
    text = document.read_text(encoding="utf-8")
    blocks = [found[0] for found in FENCE.finditer(text)]
    prose = FENCE.sub("", text)
    levels = [len(found[1]) for found in re.finditer(r"^(#+) ", prose, re.MULTILINE)]
    return levels, blocks, sorted({found["path"] for found in LINK.finditer(prose)} - {"README.md", "README.zh-CN.md"})


def test_the_chinese_readme_matches_the_english_one() -> None:
    """Both READMEs have the same headings, the same blocks of code and the same links, and name the same commands."""
    english, chinese = (CHECKOUT / name for name in ("README.md", "README.zh-CN.md"))

    assert outline_of(english) == outline_of(chinese)
    named_in = [
        {found[1] for found in INLINE.finditer(path.read_text(encoding="utf-8"))} for path in (english, chinese)
    ]
    assert named_in[0] == named_in[1]
