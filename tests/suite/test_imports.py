"""Imports from other tools: suites that `compare run` accepts, and a list of what was skipped."""

import json
import re
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.commands.import_suite import ImportedSuite, import_file
from runner.core.suite import Message, Suite
from runner.document import Json, parse, write
from runner.errors import CompareError, InvalidFile
from runner.providers.registry import builtin
from runner.suite.errors import NotImportable
from runner.suite.imports.draft_suite import ImportSource
from runner.suite.imports.promptfoo.assertions import checks_of, parse_assertion
from runner.suite.load import load
from tests.conftest import RunCli
from tests.support.promptfoo_imports import suite_of


def test_braces_in_results_of_tools_and_in_wanted_calls_are_literal() -> None:
    """An imported case has the text of its row, in a suite and in a file of rows."""
    row = {
        "id": "a",
        "prompt": "{{x}}?",
        "tools": [{"name": "f", "parameters": {"type": "object"}}],
        "tool_results": {"f": "{{braces}} and {% more %}"},
        "checks": {"calls": {"name": "f", "arguments": {"text": "{{y}}", "list": ["{# z #}"]}}},
    }
    (case,) = loaded(imported(json.dumps(row) + "\n", "rows.jsonl")).cases
    assert case.turns == ("{{x}}?",)
    assert case.tool_results == {"f": "{{braces}} and {% more %}"}
    assert case.expectations.checks == row["checks"]


def test_braces_beside_an_image_are_literal() -> None:
    """A text among the parts of a message is not a template either."""
    text, image = {"type": "text", "text": "What is {{x}}?"}, {"url": "https://h/a.png"}
    message = {"role": "user", "content": [text, {"type": "image_url", "image_url": image}]}
    (case,) = loaded(imported(json.dumps({"messages": [message]}) + "\n", "rows.jsonl")).cases
    assert case.parts_of(1)[0] == "What is {{x}}?"


def imported(text: str, name: str = "promptfooconfig.yaml") -> ImportedSuite:
    """Import a file of this text."""
    Path(name).write_text(dedent(text), encoding="utf-8")
    return import_file(Path(name), None)


def loaded(made: ImportedSuite) -> Suite:
    """Return the suite as `compare run` would."""
    Path("suite.yaml").write_text(made.text, encoding="utf-8")
    return load(Path("suite.yaml"), builtin().names)[0]


# Writing YAML


AWKWARD = (
    *("1e3", "0x1F", "017", "no", "~", "", " a", "a ", "- b", "{{x}}", "a: b", "# c", "|", "a\nb", "a\n\n b\n", "\n"),
    *("  a\nb", "12:30", "=", "<<", "1_000", ".5", "\u2028a", "\ufeffa", "a\tb", "'", '"', "- a\n- b", "a\r\nb", "..."),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(AWKWARD)
SCALARS = TEXTS | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
DATA = st.recursive(
    SCALARS | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, DATA, min_size=1))
def test_written_yaml_is_read_back(data: dict[str, Json]) -> None:
    """Any data is the same after it was written as YAML and read by the strict reader."""
    assert parse(write(data), "written.yaml").data == data


def test_multiline_texts_are_written_as_blocks() -> None:
    """A text of several lines is a block; keys keep their order; lists are indented; no line is folded."""
    data: Json = {"b": "one\ntwo\n", "a": ["x " * 100], "c": {"d": "no"}}
    assert write(data) == f"b: |\n  one\n  two\na:\n  - '{'x ' * 100}'\nc:\n  d: 'no'\n"


# promptfoo


