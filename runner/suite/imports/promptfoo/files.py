"""The files beside a promptfoo configuration that its prompts, tests and variables name."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from runner.document import Document, parse
from runner.errors import InvalidFile
from runner.suite.errors import NotImportable, UnusableFile
from runner.suite.fill_templates import is_template
from runner.suite.imports.draft_suite import Draft
from runner.suite.read_named_file import read_named_text
from runner.suite.row_files import MAX_ROWS_BYTES

SCHEME = "file://"
PROGRAMS = frozenset(
    {".bash", ".bat", ".cjs", ".cmd", ".cts", ".exe", ".go", ".js", ".jsx", ".mjs", ".mts", ".pl", ".ps1", ".py"}
    | {".rb", ".sh", ".ts", ".tsx"}
)
TABLES = frozenset({".csv", ".json", ".jsonl", ".yaml", ".yml"})
KNOWN_ENDINGS = PROGRAMS | TABLES | {".j2", ".md", ".txt"}
MAX_MATCHES = 1_000

_PATTERN = re.compile(r"[*?\[\]{}]")
_FUNCTION = re.compile(r"(.+\.(?:[cm]?[jt]sx?|py|go|rb)):[\w.]+")
"""A program, and the name of its function that produces the texts."""


def stands_for_files(text: str) -> bool:
    """Return whether promptfoo reads a prompt as a file name or a pattern of file names."""
    if "\n" in text or re.match(r"(portkey|langfuse|helicone)://", text):
        return False
    name = ending_of(text)
    return (
        text.startswith(SCHEME)
        or name in KNOWN_ENDINGS
        or text[-3:-2] == "."
        or text[-4:-3] == "."
        or any(mark in text for mark in "*/\\")
    )


def ending_of(name: str) -> str:
    """Return the ending of a file's name in small letters, with its dot; a function in the file is ignored."""
    function = _FUNCTION.fullmatch(name)
    return PurePosixPath(function[1] if function else name).suffix.lower()


def named_files(written: str, draft: Draft, folder: Path | None = None) -> list[str]:
    """Return the names, relative to the draft's folder, of the files that a name or pattern stands for.

    Raises:
        NotImportable: there are no such files, or they are outside the folder.

    """
    name = written.removeprefix(SCHEME).replace("\\", "/")
    base = folder or draft.folder
    if re.match(r"[a-z]{2,}://", name):
        raise NotImportable(f"`{written}` is not beside this file", "Download it, and name the file")
    if not _PATTERN.search(name) or (base / name).is_file():
        return [_relative(base / name, draft)]
    names = sorted(islice(_matches(base, name, draft), MAX_MATCHES + 1))
    if not names:
        raise NotImportable(f"no file matches `{name}`", "Correct the pattern, or put the files there")
    if len(names) > MAX_MATCHES:
        raise NotImportable(f"more than {MAX_MATCHES} files match `{name}`", "Name fewer")
    return names


def _matches(base: Path, pattern: str, draft: Draft) -> Iterator[str]:
    try:
        for path in base.glob(pattern.removeprefix("./")):
            if path.is_file():
                yield _relative(path, draft)
    except (NotImplementedError, ValueError, OSError):
        raise NotImportable(f"`{pattern}` is not a pattern of names here", "Write one relative to this file") from None


def _relative(path: Path, draft: Draft) -> str:
    """Return a path relative to the draft's folder; one outside stays as it is, and is refused when it is read."""
    try:
        return path.relative_to(draft.folder).as_posix()
    except ValueError:
        return str(path)


def prompt_files(written: str, draft: Draft) -> list[str]:
    """Return the names of the files that a prompt stands for; empty if the prompt is a text.

    Raises:
        NotImportable: it is the name of a missing file, which must not be sent as a prompt.

    """
    if not stands_for_files(written):
        return []
    try:
        names = named_files(written, draft)
    except NotImportable:
        if _reads_as_text(written):
            return []
        raise
    if _reads_as_text(written) and not (draft.folder / names[0]).exists():
        return []
    return names


def _reads_as_text(written: str) -> bool:
    """Return whether a text is certainly not a file name: words or templates, without a file's ending."""
    is_words = any(mark in written for mark in " \t") or is_template(written)
    is_words = is_words or (not written.isascii() and "*" not in written)  # many languages write without spaces
    return is_words and not written.startswith(SCHEME) and ending_of(written) not in KNOWN_ENDINGS


def named_text(name: str, draft: Draft) -> str:
    """Return the text of a file that a configuration names.

    Raises:
        NotImportable: the file cannot be used.

    """
    try:
        return read_named_text(draft.folder, name, MAX_ROWS_BYTES)
    except UnusableFile as error:
        raise NotImportable(error.what, error.hint) from None


def named_document(name: str, draft: Draft) -> Document:
    """Return the document in a YAML or JSON file that a configuration names.

    Raises:
        NotImportable: the file cannot be used.

    """
    try:
        return parse(named_text(name, draft), str(draft.folder / name), foreign=True).require_valid()
    except InvalidFile as error:
        line = error.problems[0].line
        raise NotImportable.of(error, f"`{name}`{f', line {line}' if line > 1 else ''}: ") from None
