"""Files of cases beyond a megabyte: read row by row by `cases_from`, and written beside the suite by the import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runner.commands.import_suite import import_file
from runner.core.suite import Case
from runner.document import Json, parse
from runner.errors import CompareError, InvalidFile
from runner.providers.registry import builtin
from runner.suite.load import load

LONG = "x" * 1000


def cases_of(name: str) -> tuple[Case, ...]:
    """Return the cases of a suite."""
    return load(Path(name), builtin().names)[0].cases


def batch_line(number: int, **parameters: Json) -> str:
    """Return a request of a batch."""
    body: dict[str, Json] = {"model": "m", "messages": [{"role": "user", "content": f"{number} {{{{{LONG}"}]}
    url = "/v1/chat/completions"
    return json.dumps({"custom_id": f"r-{number}", "method": "POST", "url": url, "body": body | parameters}) + "\n"


def test_a_batch_over_a_megabyte_is_imported_with_its_cases_beside() -> None:
    """The suite names the file of cases that the import writes; texts stay literal and parameters are kept."""
    Path("batch.jsonl").write_text("".join(batch_line(number, temperature=0) for number in range(1500)))
    made = import_file(Path("batch.jsonl"), Path("suite.yaml"))
    assert (made.cases, made.case_file) == (1500, Path("suite.cases.jsonl"))
    head = parse(Path("suite.yaml").read_text(), "suite.yaml").data
    assert head == {"version": 1, "defaults": {"temperature": 0}, "cases_from": "suite.cases.jsonl"}
    cases = cases_of("suite.yaml")
    assert (len(cases), cases[-1].id, cases[-1].turns) == (1500, "r-1499", (f"1499 {{{{{LONG}",))
    with pytest.raises(CompareError, match="is there already"):
        import_file(Path("batch.jsonl"), Path("suite.yaml").with_name("suite.yml"))


def test_a_batch_over_a_megabyte_is_read_by_cases_from() -> None:
    """A suite may name the batch itself if its defaults equal the batch's parameters."""
    Path("batch.jsonl").write_text("".join(batch_line(number, max_completion_tokens=9, n=1) for number in range(1500)))
    Path("suite.yaml").write_text("cases_from: batch.jsonl\ndefaults: {max_tokens: 9, extra_body: {n: 1}}\n")
    cases = cases_of("suite.yaml")
    assert (len(cases), cases[0].id, cases[0].turns) == (1500, "r-0", (f"0 {{{{{LONG}",))


def test_a_batch_that_asks_for_other_parameters_is_refused_with_a_way_that_works() -> None:
    """No parameter is dropped silently, and the message's hint works."""
    Path("batch.jsonl").write_text(batch_line(1, temperature=0.5))
    Path("suite.yaml").write_text("cases_from: batch.jsonl\n")
    with pytest.raises(InvalidFile) as caught:
        cases_of("suite.yaml")
    (problem,) = caught.value.problems
    assert (problem.path, problem.line) == ("batch.jsonl", 1)
    assert problem.what == "this request has `temperature: 0.5`, and the suite's defaults have not"
    assert "Write it into `defaults`; `compare import" in problem.hint
    Path("suite.yaml").write_text("cases_from: batch.jsonl\ndefaults: {temperature: 0.5}\n")
    assert len(cases_of("suite.yaml")) == 1
    assert import_file(Path("batch.jsonl"), Path("made.yaml")).cases == 1


def test_yaml_over_a_megabyte_is_read_by_cases_from() -> None:
    """The message for a suite that is too long names `cases_from`, which reads the cases in either form."""
    items = "".join(f"- {{id: c{number}, prompt: '{number} {LONG}'}}\n" for number in range(1500))
    Path("suite.yaml").write_text("cases:\n" + items)
    with pytest.raises(InvalidFile, match=r"Move the cases into a \.yaml, \.jsonl or \.csv file that `cases_from`"):
        cases_of("suite.yaml")
    Path("named.yaml").write_text("cases_from: more.yaml\n")
    for text in (items, "# all\n---\ncases:\n" + items):
        Path("more.yaml").write_text(text)
        cases = cases_of("named.yaml")
        assert (len(cases), cases[-1].turns) == (1500, (f"1499 {LONG}",))


