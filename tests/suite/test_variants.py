"""Variants of a suite and of `--vary`: names, merged parameters, crossings, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.suite import Parameters, Suite
from runner.core.target_name import VARIANT_NAME
from runner.errors import CompareError, InvalidFile
from runner.suite.digest import digest_of
from runner.suite.load import load
from runner.suite.suite_targets import parse_vary, vary_targets
from tests.support.command import write_yaml

PROVIDERS = ("deepseek", "zhipu")
CASES = [{"id": "one", "prompt": "Hello?"}]

Load = Callable[..., Suite]


@pytest.fixture
def load_suite(tmp_path: Path) -> Load:
    """Return a function that loads a suite of some keys."""
    return lambda **keys: load(write_yaml(tmp_path / "suite.yaml", {"cases": CASES, **keys}), PROVIDERS)[0]


def target(**keys: object) -> dict[str, object]:
    """Return a target of one model."""
    return {"provider": "zhipu", "models": ["glm-5.3"], **keys}


def names(suite: Suite) -> list[str]:
    """Return the names of a suite's targets."""
    return [str(name) for row in suite.targets for name in row.names]


def parameters(suite: Suite) -> dict[str, Parameters]:
    """Return the parameters of each variant of a suite's targets."""
    return {variant.name: variant.parameters for row in suite.targets for variant in row.variants}


def test_each_variant_is_a_target_with_its_own_parameters(load_suite: Load) -> None:
    """A variant's values replace the target's, which replace the defaults; `null` removes one."""
    suite = load_suite(
        defaults={"temperature": 0.2, "extra_body": {"user": "me"}, "timeouts": {"connect": 5, "idle": 7}},
        targets=[
            target(
                max_tokens=100,
                variants={
                    "fast": {"thinking": "off", "extra_body": {"top_k": 1}},
                    "deep": {"max_tokens": 4000, "temperature": None, "timeouts": {"connect": None, "total": 9}},
                    "plain": {},
                },
            )
        ],
    )
    found = parameters(suite)
    assert names(suite) == ["zhipu/glm-5.3#fast", "zhipu/glm-5.3#deep", "zhipu/glm-5.3#plain"]
    assert found["plain"] == suite.targets[0].parameters
    assert (found["fast"].thinking, found["fast"].max_tokens, found["fast"].temperature) == ("off", 100, 0.2)
    assert found["fast"].extra_body == {"user": "me", "top_k": 1}
    assert (found["deep"].thinking, found["deep"].max_tokens, found["deep"].temperature) == (None, 4000, None)
    timeouts = found["deep"].timeouts
    assert (timeouts.connect, timeouts.idle, timeouts.total) == (10, 7, 9)
    assert suite.targets[0].variants[0].settings == {"thinking": "off", "extra_body": {"top_k": 1}}


def test_a_variant_may_set_everything_that_a_target_may(load_suite: Load) -> None:
    """Texts around the prompt, the reply's form, the cache and the system message vary, too."""
    settings = {
        "system": "Be brief.",
        "prefix": "Please: ",
        "suffix": " Thanks.",
        "cache": "bust",
        "stream": False,
        "response_format": {"type": "json_object"},
        "seed": 1,
        "stop": "END",
        "reply_limit": "1MiB",
        "top_p": 0.5,
    }
    found = parameters(load_suite(targets=[target(variants={"all": settings})]))["all"]
    assert {name: getattr(found, name) for name in settings} == {**settings, "stop": ("END",), "reply_limit": 2**20}
    assert found.wrap("hi") == "Please: hi Thanks."


def test_variants_of_the_suite_cross_every_target(load_suite: Load) -> None:
    """They are joined to a target's own, override them, and apply to targets that the suite does not list."""
    suite = load_suite(
        variants={"cold": {"temperature": 0, "max_tokens": 9}, "warm": {"temperature": 1}},
        targets=[target(variants={"deep": {"thinking": "high", "max_tokens": 4000}}), "deepseek/deepseek-flash"],
    )
    assert names(suite) == [
        *("zhipu/glm-5.3#deep+cold", "zhipu/glm-5.3#deep+warm"),
        *("deepseek/deepseek-flash#cold", "deepseek/deepseek-flash#warm"),
    ]
    found = parameters(suite)
    assert (found["deep+cold"].thinking, found["deep+cold"].temperature, found["deep+cold"].max_tokens) == (
        "high",
        0,
        9,
    )
    assert found["deep+warm"].max_tokens == 4000
    assert [(variant.name, variant.parameters.temperature) for variant in suite.variants] == [("cold", 0), ("warm", 1)]


