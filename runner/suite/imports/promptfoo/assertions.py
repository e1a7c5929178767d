"""Import promptfoo's assertions as checks of the same meaning."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from types import MappingProxyType

from runner.document import Json
from runner.suite.checks_schema import ChecksSchema
from runner.suite.errors import NotImportable
from runner.suite.fill_templates import is_template
from runner.suite.imports.draft_suite import ImportSource, refuse_unfit
from runner.suite.imports.promptfoo.json_refs import REFERENCE

Checks = dict[str, Json]

ALL_OF = frozenset({"contains", "not_contains", "regex"})
"""Checks whose texts must all match, so that two assertions can become one check."""

KNOWN_KEYS_OF_ASSERTION = frozenset({"type", "value", "threshold", "metric"})
"""Keys of an assertion that do not change the meaning of its type."""

BY_MODEL = (
    "its verdict is another model's",
    "Write it as a `rubric`, which a `judge` decides, or what can be checked in the text itself",
)
CODE = ("it is code", "Write it as a function for the check `python`")
OTHER = (
    "there is no such check",
    "See docs/suite.md for those there are, or write a function for the check `python`",
)
REASONS = MappingProxyType(
    {
        **dict.fromkeys(("javascript", "python", "ruby", "webhook"), CODE),
        **dict.fromkeys(
            (
                *("answer-relevance", "classifier", "context-faithfulness", "context-recall", "context-relevance"),
                *("conversation-relevance", "factuality", "g-eval", "llm-rubric", "model-graded-closedqa"),
                *("agent-rubric", "human", "max-score", "model-graded-factuality", "moderation", "pi", "search-rubric"),
                *("select-best", "similar", "similar:cosine", "similar:dot", "similar:euclidean"),
            ),
            BY_MODEL,
        ),
        "cost": ("its amount is in dollars", "Write `max_cost`, in the currency of the target's prices"),
        **dict.fromkeys(
            (
                *("assert-set", "bleu", "contains-html", "contains-json", "contains-sql", "contains-xml", "gleu"),
                *("guardrails", "is-html", "is-refusal", "is-sql", "is-valid-function-call"),
                *("is-valid-openai-function-call", "is-valid-openai-tools-call", "is-xml", "levenshtein", "meteor"),
                *("perplexity", "perplexity-score", "rouge-l", "rouge-n", "rouge-s", "skill-used", "tool-call-f1"),
                *("trace-error-spans", "trace-span-count", "trace-span-duration", "trajectory:goal-success"),
                *("trajectory:step-count", "trajectory:tool-args-match", "trajectory:tool-sequence"),
                *("trajectory:tool-used", "word-count"),
            ),
            OTHER,
        ),
    }
)
"""Types that cannot be imported -> why, and what to do."""


def checks_of(assertion: ImportSource) -> Checks:
    """Return the checks of the same meaning as an assertion.

    Raises:
        NotImportable: there are none.

    """
    data = assertion.data
    if isinstance(data, dict) and REFERENCE in data:
        raise NotImportable(f"`{data[REFERENCE]}` names nothing in this file", "Write out what it stands for")
    if not isinstance(data, dict) or not isinstance(kind := data.get("type"), str):
        raise NotImportable("an assertion without a type", "Write its type and its value")
    for key in data.keys() - KNOWN_KEYS_OF_ASSERTION:
        raise NotImportable(f"`{kind}` with `{key}` has no counterpart", "Write a check that does without it")
    if kind not in KINDS:
        why, hint = REASONS.get(kind.removeprefix("not-"), OTHER)
        raise NotImportable(f"`{kind}` has no counterpart: {why}", hint)
    if isinstance(data.get("value"), str) and str(data["value"]).startswith("file://"):
        raise NotImportable(f"`{kind}` takes its value from a file", "Write the value here")
    checks = KINDS[kind](assertion)
    refuse_unfit(checks, ChecksSchema, f"`{kind}` has no counterpart: ")
    return checks


def merge(checks: Checks, more: Checks) -> Checks:
    """Return checks that require both.

    Raises:
        NotImportable: both have a check that a suite can have only once.

    """
    merged = dict(checks)
    for name, wanted in more.items():
        if name not in merged or merged[name] == wanted:
            merged[name] = wanted
        elif name in ALL_OF:
            merged[name] = list(dict.fromkeys([*_listed(merged[name]), *_listed(wanted)]))
        else:
            raise NotImportable(f"a second `{name}` cannot be checked beside the first", "Keep one of them")
    return merged


def parse_assertion(text: str) -> dict[str, Json]:
    """Parse an assertion in a cell of a table: `contains: Paris`, `similar(0.8): Hello`, or the answer itself."""
    found = _ASSERTION.fullmatch(text.strip())
    if found is None:
        return {"type": "equals", "value": text}
    value = {"value": found["value"]} if found["value"] else {}
    threshold = {"threshold": float(found["threshold"])} if found["threshold"] else {}
    return {"type": OLD_NAMES.get(found["kind"], found["kind"]), **value, **threshold}


def _listed(value: Json) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _text(assertion: ImportSource) -> str:
    text = assertion.at("value").text
    if not text:
        raise NotImportable("the assertion has no value", "Write the text it is about")
    return text


def _asserted_texts(assertion: ImportSource) -> list[Json]:
    """Return the texts of an assertion: a list, or one text separated by commas."""
    value = assertion.get("value")
    if isinstance(value, list):
        texts = [assertion.at("value", index).text for index in range(len(value))]
    else:
        texts = [*_split_at_commas(_text(assertion))]
    if not texts or not all(texts):
        raise NotImportable("the assertion lists something that is not text", "Write a list of texts")
    return [text for text in texts if text]


def _split_at_commas(text: str) -> Iterator[str]:
    try:
        for line in csv.reader([text], skipinitialspace=True):
            yield from map(str.strip, line)
    except csv.Error as error:
        raise NotImportable(
            f"the texts between commas cannot be told apart: {error}", "Write a list of texts"
        ) from None


def _equals(assertion: ImportSource) -> Checks:
    value = assertion.get("value")
    return {"json": {"const": value}} if isinstance(value, dict | list) else {"equals": _text(assertion)}


def _is_json(assertion: ImportSource) -> Checks:
    value = assertion.get("value")
    if value is None or value == "":
        return {"json": True}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise NotImportable("the JSON Schema is a text that is not JSON", "Write it as keys and values") from None
    return {"json": value}


def _any_of(assertion: ImportSource, flags: str = "") -> Checks:
    return {"regex": [f"{flags}({'|'.join(_literal(text) for text in _asserted_texts(assertion))})"]}


def _each_of(assertion: ImportSource, flags: str) -> Checks:
    return {"regex": [flags + _literal(text) for text in _asserted_texts(assertion)]}


def _literal(text: Json) -> str:
    """Return a pattern that matches exactly this text."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", _pattern(str(text)))


