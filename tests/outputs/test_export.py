"""Exports of a finished run: OpenTelemetry spans, promptfoo, Excel and Parquet."""

import csv
import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from runner import load
from runner.analysis.result_columns import COLUMNS
from runner.analysis.run_results import Run
from runner.commands.export import ExportForm, export
from runner.core.events import Outcome
from runner.core.record import Record, skipped
from runner.core.record_fields import Identity, TextEvents, Timestamps
from runner.errors import CompareError
from runner.outputs import Export, excel, find_writer, otel, parquet, promptfoo
from runner.storage import journal
from tests.support.crafted_runs import answered, failed, run_of, simulated, write_run

pytest.importorskip("pyarrow", reason="the extra parquet")

STARTED = "2026-01-02T03:04:05.678+00:00"
STARTED_NS = 1_767_323_045_678_000_000


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Run]:
    """Return a function that writes records as a run and opens it, since spans are made from a journal's records."""

    def write(*records: Record) -> Run:
        return Run.of_journal(journal.read(write_run(tmp_path / "run", records)))

    return write


def read_spans(text: str) -> list[dict[str, Any]]:
    """Return the spans in lines of OTLP, each with its attributes as a plain mapping."""
    spans = []
    for line in text.removesuffix("\n").split("\n"):
        (resource,) = json.loads(line)["resourceSpans"]
        (scope,) = resource["scopeSpans"]
        (span,) = scope["spans"]
        of_resource = {item["key"]: item["value"] for item in resource["resource"]["attributes"]}
        assert of_resource["service.name"] == {"stringValue": "compare"}
        spans.append({**span, "attributes": {item["key"]: plain(item["value"]) for item in span["attributes"]}})
    return spans


def plain(value: dict[str, Any]) -> object:
    """Return an attribute's value, decoded from OTLP's JSON."""
    ((kind, content),) = value.items()
    if kind == "arrayValue":
        return [plain(item) for item in content["values"]]
    assert kind in {"stringValue", "boolValue", "intValue", "doubleValue"}
    return int(content) if kind == "intValue" else content


# OpenTelemetry


def test_a_span_has_the_attribute_names_of_the_conventions(written: Callable[..., Run]) -> None:
    """Attributes are named by the conventions, or compare.COLUMN, and times are those of the record."""
    record = answered(
        "moonshot/kimi",
        started_at=STARTED,
        timestamps=Timestamps(slot=0, sent=20_000_000, first_event=120_000_000, last_event=900_000_000),
        response_model="kimi-0711",
        input_tokens=11,
        cached_tokens=4,
        reasoning_tokens=2,
        http_status=200,
    )
    (span,) = read_spans(otel.write(written(record)).text)
    assert (span["name"], span["kind"], span["status"]) == ("chat kimi", 3, {})
    assert (int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])) == (STARTED_NS, STARTED_NS + 900_000_000)
    assert len(bytes.fromhex(span["traceId"])) == 16
    assert len(bytes.fromhex(span["spanId"])) == 8
    conventions = {name: value for name, value in span["attributes"].items() if not name.startswith("compare.")}
    assert conventions == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "moonshot_ai",
        "gen_ai.request.model": "kimi",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "kimi-0711",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.1,
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "http.response.status_code": 200,
    }
    assert span["attributes"]["compare.ttft_s"] == 0.3
    assert span["attributes"]["compare.run_id"] == "run"


def test_every_column_is_an_attribute_or_listed_as_none() -> None:
    """A new column becomes an attribute by default; columns that do not are listed."""
    names = {column.name for column in COLUMNS}
    assert otel.NAMES.keys() | otel.ELSEWHERE <= names
    assert otel.NAMES.keys().isdisjoint(otel.ELSEWHERE)


def test_spans_have_no_texts_without_the_content_option(written: Callable[..., Run]) -> None:
    """Spans hold prompts, replies, reasoning and error messages only with the content option."""
    good = answered(reply="hidden reply", reasoning="hidden thought", started_at=STARTED)
    bad = replace(failed(block=2), error="hidden quote", started_at=STARTED)
    run = written(good, bad)
    bare = otel.write(run).text
    assert "hidden" not in bare
    assert "Tell one" not in bare
    spoken, broken = read_spans(otel.write(run, with_content=True).text)
    asked = [{"role": "user", "parts": [{"type": "text", "content": "Tell one."}]}]
    parts = [{"type": "reasoning", "content": "hidden thought"}, {"type": "text", "content": "hidden reply"}]
    assert json.loads(spoken["attributes"]["gen_ai.input.messages"]) == asked
    assert json.loads(spoken["attributes"]["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": parts, "finish_reason": "stop"}
    ]
    assert "gen_ai.output.messages" not in broken["attributes"]
    assert broken["status"] == {"code": 2, "message": "hidden quote"}