def test_a_target_of_the_suite_may_name_one_of_its_variants(load_suite: Load) -> None:
    """`provider/model#variant` is that variant if it exists, and otherwise a model whose name holds a `#`."""
    suite = load_suite(
        variants={"cold": {"temperature": 0}, "warm": {"temperature": 1}},
        targets=["zhipu/glm-5.3#cold", "deepseek/ft#2"],
    )
    assert names(suite) == ["zhipu/glm-5.3#cold", "deepseek/ft#2#cold", "deepseek/ft#2#warm"]


def test_equal_names_of_variants_and_models_are_refused(load_suite: Load) -> None:
    """A model may be listed twice with different names, but no variant may have a model's own name."""
    assert names(load_suite(targets=["zhipu/glm-5.3", target(variants={"a": {}})])) == [
        "zhipu/glm-5.3",
        "zhipu/glm-5.3#a",
    ]
    with pytest.raises(InvalidFile, match=r"zhipu/glm-5\.3#a is asked already in line \d+"):
        load_suite(targets=["zhipu/glm-5.3#a", target(variants={"a": {}})])
    with pytest.raises(InvalidFile, match=r"zhipu/glm-5\.3#a\+b\+c is asked already"):
        load_suite(targets=[target(variants={"a+b": {}, "a": {}})], variants={"c": {}, "b+c": {}})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"targets": [target(variants={"a b": {}})]}, r"a variant's name is made of letters"),
        ({"variants": {"größer": {}}}, r"a variant's name is made of letters"),
        ({"variants": {"a": {"thinking": "much"}}}, r"thinking"),
        ({"variants": {"a": {"repeat": 2}}}, r"repeat"),
        ({"targets": [target(variants={"a": {"provider": "deepseek"}})]}, r"provider"),
        ({"variants": {"a": {"prefix": "{{name}}"}}}, r"this prefix is for all cases and no template"),
        ({"targets": [target(variants={"a": {"system": "{{name}}"}})]}, r"this system message is for all cases"),
        (
            {"targets": [target(variants={"a": {"extra_body": {"model": "x"}}})]},
            r"`model` cannot be set in `extra_body`",
        ),
        ({"variants": {}}, r"variants"),
        (
            {
                "targets": [target(variants={f"a{at}": {} for at in range(40)})],
                "variants": {f"b{at}": {} for at in range(40)},
            },
            r"are 1,600: more than 1,000",
        ),
    ],
)
def test_a_wrong_variant_is_refused_with_its_place(load_suite: Load, keys: dict[str, object], message: str) -> None:
    """The error names file, line and column, the cause and the remedy."""
    with pytest.raises(InvalidFile, match=rf"suite\.yaml:\d+:\d+: .*{message}"):
        load_suite(**keys)


def test_a_suite_without_variants_keeps_its_digest(load_suite: Load) -> None:
    """Only the use of variants changes the digest."""
    plain, varied = load_suite(targets=["zhipu/glm-5.3"]), load_suite(targets=[target(variants={"a": {"top_p": 0.5}})])
    other = load_suite(targets=[target(variants={"renamed": {"top_p": 0.5}})])
    assert plain.digest == "825c5fb131c4ae2f196adf75582a02951bb1db20022a9faaa15088b2a05d3c7d"
    assert digest_of(plain, {}) != varied.digest
    assert varied.digest == other.digest, "a name is not sent"


# --vary


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("thinking=off,low,high", ("thinking", ("off", "low", "high"))),
        ("temperature=0, 0.5,1", ("temperature", (0, 0.5, 1))),
        ('system="Be brief, please.",Hello', ("system", ("Be brief, please.", "Hello"))),
        (
            "response_format={type: text},{type: json_object}",
            ("response_format", ({"type": "text"}, {"type": "json_object"})),
        ),
        ("stream=true,false", ("stream", (True, False))),
        ("max_tokens=null,10", ("max_tokens", (None, 10))),
    ],
)
def test_vary_values_are_read_as_a_yaml_list(text: str, parsed: tuple[str, tuple[object, ...]]) -> None:
    """Numbers, truth values, mappings and quoted texts mean the same as in a suite."""
    assert parse_vary(text) == parsed


