"""Imported cases send what promptfoo would send; parts that would differ are listed."""

import json
from pathlib import Path
from typing import Any

import pytest

from runner.commands.import_suite import ImportedSuite
from tests.support.promptfoo_imports import imported, prompts_sent, reasons, suite_of, write


def skipped_parts(made: ImportedSuite) -> list[str]:
    """Return the parts that were not imported, without places and hints."""
    return [reason.partition(": ")[2] for reason in reasons(made)]


# Variables


def test_a_variable_that_cannot_be_imported_drops_only_the_cases_that_use_it() -> None:
    """Null, a mapping or a template in a variable that a prompt does not use, or a test replaces, changes nothing."""
    made = imported("""\
        prompts: ['Tell {{q}}', 'Tell {{q}} to {{who}}']
        defaultTest: {vars: {who: [{name: Ann}], note: null, more: '{{q}}'}}
        tests:
          - vars: {q: one}
          - vars: {q: two, who: Bo}
    """)
    assert prompts_sent(made) == ["Tell one", "Tell two", "Tell two to Bo"]
    assert len(made.not_imported) == 1
    assert "`who`" in made.not_imported[0]


def test_a_list_that_begins_with_no_text_is_no_list_of_cases() -> None:
    """Promptfoo inserts a whole list of numbers; a list of texts makes a case of each."""
    made = imported("""\
        prompts: ['In {{year}}']
        tests:
          - vars: {year: [1999, 2001]}
          - vars: {year: ['1999', 2001]}
          - vars: {year: [yes, no]}
    """)
    assert prompts_sent(made) == ["In 1999", "In 2001", "In yes", "In no"]
    assert len(made.not_imported) == 1
    assert "fills in as a whole" in made.not_imported[0]


@pytest.mark.parametrize(
    ("template", "value", "is_taken"),
    [
        ("{% if short %}Be brief. {% endif %}Go", "false", False),
        ("{% if short %}Be brief. {% endif %}Go", "'false'", True),
        ("{% if n == 3 %}Three. {% endif %}Go", "'3'", False),
        ("{% if n == '3' %}Three. {% endif %}Go", "'3'", True),
        ("{% if n %}a == 3: {% endif %}Go", "'3'", True),
        ("Go {{n}} times", "3", True),
        ("Go {{ n * 2 }} times", "3", False),
    ],
)
def test_an_expression_that_depends_on_the_type_of_a_variable_is_listed(
    template: str, value: str, *, is_taken: bool
) -> None:
    """A false that became a text would be true, and a number would equal no text."""
    name = "short" if "short" in template else "n"
    made = imported(f'prompts: ["{template}", Fine]\ntests: [{{vars: {{{name}: {value}}}}}]\n')
    assert len(prompts_sent(made)) == (2 if is_taken else 1)
    assert len(made.not_imported) == (0 if is_taken else 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[("1.10", "1.1"), ("2.0", "2"), ("1950", "1950"), ("True", "true"), ("false", "false"), ("-0.5", "-0.5")],
        *[("'1.10'", "1.10"), ("yes", "yes"), ("No", "No"), ("007x", "007x")],
    ],
)
def test_a_number_is_filled_in_as_promptfoo_prints_it(value: str, text: str) -> None:
    """A text is inserted unchanged."""
    assert prompts_sent(imported(f"prompts: ['{{{{v}}}}']\ntests: [{{vars: {{v: {value}}}}}]\n")) == [text]


# Chats