@pytest.mark.thorough
def test_a_yaml_list_over_a_megabyte_is_imported() -> None:
    """Rows of another tool's form are imported too, and none of them is a template."""
    Path("rows.yaml").write_text("".join(f"- question: '{{% {LONG}'\n  answer: a\n" for _ in range(1500)))
    made = import_file(Path("rows.yaml"), Path("suite.yaml"))
    assert (made.cases, made.case_file) == (1500, Path("suite.cases.jsonl"))
    assert cases_of("suite.yaml")[0].turns == (f"{{% {LONG}",)


def test_an_import_to_stdout_that_is_too_large_is_refused() -> None:
    """Without -o no file of cases can be written; the message says so."""
    Path("rows.jsonl").write_text(f'{{"prompt": "{LONG}"}}\n' * 1100)
    with pytest.raises(CompareError, match=r"1,100 cases, more than a suite holds itself\. Name the suite with -o"):
        import_file(Path("rows.jsonl"), None)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("- {id: a, prompt: hi}\n- {id: b, prompt: hi, prompt: ho}\n- [x]\n", 2, "the key `prompt` is repeated"),
        ("- {id: a, prompt: hi}\n- {id: a, prompt: ho}\n", 2, "the id `a` is taken"),
        ("- {id: a, prompt: hi}\n- {id: b, prompt: [\n", 3, "a comma or the closing bracket is missing"),
        ("- {id: a, prompt: hi}\n  x: 1\n- b\n", 2, ""),
        ("cases: [{id: a, prompt: hi}]\ndefaults: {}\n", 2, "`defaults` stands beside the list of cases"),
        ("version: 1\ncases: []\n", 1, "here is no list of cases, but `version`"),
        ("just text\n", 1, "here is no list of cases, but `just text`"),
        ("", 1, "the file is empty"),
        ("- {id: a, prompt: hi}\n- \x01\n", 1, "this is not text in UTF-8"),
        ("- {id: a, prompt: *b}\n", 1, "`*b` repeats a value"),
    ],
)
def test_a_fault_in_a_yaml_case_file_has_its_place(text: str, line: int, what: str) -> None:
    """Each problem names file and line, anywhere in a long file."""
    Path("more.yaml").write_text(text)
    Path("suite.yaml").write_text("cases_from: more.yaml\n")
    with pytest.raises(InvalidFile) as caught:
        cases_of("suite.yaml")
    first = caught.value.problems[0]
    assert (first.path, first.line) == ("more.yaml", line)
    assert first.what.startswith(what)


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv"])
def test_a_byte_that_is_not_utf8_has_its_line_in_a_streamed_file(name: str) -> None:
    """The line is correct although the rows before it have been read already."""
    rows = b'{"prompt": "hi"}\n' if name == "r.jsonl" else b"prompt\nhi\n"
    Path(name).write_bytes(rows + b"x\xe9\n")
    Path("suite.yaml").write_text(f"cases_from: {name}\n")
    with pytest.raises(InvalidFile) as caught:
        cases_of("suite.yaml")
    problem = caught.value.problems[0]
    assert (problem.path, problem.line, problem.column) == (name, rows.count(b"\n") + 1, 2)
    assert "0xe9 here is not UTF-8" in problem.what


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
def test_a_long_file_is_never_held_as_a_whole(tmp_path: Path) -> None:
    """40 MB of rows, refused at the end, need a fraction of that memory: each row is dropped after it is read."""
    with (tmp_path / "r.jsonl").open("w") as file:
        for number in range(400):
            file.write(json.dumps({"id": f"c{number}", "unknown": "x" * 100_000}) + "\n")
    program = (
        "from pathlib import Path\nfrom runner.suite.row_files import read_rows\n"
        "rows = sum(1 for _ in read_rows(Path('r.jsonl')))\n"
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(rows, peak.split()[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    rows, peak = map(int, done.stdout.split())
    empty = subprocess.run(
        [sys.executable, "-c", program.replace("'r.jsonl'", "'none.jsonl'")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert rows == 400
    assert peak - int(empty.stdout.split()[1]) < 10_000
