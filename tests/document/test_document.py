"""Strict YAML: the meaning of scalars, positions of values, and the message for everything that is refused."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from runner.document import Document, Position, document_of, parse, read, read_text, validate
from runner.document.yaml_parser import MAX_YAML_BYTES
from runner.errors import InvalidFile, Problem
from runner.providers.provider_row import ProviderRow

YAML_LIKE = st.text(alphabet="ab1.0 \n\t-:#?[]{},&*!|>'\"%@`~<\\xU\u00e9\u4f60\U0001f600\r\ufeff\x07", max_size=60)
UNPRINTABLE = "".join(map(chr, range(0x7F, 0xA0))) + "\u2028\u2029\ufeff\ufffe\uffff"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=UNPRINTABLE), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(-1e30, 1e30) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


class Fruit(BaseModel):
    """A model with a field of each kind that has a message."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    colour: Literal["red", "green"] = "red"
    weight: Annotated[float, Field(gt=0, le=9)] | None = None
    seeds: int = 0
    ripe: bool = False
    tags: tuple[str, ...] = ()
    eaten_by: str | tuple[str, ...] = ()
    more: dict[str, JsonValue] = Field(default_factory=dict)
    inner: "Fruit | None" = None


def problems_of(text: str, model: type[BaseModel] = Fruit) -> list[str]:
    """Return the problems of a text, without their path."""
    with pytest.raises(InvalidFile) as caught:
        validate(parse(text, "f"), model)
    return [str(problem).removeprefix("f:") for problem in caught.value.problems]


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "Yes",
        "on",
        "off",
        "y",
        "12:30",
        "2024-01-01",
        "017",
        "0x1f",
        "0o17",
        "1_000",
        ".inf",
        "1e999",
        "=",
        "１２",
    ],
)
def test_a_scalar_that_yaml_12_does_not_interpret_is_text(text: str) -> None:
    """What YAML 1.1 reads as a truth value, a time, a date or an octal number stays text."""
    assert parse(f"a: {text}", "f").data == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("+4", 4),
        ("0", 0),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("'12'", "12"),
        ('"true"', "true"),
        ("|\n  12", "12"),
    ],
)
def test_a_scalar_has_its_yaml_12_meaning(text: str, value: object) -> None:
    """Truth values, null and decimal numbers are interpreted; quoted scalars are text."""
    data = parse(f"a: {text}", "f").data
    assert data == {"a": value}
    assert type(data["a"]) is type(value)


@pytest.mark.parametrize("written", ["1.10", "4.60", "1e3", "007", "+1", "true", "12"])
def test_a_number_stays_as_written_where_text_is_expected(written: str) -> None:
    """A name, a list of texts and a union with text get 1.10, and not 1.1."""
    fruit = validate(parse(f"name: {written}\ntags: [{written}]\neaten_by: {written}", "f"), Fruit)
    assert (fruit.name, fruit.tags, fruit.eaten_by) == (written, (written,), written)


def test_a_number_stays_a_number_in_free_form_data() -> None:
    """Free-form data keeps its types, even if another number of the document becomes text."""
    fruit = validate(parse("name: 1.10\nmore: {a: 1.10, b: [true, 2, x]}", "f"), Fruit)
    assert fruit.more == {"a": 1.1, "b": [True, 2, "x"]}


def test_keys_and_values_have_places() -> None:
    """A path gives line and column of a value, and of its key."""
    document = parse("a: 1\nb:\n  - x\n  - c: {d: 你好, e: y}\n", "f")
    assert document.position(("b", 1, "c", "e")) == Position(4, 19)
    assert document.position(("b", 1, "c", "e"), of_key=True) == Position(4, 16)
    assert document.position(("b", 0)) == Position(3, 5)
    assert document.position(("b", 1, "c", "nothing", "there")) == Position(4, 8)


def test_place_of_a_key_whose_name_repeats_on_the_route() -> None:
    """The place is that of the last step, even if an earlier step has the same name."""
    assert parse("a:\n  b:\n    a: 1\n", "f").position(("a", "b", "a"), of_key=True) == Position(3, 5)


