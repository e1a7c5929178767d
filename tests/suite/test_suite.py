"""Suite files: their meaning, and the exact message for every problem."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatch
from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from runner.core.suite import Expectations, Message, Parameters, Suite, Timeouts, ToolDefinition
from runner.core.turns_and_steps import Steps
from runner.document import read
from runner.errors import CompareError, InvalidFile
from runner.suite.cases import combinations
from runner.suite.checks_schema import ChecksSchema
from runner.suite.errors import BadTemplate
from runner.suite.expectations import plain_expectations
from runner.suite.from_python_data import suite_from_prompts
from runner.suite.load import load
from runner.suite.schema import CaseSchema, DefaultsSchema, SuiteSchema, TargetSchema, json_schema
from runner.suite.schema_parts import MessageSchema
from runner.suite.template_language import MAX_TEMPLATE_CHARACTERS, read_template

ROOT = Path(__file__).parents[2]
BAD_SUITES = Path(__file__).parents[1] / "samples" / "bad_suites"
SAMPLES = sorted((ROOT / "prompts").glob("*.yaml"))
PAGE = (ROOT / "docs" / "suite.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r'^```\w+ title="(\S+)"\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL))
PROVIDERS = ("dashscope", "deepseek", "openai", "zhipu")

Load = Callable[[str], Suite]


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Return a function that loads a suite from text, with its files in its own folder."""

    def load_it(text: str) -> Suite:
        path = tmp_path / "suite.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path, PROVIDERS)[0]

    return load_it