CHAT = [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("form", [json.dumps(CHAT), "- role: system\n  content: Be kind\n- role: user\n  content: Hi"])
def test_a_variable_that_is_a_chat_is_asked_as_one(form: str) -> None:
    """Its messages are sent, not its JSON or YAML as one text."""
    made = imported(f"prompts: ['{{{{chat}}}}']\ntests: [{{vars: {{chat: {json.dumps(form)}}}}}]\n")
    (case,) = suite_of(made)["cases"]
    assert (case["system"], case["prompt"]) == ("Be kind", "Hi")


@pytest.mark.parametrize(
    ("prompt", "values", "expected"),
    [
        ("{{a}} and {{b}}", {"a": "[1]", "b": "x"}, ["[1] and x"]),
        ("Sort {{a}}", {"a": "[3, 1]"}, ["Sort [3, 1]"]),
        ("{{a}}", {"a": "[draft] Hi"}, ["[draft] Hi"]),
    ],
)
def test_a_variable_in_brackets_within_a_text_stays_a_text(
    prompt: str, values: dict[str, Any], expected: list[str]
) -> None:
    """Only a prompt that is JSON as a whole is a chat."""
    made = imported(f"prompts: ['{prompt}']\ntests: [{{vars: {json.dumps(values)}}}]\n")
    assert prompts_sent(made) == expected


def test_chats_that_cannot_be_one_case_are_listed() -> None:
    """Several in one variable, JSON that is no chat, and one with an answer at its end."""
    chat = json.dumps(CHAT)
    tests = [{"q": [chat, chat]}, {"q": '{"a": 1}'}, {"q": json.dumps([{"role": "assistant", "content": "x"}])}]
    made = imported(
        "prompts: ['{{q}}']\ntests: " + json.dumps([{"vars": {"q": "fine"}}, *({"vars": each} for each in tests)])
    )
    assert prompts_sent(made) == ["fine"]
    assert skipped_parts(made) == [
        "this test's variables make several chats of the prompt",
        "this prompt is JSON or YAML, and no list of messages",
        "this prompt ends with words of the assistant",
    ]


@pytest.mark.parametrize("text", ["[INST] Hi [/INST]", "[draft] Say hi", "{name} says hi"])
def test_a_bracket_alone_makes_no_json_of_a_prompt(text: str) -> None:
    """Promptfoo sends such a text unchanged."""
    assert prompts_sent(imported(f"prompts: ['{text}']\n")) == [text]


# Tables


def test_a_table_of_prompts_may_have_one_column_and_space_at_its_end() -> None:
    """Without a comma each line is a prompt; a blank after the last quote is no error."""
    write("lines.csv", "prompt\nOne {{q}}\nTwo\n")
    write("bare.csv", "Three\n\nFour {{q}}")
    write("table.csv", 'prompt,label\n" Five, {{q}} ",a\n"Six","b" \n')
    made = imported("prompts: [lines.csv, bare.csv, table.csv]\ntests: [{vars: {q: x}}]\n")
    assert made.not_imported == ()
    assert prompts_sent(made) == ["One x", "Two", "Three", "Four x", "Five, x", "Six"]


@pytest.mark.parametrize(
    "cell",
    [
        *("grade: is polite", "fn: output.length < 9", "eval:true", "similar:cosine(0.8): hi", "tool-call-f1: a"),
        *("trajectory:step-count: 3", "not-word-count: 3", "human"),
    ],
)
def test_a_type_that_only_promptfoo_knows_is_never_the_answer_itself(cell: str) -> None:
    """Old names and names with a colon are types too; they are listed, and not compared with the reply."""
    write("t.csv", f"q,__expected\nx,{cell}\ny,grade A\n")
    made = imported("prompts: ['{{q}}']\ntests: t.csv\n")
    first, second = suite_of(made)["cases"]
    assert "checks" not in first
    assert second["checks"] == {"equals": "grade A"}
    assert len(made.not_imported) == 1


def test_a_setting_in_a_table_belongs_to_the_assertion_of_its_number() -> None:
    """A threshold counts for the type that has one; another setting drops its assertion, but not the test."""
    write(
        "t.csv",
        "q,__expected1,__expected2,__config:__expected:threshold,__config:__expected2:weight\n"
        "x,latency,contains: a,1500,\ny,latency,contains: a,500,2\n",
    )
    made = imported("prompts: ['{{q}}']\ntests: t.csv\n")
    assert [case["checks"] for case in suite_of(made)["cases"]] == [
        {"max_total_s": 1.5, "contains": "a"},
        {"max_total_s": 0.5},
    ]
    assert skipped_parts(made) == ["`contains` with `weight` has no counterpart"]


def test_a_prompt_function_with_dots_in_its_name_is_a_program() -> None:
    """The name after the colon may be that of a method."""
    Path("make.py").write_text("")
    made = imported("prompts: ['file://make.py:Maker.build', Fine]\n")
    assert skipped_parts(made) == ["prompts from `make.py:Maker.build` are made by a program"]


def test_a_prompt_that_is_written_twice_is_asked_once() -> None:
    """A file that is named twice is sent once, too; prompts with labels are sent separately."""
    write("p.txt", "File")
    made = imported("prompts: [Hi, file://p.txt, Hi, file://./p.txt, {label: a, raw: Hi}, {label: b, raw: Hi}]\n")
    assert prompts_sent(made) == ["Hi", "File", "Hi", "Hi"]


# Scenarios, and tests for some of the prompts


def test_a_scenario_asks_each_of_its_tests_with_each_part_of_its_config() -> None:
    """Variables and assertions of a part override those of the default test, and those of the test override both."""
    write("more.yaml", "- {config: [{vars: {who: Cy}}], tests: more_tests.yaml}\n")
    write("more_tests.yaml", "- vars: {q: Three}\n")
    made = imported("""\
        prompts: ['{{q}} to {{who}}{{end}}']
        defaultTest: {vars: {end: '!', q: Zero}}
        scenarios:
          - description: first
            config:
              - {vars: {who: Al}, assert: [{type: contains, value: a}]}
              - {vars: {who: Bo, end: '?'}}
            tests:
              - {vars: {q: One}, assert: [{type: contains, value: b}]}
              - {vars: {q: Two, end: .}}
          - config: [{vars: {who: Di}}]
          - file://more.yaml
    """)
    assert made.not_imported == ()
    assert prompts_sent(made) == ["One to Al!", "Two to Al.", "One to Bo?", "Two to Bo.", "Zero to Di!", "Three to Cy!"]
    assert [case.get("checks") for case in suite_of(made)["cases"]][:3] == [
        {"contains": ["a", "b"]},
        {"contains": "a"},
        {"contains": "b"},
    ]


def test_parts_of_scenarios_that_cannot_be_imported_are_listed() -> None:
    """They are wrong types, parts that would change the prompt, and missing files."""
    made = imported("""\
        prompts: ['{{q}}']
        scenarios:
          - {tests: [{vars: {q: x}}]}
          - 7
          - {config: [{vars: {q: fine}}, {provider: openai:x, vars: {q: x}}]}
          - {config: [{vars: {q: x}}], tests: nothing.yaml}
    """)
    assert prompts_sent(made)[0] == "fine"
    assert [reason.partition(" ")[2] for reason in reasons(made)] == [
        "this is not a scenario",
        "a test with `provider` is not taken",
        "`nothing.yaml`: there is no such file",
    ]


def test_a_test_is_asked_with_the_prompts_that_it_names() -> None:
    """It names them by label, id, text without a label, or group; a name that no prompt has is listed."""
    write("plain.txt", "E {{q}}\n---\nF {{q}}\n")
    made = imported("""\
        prompts:
          - {id: first, label: 'Formal', raw: 'A {{q}}'}
          - {label: 'Short:one', raw: 'B {{q}}'}
          - {label: 'Short:two', raw: 'C {{q}}'}
          - 'D {{q}}'
          - {id: file://plain.txt, label: Files}
        tests:
          - {vars: {q: 1}, prompts: [Formal]}
          - {vars: {q: 2}, prompts: first}
          - {vars: {q: 3}, prompts: ['Short:*', 'D {{q}}']}
          - {vars: {q: 4}, prompts: [Short]}
          - {vars: {q: 5}, prompts: [Files]}
          - {vars: {q: 6}, prompts: [Casual]}
          - {vars: {q: 7}, prompts: 7}
    """)
    assert prompts_sent(made) == ["A 1", "A 2", "B 3", "C 3", "D 3", "B 4", "C 4", "E 5", "F 5"]
    assert skipped_parts(made) == [
        "no prompt that was taken is called `Casual`",
        "`prompts` of a test is not a list of labels",
    ]


def test_prompts_of_a_target_are_listed() -> None:
    """A suite sends every case to every target."""
    made = imported("prompts: [{label: a, raw: Hi}]\nproviders: [{id: 'openai:m', prompts: [a]}]\n")
    assert skipped_parts(made) == ["`prompts` of a target has no counterpart"]
