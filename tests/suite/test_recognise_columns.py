"""Rows in the formats of known data sets: `cases_from` and the import give the same cases and reference answers."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.commands.import_suite import import_file
from runner.core.suite import Case
from runner.document import Json, parse
from runner.errors import CompareError, InvalidFile
from runner.providers.registry import builtin
from runner.suite.errors import NotImportable
from runner.suite.load import load
from runner.suite.recognise_columns import ColumnNames, recognise
from tests.conftest import RunCli


def named(file: str, **columns: str) -> tuple[Case, ...]:
    """Return the cases of a suite that names a file."""
    Path("named.yaml").write_text(json.dumps({"cases_from": {"file": file, **columns}}))
    return load(Path("named.yaml"), builtin().names)[0].cases


def imported(file: str, prompt: str | None = None, expected: str | None = None) -> tuple[Case, ...]:
    """Return the cases of the suite that an import makes of a file."""
    made = import_file(Path(file), None, ColumnNames(prompt, expected))
    Path("imported.yaml").write_text(made.text)
    return load(Path("imported.yaml"), builtin().names)[0].cases


def asked(cases: tuple[Case, ...]) -> list[Any]:
    """Return what cases send."""
    return [(case.id, case.system, [(m.role, m.content) for m in case.history], case.turns) for case in cases]


def expected_of(row: dict[str, Json]) -> object:
    """Return the reference answer that a row's case keeps."""
    values = recognise(row, ColumnNames()).keys.get("vars")
    return values.get("expected") if isinstance(values, dict) else None


CHAT: list[Json] = [{"role": "user", "content": "Hi {{x}}"}, {"role": "assistant", "content": "Hello"}]
SHAREGPT: list[Json] = [
    {"from": "system", "value": "Be brief"},
    {"from": "human", "value": "One?"},
    {"from": "gpt", "value": "1"},
    {"from": "human", "value": "Two?"},
    {"from": "gpt", "value": "2"},
]
ONE_TO_TWO = ("line-1", "Be brief", [("user", "One?"), ("assistant", "1")], ("Two?",))

FORMS: list[tuple[str, dict[str, Json], tuple[Any, ...], str | None]] = [
    ("question", {"question": "Why {{so}}?"}, ("line-1", None, [], ("Why {{so}}?",)), None),
    ("gsm8k", {"question": "2+2?", "answer": "two and two\n#### 4"}, ("line-1", None, [], ("2+2?",)), "4"),
    ("capitals", {"Question": "Why?", "Answer": "So"}, ("line-1", None, [], ("Why?",)), "So"),
    ("query", {"query": "Q", "response": "R", "system": "S"}, ("line-1", "S", [], ("Q",)), "R"),
    (
        "query with history",
        {"query": "Q", "response": "R", "history": [["a", "b"]]},
        ("line-1", None, [("user", "a"), ("assistant", "b")], ("Q",)),
        "R",
    ),
    ("alpaca", {"instruction": "Add", "input": "1, 2", "output": "3"}, ("line-1", None, [], ("Add\n1, 2",)), "3"),
    ("alpaca, no input", {"instruction": "Go", "input": "", "output": "3"}, ("line-1", None, [], ("Go",)), "3"),
    (
        "llama-factory",
        {"instruction": "Go", "input": "", "output": "3", "system": "S", "history": [["a", "b"]]},
        ("line-1", "S", [("user", "a"), ("assistant", "b")], ("Go",)),
        "3",
    ),
    ("sharegpt", {"conversations": SHAREGPT}, ONE_TO_TWO, "2"),
    ("sharegpt, system apart", {"conversations": SHAREGPT[1:], "system": "Be brief"}, ONE_TO_TWO, "2"),
    ("sharegpt, empty list of tools", {"conversations": SHAREGPT, "tools": "[]"}, ONE_TO_TWO, "2"),
    (
        "sharegpt, other speakers",
        {"conversations": [{"from": "user", "value": "Q"}, {"from": "chatgpt", "value": "R"}]},
        ("line-1", None, [], ("Q",)),
        "R",
    ),
    (
        "llama-factory, preferred reply",
        {"conversations": SHAREGPT[:-1], "chosen": {"from": "gpt", "value": "2"}, "rejected": {"from": "gpt"}},
        ONE_TO_TWO,
        "2",
    ),
    (
        "ultrachat",
        {"prompt": "P", "prompt_id": "u1", "messages": [{"role": "user", "content": "P"}, *CHAT[1:], *CHAT]},
        ("u1", None, [("user", "P"), ("assistant", "Hello")], ("Hi {{x}}",)),
        "Hello",
    ),
    ("sharegpt, with keys beside", {"id": "a", "conversations": SHAREGPT, "model": "m"}, ("a", *ONE_TO_TWO[1:]), "2"),
    ("openai", {"messages": CHAT}, ("line-1", None, [], ("Hi {{x}}",)), "Hello"),
    ("openai, with keys beside", {"messages": CHAT, "source": "s"}, ("line-1", None, [], ("Hi {{x}}",)), "Hello"),
    (
        "mt-bench",
        {"question_id": 81, "category": "writing", "turns": ["A {{b}}", "C"], "reference": ["x", "y"]},
        ("81", None, [], ("A {{b}}", "C")),
        "x\ny",
    ),
    (
        "evalscope mcq",
        {"id": "q1", "question": "Which?", "A": "red", "B": "blue", "C": "", "answer": "B"},
        ("q1", None, [], ("Which?\nA. red\nB. blue",)),
        "B",
    ),
    (
        "mmlu",
        {"question": "Which?", "choices": ["red", "blue"], "answer": 1},
        ("line-1", None, [], ("Which?\nA. red\nB. blue",)),
        "B",
    ),
    (
        "arc",
        {"question": "Which?", "choices": {"text": ["red", "blue"], "label": ["1", "2"]}, "answerKey": "2"},
        ("line-1", None, [], ("Which?\n1. red\n2. blue",)),
        "2",
    ),
    ("text", {"text": "T", "label": 1}, ("line-1", None, [], ("T",)), None),
    ("prompt and completion", {"prompt": "P", "completion": "C"}, ("line-1", None, [], ("P",)), "C"),
    ("humaneval", {"task_id": "H/0", "prompt": "def", "test": "t"}, ("H/0", None, [], ("def",)), None),
    ("triviaqa", {"question": "Q", "answer": {"value": "P", "aliases": ["p"]}}, ("line-1", None, [], ("Q",)), "P"),
    ("squad's answers", {"question": "Q", "answers": {"text": ["P", "p"]}}, ("line-1", None, [], ("Q",)), "P\np"),
    ("openai evals", {"input": CHAT[:1], "ideal": "Yes"}, ("line-1", None, [], ("Hi {{x}}",)), "Yes"),
]


