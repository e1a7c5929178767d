"""References of a promptfoo configuration: prompts and tests in files, variables, `$ref`, addresses."""

import pytest

from runner.errors import CompareError
from tests.support.promptfoo_imports import imported, prompts_sent, reasons, suite_of, write

# Prompts


@pytest.mark.parametrize("name", ["{}", "file://{}", "./{}", "file://./{}"])
@pytest.mark.parametrize(
    ("file", "text", "prompts"),
    [
        ("p.txt", "One {{q}}\n  ---  \nTwo {{q}}\n", ["One x", "Two x"]),
        ("p.md", "# One\n---\n{{q}}", ["# One\n---\nx"]),
        ("p.j2", "One {{q}}", ["One x"]),
        ("prompts/p.txt", "One {{q}}", ["One x"]),
        ("p.json", '[{"role": "user", "content": "One {{q}}"}]', ["One x"]),
        ("p.yaml", "- role: user\n  content: One {{q}}\n", ["One x"]),
        (
            "p.jsonl",
            '[{"role": "user", "content": "One {{q}}"}]\n[{"role": "user", "content": "Two"}]\n',
            ["One x", "Two"],
        ),
        ("p.csv", 'prompt,label\nOne {{q}},a\n"Two, {{q}}",b\n', ["One x", "Two, x"]),
    ],
)
def test_a_prompt_file_is_read_in_every_form_of_its_name(name: str, file: str, text: str, prompts: list[str]) -> None:
    """A bare name and one with file:// send the file's text, never its name."""
    write(file, text)
    made = imported(f"""
        prompts: ['{name.format(file)}']
        tests: [{{vars: {{q: x}}}}]
    """)
    assert made.not_imported == ()
    assert prompts_sent(made) == prompts


def test_a_pattern_names_the_files_that_match() -> None:
    """The files come in the order of their names; one that cannot be read is listed by itself."""
    write("prompts/b.txt", "B")
    write("prompts/a.txt", "A")
    write("prompts/deep/c.txt", "C")
    write("prompts/made.py", "print('no')")
    assert prompts_sent(imported("prompts: [prompts/*.txt]\n")) == ["A", "B"]
    assert prompts_sent(imported("prompts: file://prompts/**/*.txt\n")) == ["A", "B", "C"]
    made = imported("prompts: ['prompts/*']\n")
    assert prompts_sent(made) == ["A", "B"]
    assert reasons(made) == ["1:11: prompts from `made.py` are made by a program"]


@pytest.mark.parametrize(
    "name",
    ["missing.txt", "prompts/*.txt", "file://missing.md", "prompts/missing", "my prompt.txt", "made.js", "a.py:build"],
)
def test_the_name_of_a_missing_prompt_file_is_never_sent(name: str) -> None:
    """The missing file is listed, with its place."""
    with pytest.raises(CompareError, match=r"promptfooconfig\.yaml:1:11: .*\n.*nothing in .* becomes a case"):
        imported(f"prompts: ['{name}']\n")


@pytest.mark.parametrize(
    "text",
    ["Answer yes/no: {{q}}", "Is it 3.14?", "and/or, {{q}}", "{{q}}/{{q}}", "Use *stars*, please...", "请回答是/否"],
)
def test_a_sentence_that_resembles_a_file_name_is_a_prompt(text: str) -> None:
    """A sentence with a slash, or with a dot near its end, is not read as a file name."""
    made = imported(f"""
        prompts: ['{text}']
        tests: [{{vars: {{q: x}}}}]
    """)
    assert prompts_sent(made) == [text.replace("{{q}}", "x")]


def test_an_old_mapping_of_files_to_labels_is_read() -> None:
    """The keys are the files, the values their labels."""
    write("p.txt", "One")
    made = imported("prompts: {p.txt: First, 'Just {{q}}': Second}\ntests: [{vars: {q: x}}]\n")
    assert [case["id"] for case in suite_of(made)["cases"]] == ["test-1-first", "test-1-second"]
    assert prompts_sent(made) == ["One", "Just x"]


def test_prompts_of_an_unknown_type_are_listed() -> None:
    """Numbers, empty texts, lists, broken JSON and JSON that is no chat are no prompts."""
    write("list.json", '["a"]')
    made = imported("""\
        prompts: [7, '', [a], {label: x}, '{"a" 1}', '{"a": 1}', list.json, exec:x, langfuse://y, Fine]
    """)
    assert prompts_sent(made) == ["Fine"]
    assert [reason.partition(": ")[2] for reason in reasons(made)] == [
        "this prompt is not text",
        "promptfoo reads this prompt as JSON, and it is none",
        "this prompt is JSON or YAML, and no list of messages",
        "this prompt is made by a program or another service",
    ]
    assert "(3 more like it)" in made.not_imported[0]


# Variables and tests