def test_a_failed_request_is_a_span_with_error_status(written: Callable[..., Run]) -> None:
    """A failed span has a status and an error type; a reply that broke off has the finish reason error."""
    refused = replace(failed(), finish_reason=None, started_at=STARTED)
    torn = answered(block=2, outcome=Outcome.TRUNCATED, finish_reason=None, started_at=STARTED)
    first, second = read_spans(otel.write(written(refused, torn)).text)
    assert (first["status"], first["attributes"]["error.type"]) == ({"code": 2}, "provider_error")
    assert "gen_ai.response.finish_reasons" not in first["attributes"]
    assert second["attributes"]["gen_ai.response.finish_reasons"] == ["error"]
    assert second["attributes"]["error.type"] == "truncated"


def test_a_request_that_was_never_sent_has_no_span(written: Callable[..., Run]) -> None:
    """A skipped turn has no times; a note says that it is left out."""
    identity = Identity("k2", "one", 2, 1, 1, "acme", "old", "And then?")
    made = otel.write(written(answered(started_at=STARTED), skipped(identity, 1)))
    assert len(made.text.splitlines()) == 1
    assert made.notes == ("left out: 1 request that was never sent",)


@given(st.text(st.characters(codec=None), max_size=40))
def test_any_reply_stays_one_line_of_utf_8(tmp_path_factory: pytest.TempPathFactory, reply: str) -> None:
    """No character of a reply breaks the line, the JSON or the encoding, and none is lost."""
    folder = write_run(tmp_path_factory.mktemp("run"), [answered(reply=reply, started_at=STARTED)])
    text = otel.write(Run.of_journal(journal.read(folder)), with_content=True).text
    assert text.encode().count(b"\n") == 1
    (span,) = read_spans(text)
    said = json.loads(span["attributes"].get("gen_ai.output.messages", "[]"))
    assert [part["content"] for message in said for part in message["parts"]] == ([reply] if reply else [])


# promptfoo


def test_replies_are_a_list_of_outputs_with_tags(written: Callable[..., Run]) -> None:
    """Each reply has its tags; requests without a reply and warm-ups are left out."""
    run = written(
        answered(reply="A “b”"), simulated(answered(block=2)), failed(block=3), answered(block=4, warmup=True)
    )
    made = promptfoo.write(run)
    first, second = json.loads(made.text)
    assert first == {"output": "A “b”", "tags": ["acme/old", "case one", "turn 1", "repeat 1", "ok"]}
    assert second["tags"][-1] == "simulated"
    assert made.notes == ("left out: 1 request of 3 without a reply",)


def test_an_empty_reply_is_exported(written: Callable[..., Run]) -> None:
    """A reply that ended well without text is exported as the empty text."""
    silent = replace(answered(), reply=None, text_events=TextEvents((), "", ()))
    made = promptfoo.write(written(silent))
    assert [item["output"] for item in json.loads(made.text)] == [""]
    assert made.notes == ()


# Excel


def cells_of(text: str) -> list[dict[str, str]]:
    """Return a sheet's rows as a spreadsheet reads them: without the byte order mark, by the rules of CSV."""
    assert text.startswith("\ufeffrun_id,")
    return list(csv.DictReader(StringIO(text.removeprefix("\ufeff"), newline="")))


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ("你好", "你好"),
        ("=1+1", "'=1+1"),
        ("-5 degrees", "'-5 degrees"),
        ("1.10", "'1.10"),
        ("00123", "'00123"),
        ("1/2", "'1/2"),
        ("12:30", "'12:30"),
        ("10 %", "'10 %"),
        ("3e5", "'3e5"),
        ("May 5", "'May 5"),
        ("TRUE", "'TRUE"),
        ("In May 5 people came", "In May 5 people came"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("bell \a", "bell ␇"),
    ],
)
def test_an_excel_cell_shows_the_text(reply: str, shown: str) -> None:
    """No text is evaluated or converted to a number or a date, and control characters are replaced."""
    (row,) = cells_of(excel.write(run_of([answered(reply=reply)])).text)
    assert row["reply"] == shown