def test_promptfoo_config_becomes_a_case_for_each_test_and_prompt() -> None:
    """A configuration becomes cases, targets and defaults, and each list of values a matrix."""
    made = imported("""
        description: Greetings
        prompts:
          - 'Say {{word}} in {{language}}.'
          - {id: 'Shout {{word}}!', label: Loud One}
        providers:
          - openai:chat:gpt-5-mini
          - id: alibaba:qwen-plus
            config: {temperature: 0.5, max_tokens: 90, reasoning_effort: low, stop: [END]}
          - deepseek:deepseek-chat: {config: {top_p: 0.5}}
          - ollama:chat:llama3.3:8b
          - openai:responses:gpt-5
          - anthropic:messages:claude-haiku-5-5
          - anthropic:claude-sonnet-5
        evaluateOptions: {repeat: 2}
        defaultTest:
          vars: {language: French}
          assert: [{type: latency, threshold: 2500}]
        tests:
          - description: Good morning!
            vars: {word: ['1.10', yes], language: German}
            assert: [{type: contains, value: '{{word}}'}, {type: contains, value: x}]
          - vars: {word: hello}
    """)
    assert made.not_imported == ()
    word = {"max_total_s": 2.5, "contains": ["{{word}}", "x"]}
    assert suite_of(made) == {
        "version": 1,
        "description": "Greetings",
        "targets": [
            {"provider": "openai", "models": ["gpt-5-mini"]},
            {
                "provider": "dashscope",
                "models": ["qwen-plus"],
                "temperature": 0.5,
                "max_tokens": 90,
                "thinking": "low",
                "stop": ["END"],
            },
            {"provider": "deepseek", "models": ["deepseek-chat"], "top_p": 0.5},
            {"provider": "ollama", "models": ["llama3.3:8b"]},
            {"provider": "openai", "models": ["gpt-5"], "api": "responses"},
            {"provider": "anthropic", "models": ["claude-haiku-5-5"], "api": "messages"},
            {"provider": "anthropic", "models": ["claude-sonnet-5"], "api": "messages"},
        ],
        "defaults": {"repeat": 2},
        "cases": [
            {
                "id": "good-morning-prompt-1",
                "prompt": "Say {{word}} in {{language}}.",
                "vars": {"language": "German"},
                "matrix": {"word": ["1.10", "yes"]},
                "checks": word,
            },
            {
                "id": "good-morning-loud-one",
                "prompt": "Shout {{word}}!",
                "matrix": {"word": ["1.10", "yes"]},
                "checks": word,
            },
            {
                "id": "test-2-prompt-1",
                "prompt": "Say {{word}} in {{language}}.",
                "vars": {"language": "French", "word": "hello"},
                "checks": {"max_total_s": 2.5},
            },
            {
                "id": "test-2-loud-one",
                "prompt": "Shout {{word}}!",
                "vars": {"word": "hello"},
                "checks": {"max_total_s": 2.5},
            },
        ],
    }
    assert len(loaded(made).cases) == 6


ASSERTIONS: list[tuple[Json, Json]] = [
    ({"type": "equals", "value": 4}, {"equals": "4"}),
    ({"type": "equals", "value": {"a": [1]}}, {"json": {"const": {"a": [1]}}}),
    ({"type": "contains", "value": "a"}, {"contains": ["a"]}),
    ({"type": "contains-all", "value": ["a", "b"]}, {"contains": ["a", "b"]}),
    ({"type": "contains-all", "value": 'a, "b, c"'}, {"contains": ["a", "b, c"]}),
    ({"type": "contains-any", "value": ["a.b", "c"]}, {"regex": ["(a\\.b|c)"]}),
    ({"type": "not-contains", "value": "a"}, {"not_contains": ["a"]}),
    ({"type": "not-contains-any", "value": ["a", "b"]}, {"not_contains": ["a", "b"]}),
    ({"type": "icontains", "value": "A+"}, {"regex": ["(?i)A\\+"]}),
    ({"type": "icontains-all", "value": "a,b"}, {"regex": ["(?i)a", "(?i)b"]}),
    ({"type": "icontains-any", "value": "a,b"}, {"regex": ["(?i)(a|b)"]}),
    ({"type": "starts-with", "value": "Yes"}, {"starts_with": "Yes"}),
    ({"type": "regex", "value": "^a+$"}, {"regex": ["^a+$"]}),
    ({"type": "is-json"}, {"json": True}),
    ({"type": "is-json", "value": {"type": "object"}}, {"json": {"type": "object"}}),
    ({"type": "is-json", "value": '{"type": "object"}'}, {"json": {"type": "object"}}),
    ({"type": "not-is-refusal"}, {"no_refusal": True}),
    ({"type": "finish-reason", "value": "stop"}, {"finish_reason": "stop"}),
    ({"type": "latency", "threshold": 3000}, {"max_total_s": 3}),
    ({"type": "contains", "value": "a", "metric": "politeness"}, {"contains": ["a"]}),
]