def _pattern(text: str) -> str:
    if is_template(text):
        raise NotImportable("it wants a variable in a pattern, and patterns are not templates", "Write the value out")
    return text


def _latency(assertion: ImportSource) -> Checks:
    threshold = assertion.get("threshold")
    if not isinstance(threshold, int | float) or threshold <= 0:
        raise NotImportable("`latency` has no threshold", "Write `max_total_s`, in seconds")
    return {"max_total_s": threshold / 1000 if threshold % 1000 else int(threshold // 1000)}


_IGNORING_CASE = "(?i)"

KINDS: MappingProxyType[str, Callable[[ImportSource], Checks]] = MappingProxyType(
    {
        "equals": _equals,
        "contains": lambda assertion: {"contains": [_text(assertion)]},
        "not-contains": lambda assertion: {"not_contains": [_text(assertion)]},
        "contains-all": lambda assertion: {"contains": _asserted_texts(assertion)},
        "contains-any": _any_of,
        "not-contains-any": lambda assertion: {"not_contains": _asserted_texts(assertion)},
        "icontains": lambda assertion: {"regex": [_IGNORING_CASE + _literal(_text(assertion))]},
        "icontains-all": lambda assertion: _each_of(assertion, _IGNORING_CASE),
        "icontains-any": lambda assertion: _any_of(assertion, _IGNORING_CASE),
        "starts-with": lambda assertion: {"starts_with": _text(assertion)},
        "regex": lambda assertion: {"regex": [_pattern(_text(assertion))]},
        "is-json": _is_json,
        "not-is-refusal": lambda _: {"no_refusal": True},
        "finish-reason": lambda assertion: {"finish_reason": _text(assertion)},
        "latency": _latency,
    }
)
"""Types that can be imported -> the checks of the same meaning."""

OLD_NAMES = MappingProxyType({"eval": "javascript", "fn": "javascript", "grade": "llm-rubric"})
"""Names of types that promptfoo accepts only in a table -> the type."""

_NAMES = "|".join(map(re.escape, {*KINDS, *REASONS}))
_ASSERTION = re.compile(
    rf"(?P<kind>(?:not-)?(?:{_NAMES})|(?:{'|'.join(OLD_NAMES)})(?=:))"
    r"(?:\((?P<threshold>\d+(?:\.\d+)?)\))?(?::\s*(?P<value>.*))?",
    re.DOTALL,
)
