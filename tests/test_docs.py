"""The documents show only what works: every command is run, every option named exists, every link leads somewhere."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from runner.cli import commands
from tests.support.command import write_config

CHECKOUT = Path(__file__).parents[1]
DOCUMENTS = (*sorted(CHECKOUT.glob("*.md")), *sorted((CHECKOUT / "docs").glob("*.md")))

FENCE = re.compile(r"^(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<language>\w*)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(compare(?: [^`\n]+)?)`")
LINK = re.compile(r"\]\((?!https?://|mailto:|#)(?P<path>[^)#\s]+)")

UNTIL_STOPPED = ("serve", "replay")
"""Commands that serve until somebody stops them."""

HONEST_ENDS = frozenset({0, 1, 3, 5})
"""Done; done and a gate failed; done and requests failed; undecided. A wrong option or a wrong suite is 2."""

SECOND_SERVER = """
import sys
from llmock.testing import LLMockServer
with LLMockServer() as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Shown:
    """A command as a document shows it, in a block of shell."""

    document: Path
    line: str

    @property
    def words(self) -> list[str]:
        """The command without its comment."""
        return shlex.split(self.line, comments=True)


def blocks_of(document: Path) -> Iterator[tuple[str, str]]:
    """Yield each fenced block of shell with the mark in front of it."""
    for found in FENCE.finditer(document.read_text(encoding="utf-8")):
        if found["language"] == "sh":
            yield found["mark"] or "", found["body"]


def commands_of(document: Path) -> list[Shown]:
    """Return the commands that a document shows and does not say to need something else than this machine."""
    lines = (
        line
        for mark, body in blocks_of(document)
        if not mark.startswith(("ci:", "needs "))
        for line in body.replace("\\\n", " ").splitlines()
    )
    return [Shown(document, line.strip()) for line in lines if line.strip().startswith("compare ")]


def named(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words name, and the words behind it."""
    command: click.Command = commands
    rest = words[1:]
    while rest and isinstance(command, click.Group) and not rest[0].startswith("-"):
        below = command.commands.get(rest[0])
        assert below is not None, f"there is no command {' '.join(words[: len(words) - len(rest) + 1])}"
        command, rest = below, rest[1:]
    return command, rest


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_named_exists_with_its_options(document: Path) -> None:
    """A command or an option that a document names, in a block or in a sentence, is one of the tool's."""
    text = document.read_text(encoding="utf-8")
    lines = [*(found[1] for found in INLINE.finditer(text)), *(shown.line for shown in commands_of(document))]
    for line in lines:
        command, rest = named(shlex.split(line.replace("…", "").replace("...", ""), comments=True))
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        known |= {"-h", "--help", *(["--version"] if command is commands else [])}
        unknown = [word for word in rest if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]
        assert not unknown, f"{document.name}: {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document: Path) -> None:
    """A relative link of a document names a file of the checkout."""
    links = [found["path"] for found in LINK.finditer(document.read_text(encoding="utf-8"))]
    assert [link for link in links if not (document.parent / link).exists()] == []


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


@pytest.fixture
def newcomer(tmp_path: Path, second_server: str) -> dict[str, str]:
    """Lay out what a reader has by then: the suites, three keys, `compare` on the PATH, one earlier run."""
    shutil.copytree(CHECKOUT / "prompts", tmp_path / "prompts")
    write_config(tmp_path, **{name: {"base_url": f"{second_server}/v1"} for name in ("dashscope", "zhipu", "deepseek")})
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "compare"
    shim.write_text(f'#!/bin/sh\nPYTHONPATH={CHECKOUT} exec {sys.executable} -m runner "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    run(tmp_path, environ, "compare run prompts/basic.yaml -k 'who-*' --repeat 2 -m sim/quick -m sim/steady -q")
    return environ | {f"{name}_API_KEY": "not-a-key" for name in ("DASHSCOPE", "ZHIPUAI", "DEEPSEEK")}


def run(folder: Path, environ: dict[str, str], line: str, *, stops_itself: bool = True) -> int:
    """Run a line of shell; what serves until it is stopped is stopped after a while."""
    process = subprocess.Popen(
        ["bash", "-c", line if stops_itself else f"timeout --signal=INT 4 {line}"],
        cwd=folder,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said, _ = process.communicate(input="你好\n", timeout=180)
    print(f"$ {line}\n{said}")
    return 0 if not stops_itself and process.returncode in (124, 130) else process.returncode


@pytest.mark.parametrize(
    "document",
    # The Chinese README shows the very same commands, which another test asserts.
    [document for document in DOCUMENTS if commands_of(document) and document.name != "README.zh-CN.md"],
    ids=lambda path: path.name,
)
def test_every_command_shown_runs(document: Path, tmp_path: Path, newcomer: dict[str, str]) -> None:
    """The commands of a document, one after the other as a reader would type them, do what they are shown for."""
    ends = {
        shown.line: run(tmp_path, newcomer, shown.line, stops_itself=shown.words[1] not in UNTIL_STOPPED)
        for shown in commands_of(document)
    }
    assert {line: end for line, end in ends.items() if end not in HONEST_ENDS} == {}


def outline_of(document: Path) -> tuple[list[int], list[str], list[str]]:
    """Return the levels of a document's headings, its blocks of code, and the files it links to."""
    text = document.read_text(encoding="utf-8")
    blocks = [found[0] for found in FENCE.finditer(text)]
    prose = FENCE.sub("", text)
    levels = [len(found[1]) for found in re.finditer(r"^(#+) ", prose, re.MULTILINE)]
    return levels, blocks, sorted({found["path"] for found in LINK.finditer(prose)} - {"README.md", "README.zh-CN.md"})


def test_the_chinese_readme_keeps_step() -> None:
    """Both READMEs have the same headings, the same blocks of code and the same links, and name the same commands."""
    english, chinese = (CHECKOUT / name for name in ("README.md", "README.zh-CN.md"))

    assert outline_of(english) == outline_of(chinese)
    named_in = [
        {found[1] for found in INLINE.finditer(path.read_text(encoding="utf-8"))} for path in (english, chinese)
    ]
    assert named_in[0] == named_in[1]