def assertion(written: Json) -> ImportSource:
    """Return an assertion as a part of a file."""
    return ImportSource(parse(write({"assert": written}), "c.yaml"), ("assert",))


@pytest.mark.parametrize(("written", "checks"), ASSERTIONS)
def test_an_assertion_becomes_a_check_of_the_same_meaning(written: Json, checks: Json) -> None:
    """Each type that can be imported has one meaning as a check."""
    assert checks_of(assertion(written)) == checks


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ({"type": "llm-rubric", "value": "polite"}, "its verdict is another model's"),
        ({"type": "javascript", "value": "true"}, "it is code"),
        ({"type": "cost", "threshold": 0.1}, "its amount is in dollars"),
        ({"type": "not-equals", "value": "a"}, "there is no such check"),
        ({"type": "no-such-thing"}, "there is no such check"),
        ({"type": "regex", "value": "(?=a)"}, "invalid perl operator"),
        ({"type": "regex", "value": "{{word}}"}, "patterns are not templates"),
        ({"type": "icontains", "value": "{{word}}"}, "patterns are not templates"),
        ({"type": "contains", "value": "file://a.txt"}, "takes its value from a file"),
        ({"type": "contains", "value": "a", "transform": "output.trim()"}, "`contains` with `transform`"),
        ({"type": "contains", "value": "a", "weight": 0}, "`contains` with `weight`"),
        ({"type": "contains"}, "no value"),
        ({"type": "contains-any", "value": [["a"]]}, "not text"),
        ({"type": "is-json", "value": "type: object"}, "a text that is not JSON"),
        ({"type": "is-json", "value": {"type": "objct"}}, "not a JSON Schema"),
        ({"type": "latency"}, "no threshold"),
        ({"value": "a"}, "without a type"),
        ("contains", "without a type"),
    ],
)
def test_an_assertion_without_counterpart_is_explained(written: Json, what: str) -> None:
    """An assertion is skipped if no check has its meaning, or if another key changes it."""
    with pytest.raises(NotImportable) as caught:
        checks_of(assertion(written))
    assert what in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("Paris", {"type": "equals", "value": "Paris"}),
        ("Yes: it is", {"type": "equals", "value": "Yes: it is"}),
        ("contains: a: b", {"type": "contains", "value": "a: b"}),
        ("not-contains:x", {"type": "not-contains", "value": "x"}),
        ("is-json", {"type": "is-json"}),
        ("similar(0.8): Hello", {"type": "similar", "value": "Hello", "threshold": 0.8}),
        ("latency(1500)", {"type": "latency", "threshold": 1500}),
    ],
)
def test_an_assertion_in_a_cell_is_parsed(cell: str, written: Json) -> None:
    """A table's cell has a type and a value; a cell without a type is the answer itself."""
    assert parse_assertion(cell) == written