@pytest.mark.parametrize("form", [".jsonl", ".json", ".yaml"])
@pytest.mark.parametrize(("row", "case", "expected"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_a_row_of_a_known_format_is_the_same_case_by_cases_from_and_import(
    row: dict[str, Json], case: tuple[Any, ...], expected: str | None, form: str
) -> None:
    """Braces are literal, and the reference answer is kept."""
    text = json.dumps(row) if form == ".jsonl" else json.dumps([row])
    Path(f"rows{form}").write_text(text + "\n")
    assert asked(named(f"rows{form}")) == [case]
    assert asked(imported(f"rows{form}")) == [case]
    assert expected_of(row) == expected


@pytest.mark.parametrize("form", [".json", ".yaml"])
def test_rows_on_one_line_have_ids_of_their_own(form: str) -> None:
    """A JSON list without line breaks is read completely; an error names the column of its row."""
    rows: list[Json] = [{"question": "One?"}, {"id": "own", "question": "Two?"}, {"question": "Three?"}]
    Path(f"rows{form}").write_text(json.dumps(rows))
    ids = ["line-1", "own", "line-1-2"]
    assert [case.id for case in named(f"rows{form}")] == [case.id for case in imported(f"rows{form}")] == ids
    Path(f"rows{form}").write_text(json.dumps([*rows, {"question": ""}]))
    with pytest.raises(InvalidFile, match=rf"rows\{form}:1:{len(json.dumps(rows)) + 2}: `question` is empty"):
        named(f"rows{form}")


def test_a_reference_answer_of_an_unknown_form_is_listed() -> None:
    """The case is asked all the same, and the import says that its answer is not kept."""
    Path("rows.jsonl").write_text(json.dumps({"question": "Q", "answer": {"spans": [[1, 2]]}}) + "\n")
    made = import_file(Path("rows.jsonl"), None, ColumnNames())
    assert [note.partition(". ")[0] for note in made.not_imported] == [
        "rows.jsonl:1:1: the column `answer` has no counterpart"
    ]


@pytest.mark.parametrize("form", [".csv", ".tsv"])
def test_a_table_with_known_columns_needs_no_ids(form: str) -> None:
    """Columns have their usual names; cells are no templates; the line is the id."""
    mark = "," if form == ".csv" else "\t"
    rows = [["question", "A", "B", "answer", "level"], ["Why {{x}}?", "red", "blue", "A", "hard"]]
    Path(f"t{form}").write_text("".join(mark.join(row) + "\n" for row in rows))
    case: tuple[Any, ...] = ("line-2", None, [], ("Why {{x}}?\nA. red\nB. blue",))
    assert asked(named(f"t{form}")) == asked(imported(f"t{form}")) == [case]


def test_the_reference_answer_fills_the_checks_of_its_row() -> None:
    """`{{expected}}` in a check is the row's reference answer, while the prompt is no template."""
    Path("t.csv").write_text("question,answer,checks.contains\nSay {{x}},42,{{expected}}\n")
    for (case,) in (named("t.csv"), imported("t.csv")):
        assert case.turns == ("Say {{x}}",)
        assert case.expectations.checks == {"contains": "42"}


def test_the_suite_of_an_import_keeps_the_reference_answer() -> None:
    """It is in `vars.expected` of each case, where a check can name it."""
    Path("t.csv").write_text("question,answer\nWhy?,So\n")
    data = parse(import_file(Path("t.csv"), None).text, "s.yaml").data
    assert data == {
        "version": 1,
        "cases": [{"id": "line-2", "prompt": "Why?", "vars": {"expected": "So"}}],
    }


def test_columns_with_other_names_are_named() -> None:
    """The suite names them in `cases_from`, the import by options; other columns are left out."""
    Path("t.csv").write_text("Nr,Frage,Antwort,context\n1,Warum?,Darum,lang\n")
    assert asked(named("t.csv", prompt="Frage", expected="Antwort")) == [("line-2", None, [], ("Warum?",))]
    assert asked(imported("t.csv", "frage", "Antwort")) == [("line-2", None, [], ("Warum?",))]
    Path("t.jsonl").write_text('{"turn": ["a", "b"], "prompt": "other", "id": "x"}\n')
    assert asked(named("t.jsonl", prompt="turn")) == [("x", None, [], ("a", "b"))]


def test_the_import_command_takes_the_columns_names(run_cli: RunCli) -> None:
    """`--prompt-column` and `--expected-column` name them, and the suite that is written runs."""
    Path("t.csv").write_text("Frage,Antwort\nWarum?,Darum\n")
    refused = run_cli("import", "t.csv", "-o", "s.yaml")
    assert refused.returncode == 2
    assert "there are `Frage`, `Antwort`. Name the column of what to ask: --prompt-column NAME" in refused.stderr
    made = run_cli("import", "t.csv", "--prompt-column", "Frage", "--expected-column", "Antwort", "-o", "s.yaml")
    assert made.returncode == 0, made.stderr
    assert run_cli("run", "s.yaml", "-m", "sim/exact?ttft_ms=1&gap_ms=1&tokens=2").returncode == 0


@pytest.mark.parametrize(
    ("row", "what", "hint"),
    [
        ({"Frage": "x", "b": 1}, "nothing says what to ask; there are `Frage`, `b`", "cases_from: {file: r.jsonl"),
        ({"qestion": "x"}, "nothing says what to ask; there is `qestion`", "Did you mean `question`?"),
        ({"question": ""}, "`question` is empty", "Write what to ask"),
        ({"question": {"a": 1}}, "`question` is not text", "Write a text"),
        ({"question": "x", "context": "y"}, "`context` belongs to what is asked", "Write it into the prompt"),
        (
            {"messages": CHAT, "tools": [{"type": "function"}]},
            "item 1 of `tools`: this tool has no `name`",
            "Write name, description",
        ),
        ({"messages": CHAT, "functions": [{"name": "f"}]}, "`functions` belongs to what is asked", "Write it"),
        ({"instruction": "x", "videos": ["a.mp4"]}, "`videos` belongs to what is asked", "Write it"),
        ({"question": "x", "sytem": "y"}, "unknown column `sytem`", "Did you mean `system`?"),
        ({"conversations": [{"from": "tool", "value": "x"}]}, "a message is from `tool`", "Only system"),
        ({"instruction": "x", "history": ["a"]}, "`history` is not a list of pairs", "Write a question"),
        ({"id": "a", "prompt": "x", "promt": "y"}, "unknown key `promt`", "Did you mean `prompt"),
        ({"id": "a", "prompt": "x", "colour": "y"}, "unknown key `colour`", ""),
        ([1], "this is not an object in braces", "Write one object for each case"),
    ],
)
def test_a_row_without_a_prompt_is_refused_with_its_columns(row: Json, what: str, hint: str) -> None:
    """The problem has the file, the line, the row's columns and what to do; nothing is guessed."""
    Path("r.jsonl").write_text('{"question": "fine"}\n' + json.dumps(row) + "\n")
    with pytest.raises(InvalidFile) as caught:
        named("r.jsonl")
    (problem,) = caught.value.problems
    assert (problem.path, problem.line) == ("r.jsonl", 2)
    assert problem.what.startswith(what)
    assert hint in problem.hint


def test_a_misspelt_column_is_named_with_the_existing_ones() -> None:
    """Both misspelt names are reported at once, with a suggestion."""
    Path("t.csv").write_text("question,answer\nWhy?,So\n")
    with pytest.raises(InvalidFile) as caught:
        named("t.csv", prompt="qestion", expected="anser")
    assert [str(problem) for problem in caught.value.problems] == [
        "t.csv:1:1: there is no `qestion` here; there are `question`, `answer`. Did you mean `question`?",
        "t.csv:1:1: there is no `anser` here; there are `question`, `answer`. Did you mean `answer`?",
    ]
    with pytest.raises(InvalidFile, match="there is no `qestion` here"):
        imported("t.csv", "qestion")


def test_all_unreadable_rows_are_reported_at_once_up_to_a_bound() -> None:
    """The import lists them as `cases_from` does, and writes nothing."""
    Path("r.jsonl").write_text('{"question": "fine"}\n{"a\n[1\n')
    with pytest.raises(InvalidFile) as caught:
        imported("r.jsonl")
    assert [problem.line for problem in caught.value.problems] == [2, 3]
    Path("r.json").write_text('{"question": "a"}\n{"question": "b"}\n')
    with pytest.raises(InvalidFile, match=r"Name it \.jsonl, if each line is an object"):
        imported("r.json")
    Path("r.jsonl").write_text("{\n" * 1000)
    with pytest.raises(InvalidFile) as caught:
        imported("r.jsonl")
    assert len(caught.value.problems) == 20


def test_cases_from_takes_one_file_and_known_keys_only(tmp_path: Path) -> None:
    """A mapping without `file`, or with another key, is refused at its place."""
    faults = {
        "{prompt: a}": "`file` is missing",
        "{file: a.csv, promt: b}": "unknown key `promt`",
        "7": "`7` is not a .csv",
        "../a.csv": "lies outside the suite's folder",
        "a.csv": "there is no such file",
    }
    for written, said in faults.items():
        (tmp_path / "s.yaml").write_text(f"cases_from: {written}\n")
        with pytest.raises(InvalidFile, match=said):
            load(tmp_path / "s.yaml", builtin().names)


KEYS = st.sampled_from(
    (
        *("id", "prompt", "question", "input", "instruction", "messages", "turns", "history", "choices", "A", "B"),
        *("answer", "conversations", "system", "vars", "checks", "text", "expected", "tags", "category", "body", "x"),
    )
)
VALUES = st.recursive(
    st.text("a{%}# ", max_size=6) | st.integers(-2, 3) | st.none() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "from", "content", "value", "text", "label"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_an_empty_list_is_an_empty_column() -> None:
    """A row with a prompt and an empty list of turns asks by the prompt."""
    assert recognise({"prompt": "Hi", "turns": []}, ColumnNames()).keys == {"prompt": "Hi"}


def test_an_empty_list_as_text_is_a_reference_answer() -> None:
    """Only in a column that is left out, as LLaMA-Factory writes its tools, does it mean nothing."""
    row: dict[str, Json] = {"question": "Give an empty list.", "answer": "[]", "tools_used": "[]"}
    found = recognise(row, ColumnNames())
    assert found.keys == {"prompt": "Give an empty list.", "vars": {"expected": "[]"}}
    assert found.left_out == ()


@settings(deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_row_is_a_case_or_a_reason(row: dict[str, Json]) -> None:
    """No row raises another error."""
    with suppress(NotImportable):
        assert recognise(row, ColumnNames()).keys


@settings(deadline=None, max_examples=50)
@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=5), min_size=1, max_size=4))
def test_any_rows_become_a_valid_suite_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Json]]
) -> None:
    """What the import writes is accepted; `cases_from` reads or refuses the same rows."""
    folder = tmp_path_factory.mktemp("rows")
    (folder / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "s.yaml").write_text("cases_from: r.jsonl\n")
    said = ""
    try:
        import_file(folder / "r.jsonl", folder / "made.yaml")
    except CompareError as refusal:
        said = str(refusal)
    assert "would not be accepted" not in said
    with suppress(InvalidFile):
        assert load(folder / "s.yaml", builtin().names)[0].cases
