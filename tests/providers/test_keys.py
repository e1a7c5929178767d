"""Keys: where they are found, how they are refused, and that no output shows them."""

import copy
import json
import pickle
import subprocess
import sys
import traceback
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.errors import CompareError, InvalidFile, MissingKey
from runner.providers.config_files import load_config
from runner.providers.endpoint import find_endpoint
from runner.providers.environment import read_environment
from runner.providers.key import Key, find_key
from runner.providers.provider_row import ProviderRow
from runner.providers.redaction import MARK, SHORTEST, Redactor
from runner.providers.registry import builtin

VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
SECRETS = st.text(VISIBLE, min_size=12, max_size=60).map(lambda text: f"Zq{text}qZ")
"""Keys that occur in no sentence of ours by chance."""

KEY_ROW = ProviderRow(
    base_url="https://api.example.com/v1", api_key_env=("EXAMPLE_API_KEY", "OTHER_API_KEY"), label="Example"
)


def refusal(environ: Mapping[str, str], row: ProviderRow = KEY_ROW, provider: str = "example") -> str:
    """Return the message with which a key is refused."""
    with pytest.raises(MissingKey) as caught:
        find_key(provider, row, environ)
    return str(caught.value)


@given(SECRETS)
def test_no_representation_shows_a_key(secret: str) -> None:
    """No way to print, format or list a key gives its value."""
    key = Key(secret, "EXAMPLE_API_KEY")
    shown = [repr(key), str(key), f"{key}", f"{key:>80}", "%s" % key, repr([key]), repr({"k": key})]  # noqa: UP031
    assert not any(secret in text for text in shown)
    assert key.reveal() == secret


@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_cannot_be_pickled_or_copied(leave: Callable[[Key], object]) -> None:
    """Both fail, and the error does not quote the key."""
    with pytest.raises(TypeError) as caught:
        leave(Key("sk-0123456789abcdef", "EXAMPLE_API_KEY"))
    assert "0123456789" not in str(caught.value)


@given(st.text(min_size=8, max_size=60))
@example("sk-0123456789abcdef\x00")
@example("sk-0123456789“abcdef”")
@example("sk-0123456789 abcdef")
def test_no_error_quotes_a_value(value: str) -> None:
    """The value of a variable is a key or is refused, and neither the error nor its traceback repeats it."""
    secret = f"Zq{value}qZ"
    told = ""
    try:
        key = find_key("example", KEY_ROW, {"EXAMPLE_API_KEY": secret})
    except MissingKey as error:
        key, told = None, "".join(traceback.format_exception(error))
    assert secret not in told
    assert key is None or key.reveal() == secret
    assert (key is None) == bool(told)


@given(SECRETS, st.sampled_from(["api_key_env", "api_key", "base_url", "headers", "models", "keyless", "thinking"]))
def test_a_key_in_a_row_is_not_quoted(secret: str, field: str) -> None:
    """A key in any field of a row does not appear in pydantic's errors, printed or as data."""
    secret = f"{secret}0 "
    with pytest.raises(ValidationError) as caught:
        ProviderRow.model_validate(
            {field: {"authorization": secret} if field == "headers" else secret, "concurrency": 0}
        )
    told = [str(caught.value), repr(caught.value), repr(caught.value.errors()), caught.value.json()]
    assert not any(secret.strip() in text for text in told)


@pytest.mark.parametrize(
    "key",
    [
        "sk-0123456789abcdef0123456789abcdef",
        "sk_live_0123456789",
        "bce-v3/ALTAK-abcdefghijk/0123456789",
        "0123456789abcdef0123456789abcdef.AbCdEfGhIjKlMnOp",
        "AIzaSyA0123456789abcdefghijklmnopqrstu",
        "gsk_0123456789abcdefghijklmnop",
        "a3f5c1d2e4b6978812345678deadbeef",
        "abcdefghijklmnopqrstuvwxyzabcdefgh",
        "A3F5C1D2E4B6978812345678DEADBEEF",
        "tok_live_4f9c8d7e6b5a4c3d2e1f",
        "$DASHSCOPE_API_KEY",
        "",
    ],
)
def test_a_key_in_place_of_a_variable_name_is_refused(key: str, tmp_path: Path) -> None:
    """`api_key_env: sk-...` is refused with its place in the file and without the key."""
    path = tmp_path / "compare.yaml"
    path.write_text(f"providers:\n  deepseek:\n    api_key_env: {json.dumps(key)}\n")
    with pytest.raises(InvalidFile) as caught:
        load_config(path)
    problem = caught.value.problems[0]
    assert problem.line == 3
    assert problem.what == "`api_key_env`: this looks like a key where the name of an environment variable belongs"
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "DASHSCOPE_API_KEY",
        "my_key",
        "KEY1",
        "Zhipu_Key",
        "AZURE_OPENAI_API_KEY_2",
        "TEAM_4_GATEWAY_KEY_EU_1",
        "my_team_gateway_key_2",
    ],
)
def test_variable_names_are_accepted(name: str) -> None:
    """Common names of variables are not taken for keys."""
    assert ProviderRow.model_validate({"api_key_env": name}).api_key_env == (name,)