def test_each_skipped_part_is_listed_with_its_place() -> None:
    """A test whose meaning would change is skipped as a whole; the rest of the file is imported."""
    made = imported("""\
        prompts: ['{{q}}', file://made.py, exec:./make.sh, file://missing.txt, 'A {% for x in q %}{% endfor %}']
        providers: [unknown-ai:model, openai:embedding:x, 'openai:gpt-5', {id: openai:gpt-5, label: again}]
        outputPath: out.json
        tests:
          - vars: {q: ok}
            metadata: {topic: x}
            assert:
              - {type: equals, value: a}
              - {type: equals, value: b}
          - {vars: {q: x}, options: {prefix: 'Hey '}}
          - {vars: {q: 'file://long.txt'}}
          - {vars: {q: {a: 1}}}
          - {vars: {q: x}, provider: openai:gpt-4}
          - {vars: vars.yaml}
          - {vars: {r: x}}
          - file://nothing.csv
          - {vars: {q: [ok, 'file://long.txt']}}
    """)
    assert [left.removeprefix("promptfooconfig.yaml:").partition(". ")[0] for left in made.not_imported] == [
        "1:20: prompts from `made.py` are made by a program",
        "1:36: this prompt is made by a program or another service",
        "1:52: `missing.txt`: there is no such file",
        "2:13: `unknown-ai:model` is none of the providers known here",
        "2:31: `openai:embedding:x` is not a chat completion",
        "2:67: openai/gpt-5 is a target already",
        "3:1: `outputPath` has no counterpart",
        "5:5: no case of this: the template uses a loop, which has no place in a prompt",
        "6:5: `metadata` has no counterpart",
        "9:9: a second `equals` cannot be checked beside the first",
        "10:5: a test with `options.prefix` is not taken",
        "11:5: `long.txt`: there is no such file",
        "12:5: the variable `q` is not text",
        "13:5: a test with `provider` is not taken",
        "14:5: `vars.yaml`: there is no such file",
        "15:5: no case of this: the template uses `q`, which has no value",
        "16:5: `nothing.csv`: there is no such file",
    ]
    assert suite_of(made)["cases"] == [
        {"id": "test-1-prompt-1", "prompt": "{{q}}", "vars": {"q": "ok"}, "checks": {"equals": "a"}}
    ]


def test_prompts_and_tests_are_read_from_files_beside_the_config() -> None:
    """Texts, chats and tables are read; a file outside the folder is not, since a suite may not name it either."""
    Path("p.txt").write_text("First {{q}}\n---\nSecond {{q}}\n")
    Path("chat.json").write_text('[{"role": "system", "content": "Be {{how}}"}, {"role": "user", "content": "{{q}}"}]')
    Path("t.csv").write_text('q,how,__expected,__description\n"a, b",kind,contains: A,One\nc,kind,,\n')
    Path("t.yaml").write_text("- vars: {q: d, how: kind}\n")
    Path("t.jsonl").write_text('{"vars": {"q": "e", "how": "kind"}, "assert": [{"type": "is-json"}]}\n')
    made = imported("""
        prompts: [file://p.txt, file://chat.json, file://../secret.txt]
        tests: [file://t.csv, file://t.yaml, file://t.jsonl]
    """)
    assert len(made.not_imported) == 1
    assert "`../secret.txt` lies outside the suite's folder" in made.not_imported[0]
    suite = loaded(made)
    assert [case.id for case in suite.cases][:3] == ["one-prompt-1", "one-prompt-2", "one-prompt-3"]
    assert len(suite.cases) == 12
    assert (suite.cases[2].system, suite.cases[2].turns) == ("Be kind", ("a, b",))
    assert suite.cases[0].expectations.checks == {"contains": "A"}
    assert suite.cases[-1].expectations.checks == {"json": True}


def test_an_api_key_in_a_config_is_neither_shown_nor_kept() -> None:
    """A secret in a provider's config appears in no output."""
    made = imported("""
        prompts: [Hi]
        providers: [{id: openai:gpt-5, config: {apiKey: sk-very-secret-0123456789}}]
    """)
    assert "very-secret" not in made.text + "".join(made.not_imported)
    assert "`apiKey` has no counterpart. Keys come from the environment" in made.not_imported[0]


