"""The `input` of a case: sizes as lists and templates, its text, digests, and what is wrong with one."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from runner.core.suite import Case, Suite
from runner.errors import InvalidFile
from runner.suite.cases import BUILT_IN_NAME, parse_tokens
from runner.suite.from_python_data import suite_from_data
from runner.suite.load import load
from runner.suite.schema import json_schema
from tests.support.command import ROOT, write_yaml


def load_cases(folder: Path, *cases: object, **more: object) -> Suite:
    """Return the suite of these cases, with a text beside it."""
    (folder / "book.txt").write_text("It was a dark night. " * 50, encoding="utf-8")
    document = {"cases": list(cases), **more}
    Draft7Validator(json_schema()).validate(json.loads(json.dumps(document)))
    return load(write_yaml(folder / "s.yaml", document), ["sim"])[0]


def sizes(suite: Suite) -> dict[str, int]:
    """Return the size of each case's input."""
    return {case.id: case.input.tokens for case in suite.cases if case.input}


def only(suite: Suite) -> Case:
    """Return the only case of a suite."""
    (case,) = suite.cases
    return case


@given(st.integers(1, 10_000_000))
def test_a_size_is_read_in_every_form(tokens: int) -> None:
    """It is a plain number, one with thousands separators, or one in thousands or millions."""
    assert parse_tokens(str(tokens)) == parse_tokens(f"{tokens:,}") == parse_tokens(f"{tokens:_}") == tokens
    if tokens <= 10_000:
        assert parse_tokens(f"{tokens}k") == tokens * 1_000
    if tokens <= 10:
        assert parse_tokens(f"{tokens}M") == tokens * 1_000_000


@pytest.mark.parametrize("text", ["", "0", "-5", "ten", "1.5k", "10_000_001", "11M", "1k k", "10 k", "1,0", "{{n}}"])
def test_other_sizes_are_refused(text: str) -> None:
    """A fraction of a token, and a size that no model accepts, are refused."""
    with pytest.raises(ValueError, match="no number of tokens"):
        parse_tokens(text)


def test_a_list_of_sizes_makes_a_case_of_each(tmp_path: Path) -> None:
    """With a matrix, every combination becomes a case with its own id."""
    suite = load_cases(
        tmp_path,
        {"id": "a", "input": {"tokens": [1000, "10k", "100k"]}, "prompt": "Who?"},
        {"id": "b", "input": {"tokens": [4, "5k"]}, "matrix": {"n": [7, 8]}, "prompt": "{{n}}?"},
        {"id": "c", "input": {"tokens": "{{n}}"}, "matrix": {"n": [1000, "2k"]}},
    )
    assert sizes(suite) == {
        "a-1000": 1_000,
        "a-10k": 10_000,
        "a-100k": 100_000,
        "b-7-4": 4,
        "b-7-5k": 5_000,
        "b-8-4": 4,
        "b-8-5k": 5_000,
        "c-1000": 1_000,
        "c-2k": 2_000,
    }
    assert [case.turns for case in suite.cases[-1:]] == [("",)]


def test_a_text_is_a_file_beside_the_suite_or_built_in(tmp_path: Path) -> None:
    """A file is named among the suite's, so that no output replaces it."""
    own = load_cases(tmp_path, {"id": "a", "input": {"tokens": 50, "text": "book.txt"}, "turns": ["One?", "Two?"]})
    sized = only(own).input
    assert sized is not None
    assert (sized.text_name, sized.whole_text[:21]) == ("book.txt", "It was a dark night. ")
    assert own.files == (str(tmp_path / "book.txt"),)
    built_in = only(load_cases(tmp_path, {"id": "a", "input": {"tokens": 50}})).input
    assert built_in is not None
    assert built_in.text_name == BUILT_IN_NAME
    assert len(built_in.whole_text) > 100_000
    assert "Gutenberg" not in built_in.whole_text


