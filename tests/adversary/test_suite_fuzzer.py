"""Hostile suites: for any suite file, the command ends with its exit code and a message, never a traceback."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.command import compare

SUITES: dict[str, dict[str, Any]] = {
    "everything": {
        "version": 1,
        "name": "all",
        "targets": [{"provider": "sim", "models": ["quick"], "temperature": 0.3, "extra_body": {"top_k": 20}}],
        "providers": {"acme": {"base_url": "https://api.acme.example/v1", "api_key_env": "ACME_KEY", "models": ["m"]}},
        "defaults": {
            "system": "Be short.",
            "max_tokens": 5,
            "top_p": 0.9,
            "seed": 7,
            "stop": ["END"],
            "thinking": "off",
            "stream": True,
            "cache": "bust",
            "repeat": 2,
            "timeouts": {"connect": 5},
            "reply_limit": "1MiB",
            "checks": {"no_refusal": True, "max_ttft_s": 10},
            "pass": "1 of 2",
            "match": "similar 0.9",
        },
        "cases": [
            {"id": "a-{{x}}", "prompt": "What is {{x}}?", "matrix": {"x": ["one", "two"]}, "tags": ["t"]},
            {"id": "talk", "turns": ["Hi.", "And {{y}}?"], "vars": {"y": "you"}},
            {"id": "past", "messages": [{"role": "user", "content": "Hi."}]},
        ],
    },
    "checks": {
        "cases": [
            {
                "id": "a",
                "prompt": "hi",
                "checks": {
                    "equals": "x",
                    "contains": ["y", "z"],
                    "regex": r"^\d+$",
                    "length": {"min": 1, "max": 9},
                    "language": "en",
                    "finish_reason": "stop",
                    "max_cost": 0.1,
                    "python": "own:f",
                    "json": {
                        "$ref": "#/$defs/a",
                        "$defs": {"a": {"type": "object", "patternProperties": {"^x": {"uniqueItems": True}}}},
                    },
                },
            }
        ]
    },
    "files": {
        "cases": [{"id": "f", "prompt_file": "prompt.txt"}],
        "cases_from": {"file": "rows.csv", "prompt": "question"},
    },
}
"""Suites that are read without a fault."""

FILES = {"prompt.txt": "Say hi.", "rows.csv": "id,question\nr1,Why?\n", "own.py": "def f(record):\n    return True\n"}

Route = tuple[str | int, ...]


def routes(value: Any, route: Route = ()) -> Iterator[Route]:
    """Yield the place of every value within a suite."""
    yield route
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from routes(child, (*route, key))


def nested(depth: int, make: type) -> Any:
    """Return lists or mappings within each other."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if make is list else {"a": value}
    return value


HOSTILE_TEXTS = (
    *("", " ", "\x00", "\x1b[31m", "\ufeff", "\u202e", "\ud800", "x" * 100_000, "🙂", "null", "~", "1e400", "-0"),
    *("{{", "{{ x", "{{ x.__class__ }}", "{% for a in range(10**9) %}{% endfor %}", "{{ 'x' * 10**9 }}", "{{ x }}"),
    *("../../etc/passwd", "/dev/zero", "C:\\x", "rows.csv", "own:f", "(" * 1000, "(?=x)", "a{1000}{1000}", "[[:x:]]"),
    *("http://api..example.com", "https://u:p@h/?k=1", "sim", "SIM ", "acme/m", "2 of 1", "similar 2", "9" * 5000),
)
HOSTILE_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 10**30, 1e400, -1e400, float("nan"), 0.1, 5e-324, [], {}, [[]], {"": ""}, [None]),
    *(nested(60, list), nested(60, dict), nested(400, list), nested(400, dict), list(range(2000)), ["a"] * 2000),
    *({"$ref": "#"}, {"$ref": "#/x", "x": 3}, {"pattern": "("}, {"type": 3}, {"multipleOf": float("inf")}),
    *({f"k{n}": n for n in range(2000)}, {1: 2}, {None: 1}, {True: {}}, "2024-01-01"),
)
VALUES = st.sampled_from(HOSTILE_VALUES) | st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=20) | st.integers()

MARKS = (
    "&a ",
    "*a",
    "<<: ",
    "!x ",
    "!!python/object:os.system ",
    "%YAML 9.9\n",
    "@",
    "`",
    "\t",
    "---\n",
    "...\n",
    "? ",
    "|",
)
"""Signs that mean something to YAML."""


def place(suite: Any, route: Route) -> Any:
    """Return the value at a place."""
    for key in route:
        suite = suite[key]
    return suite


@st.composite
def hostile_suites(draw: st.DrawFn) -> str:
    """Return the text of a valid suite with some values replaced, removed, renamed or repeated, and signs added."""
    suite = deepcopy(SUITES[draw(st.sampled_from(sorted(SUITES)))])
    for _ in range(draw(st.integers(0, 3))):
        places = sorted(filter(None, routes(suite)), key=str)
        if not places:
            break
        route = draw(st.sampled_from(places))
        parent = place(suite, route[:-1])
        change = draw(st.sampled_from(["replace", "replace", "replace", "remove", "rename", "repeat"]))
        if change == "replace":
            parent[route[-1]] = deepcopy(draw(VALUES))
        elif change == "remove":
            del parent[route[-1]]
        elif isinstance(parent, list):
            parent.append(deepcopy(parent[route[-1]]))  # type: ignore[index]
        else:
            parent[draw(VALUES.filter(lambda value: isinstance(value, str | int | None)))] = parent.pop(route[-1])
    text = yaml.safe_dump(suite, allow_unicode=True, sort_keys=False, width=10**9)
    for _ in range(draw(st.integers(0, 1))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(MARKS)) + text[at:]
    return text


BILLION = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\ncases: [*c, *c]\n"


@given(text=hostile_suites())
@example(text="")
@example(text="\x00")
@example(text="[" * 100_000)
@example(text="a: " * 1000)
@example(text=BILLION)
@example(text="cases: &c [*c]\n")
@example(text="cases: [{id: a, prompt: hi, checks: {json: {$ref: '#'}}}]\n")
@example(text="cases: [{id: a, prompt: hi, checks: {json: {multipleOf: .inf}}}]\n")
def test_no_suite_ends_in_a_traceback(text: str) -> None:
    """The result is a plan, or a message with the problem."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in FILES.items():
            (folder / file).write_text(content, encoding="utf-8")
        (folder / "suite.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
        done = compare(folder, "plan", "suite.yaml", "-m", "sim/quick")
    assert done.returncode in {0, 2}, done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 0 or done.stderr.strip()


@pytest.mark.parametrize("name", SUITES)
def test_the_suites_are_valid_before_they_are_changed(name: str, tmp_path: Path) -> None:
    """A change then reaches code after the first checks."""
    for file, content in FILES.items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(SUITES[name]), encoding="utf-8")
    done = compare(tmp_path, "plan", "suite.yaml", "-m", "sim/quick")
    assert done.returncode == 0, done.stderr
