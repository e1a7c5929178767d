"""A fuzzer of journals that knows their structure: after any damage, valid rows are read without a traceback.

Every edit is made to a run of the samples, which together have lines of each kind.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from runner.analysis.diff_verdict import Rule
from runner.analysis.run_results import Run
from runner.commands.diff import DiffSides, compare
from runner.commands.export import ExportForm, export
from runner.commands.load_stored_run import load_run
from runner.commands.rederive import repair
from runner.errors import CompareError
from runner.outputs import DIFFERENCE_WRITERS, find_writer
from runner.outputs.report.render_html import write_report
from runner.outputs.terminal import render_summary
from runner.storage import journal
from runner.storage.atomic_write import write_atomically
from runner.storage.journal import JOURNAL_FILE

SAMPLES = Path(__file__).parents[1] / "samples" / "runs"
RUNS = ("complete", "partial", "resumed", "swept", "rated", "vantages", "kept", "replayed")
EDITS, THOROUGH_EDITS = 160, 1_500
SUMMARY_EVERY, FULL_EVERY = 8, 80
"""Of so many edits, one is summarized, and one written in every format; each is read as a table."""

DEEP = "[" * 100_000 + "]" * 100_000
RAW_VALUES = ("null", "true", "-1", "0", "1.5", "1e400", "NaN", "9" * 40, '""', '"x"', r'"\ud800"', "[]", "{}", DEEP)
KINDS = ("header", "record", "connection", "attempt", "limit", "check", "worker", "worker_lost", "resume", "end")
MARKER = "\ue000"
"""Stands for a raw value in JSON until it is replaced."""

LINES_ADDED = (
    {"kind": "worker", "name": "w1", "node": "n1", "region": None, "within_bound": True, "calibration": {
        "calibrated_at": "2026-01-01", "concurrency": 4, "n": 9, "ttft_p50_s": 0.1, "ttft_p99_s": 0.2,
        "gap_p99_s": 0.1}},
    {"kind": "worker_lost", "at": 5, "name": "w1", "node": "n1", "under_way": 2},
    {"kind": "check", "key": "k", "said": {"own:check": None}},
)  # fmt: skip


@dataclass(frozen=True)
class DamagedJournal:
    """A damaged journal: its lines, and the indexes of the valid lines that were edited."""

    lines: list[bytes]
    touched: frozenset[int]


def sound_lines(name: str) -> list[bytes]:
    """Return the lines of a sample, with lines of kinds that no sample has."""
    lines = (SAMPLES / name / JOURNAL_FILE).read_bytes().splitlines()
    header = json.loads(lines[0])
    prices = dict.fromkeys(header["targets"], PRICE)
    header |= {"calibration": LINES_ADDED[0]["calibration"], "prices": prices}
    return [json.dumps(header).encode(), *(json.dumps(line).encode() for line in LINES_ADDED), *lines[1:]]


PRICE = {"rates": [{"input": "2", "output": "8"}], "currency": "CNY", "source": "published", "date": "2026-01-01"}


# Edits


def change_value(lines: list[bytes], at: int, chance: Random) -> list[bytes]:
    """Replace a value anywhere in a line by one of another type, size or depth."""
    line = json.loads(lines[at])
    holder, name = chance.choice(list(places_in(line)))
    holder[name] = MARKER
    damaged = json.dumps(line).replace(json.dumps(MARKER), chance.choice(RAW_VALUES), 1)
    return [*lines[:at], damaged.encode(), *lines[at + 1 :]]


def drop_member(lines: list[bytes], at: int, chance: Random) -> list[bytes]:
    """Remove a member, or an item, anywhere in a line."""
    line = json.loads(lines[at])
    holder, name = chance.choice(list(places_in(line)))
    del holder[name]
    return [*lines[:at], json.dumps(line).encode(), *lines[at + 1 :]]


def flip_kind(lines: list[bytes], at: int, chance: Random) -> list[bytes]:
    """Give a line another kind: one of the others, or one with a letter changed."""
    line = json.loads(lines[at])
    letter = chance.randrange(len(line["kind"]))
    bent = line["kind"][:letter] + chance.choice("abcxyz") + line["kind"][letter + 1 :]
    line["kind"] = chance.choice([*KINDS, bent, bent, bent])
    return [*lines[:at], json.dumps(line, separators=(",", ":")).encode(), *lines[at + 1 :]]


def flip_byte(lines: list[bytes], at: int, chance: Random) -> list[bytes]:
    """Replace a byte, possibly by one that is no UTF-8."""
    place = chance.randrange(len(lines[at]))
    damaged = lines[at][:place] + bytes([chance.choice([0, 0x22, 0x5C, 0x7B, 0xFF, chance.randrange(256)])])
    return [*lines[:at], *(damaged + lines[at][place + 1 :]).split(b"\n"), *lines[at + 1 :]]


def cut_line(lines: list[bytes], at: int, chance: Random) -> list[bytes]:
    """Cut off the end of a line, possibly with the line end."""
    kept = lines[at][: chance.randrange(len(lines[at]))]
    rest = lines[at + 1 :]
    return [*lines[:at], kept + rest[0], *rest[1:]] if rest and chance.random() < 0.5 else [*lines[:at], kept, *rest]


def repeat_line(lines: list[bytes], at: int, chance: Random) -> list[bytes]:
    """Write a line a second time, at a later place."""
    place = chance.randrange(at, len(lines)) + 1
    return [*lines[:place], lines[at], *lines[place:]]


def insert_rubbish(lines: list[bytes], at: int, chance: Random) -> list[bytes]:
    """Insert a line that is none of a journal."""
    rubbish = (b"", b"\0" * 40, b"[]", b"null", b'"kind"', b'{"kind":[]}', b'{"kind":"end"', b"\xff\xfe", DEEP.encode())
    return [*lines[:at], chance.choice(rubbish), *lines[at:]]


def places_in(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the holder and the name of each value in JSON."""
    for name, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, name
        if isinstance(item, dict | list):
            yield from places_in(item)


