"""What is written is read back, whatever it holds, whoever kills the writer, and whenever the disk is full."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, get_type_hints

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.core.events import Channel, Outcome
from runner.core.record import Identity, Record, TextEvents, Timestamps
from runner.errors import JournalError, WriteFailed
from runner.providers.key import Key
from runner.providers.redaction import MARK, Redactor
from runner.storage import journal
from runner.storage.journal import FILE_NAME, FORMAT, Header, JournalWriter, decode_record, encode_record

CHECKOUT = Path(__file__).parents[2]

HEADER = Header(
    run_id="run-1",
    suite="basic",
    digest="d1",
    seed=7,
    started_at="2026-01-02T03:04:05+00:00",
    simulated=False,
    repeat=1,
    targets=("a/x",),
    cases=("one",),
    planned_requests=1,
)
PLAIN = Record(Identity("k1", "one", 1, 1, 1, "a", "x", "Hello?"), Timestamps(sent=5), Outcome.OK)
HEARD = replace(PLAIN, text_events=TextEvents((10, 30, 25), "raa", (1, 2, 3)), reply="你好", usage={"total_tokens": 3})


def joined(text: str) -> str:
    """Make one character of two halves that stand side by side, as JSON does."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


TEXTS = st.text(st.characters(exclude_categories=[]), max_size=20).map(joined)
MAYBE_TEXTS = st.none() | TEXTS
COUNTS = st.none() | st.integers(-(2**63), 2**63)
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
def replies(draw: st.DrawFn) -> TextEvents:
    """Draw what was heard: columns of one length, stamps in any order, a sender's clock or none."""
    count = draw(st.integers(0, 6))
    columns = st.lists(st.integers(-(10**15), 10**15), min_size=count, max_size=count).map(tuple)
    channels = draw(st.lists(st.sampled_from(Channel), min_size=count, max_size=count))
    return TextEvents(draw(columns), "".join(channels), draw(columns), draw(columns | st.just(())))


RECORDS = st.builds(
    Record,
    identity=st.builds(
        Identity,
        *(TEXTS, TEXTS),
        *(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)),
        *(TEXTS, TEXTS, TEXTS, st.booleans()),
    ),
    timestamps=st.builds(Timestamps, **{field.name: COUNTS for field in fields(Timestamps)}),
    outcome=st.sampled_from(Outcome),
    text_events=replies(),
    usage=st.none() | st.dictionaries(TEXTS, JSON, max_size=4),
    attempts=st.integers(0, 9),
    backoff_ns=st.integers(0, 10**12),
    noted=st.lists(TEXTS, max_size=3).map(tuple),
    warmup=st.booleans(),
    **{name: MAYBE[hint] for name, hint in get_type_hints(Record).items() if hint in MAYBE},
)


def write(folder: Path, *records: Record, header: Header = HEADER) -> bytes:
    """Write a journal; return its bytes."""
    with JournalWriter(folder) as writer:
        writer.append_header(header)
        for record in records:
            writer.append_record(record)
    return (folder / FILE_NAME).read_bytes()


def write_lines(folder: Path, *lines: object) -> Path:
    """Write lines as somebody else might; return the folder."""
    (folder / FILE_NAME).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def header_line(**changes: object) -> dict[str, Any]:
    """Return a header's line with some of its values changed."""
    with TemporaryDirectory() as folder:
        return {**json.loads(write(Path(folder))), **changes}