WORDS = st.sampled_from(
    [
        "a",
        "{{q}}",
        "{{",
        "{% if q %}x{% endif %}",
        "{{ q | load }}",
        "",
        "no",
        "file://x",
        "- b",
        "1e5",
        "é",
        "a\rb,c",
        '"x',
        "- role: user",
        "[{]",
        "  ",
    ]
)
VALUES = WORDS | st.lists(WORDS, max_size=3) | st.integers() | st.booleans() | st.none() | st.just({"a": 1})
KINDS = st.sampled_from(["equals", "contains", "icontains-any", "regex", "is-json", "llm-rubric", "not-contains", "x"])
CLAIMS = st.fixed_dictionaries({"type": KINDS}, optional={"value": VALUES, "threshold": VALUES, "weight": VALUES})
TESTS = st.fixed_dictionaries(
    {},
    optional={
        "vars": st.dictionaries(st.sampled_from(["q", "r", "a b", ""]), VALUES, max_size=3),
        "assert": st.lists(CLAIMS, max_size=3),
        "description": WORDS,
        "options": st.just({"runSerially": True}),
    },
)
CONFIGS = st.fixed_dictionaries(
    {"prompts": WORDS | st.lists(WORDS, max_size=3)},
    optional={
        "tests": st.lists(TESTS | WORDS, max_size=4) | WORDS,
        "providers": VALUES | st.just(["openai:gpt-5", {"id": "deepseek:chat", "config": {"temperature": 9}}]),
        "description": VALUES,
        "evaluateOptions": st.fixed_dictionaries({"repeat": VALUES}),
    },
)


@given(CONFIGS)
def test_any_config_becomes_a_valid_suite_or_an_error(tmp_path_factory: pytest.TempPathFactory, config: Json) -> None:
    """The result is a suite that is accepted as it is, or a message with the reason."""
    path = tmp_path_factory.mktemp("import") / "promptfooconfig.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    output = path.with_name("suite.yaml")
    try:
        made = import_file(path, output)
    except CompareError as refusal:
        said = str(refusal)
    else:
        said = ""
    assert "would not be accepted" not in said
    if said:
        assert not output.exists()
        return
    suite, _ = load(output, builtin().names)
    assert len(suite.cases) >= made.cases > 0


def test_documented_import_example_is_exact() -> None:
    """docs/data.md has a configuration and the suite that the import makes of it."""
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r'^```yaml title="(\S+)"\n(.*?)^```', page, re.MULTILINE | re.DOTALL))
    assert imported(blocks["promptfooconfig.yaml"]).text == blocks["imported.yaml"]


# OpenAI's messages


EXAMPLES = [
    {"messages": [{"role": "user", "content": "Hi {{name}}?"}, {"role": "assistant", "content": "Hello", "weight": 1}]},
    {
        "messages": [
            {"role": "developer", "content": "Be brief"},
            {"role": "user", "content": [{"type": "text", "text": "A"}]},
        ]
    },
    {
        "messages": [
            {"role": "user", "content": "A"},
            {"role": "assistant", "content": "B"},
            {"role": "user", "content": "C"},
            {"role": "assistant", "content": "D"},
        ]
    },
]


def test_training_examples_ask_the_last_user_message() -> None:
    """The history is kept, the target reply is not, and braces are literal."""
    made = imported("".join(json.dumps(line) + "\n" for line in EXAMPLES), "training.jsonl")
    (left,) = made.not_imported
    assert left.startswith("training.jsonl:1:1: the reply at the end is not asked. ")
    assert left.endswith(" (1 more like it)")
    first, second, third = loaded(made).cases
    assert (first.id, first.turns) == ("line-1", ("Hi {{name}}?",))
    assert (second.system, second.turns) == ("Be brief", ("A",))
    assert third.history == (Message("user", "A"), Message("assistant", "B"))
    assert third.turns == ("C",)