def test_variables_come_from_files_beside() -> None:
    """One file of variables, several, a pattern of them, and a file that is one variable's value are read."""
    write("vars/one.yaml", "q: one\nr: two\n")
    write("vars/two.yaml", "r: three\n")
    write("long.txt", "  a long text\n")
    write("docs/a.txt", "A\n")
    write("docs/b.txt", "B\n")
    made = imported("""
        prompts: ['{{q}} {{r}}']
        tests:
          - vars: vars/one.yaml
          - vars: [vars/one.yaml, file://vars/two.yaml]
          - vars: vars/*.yaml
          - vars: {q: file://long.txt, r: "x\\n"}
          - vars: {q: file://docs/*.txt, r: y}
    """)
    assert made.not_imported == ()
    assert prompts_sent(made) == ["one two", "one three", "one three", "a long text x", "A y", "B y"]


def test_a_test_file_in_a_folder_names_variables_beside_itself() -> None:
    """Names are relative to the file with the test."""
    write("tests/t.yaml", "- vars: more/v.yaml\n")
    write("tests/more/v.yaml", "q: deep\n")
    assert prompts_sent(imported("prompts: ['{{q}}']\ntests: tests/*.yaml\n")) == ["deep"]


def test_a_variable_that_is_made_of_a_file_drops_its_test() -> None:
    """The output of a program, an image or data is no text that could be sent.

    A file outside the folder is not read.
    """
    for name in ("load.py", "pic.png", "data.json", "list.yaml"):
        write(name, "{}")
    made = imported("""\
        prompts: ['{{q}}']
        tests:
          - vars: {q: file://load.py}
          - vars: {q: file://pic.png}
          - vars: {q: file://data.json}
          - vars: {q: file://../secret.txt}
          - vars: list.yaml
          - vars: [1]
          - vars: {q: fine}
    """)
    assert prompts_sent(made) == ["fine"]
    assert len(made.not_imported) == 6


def test_tests_of_an_unknown_type_are_listed() -> None:
    """Numbers, texts, generators and tests of another shape are listed and not sent."""
    write("tests.toml", "")
    made = imported("""\
        prompts: ['{{q}}']
        tests:
          - 7
          - tests.toml
          - file://made.py:tests
          - {path: file://made.py:tests, config: {n: 1}}
          - https://example.com/tests.csv
          - {vars: {q: x}, colour: red}
          - {vars: {q: fine}, assert: contains}
    """)
    assert prompts_sent(made) == ["fine"]
    assert reasons(made) == [
        "3:5: this is not a test",
        "4:5: tests from `tests.toml` are not read",
        "5:5: tests from `made.py:tests` are not read",
        "6:34: `config` has no counterpart",
        "7:5: `https://example.com/tests.csv` is not beside this file",
        "8:5: a test with `colour` is not taken",
        "9:23: `assert` is not a list",
    ]


@pytest.mark.parametrize("tests", ["", "tests: []\n", "tests:\n"])
def test_without_tests_each_prompt_is_asked_once(tests: str) -> None:
    """An empty list is no test; promptfoo, too, then sends each prompt unchanged."""
    assert prompts_sent(imported("prompts: [Hi, Ho]\n" + tests)) == ["Hi", "Ho"]


# Merge keys, references, the default test


def test_merge_keys_are_resolved() -> None:
    """An explicit key overrides a merged one, and the first merged mapping the next."""
    made = imported("""
        common: &common {q: one, r: two}
        other: &other {r: three, s: four}
        prompts: ['{{q}} {{r}} {{s}}']
        tests:
          - vars: {<<: [*common, *other], q: own}
          - vars:
              <<: *other
              q: last
    """)
    assert prompts_sent(made) == ["own two four", "last three four"]


def test_references_stand_for_another_part_of_the_file() -> None:
    """They are resolved in assertions and tests; keys beside a reference are added; its target is not listed."""
    made = imported("""
        prompts: ['{{q}}']
        templates:
          fast: {type: latency, threshold: 2000}
          says: {type: contains}
          vars: {q: one}
        defaultTest:
          assert: [{$ref: '#/templates/fast'}]
        tests:
          - vars: {$ref: '#/templates/vars'}
            assert: [{$ref: '#/templates/says', value: x}]
          - $ref: '#/tests/0'
    """)
    assert made.not_imported == ()
    (first, second) = suite_of(made)["cases"]
    assert (first["vars"], first["checks"]) == ({"q": "one"}, {"max_total_s": 2, "contains": "x"})
    assert (second["vars"], second["checks"]) == (first["vars"], first["checks"])


def test_a_reference_elsewhere_or_to_itself_is_listed() -> None:
    """A part with a reference to another file, to a missing part or to itself is left out; the rest is imported."""
    made = imported("""\
        prompts: ['{{q}}']
        loop: {$ref: '#/loop'}
        tests:
          - $ref: 'other.yaml#/a'
          - $ref: '#/missing'
          - $ref: '#/loop'
          - vars: {q: fine}
    """)
    assert prompts_sent(made) == ["fine"]
    assert {reason.partition(": ")[2] for reason in reasons(made)} == {
        "`other.yaml#/a` names nothing in this file",
        "`#/missing` names nothing in this file",
        "`#/loop` names nothing in this file",
    }