@pytest.mark.parametrize("text", ["thinking", "=off", "thinking=", 'system="half', "system=a]b", "stop=[a"])
def test_a_vary_option_that_is_no_list_is_refused(text: str) -> None:
    """The message shows the form."""
    with pytest.raises(CompareError, match=r"write thinking=off,low,high|quote texts"):
        parse_vary(text)


def test_options_multiply_every_target(load_suite: Load) -> None:
    """Two options are crossed with each other and with the suite's own variants."""
    suite = load_suite(targets=[target(variants={"plain": {}}), "deepseek/deepseek-flash"])
    varied = vary_targets(suite, {"thinking": ("off", "high"), "temperature": (0, 1)})
    crossed = [f"thinking={how}+temperature={t}" for how in ("off", "high") for t in (0, 1)]
    assert names(varied) == [
        *(f"zhipu/glm-5.3#plain+{each}" for each in crossed),
        *(f"deepseek/deepseek-flash#{each}" for each in crossed),
    ]
    found = varied.targets[1].variants[1]
    assert (found.parameters.thinking, found.parameters.temperature) == ("off", 1)
    assert found.settings == {"thinking": "off", "temperature": 1}
    assert [variant.name for variant in varied.variants] == crossed
    assert varied.digest == suite.digest, "the suite has not changed"


@pytest.mark.parametrize(
    ("parameter", "values", "expected"),
    [
        ("system", ("Be brief.", "Be kind."), ["system=1", "system=2"]),
        ("suffix", ("ok", "two words"), ["suffix=ok", "suffix=1"]),
        ("suffix", ("two words", "1"), ["suffix=2", "suffix=1"]),
        ("stream", (True, False), ["stream=true", "stream=false"]),
        ("max_tokens", (None, 10), ["max_tokens=null", "max_tokens=10"]),
        ("temperature", (0, 0.5), ["temperature=0", "temperature=0.5"]),
    ],
)
def test_values_that_are_no_names_are_numbered(
    load_suite: Load, parameter: str, values: tuple[object, ...], expected: list[str]
) -> None:
    """No number is the name of another value."""
    suite = vary_targets(load_suite(targets=["zhipu/glm-5.3"]), {parameter: values})
    assert [variant.name for variant in suite.targets[0].variants] == expected


@given(st.lists(st.one_of(st.text(min_size=1), st.sampled_from(["1", "2", "3"])), min_size=1, max_size=6, unique=True))
def test_every_value_has_a_name_of_its_own(texts: list[str]) -> None:
    """Names are distinct and valid for any values."""
    written = [text for text in texts if not any(mark in text for mark in ("{{", "{%", "{#"))] or ["a"]
    suite = Suite("s", (), "", parameters=Parameters())
    varied = vary_targets(suite, {"suffix": written})
    found = [variant.name for variant in varied.variants]
    assert len({*found}) == len(written)
    assert all(VARIANT_NAME.fullmatch(name) for name in found)
    assert [variant.parameters.suffix for variant in varied.variants] == written


@pytest.mark.parametrize(
    ("vary", "message"),
    [
        ({"thinkin": ("off",)}, "no target has this parameter. Did you mean `thinking`?"),
        ({"provider": ("zhipu",)}, "no target has this parameter. It may be system, temperature"),
        ({"thinking": ("much",)}, "--vary:1"),
        ({"temperature": (0, 3)}, "--vary:1"),
        ({"temperature": (0, 0)}, "has a value twice"),
        ({"extra_body": ({"model": "x"},)}, "`model` cannot be set in `extra_body`"),
        ({"max_tokens": tuple(range(1, 1002))}, "makes 1,001 variants of a model, more than 1,000"),
    ],
)
def test_values_that_a_parameter_does_not_take_are_refused(vary: dict[str, tuple[object, ...]], message: str) -> None:
    """The message names the option and the cause."""
    with pytest.raises(CompareError) as caught:
        vary_targets(Suite("s", (), "", parameters=Parameters()), vary)
    assert message in str(caught.value)