def test_all_problems_are_reported_at_once_in_order() -> None:
    """Repeated keys and errors of the model are reported together, each at its place."""
    text = "nmae: x\ncolour: blue\nweight: 0\nseeds: 1.5\nripe: yes\ntags: a\ntags: b\ninner: {name: [a], seed: 1}\n"
    assert problems_of(text) == [
        "1:1: unknown key `nmae`. Did you mean `name`?",
        "2:9: `colour` is the text `blue`. Write red or green.",
        "3:9: `weight` is 0. Write a number of more than 0.",
        "4:8: `seeds` is 1.5. Write a whole number.",
        "5:7: `ripe` is the text `yes`. Write true or false.",
        "6:7: `tags` is the text `a`. Write a list, such as [a].",
        "7:1: the key `tags` is repeated; it stands at line 6, column 1 too. Keep one of them.",
        "8:15: `name` is a list. Write text.",
        "8:20: unknown key `seed` in `inner`. Did you mean `seeds`?",
    ]


def test_missing_and_unknown_keys_are_both_reported_if_unlike() -> None:
    """An unknown key that resembles no missing one does not replace its report."""
    assert problems_of("colours: red") == [
        "1:1: `name` is missing. Add `name: ...`.",
        "1:1: unknown key `colours`. Did you mean `colour`?",
    ]


def test_an_error_in_a_union_names_the_closest_branch() -> None:
    """A wrong item of a list is reported as such; a wrong whole lists every form that is accepted."""
    assert problems_of("name: x\neaten_by: [a, [b]]") == ["2:15: item 2 of `eaten_by` is a list. Write text."]
    assert problems_of("name: x\neaten_by: {a: b}") == ["2:11: `eaten_by` is a mapping. Write text or a list."]


def test_hidden_input_is_not_shown() -> None:
    """A key in the wrong field of a provider's row does not appear in a message."""
    secret = "sk-0123456789abcdef0123456789abcdef"
    told = problems_of(
        f"concurrency: {secret}\nkeyless: {secret}\nlabel: [{secret}]\nheaders: {{a: [{secret}]}}", ProviderRow
    )
    assert len(told) == 4
    assert secret not in " ".join(told)


def test_a_part_is_validated_with_places_in_the_whole_file() -> None:
    """Problems of a part have their places in the file."""
    document = parse("fruits:\n  - name: x\n  - name: y\n    seeds: many\n", "f")
    assert validate(document, Fruit, ("fruits", 0)).name == "x"
    with pytest.raises(InvalidFile, match="f:4:12: `seeds` is the text `many`"):
        validate(document, Fruit, ("fruits", 1))


def test_data_from_elsewhere_is_placed_on_its_line() -> None:
    """Data from another source is validated in the same way, at the line it came from."""
    assert validate(document_of({"name": 7}, "f", 3), Fruit).name == "7"
    with pytest.raises(InvalidFile, match=r"f:3:1: `name` is 7\.5\."):
        validate(document_of({"name": 7.5}, "f", 3), Fruit)


@given(st.text(max_size=80) | YAML_LIKE)
def test_any_text_is_a_document_or_refused(text: str) -> None:
    """No text makes the reader raise another error, and each problem has a place inside the text."""
    problems: tuple[Problem, ...] = ()
    data: object = None
    try:
        data = parse(text, "f").data
    except InvalidFile as error:
        problems = error.problems
    assert all(1 <= problem.line <= len(text.splitlines()) + 1 for problem in problems)
    assert json.loads(json.dumps(data)) == data


@given(JSON)
def test_json_is_read_as_yaml(data: JsonValue) -> None:
    """Data written as JSON, which is YAML, is read unchanged."""
    document = parse(json.dumps({"a": data}, ensure_ascii=False), "f")
    assert document.data == {"a": data}