@pytest.mark.parametrize("path", sorted(BAD_SUITES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_broken_suite_gives_its_exact_message(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each broken sample gives the message in the file beside it, with every problem and nothing else."""
    monkeypatch.chdir(BAD_SUITES)
    with pytest.raises(InvalidFile) as caught:
        load(Path(path.name), PROVIDERS)
    assert f"{caught.value}\n" == path.with_suffix(".txt").read_text(encoding="utf-8")


def test_a_missing_suite_names_the_command_that_writes_one(tmp_path: Path) -> None:
    """Without a file of a similar name, the remedy is a first suite."""
    with pytest.raises(InvalidFile, match=r"no such file\. Check the path, or write a first suite with `compare init`"):
        load(tmp_path / "basic.yaml", ())


def test_every_broken_sample_has_a_message() -> None:
    """There are at least forty broken suites, and no message without its suite."""
    names = {path.stem for path in BAD_SUITES.glob("*.yaml")}
    assert len(names) >= 40
    assert names == {path.stem for path in BAD_SUITES.glob("*.txt")}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_shipped_sample_loads_and_names_no_target(path: Path) -> None:
    """The samples name no target, point editors at the schema, and have cases in two languages."""
    suite, rows = load(path, PROVIDERS)
    assert (suite.targets, dict(rows), suite.name) == ((), {}, path.stem)
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=../docs/suite.schema.json\n")
    assert any(case.id.endswith("-zh") or "zh" in case.tags for case in suite.cases)


def test_the_basic_sample_shows_the_format() -> None:
    """It has single and multiple turns, in both languages, and ids that the documented pattern matches."""
    cases = {case.id: case for case in load(ROOT / "prompts" / "basic.yaml", ())[0].cases}
    assert [id_ for id_ in cases if fnmatch(id_, "who-*")] == ["who-are-you-en", "who-are-you-zh"]
    assert cases["who-are-you-zh"].turns == ("你是谁？请用一句话回答。",)
    assert len(cases["remember-en"].turns) == len(cases["remember-zh"].turns) == 2
    assert {"translate-French", "translate-Spanish"} < cases.keys()
    assert cases["continue-en"].history[-1].role == "assistant"


def test_committed_schema_is_up_to_date() -> None:
    """docs/suite.schema.json is the output of `compare schema`."""
    committed = json.loads((ROOT / "docs" / "suite.schema.json").read_text(encoding="utf-8"))
    assert committed == json_schema()
    Draft7Validator.check_schema(committed)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_schema_accepts_the_samples(path: Path) -> None:
    """An editor reports nothing about the shipped samples."""
    Draft7Validator(json_schema()).validate(read(path).data)


@pytest.mark.parametrize(
    "name",
    ["mistyped_key", "temperature_too_high", "prompt_and_turns", "no_cases", "matrix_empty_list", "missing_provider"],
)
def test_schema_refuses_what_the_loader_refuses(name: str) -> None:
    """An editor reports the mistakes that a schema can express."""
    assert not Draft7Validator(json_schema()).is_valid(read(BAD_SUITES / f"{name}.yaml").data)


def test_schema_uses_only_draft_7_keywords() -> None:
    """It has no keyword of later drafts, and every key has a description."""
    text = json.dumps(json_schema())
    assert not re.search(r'"(\$defs|prefixItems|unevaluated\w+|dependentRequired|const": \[)"', text)
    for model in (SuiteSchema, DefaultsSchema, TargetSchema, CaseSchema, MessageSchema):
        assert all(field.description for field in model.model_fields.values())


@pytest.mark.parametrize("name", [name for name in BLOCKS if name.endswith(".yaml")])
def test_documented_suites_load(name: str, tmp_path: Path) -> None:
    """Every suite in docs/suite.md loads with the files shown beside it."""
    for other, text in BLOCKS.items():
        (tmp_path / other).write_text(text, encoding="utf-8")
    suite, _ = load(tmp_path / name, PROVIDERS)
    assert suite.cases
    Draft7Validator(json_schema()).validate(read(tmp_path / name).data)


def test_documentation_covers_every_key() -> None:
    """Each key of the format has a row in docs/suite.md, and is in its complete example."""
    models = (SuiteSchema, DefaultsSchema, TargetSchema, CaseSchema)
    for key in {field.alias or name for model in models for name, field in model.model_fields.items()}:
        assert f"`{key}`" in PAGE
        assert re.search(rf"\b{key}:", BLOCKS["everything.yaml"])
    for check in {field.alias or name for name, field in ChecksSchema.model_fields.items()}:
        assert f"`{check}`" in PAGE


def test_complete_example_has_the_documented_meaning(tmp_path: Path) -> None:
    """Names, merged parameters, templates, matrices, turns, histories and files all have their documented effect."""
    for name, text in BLOCKS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    suite, rows = load(tmp_path / "everything.yaml", PROVIDERS)
    first, second = suite.targets
    assert (suite.name, suite.repeat, rows["acme"].base_url) == ("capitals", 3, "https://api.acme.example/v1")
    cities = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    assert suite.parameters == Parameters(
        system="You answer in one sentence.",
        temperature=0,
        max_tokens=500,
        top_p=0.9,
        seed=7,
        stop=("END",),
        thinking="off",
        api="chat_completions",
        cache="bust",
        timeouts=Timeouts(5, 60, 30, 300),
        extra_body={"user": "compare"},
        reply_limit=4 * 2**20,
        prefix="Question: ",
        suffix=" Be brief.",
        response_format={"type": "text"},
        tools=(ToolDefinition("get_weather", "The weather in a city, now.", cities),),
        tool_choice="auto",
    )
    assert [str(name) for name in first.names][:3] == [
        *("dashscope/qwen3.8-max#fast+plain", "dashscope/qwen3.8-max#fast+polite", "dashscope/qwen3.8-max#deep+plain")
    ]
    assert [str(name) for name in second.names] == ["acme/1.10#plain", "acme/1.10#polite"]
    assert (first.models, first.parameters.temperature) == (("qwen3.8-max", "qwen3.8-flash"), 0.3)
    assert (second.models, second.parameters.temperature) == (("1.10",), None)
    assert second.parameters.extra_body == {"user": "compare", "top_k": 20}
    cases = {case.id: case for case in suite.cases}
    names = "capital-France capital-Peru remember continue summary long warmer weather"
    assert list(cases) == names.split()
    assert cases["capital-Peru"].turns == ("What is the capital of Peru? Answer in English.",)
    assert cases["continue"].history == (Message("user", "Name a river."), Message("assistant", "The Douro."))
    assert cases["summary"].turns == ("Summarise this letter in ten words: ...",)
    assert cases["warmer"].steps == Steps(1, 4, {"get_weather": "18 degrees"})
    long = cases["long"].input
    assert long is not None
    assert (long.tokens, long.text_name, cases["long"].turns) == (10_000, "letter.txt", ("How long is this?",))
    assert cases["weather"].turns == ("What is the weather like in Turin in May?",)
    assert cases["weather"].tags == ("short", "weather")


@pytest.mark.parametrize("written", ["on", "off", "low", "medium", "high"])
def test_thinking_on_and_off_need_no_quotes(written: str, load_text: Load) -> None:
    """YAML 1.1 would read these words as truth values."""
    suite = load_text(f"defaults: {{thinking: {written}}}\ncases: [{{id: a, prompt: hi}}]")
    assert suite.parameters.thinking == written


def test_texts_that_look_like_numbers_or_dates_stay_as_written(load_text: Load) -> None:
    """Ids, models, prompts and variables that look like numbers, dates or truth values are texts."""
    suite = load_text(
        "targets: [{provider: deepseek, models: [1.10, 2024-01-01]}]\n"
        "cases:\n  - {id: 017, prompt: no}\n  - {id: 1.0, prompt: 'It is {{v}}', vars: {v: 1.50}}\n"
    )
    assert suite.targets[0].models == ("1.10", "2024-01-01")
    assert [(case.id, case.turns) for case in suite.cases] == [("017", ("no",)), ("1.0", ("It is 1.50",))]


def test_target_parameters_are_merged_with_the_defaults(load_text: Load) -> None:
    """Values replace, mappings merge by key, and null removes a default."""
    suite = load_text(
        "defaults: {seed: 1, stop: x, timeouts: {idle: 5, total: 50}, extra_body: {a: 1, b: 1}}\n"
        "targets:\n"
        "  - {provider: zhipu, seed: 2, timeouts: {total: 60}, extra_body: {b: 2}}\n"
        "  - {provider: openai, seed: null, stop: null, timeouts: null, extra_body: null}\n"
        "cases: [{id: a, prompt: hi}]"
    )
    over, back = (target.parameters for target in suite.targets)
    assert over == Parameters(seed=2, stop=("x",), timeouts=Timeouts(idle=5, total=60), extra_body={"a": 1, "b": 2})
    assert back == Parameters()


def test_expectations_of_a_case_are_merged_with_the_defaults(load_text: Load) -> None:
    """Checks replace each other by name; null and false remove one, `checks: null` all; so do pass and match."""
    suite = load_text(
        "defaults: {checks: {no_refusal: true, max_ttft_s: 2}, pass: 2 of 3, match: similar 0.9}\n"
        "cases:\n"
        "  - {id: a, prompt: hi}\n"
        "  - {id: b, prompt: hi, checks: {no_refusal: false, max_ttft_s: null, equals: 42}, pass: all, match: exact}\n"
        "  - {id: c, prompt: hi, checks: null, pass: null, match: null}\n"
        "  - {id: d, prompt: hi, checks: {max_ttft_s: 3}}\n"
    )
    assert [case.expectations for case in suite.cases] == [
        Expectations({"no_refusal": True, "max_ttft_s": 2}, (2, 3), "similar 0.9"),
        Expectations({"equals": "42"}, None, "exact"),
        Expectations(),
        Expectations({"no_refusal": True, "max_ttft_s": 3}, (2, 3), "similar 0.9"),
    ]


def test_texts_of_checks_are_templates(load_text: Load, tmp_path: Path) -> None:
    """They are filled for each combination of a matrix, and count as a use of its values; patterns are not filled."""
    suite = load_text(
        "cases:\n  - id: a\n    prompt: hi\n    matrix: {who: [Ada, Bo]}\n"
        "    checks: {contains: ['{{who}}', x], equals: 'I, {{who}}', regex: '{{who}}', json: {const: '{{who}}'}}\n"
    )
    assert [case.expectations.checks for case in suite.cases] == [
        {"contains": [who, "x"], "equals": f"I, {who}", "regex": "{{who}}", "json": {"const": "{{who}}"}}
        for who in ("Ada", "Bo")
    ]
    (tmp_path / "c.csv").write_text("id,prompt,checks.contains,vars.n\na,{{n}}?,{{n}},7\nb,{{,,\n", encoding="utf-8")
    first, second = load_text("cases_from: c.csv").cases
    assert (first.expectations.checks, second.expectations.checks) == ({"contains": "7"}, {})


def test_plain_expectations_have_line_and_turns_and_leave_out_cases_without(load_text: Load) -> None:
    """Their values have the line and the number of turns; a case without expectations is left out."""
    suite = load_text(
        "cases:\n  - {id: a, turns: [x, y], checks: {json: {type: object}}, pass: 1 of 2}\n"
        "  - {id: b, prompt: hi}\n  - {id: c, prompt: hi, match: exact}\n"
    )
    assert plain_expectations(suite.cases) == {
        "a": {"line": 2, "turns": 2, "checks": {"json": {"type": "object"}}, "pass": "1 of 2"},
        "c": {"line": 4, "turns": 1, "match": "exact"},
    }


@pytest.mark.parametrize(
    ("source", "said"),
    [("def f(:\n", "is not Python"), ("g = 1\n", "has no function `f`"), ("raise SystemExit\ndef f(r): ...\n", None)],
)
def test_a_function_check_is_validated_without_running_it(
    load_text: Load, tmp_path: Path, source: str, said: str | None
) -> None:
    """The function's file is read as text, its problems are reported, and nothing in it runs."""
    (tmp_path / "own.py").write_text(source, encoding="utf-8")
    text = "cases: [{id: a, prompt: hi, checks: {python: own:f}}]"
    if said is None:
        assert load_text(text).cases[0].expectations.checks == {"python": "own:f"}
        return
    with pytest.raises(InvalidFile, match=said):
        load_text(text)


def test_digest_ignores_expectations(load_text: Load) -> None:
    """A check changes no request, so that runs before and after it can be compared."""
    demanding = SUITE.replace("tags: [x]", "tags: [x], checks: {contains: x}, match: exact, pass: 1 of 2")
    assert load_text(demanding).digest == load_text(SUITE).digest


def test_digest_is_that_of_one_json_text(load_text: Load) -> None:
    """It is computed case by case, and equals the digest of earlier versions, so that runs stay comparable."""
    suite = load_text(
        "cases: [{id: a, prompt: hi, tags: [x]}, {id: b, turns: [1, 'é']}]\ndefaults: {repeat: 2, seed: 1}"
    )
    meaning = (
        '{"providers": {}, "suite": {"cases": [{"id": "a", "tags": ["x"], "turns": ["hi"]}, '
        '{"id": "b", "turns": ["1", "\\u00e9"]}], "parameters": {"seed": 1}, "repeat": 2}}'
    )
    assert suite.digest == sha256(meaning.encode()).hexdigest()


def test_a_target_may_be_written_as_on_the_command_line(load_text: Load) -> None:
    """`provider/model`, and a provider alone, mean the same as the mappings, and digest the same."""
    cases = "cases: [{id: a, prompt: Hi}]\n"
    brief = load_text(f"targets: [openai/org/model, zhipu]\n{cases}")
    whole = load_text(f"targets: [{{provider: openai, models: [org/model]}}, {{provider: zhipu}}]\n{cases}")
    assert brief.targets == whole.targets
    assert brief.targets[0].models == ("org/model",)
    assert brief.digest == whole.digest


def test_a_provider_may_be_an_alias_or_a_row_of_the_suite(load_text: Load) -> None:
    """Known names are accepted in any case, and the suite's own rows with their aliases."""
    suite = load_text(
        "providers: {acme: {base_url: 'https://a.example/v1', aliases: [ac]}}\n"
        "targets: [{provider: DeepSeek}, {provider: acme, models: [m]}, {provider: ac, models: [n]}]\n"
        "cases: [{id: a, prompt: hi}]"
    )
    assert [target.provider for target in suite.targets] == ["DeepSeek", "acme", "ac"]


def test_a_leading_system_message_replaces_the_default(load_text: Load) -> None:
    """A conversation's system message replaces the default one instead of being sent beside it."""
    (case,) = load_text(
        "cases:\n  - id: a\n    vars: {who: pirate}\n    messages:\n"
        "      - {role: system, content: 'You are a {{who}}.'}\n      - {role: user, content: hi}\n"
    ).cases
    assert (case.system, case.history, case.turns, case.line) == ("You are a pirate.", (), ("hi",), 2)


def test_a_prompt_file_is_a_template_only_with_variables(tmp_path: Path, load_text: Load) -> None:
    """Braces in a file are sent as they are, unless the case has values for them."""
    (tmp_path / "t.txt").write_text("Say {{name}} {# twice #}\r\n", encoding="utf-8", newline="")
    (tmp_path / "c.jsonl").write_text('{"id": "c", "prompt": "{% x"}\n', encoding="utf-8")
    suite = load_text(
        "cases_from: c.jsonl\ncases: [{id: a, prompt_file: t.txt}, {id: b, prompt_file: t.txt, vars: {name: Ada}}]"
    )
    assert [case.turns[0] for case in suite.cases] == ["Say {{name}} {# twice #}", "Say Ada ", "{% x"]


def test_rows_of_a_csv_file_are_cases(tmp_path: Path, load_text: Load) -> None:
    """Quoted line ends, commas, a byte order mark, empty cells and CRLF are read as spreadsheets write them."""
    rows = '\ufeffid,prompt,system,tags,vars.n\r\na,"x, ""y""\r\nz {{n}}",,en; short,7\r\nb,你好,Be brief.,,\r\n'
    (tmp_path / "c.csv").write_text(rows, encoding="utf-8", newline="")
    first, second = load_text("cases_from: c.csv").cases
    assert (first.turns, first.system, first.tags, first.line) == (('x, "y"\nz 7',), None, ("en", "short"), 1)
    assert (second.turns, second.system, second.tags) == (("你好",), "Be brief.", ())


def test_a_case_file_reports_at_most_twenty_problems(tmp_path: Path, load_text: Load) -> None:
    """A thousand faulty rows give twenty problems."""
    (tmp_path / "c.jsonl").write_text("{}\n" * 1000, encoding="utf-8")
    with pytest.raises(InvalidFile) as caught:
        load_text("cases_from: c.jsonl")
    assert len(caught.value.problems) == 20


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_symlink_cannot_leave_the_suites_folder(tmp_path: Path) -> None:
    """A suite cannot send a file from elsewhere, by whatever name."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (home / "link.txt").symlink_to(tmp_path / "secret.txt")
    (home / "s.yaml").write_text("cases: [{id: a, prompt_file: link.txt}]", encoding="utf-8")
    with pytest.raises(InvalidFile, match="outside the suite's folder"):
        load(home / "s.yaml", ())


SUITE = "targets: [{provider: openai, seed: 1}]\ndefaults: {temperature: 1}\ncases: [{id: a, prompt: hi, tags: [x]}]\n"


@pytest.mark.parametrize(
    "same",
    [
        "# a comment\n" + SUITE,
        "name: other\ndescription: words\nversion: 1\n" + SUITE,
        SUITE.replace("temperature: 1", "temperature: 1.0, stream: true"),
        SUITE.replace("[{id: a, prompt: hi, tags: [x]}]", "\n  - {tags: ['x'], id: a, prompt: '{{v}}', vars: {v: hi}}"),
    ],
    ids=["comment", "name", "defaults-written-out", "other-way-of-writing"],
)
def test_digest_ignores_how_a_suite_is_written(same: str, load_text: Load) -> None:
    """Comments, names, order, quotes and explicit defaults do not change the digest."""
    assert load_text(same).digest == load_text(SUITE).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("prompt: hi", "prompt: ho"),
        ("id: a", "id: b"),
        ("tags: [x]", "tags: [y]"),
        ("tags: [x]", "tags: [x], system: s"),
        ("prompt: hi", "turns: [hi, hi]"),
        ("seed: 1", "seed: 2"),
        ("openai", "zhipu"),
        ("temperature: 1", "temperature: 0"),
        ("temperature: 1", "temperature: 1, repeat: 2"),
        ("defaults:", "providers: {openai: {concurrency: 2}}\ndefaults:"),
    ],
)
def test_digest_changes_with_every_change_of_meaning(old: str, new: str, load_text: Load) -> None:
    """Every change of prompts, targets or parameters changes the digest."""
    assert load_text(SUITE.replace(old, new)).digest != load_text(SUITE).digest


def test_prompts_of_ask_become_a_suite_that_sends_them_as_they_are() -> None:
    """The prompts of `compare ask` are sent as they are, braces included."""
    suite = suite_from_prompts(["你是谁？", "{{x}}"], parameters=Parameters(seed=1))
    assert [(case.id, case.turns) for case in suite.cases] == [("prompt-1", ("你是谁？",)), ("prompt-2", ("{{x}}",))]
    assert (suite.name, suite.repeat, suite.parameters.seed, len(suite.digest)) == ("ask", 1, 1, 64)


@pytest.mark.parametrize("prompts", [[], [" \n"], ["hi", ""]])
def test_an_empty_prompt_is_refused(prompts: list[str]) -> None:
    """There must be a prompt, and none may be blank."""
    with pytest.raises(CompareError, match="A prompt is empty"):
        suite_from_prompts(prompts)


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{{a}} {{ b|upper }}", "x TWO"),
        ("{{ 'ab' * (n | int) }}", "ababab"),
        ("{{ (n|int + 4) * 2 // 3 }}", "4"),
        ("{% if a == 'x' and n|int > 2 %}yes{% elif b %}maybe{% else %}no{% endif %}", "yes"),
        ("{{ 'short' if a|length < 2 else 'long' }}", "short"),
        ("{% raw %}{{a}}{% endraw %}{# gone #}", "{{a}}"),
        ("<{{ b }}> & 你\n", "<two> & 你\n"),
    ],
)
def test_a_template_is_filled(template: str, filled: str) -> None:
    """Variables, arithmetic, conditions, raw parts and filters work, and nothing is escaped for HTML."""
    assert read_template(template).fill({"a": "x", "b": "two", "n": "3"}) == filled


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'a' * 10**9 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 1000000000 * 'a' }}",
        "{{ ('a' * 1000000) * 1000000 }}",
        "{{ [0] * 1000000000 }}",
        "{{ 9 * 9" + " * 9999999999" * 90 + " }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ range(1000000000)|list }}",
        "{{ lipsum(n=100000) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ 'a' | center(1000000000) }}",
        "{{ ('a' * 100000) | join('b' * 100000) }}",
        "{{ 'a' * 1000000 }}" * 3,
        "{{ ('a' * 1000000)" + " ~ ('a' * 1000000)" * 90 + " }}",
        "{% set x = 'a' * 1000000 %}{{ x }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% include 'x' %}",
        "{% import 'os' as os %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ self }}{{ cycler }}" + "{{ x" * 3,
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "not " * 5000 + "1 }}",
        "{% if 1 %}" * 500 + "{% endif %}" * 500,
        "{{ 1 }}" * 5000,
        "{{ 'a' - 1 }}",
        "{{ 1 // 0 }}",
        "{{ -'a' }}",
        "{{ 'a' < 1 }}",
        "{{ 'x' | int('a') }}",
    ],
    ids=lambda template: template[:40],
)
def test_a_dangerous_template_is_refused(template: str) -> None:
    """Bombs, loops, calls and escapes from the sandbox give an error at once, without using memory."""
    with pytest.raises(BadTemplate) as caught:
        read_template(template).fill({})
    assert caught.value.hint


@given(st.text("{}%# abn*|()'\"1.+-~[]=,ifelsndwhtrp\n", max_size=60), st.text(max_size=5))
def test_any_text_is_a_template_or_refused(text: str, value: str) -> None:
    """No text makes the templates raise another error, or grow beyond the bound."""
    try:
        filler = read_template(text)
        filled = filler.fill(dict.fromkeys(filler.names, value))
    except BadTemplate:
        return
    assert len(filled) <= MAX_TEMPLATE_CHARACTERS + len(text)


NAMES = st.from_regex("[a-z]{1,3}", fullmatch=True)
MATRICES = st.dictionaries(NAMES, st.lists(st.text(max_size=6), min_size=1, max_size=4), max_size=3)


@given(MATRICES)
def test_a_matrix_gives_every_combination_a_unique_id(matrix: dict[str, list[str]]) -> None:
    """There are as many combinations as the product of the lists' lengths, each with its own suffix and values."""
    made = combinations(matrix)
    suffixes = [suffix for suffix, _ in made]
    assert len(set(suffixes)) == len(made)
    assert [tuple(values.values()) for _, values in made] == list(product(*matrix.values()))


WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
NUMBERS = st.floats(0, 2, allow_nan=False)
TURNS = st.lists(WORDS, min_size=1, max_size=3)
CASE = st.tuples(WORDS, TURNS, st.lists(WORDS, max_size=2), st.none() | WORDS)
CASES = st.lists(CASE, min_size=1, max_size=4, unique_by=lambda case: case[0])
MODELS = st.lists(WORDS, min_size=1, unique=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cases=CASES, temperature=NUMBERS, repeat=st.integers(1, 99), models=MODELS)
def test_a_generated_suite_is_read_back(
    load_text: Load,
    cases: list[tuple[str, list[str], list[str], str | None]],
    temperature: float,
    repeat: int,
    models: list[str],
) -> None:
    """Generated suites have every id, turn, tag, system message, model and parameter that was written."""
    written = {
        "defaults": {"temperature": temperature, "repeat": repeat},
        "targets": [{"provider": "openai", "models": models}],
        "cases": [{"id": i, "turns": t, "tags": g, **({"system": s} if s else {})} for i, t, g, s in cases],
    }
    suite = load_text(json.dumps(written, ensure_ascii=False))
    assert [(c.id, list(c.turns), list(c.tags), c.system) for c in suite.cases] == cases
    assert (suite.parameters.temperature, suite.repeat) == (temperature, repeat)
    assert list(suite.targets[0].models) == models


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_damaged_suite_is_read_or_refused(load_text: Load, tmp_path: Path, data: st.DataObject) -> None:
    """For any cut or change of a valid suite, no other error is raised."""
    for name in ("letter.txt", "more.csv"):
        (tmp_path / name).write_text(BLOCKS[name], encoding="utf-8")
    lines = BLOCKS["everything.yaml"].splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        other = data.draw(
            st.sampled_from([*lines, "", "- 1", "{}", "  a: [", "null", "version: {}", "  system: {{x}}"])
        )
        at = data.draw(st.integers(0, len(lines[index])))
        lines[index] = data.draw(
            st.sampled_from([other, lines[index][:at] + other, lines[index][:at], lines[index][at:]])
        )
    with suppress(InvalidFile):
        assert load_text("\n".join(lines)).cases


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    kind=st.sampled_from(["csv", "jsonl"]),
    content=st.binary(max_size=60) | st.text("id,prompt\n\"{}[]:1\\u;x'", max_size=80),
)
def test_any_case_file_is_read_or_refused(load_text: Load, tmp_path: Path, kind: str, content: str | bytes) -> None:
    """No bytes in a case file raise another error."""
    raw = content.encode() if isinstance(content, str) else content
    (tmp_path / f"c.{kind}").write_bytes(b"id,prompt\n" * (kind == "csv" and raw[:1] > b"a") + raw)
    with suppress(InvalidFile):
        assert load_text(f"cases_from: c.{kind}").cases


def test_jinja2_is_loaded_only_for_templates(tmp_path: Path) -> None:
    """Importing `runner.suite` is light, and a suite without templates never needs jinja2."""
    (tmp_path / "plain.yaml").write_text(SUITE, encoding="utf-8")
    program = (
        "import sys, runner.core.suite; from pathlib import Path\n"
        "assert not {'pydantic', 'yaml', 'jinja2'} & sys.modules.keys()\n"
        "from runner.suite.load import load; load(Path('plain.yaml'), ['openai'])\n"
        "assert 'jinja2' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
    )


@pytest.mark.parametrize(("written", "size"), [("500kB", 500_000), ("32 MiB", 2**25), ("1000", 1000), ("64mib", 2**26)])
def test_a_reply_limit_is_a_size(written: str, size: int, load_text: Load) -> None:
    """It is written with or without a unit, and is not part of the digest, because it is not sent."""
    suite = load_text(f"defaults: {{reply_limit: {written}}}\ncases: [{{id: a, prompt: hi}}]")
    assert suite.parameters.reply_limit == size
    assert suite.digest == load_text("cases: [{id: a, prompt: hi}]").digest


@pytest.mark.parametrize("written", ["0", "65MiB", "-1", "1.5MiB", "much", "1e9", "9999999999"])
def test_a_reply_limit_out_of_range_is_refused(written: str, load_text: Load) -> None:
    """Zero, more than the maximum and other words are refused with a hint."""
    with pytest.raises(InvalidFile, match="Write a size up to 64MiB"):
        load_text(f"defaults: {{reply_limit: {written}}}\ncases: [{{id: a, prompt: hi}}]")