def test_cases_from_reads_training_examples() -> None:
    """`cases_from` gives the same cases as the import."""
    text = "".join(json.dumps(line) + "\n" for line in EXAMPLES)
    converted = loaded(imported(text, "training.jsonl")).cases
    Path("named.yaml").write_text("cases_from: training.jsonl\n")
    named = load(Path("named.yaml"), builtin().names)[0].cases
    said = [(case.id, case.turns, case.history, case.system) for case in named]
    assert said == [(case.id, case.turns, case.history, case.system) for case in converted]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"messages": [{"role": "function", "content": "x"}]}', "a message has the role `function`"),
        ('{"messages": [{"role": "assistant", "content": "x"}]}', "these messages have no question"),
        ('{"messages": [{"role": "user", "content": null}]}', "a message of the user has no text"),
        ('{"messages": [{"role": "user", "content": "x", "name": "Bo"}]}', "a message of the user has `name`"),
        (
            '{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
            "has a part of another kind, image_url",
        ),
        ('{"messages": []}', "`messages` is empty"),
        ('{"messages": "x"}', "`messages` is not a list of messages"),
        ('{"messages": ["x"]}', "a message is not a mapping"),
        ('{"custom_id": "a", "body": {}}', "`messages` is not a list of messages"),
    ],
)
def test_messages_that_cannot_be_sent_are_refused_with_their_line(line: str, message: str) -> None:
    """A suite that names such a file is refused, and nothing is sent that was not written."""
    Path("t.jsonl").write_text(EXAMPLES_LINE + line + "\n")
    Path("suite.yaml").write_text("cases_from: t.jsonl\n")
    with pytest.raises(InvalidFile) as caught:
        load(Path("suite.yaml"), builtin().names)
    (problem,) = caught.value.problems
    assert (problem.path, problem.line) == ("t.jsonl", 2)
    assert message in problem.what


EXAMPLES_LINE = json.dumps(EXAMPLES[0]) + "\n"


def batch(*bodies: dict[str, Json], url: str = "/v1/chat/completions") -> str:
    """Return a batch file's lines."""
    ask = {"messages": [{"role": "user", "content": "Hi"}]}
    lines = ({"custom_id": f"r-{at}", "url": url, "body": ask | body} for at, body in enumerate(bodies, 1))
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_parameters_that_a_batch_shares_become_defaults() -> None:
    """Fields are kept if all requests share them, and listed otherwise; a model is never guessed."""
    agreed: dict[str, Json] = {"max_tokens": 9, "top_k": 3, "model": "m"}
    made = imported(batch({**agreed, "temperature": 0}, {**agreed, "temperature": 1, "stream": True}), "b.jsonl")
    suite = suite_of(made)
    assert suite["defaults"] == {"max_tokens": 9, "extra_body": {"top_k": 3}}
    assert [case["id"] for case in suite["cases"]] == ["r-1", "r-2"]
    assert [left.partition(". ")[0] for left in made.not_imported] == [
        "b.jsonl:1:1: `model: m` does not tell whose model it is",
        "b.jsonl:1:1: `temperature` is not the same in all requests",
    ]


def test_items_of_a_json_list_have_their_lines() -> None:
    """A .json file is read item by item; characters beyond the first 65,536 are whole."""
    text = '[\n\n {"prompt": "a \\ud83d\\ude00"},\n {"promt": "b"}, 7\n]'
    made = imported(text, "list.json")
    assert [left.partition(". ")[0] for left in made.not_imported] == [
        "list.json:4:2: nothing says what to ask; there is `promt`",
        "list.json:4:18: this is not an object in braces",
    ]
    (case,) = loaded(made).cases
    assert (case.id, case.turns) == ("line-3", ("a 😀",))


def test_rows_with_the_keys_of_a_case_are_kept() -> None:
    """Ids, turns, variables and checks stay; an unknown key is listed."""
    rows = [
        {"id": "mine", "turns": ["{{a}}", "b"], "vars": {"a": "1"}, "checks": {"contains": "x"}},
        {"prompt": "plain", "colour": "red"},
    ]
    made = imported("".join(json.dumps(row) + "\n" for row in rows), "rows.jsonl")
    assert "`colour` has no counterpart" in made.not_imported[0]
    mine, plain = loaded(made).cases
    assert (mine.id, mine.turns, mine.expectations.checks) == ("mine", ("1", "b"), {"contains": "x"})
    assert plain.id == "line-2"


# Tables