ABSENT = (
    "EXAMPLE_API_KEY is not set (OTHER_API_KEY would do too): Example cannot be asked without a key. "
    "Set it in the shell, `export EXAMPLE_API_KEY=YOUR_KEY`, or write the line `EXAMPLE_API_KEY=YOUR_KEY` "
    "into a file .env beside the suite."
)
PLACEHOLDER = (
    "EXAMPLE_API_KEY is set, but its value looks like a placeholder from an example. Put the key of Example there."
)
IMPOSSIBLE = (
    "The value of EXAMPLE_API_KEY holds a character no key has (a control or non-ASCII one, at place 4). "
    "Copy the key again, without anything around it."
)
SHARED = (
    "OPENAI_API_KEY is set and is not sent to example unasked; if it holds the key of example, say so in compare.yaml:"
    "\n\n    providers:\n      example:\n        api_key_env: OPENAI_API_KEY\n"
)


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({}, ABSENT),
        ({"EXAMPLE_API_KEY": "  \n"}, ABSENT.replace("not set", "set but empty")),
        ({"EXAMPLE_API_KEY": "your-api-key"}, PLACEHOLDER),
        (
            {"EXAMPLE_API_KEY": "sk-“abcdefghijk”"},
            IMPOSSIBLE,
        ),
        (
            {"EXAMPLE_API_KEY": "Bearer sk-abcdefghijk"},
            "The value of EXAMPLE_API_KEY holds a space or a quotation mark. Set it to the bare key.",
        ),
        (
            {"OPENAI_API_KEY": "sk-abcdefghijk"},
            f"{ABSENT} {SHARED}",
        ),
    ],
)
def test_each_kind_of_missing_key_has_its_message(environ: dict[str, str], sentence: str) -> None:
    """Not set, empty, a placeholder, an impossible character and another vendor's key have different messages."""
    assert refusal(environ) == sentence


@pytest.mark.parametrize(
    "value",
    [
        *(
            "your-api-key",
            "YOUR_API_KEY",
            "your_deepseek_api_key",
            "sk-your-key-here",
            "<your key>",
            "<DEEPSEEK_API_KEY>",
        ),
        *(
            "sk-xxx",
            "sk-proj-xxxxxxxxxxxxxxxx",
            "xxxx",
            "sk-...",
            "***",
            "changeme",
            "change-me",
            "REPLACE_ME",
            "${KEY}",
        ),
        *("api-key", "my-api-key", "placeholder", "TODO", "你的API密钥", "sk-你的密钥", "请填写", "EXAMPLE_API_KEY"),
        *("put-your-key-here", "insert_api_key_here", "{{key}}", "none"),
    ],
)
def test_placeholders_are_refused(value: str) -> None:
    """The placeholders of examples are reported as such, not sent and answered with 401."""
    assert refusal({"EXAMPLE_API_KEY": value}) == PLACEHOLDER


@given(
    st.from_regex(
        r"sk-[0-9a-f]{32}|[0-9a-f]{32}\.[A-Za-z0-9]{16}|bce-v3/ALTAK-[A-Za-z0-9]{21}/[0-9a-f]{40}", fullmatch=True
    )
)
@example("EMPTY")
@example("sk-no-auth")
def test_real_keys_are_accepted(value: str) -> None:
    """Keys in the forms that vendors issue are accepted, with blanks around them removed."""
    key = find_key("example", KEY_ROW, {"EXAMPLE_API_KEY": f" {value}\r\n"})
    assert key is not None
    assert key.reveal() == value


@pytest.mark.parametrize("value", ["EMPTY", "none", "sk-xxx", "secret"])
def test_a_keyless_server_accepts_any_word_as_key(value: str) -> None:
    """A placeholder may be the word with which a local server was started."""
    key = find_key("vllm", builtin().rows["vllm"], {"VLLM_API_KEY": value})
    assert key is not None
    assert key.reveal() == value