def test_a_long_excel_cell_is_cut_with_a_note() -> None:
    """A cell holds 32,767 UTF-16 units, two for an emoji; the cell and a note say that it is cut."""
    records = [answered(reply="😀" * 20_000), answered(block=2, reply="x" * 32_767)]
    made = excel.write(run_of(records))
    long, whole = cells_of(made.text)
    assert len(long["reply"].encode("utf-16-le")) // 2 <= 32_767
    assert long["reply"].endswith("😀 … [cut: 20,000 characters]")
    assert whole["reply"] == "x" * 32_767
    assert made.notes == ("1 cell was cut to the 32,767 characters that Excel holds: reply of acme/old, one, repeat 1",)


def test_rows_beyond_a_sheet_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that do not fit a sheet are left out, and a note counts them."""
    monkeypatch.setattr(excel, "MAX_ROWS", 3)
    made = excel.write(run_of([answered(block=block) for block in range(1, 6)]))
    assert len(cells_of(made.text)) == 2
    assert made.notes == ("left out: 3 rows beyond the 3 of a sheet",)


@given(st.text(st.characters(codec=None), max_size=60))
def test_no_text_breaks_a_sheet(reply: str) -> None:
    """Any text stays in its cell, can be encoded, and does not start a formula."""
    made = excel.write(run_of([answered(reply=reply), answered(block=2, reply="next")]))
    first, second = cells_of(made.text.encode().decode())
    assert second["reply"] == "next"
    assert not first["reply"].startswith(("=", "+", "-", "@", "\t", "\r"))


# Parquet


def test_parquet_holds_every_column_in_its_type() -> None:
    """Pandas reads the values and types of the run's table, and the file's metadata holds the header."""
    run = run_of([answered(reply="你好"), replace(failed(block=2), in_flight=3)])
    content = parquet.write(run)
    read = pd.read_parquet(BytesIO(content))
    assert list(read.columns) == [column.name for column in COLUMNS]
    moments = read.pop("started_at")
    assert_frame_equal(read, run.frame.drop(columns="started_at"), check_dtype=False)
    assert str(moments.dt.tz) == "UTC"
    assert [moment.isoformat() for moment in moments.dropna()] == [
        datetime.fromisoformat(text).isoformat() for text in run.frame["started_at"].dropna()
    ]
    assert read["in_flight"].dtype == run.frame["in_flight"].dtype
    import pyarrow.parquet as pq  # type: ignore[import-untyped]  # noqa: PLC0415 -- not everywhere installed

    kept = json.loads(pq.read_schema(BytesIO(content)).metadata[b"compare"])
    assert kept == json.loads(json.dumps(asdict(run.header)))


def test_parquet_has_moments_in_utc() -> None:
    """`started_at` is a UTC timestamp for any written offset; an absent value is null."""
    records = [
        replace(answered(), started_at="2026-01-02T03:04:05.678+08:00"),
        replace(answered(block=2), started_at=None),
    ]
    read = pd.read_parquet(BytesIO(parquet.write(run_of(records))))
    assert read["started_at"].isna().tolist() == [False, True]
    assert read["started_at"][0] == pd.Timestamp("2026-01-01T19:04:05.678Z")


def test_parquet_replaces_half_a_surrogate_pair() -> None:
    """Characters that UTF-8 cannot encode are replaced; all others are kept."""
    read = pd.read_parquet(BytesIO(parquet.write(run_of([answered(reply="a\ud83d b 😀")]))))
    assert read["reply"][0] == "a\ufffd b 😀"


def test_parquet_without_pyarrow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names what to install."""
    monkeypatch.setattr("runner.outputs.find_spec", lambda _: None)
    with pytest.raises(CompareError, match=r"needs pyarrow: pip install 'compare-runner\[parquet\]'"):
        find_writer(".parquet")


# The command


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a run of two requests."""
    records = [answered(started_at=STARTED), replace(failed(block=2), started_at=STARTED)]
    return write_run(tmp_path / "results" / "r1", records)


def test_export_goes_to_stdout_or_to_a_file(
    folder: Path, run_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Stdout and the file have the same text; notes on what is left out go to stderr."""
    shown = run_cli("export", folder, "--promptfoo")
    kept = run_cli("export", folder, "--promptfoo", "-o", "replies.json")
    assert (shown.returncode, kept.returncode) == (0, 0)
    assert shown.stdout == Path("replies.json").read_text(encoding="utf-8")
    assert "note: left out: 1 request of 2 without a reply" in shown.stderr
    assert "written: replies.json" in kept.stderr


