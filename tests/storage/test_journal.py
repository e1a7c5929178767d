"""The journal: records and headers round-trip, torn lines are cut off, keys are redacted, damage is reported."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, get_type_hints

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.core.events import Channel, Outcome
from runner.core.record import Record
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.errors import JournalError, WriteFailed
from runner.providers.key import Key
from runner.providers.redaction import MARK, Redactor
from runner.storage import journal
from runner.storage.journal import FORMAT, JOURNAL_FILE, Header, JournalWriter, decode_record, encode_record
from tests.support.crafted_runs import header

CHECKOUT = Path(__file__).parents[2]

HEADER = header("run-1", ("a/x",), cases=("one",))
PLAIN = Record(Identity("k1", "one", 1, 1, 1, "a", "x", "Hello?"), Timestamps(sent=5), Outcome.OK)
WITH_TEXT = replace(
    PLAIN, text_events=TextEvents((10, 30, 25), "raa", (1, 2, 3)), reply="你好", usage={"total_tokens": 3}
)


def join_surrogates(text: str) -> str:
    """Return a text whose adjacent surrogates are one character, as JSON reads them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


TEXTS = st.text(st.characters(exclude_categories=[]), max_size=20).map(join_surrogates)
MAYBE_TEXTS = st.none() | TEXTS
COUNTS = st.none() | st.integers(-(2**63), 2**63 - 1)
MOMENTS = st.datetimes().map(datetime.isoformat)
MAYBE: dict[object, st.SearchStrategy[object]] = {
    str | None: MAYBE_TEXTS,
    int | None: COUNTS,
    bool | None: st.none() | st.booleans(),
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def text_events(draw: st.DrawFn) -> TextEvents:
    """Draw text events: columns of one length, timestamps in any order, with or without a sender's clock."""
    count = draw(st.integers(0, 6))
    columns = st.lists(st.integers(-(10**15), 10**15), min_size=count, max_size=count).map(tuple)
    channels = draw(st.lists(st.sampled_from(Channel), min_size=count, max_size=count))
    lengths = st.lists(st.integers(0, 2**31), min_size=count, max_size=count).map(tuple)
    return TextEvents(draw(columns), "".join(channels), draw(lengths), draw(columns | st.just(())))


RECORDS = st.builds(
    Record,
    identity=st.builds(
        Identity,
        *(TEXTS, TEXTS),
        *(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
        *(TEXTS, TEXTS, TEXTS, st.booleans(), MAYBE_TEXTS),
    ),
    timestamps=st.builds(Timestamps, **{field.name: COUNTS for field in fields(Timestamps)}),
    outcome=st.sampled_from(Outcome),
    text_events=text_events(),
    usage=st.none() | st.dictionaries(TEXTS, JSON, max_size=4),
    attempts=st.integers(0, 9),
    backoff_ns=st.integers(0, 10**12),
    noted=st.lists(TEXTS, max_size=3).map(tuple),
    warmup=st.booleans(),
    **{name: MAYBE[hint] for name, hint in get_type_hints(Record).items() if hint in MAYBE and name != "started_at"},
    started_at=st.none() | MOMENTS,
)


def is_torn(folder: Path) -> bool:
    """Return whether the last line of a run's journal is incomplete."""
    return not (folder / JOURNAL_FILE).read_bytes().endswith(b"\n")


def numbered(repeat: int) -> Record:
    """Return the record with text for another request."""
    return replace(WITH_TEXT, identity=replace(WITH_TEXT.identity, repeat=repeat))


def write(folder: Path, *records: Record, header: Header = HEADER) -> bytes:
    """Write a journal; return its bytes."""
    with JournalWriter(folder) as writer:
        writer.append_header(header)
        for record in records:
            writer.append_record(record)
    return (folder / JOURNAL_FILE).read_bytes()


def write_lines(folder: Path, *lines: object) -> Path:
    """Write lines as another program might; return the folder."""
    (folder / JOURNAL_FILE).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def header_line(**changes: object) -> dict[str, Any]:
    """Return a header's line with these values."""
    with TemporaryDirectory() as folder:
        return {**json.loads(write(Path(folder))), **changes}


@contextmanager
def writing_process(folder: Path, then: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that starts a folder's journal, reports it, and executes a statement."""
    program = (
        "import runpy, sys; from pathlib import Path; from runner.storage.journal import JournalWriter\n"
        "this = runpy.run_path(sys.argv[1]); folder = Path(sys.argv[2]); \n"
        "writer = JournalWriter(folder); writer.append_header(this['HEADER']); print('begun', flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program + then, __file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=CHECKOUT,
        text=True,
    ) as process:
        try:
            assert _stdout(process).readline() == "begun\n"
            yield process
        finally:
            process.kill()


def _stdout(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


# Round trip


@given(st.lists(RECORDS, max_size=3, unique_by=lambda record: record.identity))
@example([replace(WITH_TEXT, reply="\ud83d", error="\0\x1b\x85\u2028\r\n", reasoning="")])
def test_records_round_trip(records: list[Record]) -> None:
    """Lone surrogates, NUL, line separators and absent values survive."""
    with TemporaryDirectory() as folder:
        write(Path(folder), *records)
        read = journal.read(Path(folder))
        assert list(read.records) == records
        assert read.end is None
        assert not is_torn(Path(folder))


@given(
    st.builds(
        Header,
        *(TEXTS, TEXTS, TEXTS, st.integers(), MOMENTS, st.booleans(), st.integers(1, 9)),
        *(st.lists(TEXTS).map(tuple), st.lists(TEXTS).map(tuple), st.integers(0)),
        path=MAYBE_TEXTS,
        versions=st.dictionaries(TEXTS, TEXTS, max_size=3),
        variants=st.dictionaries(TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=2), max_size=3),
        vary=st.dictionaries(TEXTS, st.lists(TEXTS | st.integers(0, 9), max_size=3), max_size=3),
    )
)
def test_a_header_round_trips(header: Header) -> None:
    """All members of a header are read as they were written."""
    with TemporaryDirectory() as folder:
        write(Path(folder), header=header)
        assert journal.read(Path(folder)).header == header


@given(RECORDS)
def test_absent_values_are_not_written(record: Record) -> None:
    """A line contains no null except inside a provider's usage."""
    line = encode_record(record)
    assert [name for name, value in line.items() if value is None] == []
    assert decode_record(line) == record


def test_a_line_is_one_line_of_utf8(tmp_path: Path) -> None:
    """Chinese is stored as it is, and no text can end a line."""
    data = write(tmp_path, replace(WITH_TEXT, error="a\nb\rc\u2028d"))
    assert "你好".encode() in data
    assert data.count(b"\n") == 2
    assert data.endswith(b"\n")


def test_lines_are_read_by_kind_repeatedly(tmp_path: Path) -> None:
    """A journal can be iterated twice, and knows whether the run ended."""
    with JournalWriter(tmp_path) as writer:
        writer.append_header(HEADER)
        writer.append({"kind": "limit", "provider": "a"})
        writer.append_record(PLAIN)
        writer.append({"kind": "end"})
    read = journal.read(tmp_path / JOURNAL_FILE)
    assert list(read.records) == list(read.records) == [PLAIN]
    assert list(read.lines("limit")) == [{"kind": "limit", "provider": "a"}]
    assert read.end is not None


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        (2**64, str(2**64)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (-0.0, -0.0),
    ],
)
def test_a_number_outside_of_json_is_stored_as_text(tmp_path: Path, number: float, kept: object) -> None:
    """Every JSON reader can read each line, and no count of a provider is rounded."""
    data = write(tmp_path, replace(PLAIN, usage={"total": number, "parts": [{"of": number}]}))
    assert not any(word in data for word in (b"Infinity", b"NaN"))
    (record,) = journal.read(tmp_path).records
    assert repr(record.usage) == repr({"total": kept, "parts": [{"of": kept}]})


def test_a_deeply_nested_usage_is_truncated(tmp_path: Path) -> None:
    """A provider that nests a thousand objects does not end the run."""
    usage: dict[str, Any] = {}
    for _ in range(1000):
        usage = {"more": usage}
    write(tmp_path, replace(numbered(2), usage=usage), PLAIN)
    first, second = journal.read(tmp_path).records
    assert "nested too deeply" in str(first.usage)
    assert second == PLAIN


# Resumed runs


def record_with_key(key: str, **changes: Any) -> Record:
    """Return a record with a key."""
    return replace(PLAIN, identity=replace(PLAIN.identity, key=key), **changes)


def test_a_repeated_request_counts_once(tmp_path: Path) -> None:
    """After a resumption that repeats a key only later records of it count; no line is removed."""
    with JournalWriter(tmp_path) as writer:
        writer.append_header(HEADER)
        for reply in ("one", "two", "three"):
            writer.append_record(record_with_key("again", reply=reply))
            writer.append_record(record_with_key(reply))
            assert [record.reply for record in journal.read(tmp_path).records if record.reply] == [reply]
            writer.append_resume({}, repeated={"again"}, dropped=())
        writer.append_record(record_with_key("again", reply="four"))
    read = journal.read(tmp_path)
    assert [record.identity.key for record in read.records] == ["one", "two", "three", "again"]
    assert len(list(read.lines("record"))) == 7
    assert read.resumed == 3


def test_dropped_records_return_with_the_plan(tmp_path: Path) -> None:
    """The newest resumption decides which records are dropped; those that an earlier one dropped may count again."""
    with JournalWriter(tmp_path) as writer:
        writer.append_header(HEADER)
        for key in ("a", "b"):
            writer.append_record(record_with_key(key))
        for dropped in (["a"], ["b"], []):
            writer.append_resume({}, repeated=(), dropped=dropped)
            keys = {record.identity.key for record in journal.read(tmp_path).records}
            assert keys == {"a", "b"} - set(dropped)
    assert len(list(journal.read(tmp_path).kept_records)) == 2


def test_a_resumption_changes_the_header(tmp_path: Path) -> None:
    """Changes are applied over the header; the run id and the start stay."""
    other = replace(
        HEADER,
        digest="d2",
        targets=("a/x", "b/y"),
        repeat=5,
        seed=2**80,
        run_id="x",
        started_at="2027-01-01T00:00:00+00:00",
    )
    with JournalWriter(tmp_path) as writer:
        writer.append_header(HEADER)
        writer.append({"kind": "end", "reason": "enough"})
        assert journal.read(tmp_path).end == {"kind": "end", "reason": "enough"}
        writer.append_resume(journal.changes_between(HEADER, other), (), ())
        read = journal.read(tmp_path)
        assert read.header == replace(other, run_id=HEADER.run_id, started_at=HEADER.started_at)
        assert read.end is None
        writer.append_resume(journal.changes_between(read.header, HEADER), (), ())
        writer.append({"kind": "end"})
    read = journal.read(tmp_path)
    assert (read.header, read.end is not None) == (HEADER, True)


def test_a_writer_detects_writes_since_the_journal_was_read(tmp_path: Path) -> None:
    """The size when a journal was read is the size that its next writer finds, a torn line included."""
    write(tmp_path, PLAIN)
    with (tmp_path / JOURNAL_FILE).open("ab") as file:
        file.write(b"torn")
    read = journal.read(tmp_path)
    with JournalWriter(tmp_path) as writer:
        assert writer.found_size == read.size
        writer.append_record(PLAIN)
    with JournalWriter(tmp_path) as writer:
        assert writer.found_size != read.size


# Torn lines


def test_a_journal_cut_at_any_byte_keeps_its_complete_lines(tmp_path: Path) -> None:
    """However much of the last line is missing, the lines before it are read, and the cut is reported."""
    data = write(tmp_path, numbered(2), PLAIN)
    ends = [place + 1 for place, byte in enumerate(data) if byte == ord("\n")]
    for size in range(len(data) + 1):
        (tmp_path / JOURNAL_FILE).write_bytes(data[:size])
        if size < ends[0]:
            with pytest.raises(JournalError, match="not a journal"):
                journal.read(tmp_path)
            continue
        read = journal.read(tmp_path)
        assert list(read.records) == [numbered(2), PLAIN][: sum(end <= size for end in ends) - 1]
        assert is_torn(tmp_path) is (size not in ends)


def test_a_torn_line_is_cut_off_before_anything_is_appended(tmp_path: Path) -> None:
    """Wherever the first writer was killed, the next one starts a new line."""
    data = write(tmp_path, numbered(2))
    header_end = data.index(b"\n") + 1
    for size in range(header_end, len(data) + 1):
        (tmp_path / JOURNAL_FILE).write_bytes(data[:size])
        with JournalWriter(tmp_path) as writer:
            writer.append_record(PLAIN)
        read = journal.read(tmp_path)
        assert list(read.records) == ([numbered(2), PLAIN] if size == len(data) else [PLAIN])
        assert not is_torn(tmp_path)


@pytest.mark.parametrize("length", [1, 65_535, 65_536, 65_537, 200_000])
def test_a_long_torn_line_is_cut_off_completely(tmp_path: Path, length: int) -> None:
    """The end of the last complete line is found however far back it is, and even if there is none."""
    for before in (write(tmp_path, PLAIN), b""):
        (tmp_path / JOURNAL_FILE).write_bytes(before + b"x" * length)
        JournalWriter(tmp_path).close()
        assert (tmp_path / JOURNAL_FILE).read_bytes() == before


# Writers


def test_a_second_writer_is_refused_while_the_first_is_alive(tmp_path: Path) -> None:
    """Two processes never write one journal; the lock of a killed one is released."""
    with writing_process(tmp_path, "input()") as process:
        with pytest.raises(JournalError, match="is being written by another run; let it end, or choose another folder"):
            JournalWriter(tmp_path)
        assert journal.read(tmp_path).header == HEADER
        process.kill()
        process.wait()
        with JournalWriter(tmp_path) as writer:
            writer.append_record(PLAIN)
    assert list(journal.read(tmp_path).records) == [PLAIN]


def test_a_killed_writer_loses_no_line(tmp_path: Path) -> None:
    """Nothing is buffered: lines appended before the kill are on disk, complete."""
    each = "for number in range(10**6): writer.append_record(this['numbered'](number)); print('more', flush=True)"
    with writing_process(tmp_path, each) as process:
        for _ in range(100):
            _stdout(process).readline()
        process.kill()
        process.wait()
        records = list(journal.read(tmp_path).records)
    assert len(records) >= 100
    assert set(records[0].text_events.at_us) == {10, 30, 25}
    assert records == [numbered(number) for number in range(len(records))]


def test_a_full_disk_leaves_complete_lines(tmp_path: Path) -> None:
    """A line that fits in part or not at all is refused with an error, and the others stay."""
    pytest.importorskip("resource")
    fill = (
        "import resource; from runner.errors import JournalError\n"
        "for space in input().split():\n"
        "    full = JournalWriter(folder / space); full.append_header(this['HEADER'])\n"
        "    limit = full.path.stat().st_size + int(space)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))\n"
        "    try:\n"
        "        for number in range(1, 9): full.append_record(this['numbered'](number))\n"
        "    except JournalError as error: print(error)\n"
    )
    line = len(write(tmp_path / "once", WITH_TEXT)) - len(write(tmp_path / "none"))
    spaces = (0, 1, line - 1, line, line + 1, 3 * line)
    with writing_process(tmp_path, fill) as process:
        output, _ = process.communicate(" ".join(map(str, spaces)))
    for space, sentence in zip(spaces, output.splitlines(), strict=True):
        folder = tmp_path / str(space)
        assert sentence.startswith(str(folder / JOURNAL_FILE))
        assert sentence.endswith("what was written before is safe")
        read = journal.read(folder)
        assert list(read.records) == [numbered(number) for number in range(1, 1 + space // line)]
        assert not is_torn(folder)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_a_disk_without_space_for_the_header_is_an_error(tmp_path: Path) -> None:
    """The error is raised although not even the first line can be written."""
    (tmp_path / JOURNAL_FILE).symlink_to("/dev/full")
    with (
        JournalWriter(tmp_path) as writer,
        pytest.raises(WriteFailed, match="No space left on device; what was written before"),
    ):
        writer.append_header(HEADER)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a file in use is not removed")
def test_a_removed_journal_is_an_error(tmp_path: Path) -> None:
    """A line written to a file that was removed is not reported as written."""
    folder = tmp_path / "run"
    with JournalWriter(folder) as writer:
        writer.append_header(HEADER)
        folder.rename(tmp_path / "moved")
        writer.append_record(PLAIN)
        shutil.rmtree(tmp_path / "moved")
        with pytest.raises(WriteFailed, match="was removed while the run wrote to it: its rows are lost") as caught:
            writer.append_record(PLAIN)
    assert caught.value.exit_code == 3


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    """A file in place of the folder is an error message, not a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"cannot be written: .*; choose another folder with -o"):
        JournalWriter(tmp_path / "file" / "run")


# Keys

KEYS = ("sk-0123456789abcdef", "12345678", "response_model", 'back\\slash"quote', "sk/with/slashes")


@pytest.mark.parametrize("key", KEYS)
def test_keys_are_redacted_in_texts_only(tmp_path: Path, key: str) -> None:
    """A key that a provider repeats is redacted; numbers and member names that resemble it are not."""
    record = replace(
        PLAIN,
        timestamps=Timestamps(sent=1234567890),
        text_events=TextEvents((12345678,), "a", (1,)),
        reply=f"Your key is {key}.",
        error=f"bad key {key}",
        usage={"said": [{"key": key}, 12345678]},
        response_model="m",
    )
    with JournalWriter(tmp_path, Redactor([Key(key, "EXAMPLE_API_KEY")]).by_value) as writer:
        writer.append_header(replace(HEADER, path=f"/{key}/suite.yaml"))
        writer.append_record(record)
    read = journal.read(tmp_path)
    assert read.header == replace(HEADER, path=f"/{MARK}/suite.yaml")
    assert list(read.records) == [
        replace(
            record,
            reply=f"Your key is {MARK}.",
            error=f"bad key {MARK}",
            usage={"said": [{"key": MARK}, 12345678]},
        )
    ]


# Journals that cannot be read


def error_message(path: Path) -> str:
    """Return the message with which a journal is refused, records included."""
    with pytest.raises(JournalError) as caught:
        list(journal.read(path).records)
    return str(caught.value)


def test_a_newer_format_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    """An unknown format is refused, even if the header is different."""
    write_lines(tmp_path, {"kind": "header", "format": FORMAT + 1, "run": "r"})
    expected = f"has format {FORMAT + 1}; this version reads up to {FORMAT}: upgrade compare"
    assert error_message(tmp_path) == f"{tmp_path / JOURNAL_FILE} {expected}"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "is not a journal: its first line is not a header"),
        (b'{"kind":"record"}\n', "is not a journal: its first line is not a header"),
        (b"\x00\x00\x00\n", "is not a journal: its first line is not a header (not JSON: Expecting value"),
        (b"\xff\xfe{}\n", "is not a journal: its first line is not a header (not UTF-8: its byte 1)"),
        (b"case,turn\n", "is not a journal: its first line is not a header (not JSON"),
        (b"[1]\n", "is not a journal: its first line is not a header (no kind)"),
        (b'{"kind":1}\n', "is not a journal: its first line is not a header (no kind)"),
        (b"[" * 100_000 + b"\n", "is not a journal: its first line is not a header (nested too deeply)"),
        (b'{"kind":"header"}\n', ":1: its header is damaged, and no row of it can be read: cases: it is missing; "),
        (b'{"kind":"header","format":"1"}\n', "format: expected `int`, got `str`"),
        (b'{"kind":"header","format":1,"targets":[],"cases":[]}\n', "digest: it is missing"),
    ],
)
def test_a_file_that_is_no_journal_is_an_error(tmp_path: Path, data: bytes, expected: str) -> None:
    """Any file may be named by mistake; the error names the file."""
    (tmp_path / JOURNAL_FILE).write_bytes(data)
    message = error_message(tmp_path)
    assert message.startswith(str(tmp_path / JOURNAL_FILE))
    assert expected in message


def test_a_missing_journal_is_an_error(tmp_path: Path) -> None:
    """A folder without a journal and a name of nothing are error messages."""
    assert f"name a run's folder or its {JOURNAL_FILE}" in error_message(tmp_path)
    assert f"name a run's folder or its {JOURNAL_FILE}" in error_message(tmp_path / "nothing")


# Damaged journals: valid lines are read, the others are named


def write_raw(folder: Path, *lines: bytes) -> journal.Journal:
    """Write a journal of raw lines, and open it."""
    (folder / JOURNAL_FILE).write_bytes(b"".join(line + b"\n" for line in lines))
    return journal.read(folder)


def raw_lines(*records: Record) -> list[bytes]:
    """Return the lines of a journal of these records."""
    with TemporaryDirectory() as folder:
        return write(Path(folder), *records).splitlines()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"kind":"record","key":"k', "not JSON"),
        (b'{"kind":"record","key":"\xff"}', "not UTF-8"),
        (b'{"kind":"record","usage":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "nested too deeply"),
        (b'{"kind":"reco\xf2d","key":"k"}', "not UTF-8"),
        (b'{"kind":"recprd","key":"k"}', "there is no kind `recprd`. Did you mean `record`?"),
        (b'{"kind":"record"}', "object missing required field"),
        (b'{"kind":"connection","provider":"a","marks":{"sent":"1"}}', "expected `int`, got `str`"),
        (b'{"kind":"check","key":"k","said":[]}', "said: expected `object`, got `array`"),
        (b'{"kind":"end","reason":7}', "reason: expected `str`, got `int`"),
        (b"5", "no kind"),
        (b"", "not JSON"),
    ],
)
def test_a_damaged_line_is_left_out_and_named(tmp_path: Path, line: bytes, why: str) -> None:
    """The records before and after the line are read, and the line is named with the reason."""
    first, second = record_with_key("a"), record_with_key("b")
    lines = raw_lines(first, second)
    opened = write_raw(tmp_path, *lines[:2], line, lines[2])
    assert list(opened.records) == [first, second]
    assert list(opened.damage.lines) == [3]
    assert why in opened.damage.lines[3]
    assert opened.left_out is not None
    assert f"is damaged; left out: line 3 ({opened.damage.lines[3]}). `" in opened.left_out
    assert opened.left_out.endswith(f"`compare rederive {tmp_path} --repair` writes a sound copy")


def test_a_second_record_of_a_request_is_left_out_and_named(tmp_path: Path) -> None:
    """It counts once, at its first place; after a resumption that sends it again, the newest counts."""
    lines = raw_lines(
        *(record_with_key(key, reply=reply) for key, reply in zip("aba", ("a", "b", "copied"), strict=True))
    )
    read = write_raw(tmp_path, *lines)
    assert [record.reply for record in read.records] == ["a", "b"]
    assert read.damage.lines == {4: "a second record of the request in line 2"}
    assert len(list(read.lines("record"))) == 2
    resumption = b'{"kind":"resume","changes":{},"redone":["a"],"dropped":[]}'
    read = write_raw(tmp_path, *lines[:3], resumption, lines[3])
    assert [record.reply for record in read.records] == ["b", "copied"]
    assert read.damage.lines == {}


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ({"outcome": "fine"}, "outcome: invalid enum value 'fine'"),
        ({"marks": None}, "marks: expected `object`, got `null`"),
        ({"marks": {"sent": "soon"}}, "expected `int | null`, got `str`"),
        ({"heard": {"us": [1]}}, "heard: object missing required field"),
        ({"heard": {"us": [1], "ch": "a", "len": [1, 2]}}, "heard: its columns have different lengths"),
        ({"heard": {"us": [1], "ch": "x", "len": [1]}}, "heard.ch: expected `str` matching regex"),
        ({"heard": 5}, "heard: expected `object`, got `int`"),
        ({"input_tokens": 2**70}, "input_tokens: expected `int"),
        ({"http_status": "200"}, "http_status: expected `int | null`, got `str`"),
        ({"started_at": "noon"}, "Invalid isoformat string"),
        ({"kind": "end"}, "it has the members of a record, and its kind is `end`"),
        ({"case": ...}, "object missing required field `case`"),
    ],
)
def test_a_record_with_a_wrong_member_is_left_out_and_named(
    tmp_path: Path, damage: dict[str, object], why: str
) -> None:
    """JSON that is not a record is reported with its line and member, wherever it is among the records."""
    line = {name: value for name, value in {**encode_record(WITH_TEXT), **damage}.items() if value is not ...}
    write_lines(tmp_path, header_line(), line, encode_record(PLAIN))
    read = journal.read(tmp_path)
    assert list(read.records) == list(read.records_at({0})) == [PLAIN]
    assert list(read.damage.lines) == [2]
    assert why in read.damage.lines[2]
    assert len(list(read.lines())) == 2


def test_of_many_damaged_lines_the_first_are_named(tmp_path: Path) -> None:
    """The message stays short, with the number of the others."""
    lines = raw_lines(*map(record_with_key, "abcdefg"))
    read = write_raw(tmp_path, lines[0], *(line[:-1] for line in lines[1:]))
    assert list(read.records) == []
    assert str(read.damage).startswith("line 2 (not JSON: ")
    assert str(read.damage).endswith("; and 2 more lines")
    assert len(read.damage.lines) == 7


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"targets": 5}, "the header's targets: expected `array`, got `int`"),
        ({"seed": "7"}, "the header's seed: expected `int | null`, got `str`"),
        ({"load": {"rate": -1}}, "the header's load: rate must be more than 0"),
        ({"started_at": "noon"}, "the header's started_at: invalid isoformat string"),
        ({"prices": {"a/x": 3}}, "the header's prices: expected `object`, got `int`"),
    ],
)
def test_a_damaged_header_is_mended_from_the_records(tmp_path: Path, changes: dict[str, object], why: str) -> None:
    """Valid members of a header are kept; the others are taken from the records, or unknown."""
    record = replace(WITH_TEXT, started_at="2026-01-02T03:04:06+00:00")
    write_lines(tmp_path, header_line(**changes), encode_record(record))
    read = journal.read(tmp_path)
    assert list(read.records) == [record]
    assert read.header.targets == ("a/x",)
    assert read.header.suite == HEADER.suite
    assert read.header.seed == (None if "seed" in changes else HEADER.seed)
    assert why in read.damage.lines[1]


def test_a_missing_header_is_made_from_the_records(tmp_path: Path) -> None:
    """The records are read even if the first line cannot be."""
    records = [record_with_key(key, started_at="2026-01-02T03:04:06+00:00") for key in "ab"]
    header, *lines = raw_lines(*records)
    for number, first in ((1, [header[:-3]]), (0, [])):
        read = write_raw(tmp_path, *first, *lines)
        assert list(read.records) == records
        assert (read.header.run_id, read.header.suite, read.header.seed) == (tmp_path.name, "unknown", None)
        assert (read.header.targets, read.header.cases) == (("a/x",), ("one",))
        assert list(read.damage.lines) == [number]


def test_a_second_run_in_one_journal_is_not_read_as_the_first(tmp_path: Path) -> None:
    """Earlier versions let two runs write one file; everything after the second header is left out and named."""
    lines = raw_lines(record_with_key("a"))
    read = write_raw(tmp_path, *lines, lines[0].replace(b'"seed":7', b'"seed":8'), *lines[1:])
    assert [record.identity.key for record in read.records] == ["a"]
    assert list(read.damage.lines) == [3]
    assert "another run begins here" in read.damage.lines[3]


@pytest.mark.parametrize("damage", [b'"redone":7', b'"redone":["a"'])
def test_after_a_damaged_resumption_the_last_record_of_a_key_counts(tmp_path: Path, damage: bytes) -> None:
    """It is unknown which records the resumption superseded, but no request is counted twice."""
    lines = raw_lines(record_with_key("a", reply="old"), record_with_key("b"), record_with_key("a", reply="new"))
    resume = b'{"kind":"resume","changes":{},"dropped":[],' + damage + b"}"
    read = write_raw(tmp_path, *lines[:3], resume, lines[3])
    assert [(record.identity.key, record.reply) for record in read.records] == [("b", None), ("a", "new")]
    assert list(read.damage.lines) == [4]


def test_changes_of_a_resumption_that_make_no_header_are_left_out(tmp_path: Path) -> None:
    """The header stays as it was before."""
    lines = raw_lines(record_with_key("a"))
    resume = b'{"kind":"resume","changes":{"cases":3},"redone":[],"dropped":[]}'
    read = write_raw(tmp_path, *lines, resume)
    assert read.header == HEADER
    assert "changes.cases: expected `array`" in read.damage.lines[3]


def test_unknown_members_and_kinds_are_ignored(tmp_path: Path) -> None:
    """Within a format, lines may gain members and journals may gain kinds."""
    line = encode_record(WITH_TEXT)
    marks = {**line["marks"], "woken": 7}  # type: ignore[dict-item]
    write_lines(tmp_path, header_line(mood="good"), {"kind": "weather"}, {**line, "marks": marks, "mood": "good"})
    read = journal.read(tmp_path)
    assert read.header == HEADER
    assert list(read.records) == [WITH_TEXT]