@given(YAML_LIKE.filter(lambda text: "\ufeff" not in text))
def test_libyaml_and_pyyaml_give_the_same_data(text: str) -> None:
    """A text that both parsers accept has the same data on every machine."""

    def read_by(loader: object) -> object:
        with pytest.MonkeyPatch.context() as patch, suppress(InvalidFile):
            patch.setattr(yaml, "CSafeLoader", loader)
            document = parse(text, "f")
            return ... if document.problems else document.data
        return ...

    fast, slow = read_by(yaml.CSafeLoader), read_by(yaml.SafeLoader)
    assert fast == slow or ... in (fast, slow)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: '" + "x" * MAX_YAML_BYTES + "'", "1:1: the text is larger than 1 MiB"),
        ("[" * 200_000, "1:34: values are nested deeper than 32 levels"),
        ("a: " + "{b: " * 200_000, "nested deeper than 32 levels"),
        ("- x\n" * 100_001, "holds more than 100000 values"),
        ("- &a [" + "x, " * 1000 + "]\n" + "- [" + "*a, " * 1000 + "]\n", "aliases repeat too much"),
        ("- &a " + "x" * 100_000 + "\n" + "- *a\n" * 20, "aliases repeat too much"),
        ("- &a " + "[" * 20 + "]" * 20 + "\n- " + "[" * 20 + "*a" + "]" * 20, "aliases repeat too much"),
        ("a: &a\n  b: *a\n", "none before it is named `&a`"),
    ],
    ids=["bytes", "lists", "mappings", "values", "alias-values", "alias-characters", "alias-depth", "recursion"],
)
def test_an_exhausting_document_is_refused(text: str, told: str) -> None:
    """Size, depth, number of values and repetition are bounded."""
    with pytest.raises(InvalidFile, match=told):
        parse(text, "f")


def test_aliases_repeat_values_within_bounds() -> None:
    """An alias is a copy of the value at its anchor."""
    assert parse("a: &x [1, {b: c}]\nd: *x\n", "f").data == {"a": [1, {"b": "c"}], "d": [1, {"b": "c"}]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no such file"),
        (b"a: \xff", "x.yaml:1:4: the byte 0xff here is not UTF-8"),
        ("\ufeffé: ok\nb: ".encode() + b"\xc4\xe3", "x.yaml:2:4: the byte 0xc4 here is not UTF-8"),
        (b"a" * (MAX_YAML_BYTES + 1), "the file is larger than 1 MiB"),
        (b"\xef\xbb\xbf", "the file is empty"),
    ],
)
def test_an_unreadable_file_is_refused(tmp_path: Path, content: bytes | None, told: str) -> None:
    """A missing, undecodable, oversized or empty file is one problem with its place."""
    path = tmp_path / "x.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidFile, match=told):
        read(path)


@pytest.mark.parametrize("typed", ["prompts/basi.yaml", "basic.yaml", "promts/basic.yaml"])
def test_a_mistyped_path_names_the_file_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    """A misspelt name, a missing folder and a misspelt folder lead to the file."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "basic.yaml").touch()
    (tmp_path / "prompts" / "other.yaml").touch()
    monkeypatch.chdir(tmp_path)
    said = f"{typed}: there is no such file. Did you mean `prompts/basic.yaml`?"
    with pytest.raises(InvalidFile, match=f"^{re.escape(said)}"):
        read(Path(typed))


def test_a_path_unlike_any_other_names_none(tmp_path: Path) -> None:
    """Neither a dissimilar file nor an unreadable folder is offered."""
    (tmp_path / "other.yaml").touch()
    for path in (tmp_path / "suite.yaml", tmp_path / "no" / "such" / "folder" / "other.yaml"):
        with pytest.raises(InvalidFile, match=r"there is no such file\. Check the path"):
            read(path)


def test_a_folder_is_refused_as_such(tmp_path: Path) -> None:
    """The message says that it is a folder."""
    with pytest.raises(InvalidFile, match="this is a folder"):
        read(tmp_path)


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    """The file has the same data and places as without it."""
    path = tmp_path / "x.yaml"
    path.write_text("a: 1\n", encoding="utf-8-sig")
    document = read(path)
    assert isinstance(document, Document)
    assert (document.data, document.position(("a",))) == ({"a": 1}, Position(1, 4))
    assert read_text(path, 100) == "a: 1\n"