EDITORS: Sequence[Callable[[list[bytes], int, Random], list[bytes]]] = (
    *(change_value, change_value, change_value, drop_member, flip_kind),
    *(flip_byte, cut_line, repeat_line, insert_rubbish),
)


def make_edit(lines: list[bytes], chance: Random) -> DamagedJournal:
    """Return a journal with one to three edits; the header is edited more often, because its loss matters most."""
    edited, touched = lines, set[int]()
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        at = 0 if chance.random() < 0.25 else chance.randrange(len(edited))
        try:
            made = chance.choice(EDITORS)(edited, at, chance)
        except (ValueError, TypeError, IndexError, KeyError, AttributeError, RecursionError):
            continue  # an earlier edit removed the place
        touched |= {number for number, line in enumerate(lines) if line in edited and line not in made}
        edited = made
    return DamagedJournal(edited, frozenset(touched))


# Properties


def check_edit(folder: Path, lines: list[bytes], edit: DamagedJournal, number: int) -> None:
    """Check that a damaged journal is read as far as it is valid, or refused with a message that names it."""
    (folder / JOURNAL_FILE).write_bytes(b"\n".join(edit.lines) + b"\n")
    try:
        opened = journal.read(folder)
        run = Run.of_journal(opened)
    except CompareError as refusal:
        refused = str(refusal)
    else:
        check_rows(opened, lines, edit)
        if number % SUMMARY_EVERY == 0:
            render_summary(run)
        if number % FULL_EVERY == 0:
            write_everything(folder, run)
        return
    assert str(folder / JOURNAL_FILE) in refused


def check_rows(opened: journal.Journal, lines: list[bytes], edit: DamagedJournal) -> None:
    """Check that each record without an edit is read, and each that cannot be read is named."""
    good = [line for number, line in enumerate(lines) if number not in edit.touched and b'"kind":"record"' in line]
    behind = opened.read_to
    if behind is not None:
        kept = b"\n".join(edit.lines)[:behind].split(b"\n")
        good = [line for line in good if line in kept]
    read = {line["key"] for line in opened.lines("record")}
    keys = {json.loads(line)["key"] for line in good} if not opened.superseded else set()
    assert keys <= read
    for number, line in enumerate(edit.lines, 1):
        if line not in lines and b'"kind":"record"' in line and behind is None and number not in opened.damage.lines:
            assert any(json.dumps(key).encode() in line for key in read)


def write_everything(folder: Path, run: Run) -> None:
    """Write a run in every format, compare it with itself, and repair it; the copy must be valid."""
    for suffix in (".csv", ".md", ".json", ".jsonl", ".html", ".xml", ".parquet"):
        write_atomically(folder / f"rows{suffix}", find_writer(suffix)(run))
    write_report([run, run])
    for form in ExportForm:
        export(folder, form)
    repair(folder, folder / "repaired")
    assert load_run(folder / "repaired").left_out is None
    shutil.rmtree(folder / "repaired")
    try:
        difference = compare(DiffSides(run, run), Rule())
    except CompareError:
        return
    for write in DIFFERENCE_WRITERS.values():
        write(difference)


@pytest.mark.parametrize("edits", [EDITS, pytest.param(THOROUGH_EDITS, marks=pytest.mark.thorough)])
def test_an_edited_journal_causes_no_traceback_and_loses_no_valid_row(tmp_path: Path, edits: int) -> None:
    """Each edit ends in a message or in tables; unedited lines are read, others read or named."""
    chance = Random(16)
    sound = {name: sound_lines(name) for name in RUNS}
    for number in range(edits):
        name = chance.choice(RUNS)
        edit = make_edit(sound[name], chance)
        try:
            check_edit(tmp_path, sound[name], edit, number)
        except Exception as error:
            kept = tmp_path / f"edit-{number}.jsonl"
            shutil.copy(tmp_path / JOURNAL_FILE, kept)
            error.add_note(f"edit {number} of {name}: {kept}")
            raise


def test_the_journals_are_valid_before_they_are_edited(tmp_path: Path) -> None:
    """Each fault that is found is then that of an edit."""
    for name in RUNS:
        (tmp_path / JOURNAL_FILE).write_bytes(b"\n".join(sound_lines(name)) + b"\n")
        run = load_run(tmp_path)
        assert run.left_out is None
        assert list(run.records)