def test_the_default_test_may_be_a_file() -> None:
    """The variables and assertions of each test override its own."""
    write("default.yaml", "vars: {q: one, r: two}\nassert: [{type: contains, value: x}]\n")
    made = imported("prompts: ['{{q}} {{r}}']\ndefaultTest: file://default.yaml\ntests: [{vars: {q: own}}]\n")
    assert prompts_sent(made) == ["own two"]
    assert suite_of(made)["cases"][0]["checks"] == {"contains": "x"}


@pytest.mark.parametrize("where", ["defaultTest", "test"])
def test_a_transform_drops_itself_and_not_the_prompt(where: str) -> None:
    """The case is imported; checks of the transformed text are dropped, and the time limit stays."""
    with_transform = "options: {transform: output.trim()}"
    made = imported(f"""
        prompts: ['{{{{q}}}}']
        defaultTest:
          assert: [{{type: latency, threshold: 2000}}]
          {with_transform if where == "defaultTest" else ""}
        tests:
          - vars: {{q: x}}
            assert: [{{type: equals, value: y}}]
            {with_transform if where == "test" else ""}
    """)
    assert prompts_sent(made) == ["x"]
    assert suite_of(made)["cases"][0]["checks"] == {"max_total_s": 2}
    assert [reason.partition(": ")[2] for reason in reasons(made)] == [
        *(["`transform` has no counterpart"] if where == "defaultTest" else []),
        "the assertions are about what a transform makes of the reply",
        *(["`transform` has no counterpart"] if where == "test" else []),
    ]


def test_a_transform_of_one_assertion_drops_that_assertion() -> None:
    """The other assertions are imported."""
    made = imported("""
        prompts: [Hi]
        tests: [{assert: [{type: equals, value: x, transform: output.trim()}, {type: contains, value: y}]}]
    """)
    assert suite_of(made)["cases"][0]["checks"] == {"contains": "y"}


# Addresses


def test_an_address_becomes_a_provider_row() -> None:
    """Two models at one address share a row; a key comes from the variable that is named, never from another host's."""
    made = imported("""
        prompts: [Hi]
        providers:
          - {id: 'openai:chat:local-1', config: {apiBaseUrl: 'http://localhost:8000/v1', temperature: 0}}
          - {id: 'openai:local-2', config: {apiBaseUrl: 'http://localhost:8000/v1/'}}
          - {id: 'openai:chat:m', config: {apiBaseUrl: 'https://llm.example.com/v1', apiKeyEnvar: ACME_KEY}}
          - {id: 'openai:chat:m', config: {apiHost: other.example.com, apiKey: '{{env.OTHER_KEY}}'}}
          - {id: 'litellm:x/y', config: {apiBaseUrl: '{{env.PROXY_URL}}', apiKeyEnvar: PROXY_KEY}}
          - openai:gpt-5
    """)
    suite = suite_of(made)
    assert made.not_imported == ()
    assert suite["providers"] == {
        "localhost-8000": {"base_url": "http://localhost:8000/v1", "keyless": True},
        "llm-example-com": {"base_url": "https://llm.example.com/v1", "api_key_env": "ACME_KEY"},
        "other-example-com": {"base_url": "https://other.example.com/v1", "api_key_env": "OTHER_KEY"},
        "proxy-url": {"base_url_env": "PROXY_URL", "api_key_env": "PROXY_KEY"},
    }
    assert [(target["provider"], target["models"]) for target in suite["targets"]] == [
        ("localhost-8000", ["local-1"]),
        ("localhost-8000", ["local-2"]),
        ("llm-example-com", ["m"]),
        ("other-example-com", ["m"]),
        ("proxy-url", ["x/y"]),
        ("openai", ["gpt-5"]),
    ]
    assert prompts_sent(made) == ["Hi"]


def test_the_key_of_one_host_is_not_sent_to_another() -> None:
    """If no variable is named, the row has its own, and the list says so; a literal key is never kept."""
    made = imported("""
        prompts: [Hi]
        providers:
          - {id: 'openai:m', config: {apiBaseUrl: 'https://llm.example.com/v1', apiKey: sk-very-secret-0123456789}}
    """)
    row = suite_of(made)["providers"]["llm-example-com"]
    assert row["api_key_env"] == "LLM_EXAMPLE_COM_API_KEY"
    said = "".join(made.not_imported)
    assert "the key of `openai` is not sent to another address. Set LLM_EXAMPLE_COM_API_KEY" in said
    assert "very-secret" not in said + made.text


def test_an_address_with_credentials_is_listed() -> None:
    """A base URL with a user in it would be a secret in a file."""
    made = imported("""
        prompts: [Hi]
        providers: [{id: 'openai:m', config: {apiBaseUrl: 'https://a:b@example.com/v1'}}]
    """)
    assert "`apiBaseUrl` is not a base URL" in made.not_imported[-1]
    assert "a:b" not in made.text + "".join(made.not_imported)