def test_the_first_variable_with_a_key_is_used() -> None:
    """Variables are tried in the row's order; an empty one or a placeholder does not hide a later key."""
    assert find_key("example", KEY_ROW, {"EXAMPLE_API_KEY": "sk-xxx", "OTHER_API_KEY": "sk-abcdefghijk"}) is not None
    both = find_key("example", KEY_ROW, {"OTHER_API_KEY": "sk-second", "EXAMPLE_API_KEY": "sk-first"})
    assert both is not None
    assert (both.reveal(), both.variable) == ("sk-first", "EXAMPLE_API_KEY")


@pytest.mark.parametrize("provider", [name for name in builtin().rows if name != "openai"])
def test_openai_key_is_sent_to_no_other_provider(provider: str) -> None:
    """With OPENAI_API_KEY alone set, no other built-in provider gets a key."""
    environ = {"OPENAI_API_KEY": "sk-abcdefghijk"}
    row = builtin().rows[provider]
    if row.keyless:
        assert find_key(provider, row, environ) is None
    else:
        assert f"{provider}:\n        api_key_env: OPENAI_API_KEY" in refusal(environ, row, provider)


def test_openai_key_is_sent_to_dashscope_if_a_row_says_so() -> None:
    """The row that the message proposes has that effect."""
    registry = builtin().with_rows({"dashscope": ProviderRow.model_validate({"api_key_env": "OPENAI_API_KEY"})})
    endpoint = find_endpoint("dashscope", registry, {"OPENAI_API_KEY": "sk-abcdefghijk"})
    assert endpoint.key is not None
    assert endpoint.key.reveal() == "sk-abcdefghijk"
    assert endpoint.base_url == "https://dashscope.aliyuncs.com/compatible-mode/v1"


def test_a_row_without_key_variable_is_explained() -> None:
    """The message says how to name a variable, or to make the row keyless."""
    assert refusal({}, ProviderRow(base_url="https://api.example.com")) == (
        "The row of example names no variable for its key. Write api_key_env: NAME, or keyless: true."
    )