@contextmanager
def writing_process(folder: Path, then: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has begun the journal of a folder, said so, and goes on with a statement."""
    program = (
        "import runpy, sys; from pathlib import Path; from runner.storage.journal import JournalWriter\n"
        "this = runpy.run_path(sys.argv[1]); folder = Path(sys.argv[2]); record = this['HEARD']\n"
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


@given(st.lists(RECORDS, max_size=3))
@example([replace(HEARD, reply="\ud83d", error="\0\x1b\x85\u2028\r\n", reasoning="")])
def test_records_are_read_back_as_they_were(records: list[Record]) -> None:
    """Half emojis, NUL, line separators and every absence survive the disk."""
    with TemporaryDirectory() as folder:
        write(Path(folder), *records)
        read = journal.read(Path(folder))
        assert list(read.records) == records
        assert (read.torn, read.ended) == (False, False)


@given(
    st.builds(
        Header,
        *(TEXTS, TEXTS, TEXTS, st.integers(), TEXTS, st.booleans(), st.integers(1, 9)),
        *(st.lists(TEXTS).map(tuple), st.lists(TEXTS).map(tuple), st.integers(0)),
        path=MAYBE_TEXTS,
        versions=st.dictionaries(TEXTS, TEXTS, max_size=3),
    )
)
def test_a_header_is_read_back_as_it_was(header: Header) -> None:
    """How a run was made is known to the letter."""
    with TemporaryDirectory() as folder:
        write(Path(folder), header=header)
        assert journal.read(Path(folder)).header == header


@given(RECORDS)
def test_what_is_absent_is_not_written(record: Record) -> None:
    """A line holds no null but those inside a provider's own usage."""
    line = encode_record(record)
    assert [name for name, value in line.items() if value is None] == []
    assert decode_record(line) == record


def test_a_line_is_one_line_of_utf8(tmp_path: Path) -> None:
    """Chinese stays readable, and no text can end a line."""
    data = write(tmp_path, replace(HEARD, error="a\nb\rc\u2028d"))
    assert "你好".encode() in data
    assert data.count(b"\n") == 2
    assert data.endswith(b"\n")


def test_lines_are_found_by_their_kind_again_and_again(tmp_path: Path) -> None:
    """A journal may be gone through twice, and knows whether the run came to its end."""
    with JournalWriter(tmp_path) as writer:
        writer.append_header(HEADER)
        writer.append({"kind": "limit", "provider": "a"})
        writer.append_record(PLAIN)
        writer.append({"kind": "end"})
    read = journal.read(tmp_path / FILE_NAME)
    assert list(read.records) == list(read.records) == [PLAIN]
    assert list(read.lines("limit")) == [{"kind": "limit", "provider": "a"}]
    assert read.ended


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
def test_a_number_that_json_cannot_hold_is_kept_as_its_text(tmp_path: Path, number: float, kept: object) -> None:
    """Whatever a provider counts, every line is JSON to every reader, and nothing is rounded unseen."""
    data = write(tmp_path, replace(PLAIN, usage={"total": number, "parts": [{"of": number}]}))
    assert not any(word in data for word in (b"Infinity", b"NaN"))
    (record,) = journal.read(tmp_path).records
    assert repr(record.usage) == repr({"total": kept, "parts": [{"of": kept}]})


def test_a_usage_without_bottom_is_kept_in_part(tmp_path: Path) -> None:
    """A provider that nests a thousand lists does not end the run."""
    usage: dict[str, Any] = {}
    for _ in range(1000):
        usage = {"more": usage}
    write(tmp_path, replace(PLAIN, usage=usage), PLAIN)
    first, second = journal.read(tmp_path).records
    assert "nested too deeply" in str(first.usage)
    assert second == PLAIN


# Runs that go on


def named(key: str, **changes: Any) -> Record:
    """Return a record with a key."""
    return replace(PLAIN, identity=replace(PLAIN.identity, key=key), **changes)


def test_what_is_asked_anew_stands_once(tmp_path: Path) -> None:
    """Of a key that was given up only later records count, however often it is given up; nothing is removed."""
    with JournalWriter(tmp_path) as writer:
        writer.append_header(HEADER)
        for reply in ("one", "two", "three"):
            writer.append_record(named("again", reply=reply))
            writer.append_record(named(reply))
            assert [record.reply for record in journal.read(tmp_path).records if record.reply] == [reply]
            writer.append_resume({}, repeated={"again"}, dropped=())
        writer.append_record(named("again", reply="four"))
    read = journal.read(tmp_path)
    assert [record.identity.key for record in read.records] == ["one", "two", "three", "again"]
    assert len(list(read.lines("record"))) == 7
    assert read.resumptions == 3


def test_what_the_plan_does_not_hold_comes_back_with_it(tmp_path: Path) -> None:
    """The newest resumption says which records are out; those that an older one had left out may be in again."""
    with JournalWriter(tmp_path) as writer:
        writer.append_header(HEADER)
        for key in ("a", "b"):
            writer.append_record(named(key))
        for dropped in (["a"], ["b"], []):
            writer.append_resume({}, repeated=(), dropped=dropped)
            keys = {record.identity.key for record in journal.read(tmp_path).records}
            assert keys == {"a", "b"} - set(dropped)
    assert len(list(journal.read(tmp_path).kept_records)) == 2


def test_a_header_is_as_the_last_resumption_left_it(tmp_path: Path) -> None:
    """What changed is laid over what was; a run's name and its beginning stay."""
    other = replace(HEADER, digest="d2", targets=("a/x", "b/y"), repeat=5, seed=2**80, run_id="x", started_at="later")
    with JournalWriter(tmp_path) as writer:
        writer.append_header(HEADER)
        writer.append({"kind": "end", "reason": "enough"})
        assert journal.read(tmp_path).end == {"kind": "end", "reason": "enough"}
        writer.append_resume(journal.changes_between(HEADER, other), (), ())
        read = journal.read(tmp_path)
        assert read.header == replace(other, run_id=HEADER.run_id, started_at=HEADER.started_at)
        assert not read.ended
        writer.append_resume(journal.changes_between(read.header, HEADER), (), ())
        writer.append({"kind": "end"})
    read = journal.read(tmp_path)
    assert (read.header, read.ended) == (HEADER, True)


def test_a_writer_knows_whether_anybody_wrote_since(tmp_path: Path) -> None:
    """The size at which a journal was read is the one that its next writer finds, a torn line included."""
    write(tmp_path, PLAIN)
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(b"torn")
    read = journal.read(tmp_path)
    with JournalWriter(tmp_path) as writer:
        assert writer.found_size == read.size
        writer.append_record(PLAIN)
    with JournalWriter(tmp_path) as writer:
        assert writer.found_size != read.size


# Torn lines


def test_a_journal_cut_at_any_byte_keeps_its_whole_lines(tmp_path: Path) -> None:
    """However much of the last line is missing, what stands before it is read, and the cut is told."""
    data = write(tmp_path, HEARD, PLAIN)
    ends = [place + 1 for place, byte in enumerate(data) if byte == ord("\n")]
    for size in range(len(data) + 1):
        (tmp_path / FILE_NAME).write_bytes(data[:size])
        if size < ends[0]:
            with pytest.raises(JournalError, match="no journal"):
                journal.read(tmp_path)
            continue
        read = journal.read(tmp_path)
        assert list(read.records) == [HEARD, PLAIN][: sum(end <= size for end in ends) - 1]
        assert read.torn is (size not in ends)


def test_a_torn_line_is_cut_off_before_anything_is_appended(tmp_path: Path) -> None:
    """Wherever the first writer was killed, the second one's lines begin on a line of their own."""
    data = write(tmp_path, HEARD)
    header_end = data.index(b"\n") + 1
    for size in range(header_end, len(data) + 1):
        (tmp_path / FILE_NAME).write_bytes(data[:size])
        with JournalWriter(tmp_path) as writer:
            writer.append_record(PLAIN)
        read = journal.read(tmp_path)
        assert list(read.records) == ([HEARD, PLAIN] if size == len(data) else [PLAIN])
        assert not read.torn


@pytest.mark.parametrize("length", [1, 65_535, 65_536, 65_537, 200_000])
def test_a_long_torn_line_is_cut_off_whole(tmp_path: Path, length: int) -> None:
    """The end of the last whole line is found however far back it lies, and though there may be none."""
    for before in (write(tmp_path, PLAIN), b""):
        (tmp_path / FILE_NAME).write_bytes(before + b"x" * length)
        JournalWriter(tmp_path).close()
        assert (tmp_path / FILE_NAME).read_bytes() == before


# Writers


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    """Two processes never write one journal; a killed one does not keep it."""
    with writing_process(tmp_path, "input()") as process:
        with pytest.raises(JournalError, match="is being written by another run; let it end, or choose another folder"):
            JournalWriter(tmp_path)
        assert journal.read(tmp_path).header == HEADER
        process.kill()
        process.wait()
        with JournalWriter(tmp_path) as writer:
            writer.append_record(PLAIN)
    assert list(journal.read(tmp_path).records) == [PLAIN]


def test_a_killed_writer_leaves_what_it_had_written(tmp_path: Path) -> None:
    """Nothing waits in a buffer: what was appended before the kill is on disk, whole."""
    with writing_process(tmp_path, "while True: writer.append_record(record); print('more', flush=True)") as process:
        for _ in range(100):
            _stdout(process).readline()
        process.kill()
        process.wait()
        records = list(journal.read(tmp_path).records)
    assert len(records) >= 100
    assert set(records[0].text_events.at_us) == {10, 30, 25}
    assert all(record == HEARD for record in records)


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """Whether a line fits in part or not at all, it is refused in a sentence and the others stay."""
    pytest.importorskip("resource")
    fill = (
        "import resource; from runner.errors import JournalError\n"
        "for room in input().split():\n"
        "    full = JournalWriter(folder / room); full.append_header(this['HEADER'])\n"
        "    limit = full.path.stat().st_size + int(room)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))\n"
        "    try:\n"
        "        while True: full.append_record(record)\n"
        "    except JournalError as error: print(error)\n"
    )
    line = len(write(tmp_path / "once", HEARD)) - len(write(tmp_path / "none"))
    rooms = (0, 1, line - 1, line, line + 1, 3 * line)
    with writing_process(tmp_path, fill) as process:
        said, _ = process.communicate(" ".join(map(str, rooms)))
    for room, sentence in zip(rooms, said.splitlines(), strict=True):
        folder = tmp_path / str(room)
        assert sentence.startswith(str(folder / FILE_NAME))
        assert sentence.endswith("what was written before is safe")
        read = journal.read(folder)
        assert list(read.records) == [HEARD] * (room // line)
        assert not read.torn


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_a_disk_that_was_always_full_is_told(tmp_path: Path) -> None:
    """Not even the first line goes onto it."""
    (tmp_path / FILE_NAME).symlink_to("/dev/full")
    with (
        JournalWriter(tmp_path) as writer,
        pytest.raises(WriteFailed, match="No space left on device; what was written before"),
    ):
        writer.append_header(HEADER)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a file in use is not removed")
def test_a_journal_that_is_removed_is_told(tmp_path: Path) -> None:
    """A line written to a file that nobody can find any more is not passed off as kept."""
    folder = tmp_path / "run"
    with JournalWriter(folder) as writer:
        writer.append_header(HEADER)
        folder.rename(tmp_path / "moved")
        writer.append_record(PLAIN)
        shutil.rmtree(tmp_path / "moved")
        with pytest.raises(WriteFailed, match="was removed while the run wrote to it: its rows are lost") as caught:
            writer.append_record(PLAIN)
    assert caught.value.exit_code == 3


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file where the folder should be is a sentence, not a traceback."""
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"cannot be written: .*; choose another folder with -o"):
        JournalWriter(tmp_path / "file" / "run")


# Keys

KEYS = ("sk-0123456789abcdef", "12345678", "response_model", 'back\\slash"quote', "sk/with/slashes")


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_written_nowhere_and_breaks_nothing(tmp_path: Path, key: str) -> None:
    """A key that a provider repeats is hidden; numbers and names that happen to look like one are left alone."""
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


def refusal(path: Path) -> str:
    """Return the sentence with which a journal is refused, records included."""
    with pytest.raises(JournalError) as caught:
        list(journal.read(path).records)
    return str(caught.value)


def test_a_newer_format_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    """A version that does not know a format does not guess, even where the header has become another."""
    write_lines(tmp_path, {"kind": "header", "format": FORMAT + 1, "run": "r"})
    told = f"has format {FORMAT + 1}; this version reads up to {FORMAT}: upgrade compare"
    assert refusal(tmp_path) == f"{tmp_path / FILE_NAME} {told}"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is no journal: its first line is not a header"),
        (b'{"kind":"record"}\n', "is no journal: its first line is not a header"),
        (b"\x00\x00\x00\n", ":1: not a line of a journal"),
        (b"\xff\xfe{}\n", ":1: not a line of a journal"),
        (b"case,turn\n", ":1: not a line of a journal"),
        (b"[1]\n", ":1: not a line of a journal: no kind"),
        (b'{"kind":1}\n', ":1: not a line of a journal: no kind"),
        (b'{"kind":"header"}\n', ": its header is damaged: KeyError('format')"),
        (b'{"kind":"header","format":"1"}\n', ": its header is damaged: TypeError"),
        (b'{"kind":"header","format":1,"targets":[],"cases":[]}\n', ": its header is damaged: TypeError"),
    ],
)
def test_what_is_no_journal_is_told(tmp_path: Path, data: bytes, told: str) -> None:
    """Any file may be named by mistake; each gets a sentence that names it."""
    (tmp_path / FILE_NAME).write_bytes(data)
    said = refusal(tmp_path)
    assert said.startswith(str(tmp_path / FILE_NAME))
    assert told in said


def test_a_missing_journal_is_told(tmp_path: Path) -> None:
    """Neither a folder without one nor a name of nothing is a traceback."""
    assert f"name a run's folder or its {FILE_NAME}" in refusal(tmp_path)
    assert f"name a run's folder or its {FILE_NAME}" in refusal(tmp_path / "nothing")


def test_a_damaged_line_is_named_by_its_number(tmp_path: Path) -> None:
    """A whole line that is not JSON was changed by somebody, and is not passed over."""
    data = write(tmp_path, PLAIN, PLAIN)
    first, second, third = data.splitlines(keepends=True)
    (tmp_path / FILE_NAME).write_bytes(first + second[:-5] + b"\n" + third)
    assert refusal(tmp_path).startswith(f"{tmp_path / FILE_NAME}:2: not a line of a journal")


@pytest.mark.parametrize(
    "damage", [{"outcome": "fine"}, {"marks": None}, {"heard": {"us": [1]}}, {"heard": 5}, {"case": ...}]
)
def test_a_damaged_record_is_a_sentence(tmp_path: Path, damage: dict[str, object]) -> None:
    """JSON that is no record is told by the record's key."""
    line = {name: value for name, value in {**encode_record(HEARD), **damage}.items() if value is not ...}
    write_lines(tmp_path, header_line(), line)
    assert f"{FILE_NAME}: the record k1 is damaged: " in refusal(tmp_path)


def test_names_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    """Within a format, lines may gain values and journals may gain kinds."""
    line = encode_record(HEARD)
    marks = {**line["marks"], "woken": 7}  # type: ignore[dict-item]
    write_lines(tmp_path, header_line(mood="good"), {"kind": "weather"}, {**line, "marks": marks, "mood": "good"})
    read = journal.read(tmp_path)
    assert read.header == HEADER
    assert list(read.records) == [HEARD]