def test_a_csv_table_needs_no_ids_and_may_have_unknown_columns() -> None:
    """Line numbers become ids; unknown columns are listed once; braces are literal without variables."""
    made = imported('prompt,Category,vars.who,tags\n"Hi {{who}}",x,Bo,a;b\nPlain {{y}},,,\n', "t.csv")
    assert [left.partition(". ")[0] for left in made.not_imported] == [
        "t.csv:2:1: the column `Category` has no counterpart"
    ]
    first, second = loaded(made).cases
    assert (first.id, first.turns, first.tags) == ("line-2", ("Hi Bo",), ("a", "b"))
    assert (second.id, second.turns) == ("line-3", ("Plain {{y}}",))


# The command


def test_an_imported_suite_lists_what_was_skipped(run_cli: RunCli) -> None:
    """The suite runs as it is; the list is on stderr and at the top of the suite."""
    Path("promptfooconfig.yaml").write_text(
        "prompts: ['Say {{word}}']\nproviders: [bedrock:x]\n"
        "tests: [{vars: {word: hi}, assert: [{type: llm-rubric, value: nice}]}]\n"
    )
    made = run_cli("import", "promptfooconfig.yaml", "-o", "suite.yaml")
    assert made.returncode == 0
    assert "written: suite.yaml, 1 case" in made.stderr
    for line in made.stderr.splitlines():
        if line.startswith("not imported: "):
            assert f"#   {line.removeprefix('not imported: ')}\n" in Path("suite.yaml").read_text(encoding="utf-8")
    assert made.stderr.count("not imported: ") == 3
    assert run_cli("import", "promptfooconfig.yaml").stdout == Path("suite.yaml").read_text(encoding="utf-8")
    ran = run_cli("run", "suite.yaml", "-m", "sim/exact?ttft_ms=1&gap_ms=1&tokens=2")
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "prompts: []\ntests: []\n", "nothing in a.yaml becomes a case"),
        ("a.yaml", "cases: [{id: a, prompt: Hi}]\n", "a.yaml is a suite already: compare run a.yaml"),
        ("a.yaml", "prompts: [a\n", "a.yaml:1:10: "),
        ("a.yaml", "prompts: [Hi]\nprompts: [Ho]\n", "a.yaml:2:1: the key `prompts` is repeated"),
        ("a.yaml", "prompts: [Hi]\ndefaultTest: {vars: x.yaml}\n", "a.yaml:2:1: `x.yaml`: there is no such file"),
        (
            "a.csv",
            "frage,b\nHi,x\n",
            "a.csv:1:1: nothing says what to ask; there are `frage`, `b`. Name the column of what",
        ),
        ("a.csv", "qestion\nHi\n", "there is `qestion`. Did you mean `question`? Name the column"),
        ("a.csv", "question,__expected\nHi,x\n", "import the promptfooconfig.yaml that names it"),
        ("a.csv", "prompt\na,b\n", "a.csv:2:1: this row has 2 cells, and the first row 1"),
        ("a.jsonl", '{"prompt": "a"}\n{"prompt"\n', "a.jsonl:2:10: this line is not JSON"),
        (
            "a.jsonl",
            '{"prompt": "a", "prompt": "b"}\n',
            "a.jsonl:1:1: this line is not a case: a key is repeated in it",
        ),
        ("a.json", "[1, NaN]", "a.json:1:1: this cannot be read: NaN is not JSON"),
        ("a.toml", "", "files called .toml are not read. Known: .yaml, .csv, .tsv, .jsonl, .json."),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused(run_cli: RunCli, name: str, text: str, message: str) -> None:
    """The message has the place, the cause and a hint, and nothing is written."""
    Path(name).write_text(text)
    refused = run_cli("import", name, "-o", "made.yaml")
    assert refused.returncode == 2
    assert message in refused.stderr
    assert not Path("made.yaml").exists()


def test_import_never_overwrites_a_suite(run_cli: RunCli) -> None:
    """The existing file may have been edited since."""
    Path("a.csv").write_text("prompt\nHi\n")
    Path("suite.yaml").write_text("mine")
    refused = run_cli("import", "a.csv", "-o", "suite.yaml")
    assert (refused.returncode, Path("suite.yaml").read_text()) == (2, "mine")
    assert "there is such a file already" in refused.stderr