def write(path: Path, text: str | bytes) -> Path:
    """Write a file and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_precedence_of_environment_and_env_files(tmp_path: Path) -> None:
    """Variables of the process, then --env-file from last to first, then the nearest .env and no other."""
    write(tmp_path / ".env", "FAR=far\n")
    write(tmp_path / "a" / ".env", "A=nearest\nB=nearest\nC=nearest\nD=nearest\n")
    first = write(tmp_path / "first.env", "A=first\nB=first\nC=first\n")
    second = write(tmp_path / "second.env", "A=second\nB=second\n")
    suite = write(tmp_path / "a" / "b" / "suite.yaml", "")
    variables = read_environment([first, second], suite, {"A": "real"})
    assert variables == {"A": "real", "B": "second", "C": "first", "D": "nearest"}


def test_an_env_file_has_quotes_export_and_comments_but_no_substitution(tmp_path: Path) -> None:
    """Quotes, export, comments, a byte order mark and CRLF are understood; ${...} is not replaced."""
    text = "\ufeffexport A='one two'\r\n# remark\r\nB=\"x\" # remark\r\nC=${HOME}\r\nD\r\nE=\r\n"
    path = write(tmp_path / "named.env", text)
    assert read_environment([path], tmp_path, {}) == {"A": "one two", "B": "x", "C": "${HOME}", "E": ""}


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b"A=1\n'broken\n", 2, "this is not NAME=value"),
        (b'A=1\nKEY="sk-0123456789abcdef\n', 2, "this is not NAME=value"),
        (b"A=1\xff\n", 1, "the byte 0xff here is not UTF-8"),
        ("A=1\n".encode("utf-16"), 1, "the byte 0xff here is not UTF-8"),
        ("A=1\n".encode("utf-16-le"), 1, "the file holds NUL characters"),
        (b"#" * (1 << 20) + b"#", 1, "the file is larger than 1 MiB"),
    ],
)
def test_a_broken_env_file_is_refused_with_its_line(content: bytes, line: int, what: str, tmp_path: Path) -> None:
    """A file that python-dotenv would read in part is refused, and its text is not quoted."""
    path = write(tmp_path / "broken.env", content)
    with pytest.raises(InvalidFile) as caught:
        read_environment([path], tmp_path, {})
    problem = caught.value.problems[0]
    assert (problem.path, problem.line, problem.what) == (str(path), line, what)
    assert "0123456789" not in str(caught.value)


def test_a_named_env_file_must_exist(tmp_path: Path) -> None:
    """A missing --env-file is an error; a folder called .env, such as a virtual environment, is ignored."""
    (tmp_path / ".env").mkdir()
    assert read_environment([], tmp_path, {}) == {}
    with pytest.raises(InvalidFile, match="there is no such file"):
        read_environment([tmp_path / "absent.env"], tmp_path, {})


def test_env_files_do_not_change_the_process_environment(tmp_path: Path) -> None:
    """A variable of a file is in the result and not in the environment of a child process."""
    path = write(tmp_path / ".env", "COMPARE_TEST_LEAK=sk-0123456789abcdef\n")
    script = (
        "import os, subprocess, sys\n"
        "from pathlib import Path\n"
        "from runner.providers.environment import read_environment\n"
        "found = read_environment([], Path(sys.argv[1]), os.environ)\n"
        "assert found['COMPARE_TEST_LEAK'].startswith('sk-')\n"
        "child = 'import os; print(sorted(os.environ))'\n"
        "print(subprocess.run([sys.executable, '-c', child], capture_output=True, text=True, check=True).stdout)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path.parent)], capture_output=True, text=True, check=True)
    assert "PATH" in done.stdout
    assert "COMPARE_TEST_LEAK" not in done.stdout


TEXTS = st.text(max_size=40)


@given(SECRETS, TEXTS, TEXTS)
def test_known_keys_are_redacted_in_every_form(secret: str, before: str, after: str) -> None:
    """A key is removed bare, from a URL, from JSON and from base64, and the text around it stays."""
    redactor = Redactor([Key(secret, "K")])
    forms = [secret, quote(secret, safe=""), json.dumps(secret)[1:-1], b64encode(secret.encode()).decode().rstrip("=")]
    for form in forms:
        assert redactor.by_value(f"|{form}|") == f"|{MARK}|"
    hidden = redactor.by_value(before + secret + after)
    assert secret not in hidden
    assert MARK in hidden


@given(st.lists(SECRETS, min_size=1, max_size=4), st.lists(st.integers(0, 3), max_size=8), TEXTS)
def test_several_keys_are_all_redacted(secrets: list[str], order: list[int], between: str) -> None:
    """With several keys, including prefixes of each other, none remains, and redacting again changes nothing."""
    secrets.append(secrets[0] + "more")
    redactor = Redactor([Key(secret, "K") for secret in secrets])
    hidden = redactor.by_value(between.join(secrets[index % len(secrets)] for index in order))
    assert not any(secret in hidden for secret in secrets)
    assert redactor.by_value(hidden) == hidden


@given(st.text(VISIBLE, min_size=1, max_size=SHORTEST - 1), TEXTS)
def test_short_keys_are_not_redacted(secret: str, text: str) -> None:
    """A value below eight characters never changes a reply."""
    assert Redactor([Key(secret, "K")]).by_value(text + secret) == text + secret


def test_replies_are_redacted_by_value_only() -> None:
    """Text that only resembles a key stays; the keys of the run are removed."""
    reply = "A key looks like sk-0123456789abcdef; send it as Bearer sk-0123456789abcdef."
    assert Redactor([Key("another-key-0123", "K")]).by_value(reply) == reply
    assert Redactor().by_value(reply) == reply


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Incorrect API key provided: sk-abcd****wxyz.", f"Incorrect API key provided: {MARK}"),
        ("key sk-0123456789abcdef is bad", f"key {MARK} is bad"),
        ("bce-v3/ALTAK-abc/0123 refused", f"{MARK} refused"),
        ("0123456789abcdef0123456789abcdef.AbCdEfGhIjKlMnOp expired", f"{MARK} expired"),
        ("Illegal header value b'Bearer abcdefgh\\n'", f"Illegal header value b'Bearer {MARK}'"),
        ("gsk_0123456789abcdef", MARK),
        ("AIzaSyA0123456789abcdefghijklmnop", MARK),
        ("http://user:password@proxy:8080 refused", f"http://{MARK}@proxy:8080 refused"),
        ("task-management of risk-adjusted models", "task-management of risk-adjusted models"),
        (
            "trace 9f86d081884c7d659a2feaa0c55ad015 failed at api.deepseek.com",
            "trace 9f86d081884c7d659a2feaa0c55ad015 failed at api.deepseek.com",
        ),
    ],
)
def test_errors_hide_whatever_looks_like_a_key(text: str, hidden: str) -> None:
    """Vendors repeat parts of bad keys; in errors all such forms are hidden, and ordinary words stay."""
    assert Redactor().in_errors(text) == hidden


def test_redactor_repr_shows_no_key() -> None:
    """A traceback with locals would print it."""
    assert "0123456789" not in repr(Redactor([Key("sk-0123456789", "K")]))


def test_missing_key_has_its_own_exit_code() -> None:
    """A command whose target has no key ends with 4, other mistakes with 2."""
    assert (MissingKey.exit_code, CompareError.exit_code) == (4, 2)