def test_a_run_is_named_by_its_folder_its_journal_or_its_id(folder: Path) -> None:
    """A folder, a journal and an id name the same run."""
    texts = {export(name, ExportForm.OTEL) for name in (folder, folder / "journal.jsonl", Path("r1"))}
    assert len(texts) == 1


def test_export_without_a_form_takes_the_format_of_the_suffix(folder: Path) -> None:
    """An existing run can be exported in every output format."""
    assert export(folder, None, [Path("rows.csv")]) == Export("")
    assert load("rows.csv").equals(load(folder))
    export(folder, None, [Path("rows.parquet")])
    assert len(pd.read_parquet("rows.parquet")) == 2


@pytest.mark.parametrize("suffix", [".md", ".json", ".prom", ".html"])
def test_an_export_with_a_summary_is_split_by_who_answered(
    tmp_path: Path, run_cli: Callable[..., subprocess.CompletedProcess[str]], suffix: str
) -> None:
    """The summary of an export is split with --by, as in tables and reports, and not without it."""
    folder = write_run(
        tmp_path / "r2", [answered(block=block, served_by=name) for block, name in enumerate(["A", "B", "B"], 1)]
    )
    for options, is_split in (([], False), (["--by", "served_by"], True)):
        file = tmp_path / f"split-{is_split}{suffix}"
        done = run_cli("export", folder, "-o", file, *options)
        assert done.returncode == 0, done.stderr
        text = file.read_text(encoding="utf-8")
        if suffix == ".json":
            text = " ".join(each["target"] for each in json.loads(text)["summary"])
        assert [f"acme/old by {name}" in text.replace("<wbr>", "") for name in "AB"] == [is_split] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "in which form? Name one of --otel, --promptfoo, --excel, or a file that ends in one of .csv"),
        (["--otel", "-o", "spans.csv"], "no output is called .csv. Known: .json, .jsonl."),
        (["-o", "rows.cvs"], "no output is called .cvs. Known: .csv,"),
        (["-o", "rows"], "it has no suffix, which determines the format. Known: .csv,"),
        (["--excel", "-o", "nowhere/rows.csv"], "there is no folder"),
        (["--excel", "--content"], "--content belongs to --otel"),
        (["--excel", "--by", "served_by"], "--by splits the targets of a summary"),
        (["-o", "rows.csv", "--by", "served_by"], "--by splits the targets of a summary"),
        (["--excel", "--otel"], "--excel and --otel are two forms; choose one."),
    ],
)
def test_wrong_export_options_are_refused(
    folder: Path, run_cli: Callable[..., subprocess.CompletedProcess[str]], arguments: list[str], message: str
) -> None:
    """No file is written, and the message says what to change."""
    refused = run_cli("export", folder, *arguments)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert refused.stdout == ""


def test_an_export_goes_to_every_file_that_is_named(
    tmp_path: Path, folder: Path, run_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """Each file has the format of its suffix, or the given form; if one cannot be written, none is."""
    files = [tmp_path / "rows.csv", tmp_path / "page.html"]
    done = run_cli("export", folder, "-o", files[0], "-o", files[1])
    assert done.returncode == 0, done.stderr
    assert all(file.is_file() for file in files)
    assert f"written: {files[0]}, {files[1]}" in done.stderr
    spans = [tmp_path / "a.json", tmp_path / "b.jsonl"]
    assert run_cli("export", folder, "--otel", "-o", spans[0], "-o", spans[1]).returncode == 0
    assert spans[0].read_bytes() == spans[1].read_bytes()
    refused = run_cli("export", folder, "-o", tmp_path / "new.csv", "-o", tmp_path / "rows.docx")
    assert refused.returncode == 2
    assert not (tmp_path / "new.csv").exists()


@pytest.mark.parametrize("command", ["report", "rederive", "import"])
def test_a_second_file_is_refused_where_one_is_written(
    tmp_path: Path, folder: Path, run_cli: Callable[..., subprocess.CompletedProcess[str]], command: str
) -> None:
    """The last one does not silently win."""
    refused = run_cli(command, folder, "-o", tmp_path / "a.html", "-o", tmp_path / "b.html")
    assert refused.returncode == 2
    assert "a.html and " in refused.stderr
    assert "b.html are both named; one is written" in refused.stderr
    assert list(tmp_path.glob("*.html")) == []


def test_export_of_a_missing_run_is_refused() -> None:
    """The message names the missing run."""
    with pytest.raises(CompareError, match="there is no results/latest here"):
        export(Path("latest"), ExportForm.EXCEL)