def test_the_digest_depends_on_size_and_text_alone(tmp_path: Path) -> None:
    """A copy of a text under another name is the same text."""
    (tmp_path / "copy.txt").write_text("It was a dark night. " * 50, encoding="utf-8")
    (tmp_path / "other.txt").write_text("It was a bright day. " * 50, encoding="utf-8")
    digests = [
        load_cases(tmp_path, {"id": "a", "input": {"tokens": tokens, "text": name}, "prompt": "?"}).digest
        for tokens, name in ((50, "book.txt"), (50, "copy.txt"), (50, "other.txt"), (51, "book.txt"))
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"tokens": "many"}, "s.yaml:5:13: `many` is no number of tokens from 1 to 10,000,000. Write 10000 or 10k."),
        ({"tokens": [10, 0]}, "`0` is no number of tokens from 1 to 10,000,000. Write 10000 or 10k."),
        ({"tokens": "{{n}}"}, "the template uses `n`, which has no value"),
        ({"tokens": 10, "text": "missing.txt"}, "`missing.txt`"),
        ({"tokens": 10, "text": "../s.yaml"}, "lies outside the suite's folder"),
        ({"tokens": 10, "text": "blank.txt"}, "`blank.txt` is empty. Name a file with some text."),
        ({"text": "book.txt"}, "`tokens` is missing"),
        ({"tokens": 10, "file": "book.txt"}, "unknown key `file`"),
        ({"tokens": []}, "`tokens` is empty"),
    ],
)
def test_a_wrong_input_is_named_with_its_place(tmp_path: Path, written: object, message: str) -> None:
    """The message has the place and what to do; nothing is sent."""
    (tmp_path / "blank.txt").write_text(" \n", encoding="utf-8")
    (tmp_path / "book.txt").write_text("Words.", encoding="utf-8")
    path = write_yaml(tmp_path / "s.yaml", {"name": "s", "cases": [{"id": "a", "input": written, "prompt": "?"}]})
    with pytest.raises(InvalidFile) as caught:
        load(path, ["sim"])
    assert message in str(caught.value)


def test_an_input_column_is_a_text_of_alpaca_or_a_sized_input(tmp_path: Path) -> None:
    """A text in `input` is a question, or belongs to an instruction; a mapping is a text of a size."""
    rows = [
        {"id": "a", "input": {"tokens": 40, "text": "book.txt"}, "prompt": "Who?"},
        {"id": "b", "input": {"tokens": 30}},
        {"id": "c", "instruction": "Translate.", "input": "Guten Tag"},
        {"id": "d", "input": "What is this?"},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    (tmp_path / "book.txt").write_text("Words.", encoding="utf-8")
    suite = load(write_yaml(tmp_path / "s.yaml", {"cases_from": "rows.jsonl"}), ["sim"])[0]
    assert sizes(suite) == {"a": 40, "b": 30}
    assert [case.turns[0] for case in suite.cases] == ["Who?", "", "Translate.\nGuten Tag", "What is this?"]


def test_the_documented_sizes_load(tmp_path: Path) -> None:
    """The examples of the page on caches load, with the text beside them."""
    page = (ROOT / "docs" / "caches.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r'^```\w+ title="(\S+)"\n(.*?)^```$', page, re.MULTILINE | re.DOTALL))
    for name, text in blocks.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert sizes(load(tmp_path / "sizes.yaml", ["sim"])[0]) == {
        "novel-1k": 1_000,
        "novel-10k": 10_000,
        "novel-100k": 100_000,
        "report-2000-20": 2_000,
        "report-8000-20": 8_000,
    }


def test_a_case_of_python_data_may_have_an_input() -> None:
    """A case of Python data may have one, like a case of a suite file."""
    suite = suite_from_data([{"id": "a", "input": {"tokens": "2k"}, "prompt": "Who?"}], {}, name="mine")
    assert sizes(suite) == {"a": 2_000}
