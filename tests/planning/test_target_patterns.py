"""Target selection: named targets must have a key, configured ones are the default, and no others are asked."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.commands.run.options import spell_keyword, spell_option
from runner.core.suite import Case, Parameters, Suite, SuiteTarget, Variant
from runner.errors import CompareError, MissingKey, Spelling, UnknownTarget
from runner.planning.target_patterns import SelectedTargets, TargetSelection, choose_cases, choose_targets
from runner.providers.provider_row import ProviderRow
from runner.providers.registry import Registry, builtin

URL = "https://api.example.com/v1"
REGISTRY = Registry(
    MappingProxyType(
        {
            "red": ProviderRow(
                base_url=URL, api_key_env=("RED_API_KEY",), models=("red-big", "red-small"), aliases=("rouge",)
            ),
            "blue": ProviderRow(
                base_url=URL, api_key_env=("BLUE_API_KEY",), models=("blue-1",), retired={"blue-0": "gone since June"}
            ),
            "bare": ProviderRow(base_url=URL, api_key_env=("BARE_API_KEY",)),
            "local": ProviderRow(base_url="http://localhost:1/v1", keyless=True, models=("tiny",)),
            "sim": ProviderRow(base_url="http://127.0.0.1/v1", keyless=True, models=("quick",), simulated=True),
        }
    ),
    home_hosts=dict.fromkeys(("red", "blue", "bare"), frozenset({"api.example.com"})),
)
RED = {"RED_API_KEY": "sk-red-0123456789"}
BLUE = {"BLUE_API_KEY": "sk-blue-0123456789"}
BARE = {"BARE_API_KEY": "sk-bare-0123456789"}

SUITE = Suite("s", (Case("one", ("Hello?",)),), "d", parameters=Parameters(temperature=0.5))
COLD = Parameters(temperature=0.0)


def choose(
    *models: str,
    providers: tuple[str, ...] = (),
    environ: Mapping[str, str] = MappingProxyType({**RED, **BLUE}),
    suite: Suite = SUITE,
    registry: Registry = REGISTRY,
    skip_missing: bool = False,
    spell: Spelling = spell_option,
) -> SelectedTargets:
    """Select targets as a command with these options would."""
    return choose_targets(suite, TargetSelection(spell, models, providers, skip_missing), registry, environ)


def chosen(*models: str, **rest: object) -> list[str]:
    """Return the names of the selected targets."""
    return [target.name for target in choose(*models, **rest).targets]  # type: ignore[arg-type]


def listing(*rows: tuple[str, tuple[str, ...]], parameters: Parameters = COLD) -> Suite:
    """Return a suite with these targets."""
    targets = tuple(SuiteTarget(provider, models, parameters) for provider, models in rows)
    return Suite("s", SUITE.cases, "d", targets=targets, parameters=SUITE.parameters)


# What is configured


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, []),
        (RED, ["red/red-big", "red/red-small"]),
        ({**RED, **BLUE}, ["red/red-big", "red/red-small", "blue/blue-1"]),
        ({"RED_API_KEY": "  "}, []),
        ({"OPENAI_API_KEY": "sk-0123456789"}, []),
    ],
)
def test_configured_targets_are_the_default(environ: dict[str, str], names: list[str]) -> None:
    """A key configures a provider with its default models; without any there are no targets."""
    assert chosen(environ=environ) == names


def test_a_user_row_configures_a_local_server() -> None:
    """A keyless server is a default target only if the user wrote a row for it."""
    assert chosen(environ={}) == []
    assert chosen(environ={}, registry=REGISTRY.with_rows({"local": ProviderRow(concurrency=1)})) == ["local/tiny"]


def test_the_simulator_is_asked_only_by_name() -> None:
    """It is never among the configured providers, and is marked as simulated if it is named."""
    assert "sim/quick" not in chosen()
    targets = choose("sim/quick", "red/red-big").targets
    assert [(target.name, target.simulated) for target in targets] == [("sim/quick", True), ("red/red-big", False)]


def test_an_unusable_configured_provider_is_left_out_with_a_note() -> None:
    """The others are used, and the note has the reason."""
    choice = choose(environ={**RED, "BLUE_API_KEY": "your-api-key", **BARE})
    assert [target.provider for target in choice.targets] == ["red", "red"]
    assert [note.split()[0] for note in choice.notes] == ["BLUE_API_KEY", "bare"]


@pytest.mark.parametrize("environ", [{"BLUE_API_KEY": "your-api-key"}, BARE])
def test_no_usable_configured_provider_is_an_error(environ: dict[str, str]) -> None:
    """The simulator does not replace a provider that the user set up; the message offers it."""
    with pytest.raises(CompareError, match=r"(placeholder|no default model)[^\0]*-p sim") as caught:
        choose(environ=environ)
    assert caught.value.exit_code == 2


# What the suite lists


def test_a_suites_targets_are_the_only_ones() -> None:
    """They are in the suite's order with their own parameters, with default models if none are listed."""
    choice = choose(suite=listing(("blue", ("blue-9",)), ("rouge", ())))
    assert [target.name for target in choice.targets] == ["blue/blue-9", "red/red-big", "red/red-small"]
    assert all(target.parameters == COLD for target in choice.targets)
    assert set(choice.endpoints) == {"blue", "red"}


def test_a_suites_targets_keep_their_parameters_when_named() -> None:
    """-m on a listed target changes only the selection; another one has the suite's defaults."""
    suite = listing(("blue", ("blue-9",)))
    listed, other = choose("blue/blue-9", "red/x", suite=suite).targets
    assert (listed.parameters, other.parameters) == (COLD, SUITE.parameters)


def test_a_model_listed_at_a_router_is_meant_by_its_own_name() -> None:
    """vendor/model selects it even if the vendor is a provider, too, unless that provider's model is listed itself."""
    routed = listing(("bare", ("red/x",)))
    assert [target.name for target in choose("red/x", suite=routed, environ={**RED, **BARE}).targets] == ["bare/red/x"]
    assert [target.name for target in choose("red/*", suite=routed, environ={**RED, **BARE}).targets] == ["bare/red/x"]
    assert [target.name for target in choose("red/y", suite=routed, environ={**RED, **BARE}).targets] == ["red/y"]
    both = listing(("bare", ("red/x",)), ("red", ("x",)))
    assert [target.name for target in choose("red/x", suite=both, environ={**RED, **BARE}).targets] == ["red/x"]


def test_a_listed_provider_without_default_model_needs_one() -> None:
    """A provider without a default model cannot be listed without models."""
    with pytest.raises(UnknownTarget, match="bare has no default model"):
        choose(suite=listing(("bare", ())))


# Variants

VARIANTS = tuple(Variant(name, replace(COLD, max_tokens=at), {}) for at, name in enumerate(("fast", "deep"), 1))
EVERYWHERE = tuple(Variant(name, replace(COLD, seed=at), {"seed": at}) for at, name in enumerate(("one", "two"), 1))
VARIED = replace(
    SUITE,
    targets=(SuiteTarget("red", ("x", "y#deep"), COLD, VARIANTS), SuiteTarget("blue", ("b",), COLD)),
    variants=EVERYWHERE,
)


@pytest.mark.parametrize(
    ("models", "names"),
    [
        ([], ["red/x#fast", "red/x#deep", "red/y#deep#fast", "red/y#deep#deep", "blue/b"]),
        (["red/x#deep"], ["red/x#deep"]),
        (["rouge/x#deep"], ["red/x#deep"]),
        (["x#deep"], ["red/x#deep"]),
        (["red/x"], ["red/x#fast", "red/x#deep"]),
        (["x"], ["red/x#fast", "red/x#deep"]),
        (["red/y#deep"], ["red/y#deep#fast", "red/y#deep#deep"]),
        (["red/*#fast"], ["red/x#fast", "red/y#deep#fast"]),
        (["*#deep"], ["red/x#deep", "red/y#deep#fast", "red/y#deep#deep"]),
        (["red/x*"], ["red/x#fast", "red/x#deep"]),
        (["red/z"], ["red/z#one", "red/z#two"]),
        (["red/z#two"], ["red/z#two"]),
        (["red/z#deep"], ["red/z#deep#one", "red/z#deep#two"]),
        (["blue/b"], ["blue/b"]),
    ],
)
def test_a_variant_is_named_like_any_target(models: list[str], names: list[str]) -> None:
    """A model stands for all its variants.

    A `#` in a model's name starts no variant; others have those of every target.
    """
    targets = choose(*models, suite=VARIED).targets
    assert [target.name for target in targets] == names
    known = {variant.name: variant.parameters for variant in (*VARIANTS, *EVERYWHERE)}
    assert all(target.parameters == known.get(target.variant or "", COLD) for target in targets)


def test_a_model_of_a_router_may_have_variants() -> None:
    """vendor/model#variant is the listed one, not a provider of the vendor's name."""
    routed = replace(SUITE, targets=(SuiteTarget("bare", ("red/x",), COLD, VARIANTS),))
    found = choose("red/x#deep", suite=routed, environ={**RED, **BARE}).targets
    assert [(target.provider, target.model, target.variant) for target in found] == [("bare", "red/x", "deep")]
    assert [target.name for target in choose("red/x", suite=routed, environ={**RED, **BARE}).targets] == [
        "bare/red/x#fast",
        "bare/red/x#deep",
    ]


def test_default_models_have_the_variants_of_every_target() -> None:
    """This holds if no target is listed, and if a provider is named by -p."""
    suite = replace(SUITE, variants=EVERYWHERE)
    assert chosen(suite=suite, environ=BLUE) == ["blue/blue-1#one", "blue/blue-1#two"]
    assert chosen(suite=suite, providers=("local",)) == ["local/tiny#one", "local/tiny#two"]


def test_a_mistyped_variant_is_a_model_s_name_with_a_note() -> None:
    """The whole text is taken as the model's name, with a note before anything is sent."""
    suite = replace(SUITE, targets=(SuiteTarget("red", ("x",), COLD, VARIANTS),))
    choice = choose("red/x#dep", suite=suite)
    assert [(target.model, target.variant) for target in choice.targets] == [("x#dep", None)]
    assert choice.notes == (
        "red/x#dep: no variant is called dep, so all of it is taken for the model's name. Did you mean `#deep`?",
    )
    (note,) = choose("red/x#dep").notes
    assert note.endswith("is taken for the model's name. `variants` in the suite, or --vary, makes variants")
    everywhere = choose("red/x#dep", suite=replace(SUITE, variants=EVERYWHERE))
    assert [target.name for target in everywhere.targets] == ["red/x#dep#one", "red/x#dep#two"]
    assert "no variant is called dep" in everywhere.notes[0]
    assert len(everywhere.notes) == 1
    assert choose(suite=listing(("red", ("x#dep",)))).notes == ()


def test_a_pattern_chooses_of_a_provider_that_is_not_configured() -> None:
    """A pattern with a provider's name selects among its default models, as -p does, variants included."""
    suite = replace(SUITE, variants=EVERYWHERE)
    assert chosen("sim/*#one", suite=suite, environ={}) == ["sim/quick#one"]
    assert chosen("red/red-big#two", "sim/*#one", suite=suite) == ["red/red-big#two", "sim/quick#one"]
    with pytest.raises(UnknownTarget, match=r"-m sim/\*#three fits no configured model"):
        choose("sim/*#three", suite=suite)
    with pytest.raises(MissingKey, match="BLUE_API_KEY is not set"):
        choose("blue/*", environ=RED)


# What the command names


@pytest.mark.parametrize(
    ("models", "providers", "names"),
    [
        (["red/anything-at-all"], [], ["red/anything-at-all"]),
        (["RED/x"], [], ["red/x"]),
        (["rouge/x"], [], ["red/x"]),
        (["red/org/model:7b"], [], ["red/org/model:7b"]),
        (["red/what?"], [], ["red/what?"]),
        (["red/x", "red/x"], [], ["red/x"]),
        (["local/tiny"], [], ["local/tiny"]),
        (["red-*"], [], ["red/red-big", "red/red-small"]),
        (["*-small", "blue-?"], [], ["red/red-small", "blue/blue-1"]),
        (["red/*-small"], [], ["red/red-small"]),
        (["rouge/*-small"], [], ["red/red-small"]),
        (["*/*-small"], [], ["red/red-small"]),
        (["blue-1"], [], ["blue/blue-1"]),
        (["bare/x", "*-small"], [], ["bare/x", "red/red-small"]),
        ([], ["blue"], ["blue/blue-1"]),
        ([], ["rouge"], ["red/red-big", "red/red-small"]),
        ([], ["*e*"], ["red/red-big", "red/red-small", "blue/blue-1"]),
        ([], ["local"], ["local/tiny"]),
        ([], ["sim", "blue"], ["sim/quick", "blue/blue-1"]),
        (["*-small"], ["red"], ["red/red-small"]),
        (["tiny"], ["local", "red"], ["local/tiny"]),
        (["red/x"], ["red"], ["red/x"]),
        (["red/x"], ["r*", "blue"], ["red/x"]),
        (["red/x", "blue-1"], ["red", "blue"], ["red/x", "blue/blue-1"]),
    ],
)
def test_a_full_name_adds_any_model_and_a_pattern_filters(
    models: list[str], providers: list[str], names: list[str]
) -> None:
    """provider/model names any model; another pattern filters; -p restricts both to its providers."""
    assert chosen(*models, providers=tuple(providers), environ={**RED, **BLUE, **BARE}) == names


FOO = "-m foo/bar fits no configured model. To choose from: red-big, red-small, blue-1. No provider is called 'foo';"


@pytest.mark.parametrize(
    ("models", "providers", "told"),
    [
        (["red-smal"], [], "-m red-smal fits no configured model. Did you mean `red-small`? "),
        (["rad/red-big"], [], "-m rad/red-big fits no configured model. Did you mean `red/red-big`? "),
        (["gpt*"], [], "-m gpt* fits no configured model. To choose from: red-big, red-small, blue-1. "),
        (["red/gpt*"], [], "-m red/gpt* fits no configured model."),
        ([""], [], "-m is empty. "),
        ([], [" "], "-p is empty. "),
        (["foo/bar"], [], f"{FOO} `compare providers` lists all."),
        (["tiny"], [], "-m tiny fits no configured model."),
        (["blue-1"], ["red"], "-m blue-1 fits no configured model. To choose from: red-big, red-small. "),
        (["green/x"], [], "-m green/x fits no configured model. "),
        (["red/"], [], "'red/' names no target. Write provider/model"),
        ([], ["blu"], "-p blu fits no provider. Did you mean `blue`? "),
        ([], ["g*"], "-p g* fits no provider. To choose from: "),
        ([], ["bare"], "bare has no default model. Name one as bare/MODEL."),
        (["red/x"], ["blue"], "-m red/x is of another provider than -p blue. Leave out -p"),
        (["red/x", "gpt*"], [], "-m gpt* fits no configured model."),
    ],
)
def test_a_pattern_without_match_is_refused_with_a_hint(models: list[str], providers: list[str], told: str) -> None:
    """Each pattern must match something, and the message says what would; exit code 2."""
    with pytest.raises(UnknownTarget) as caught:
        choose(*models, providers=tuple(providers))
    assert str(caught.value).startswith(told)
    assert caught.value.exit_code == 2


def test_mistakes_in_m_and_p_are_named_together() -> None:
    """An unknown provider of a -m is named beside a -p that fits nothing; what depends on the -p is not."""
    with pytest.raises(UnknownTarget) as caught:
        choose("foo/bar", "tiny", providers=("blu",))
    first, second = str(caught.value).splitlines()
    assert first.startswith("-p blu fits no provider.")
    assert second.startswith("-m foo/bar fits no configured model.")


def test_a_mistyped_name_is_recognized_without_any_key() -> None:
    """What is known is compared, not only what is configured."""
    with pytest.raises(UnknownTarget, match=r"Did you mean `blue/blue-1`\?"):
        choose("blue1", environ={})
    with pytest.raises(UnknownTarget, match=r"Did you mean `-p blue`\?"):
        choose("bleu", environ={})


@pytest.mark.parametrize(
    ("models", "providers", "told"),
    [
        (["bleu"], [], "targets='bleu' fits no configured model. Did you mean `provider='blue'`? "),
        ([""], [], "targets is empty. "),
        ([], ["blu"], "provider='blu' fits no provider. "),
        ([], [" "], "provider is empty. "),
    ],
)
def test_messages_spell_options_as_the_caller_does(models: list[str], providers: list[str], told: str) -> None:
    """A user of Python sees keywords, not the options of the command."""
    with pytest.raises(UnknownTarget) as caught:
        choose(*models, providers=tuple(providers), environ={}, spell=spell_keyword)
    assert str(caught.value).startswith(told)
    with pytest.raises(CompareError, match=r"^case='maths' fits no case"):
        choose_cases(CASES, ["maths"], spell_keyword)


def test_the_key_of_tutorials_alone_gets_a_note() -> None:
    """Tutorials put other vendors' keys in OPENAI_API_KEY.

    A named target, a second key or a base URL is unambiguous.
    """
    registry = builtin()
    shared = {"OPENAI_API_KEY": "sk-abcdefghijklmnop"}
    told = "only OPENAI_API_KEY is set, so openai alone is asked"

    def notes(selection: TargetSelection, **more: str) -> str:
        return "\n".join(choose_targets(SUITE, selection, registry, {**shared, **more}).notes)

    assert notes(TargetSelection(spell_option)).count(told) == 1
    assert "DASHSCOPE_API_KEY" in notes(TargetSelection(spell_option))
    assert told not in notes(TargetSelection(spell_option, models=("openai/any",)))
    assert told not in notes(TargetSelection(spell_option), DEEPSEEK_API_KEY="sk-abcdefghijklmnoq")
    assert told not in notes(
        TargetSelection(spell_option), OPENAI_BASE_URL="https://dashscope.aliyuncs.com/compatible-mode/v1"
    )


def test_every_pattern_without_a_match_is_named() -> None:
    """One error has a line for each of them."""
    with pytest.raises(UnknownTarget) as raised:
        choose("gpt*", "red-big", "foo/bar")
    assert [line.split(" fits ")[0] for line in str(raised.value).splitlines()] == ["-m gpt*", "-m foo/bar"]


def test_a_pattern_on_a_bare_machine_is_refused() -> None:
    """A filter never falls back to the simulator."""
    with pytest.raises(UnknownTarget, match="No provider is configured"):
        choose("qwen*", environ={})


# Keys


@pytest.mark.parametrize(
    ("models", "providers", "suite"),
    [
        (("red/x", "blue/y", "local/tiny"), (), SUITE),
        ((), ("red", "blue", "local"), SUITE),
        ((), (), listing(("red", ("x",)), ("local", ()), ("blue", ()))),
    ],
)
def test_all_named_targets_without_a_key_are_reported(
    models: tuple[str, ...], providers: tuple[str, ...], suite: Suite
) -> None:
    """Targets named by -m, -p or the suite stop the run with exit code 4, and the message has all of them."""
    with pytest.raises(MissingKey) as caught:
        choose(*models, providers=providers, suite=suite, environ={})
    assert caught.value.exit_code == 4
    assert [line.split()[0] for line in str(caught.value).splitlines()] == ["RED_API_KEY", "BLUE_API_KEY"]


def test_skip_missing_leaves_out_targets_without_a_key() -> None:
    """The others are used, and a note names each that is left out."""
    choice = choose("red/x", "blue/y", environ=RED, skip_missing=True)
    assert [target.name for target in choice.targets] == ["red/x"]
    assert set(choice.endpoints) == {"red"}
    assert [note.split()[0] for note in choice.notes] == ["BLUE_API_KEY"]


def test_skip_missing_needs_one_target_with_a_key() -> None:
    """Otherwise the run would have no target, or the simulator only."""
    with pytest.raises(MissingKey):
        choose("red/x", environ={}, skip_missing=True)


def test_a_placeholder_key_is_reported_once() -> None:
    """A provider that is configured and named by -p has one message."""
    environ = {**RED, "BLUE_API_KEY": "your-api-key"}
    notes = choose(providers=("red", "blue"), environ=environ, skip_missing=True).notes
    assert [note.split()[0] for note in notes] == ["BLUE_API_KEY"]


def test_a_retired_model_is_asked_with_a_note() -> None:
    """Its name is sent unchanged."""
    choice = choose("blue/blue-0")
    assert [target.model for target in choice.targets] == ["blue-0"]
    assert choice.notes == ("blue-0: gone since June",)


ANY_SELECTION = st.builds(
    TargetSelection,
    st.just(spell_option),
    st.lists(st.sampled_from(["red/x", "red-*", "*", "local/tiny", "sim/quick", "blue/*", "zzz"]), max_size=3).map(
        tuple
    ),
    st.lists(st.sampled_from(["red", "blue", "b*", "local", "sim", "bare"]), max_size=2).map(tuple),
    st.booleans(),
)
ENVIRONMENTS = st.lists(st.sampled_from([RED, BLUE, BARE]), max_size=3).map(
    lambda parts: {name: value for part in parts for name, value in part.items()}
)
SUITES = st.lists(st.sampled_from([("red", ("x",)), ("blue", ()), ("local", ())]), max_size=3, unique=True).map(
    lambda rows: listing(*rows)
)


@given(SUITES, ANY_SELECTION, ENVIRONMENTS)
def test_every_selected_target_has_an_endpoint(
    suite: Suite, selection: TargetSelection, environ: dict[str, str]
) -> None:
    """Each target is there once, with an endpoint and its key, or was named; otherwise there is one error."""
    try:
        choice = choose_targets(suite, selection, REGISTRY, environ)
    except CompareError:
        return
    names = [target.name for target in choice.targets]
    assert len(set(names)) == len(names)
    assert {target.provider for target in choice.targets} == set(choice.endpoints)
    for provider, endpoint in choice.endpoints.items():
        row = REGISTRY.rows[provider]
        assert row.keyless or (endpoint.key is not None and endpoint.key.variable in environ)
        named = [*selection.models, *selection.providers, *(target.provider for target in suite.targets)]
        assert not row.keyless or any(name.partition("/")[0] in {provider, "*"} for name in named)
    assert names or not (selection.models or selection.providers or suite.targets or environ)


# Cases

CASES = Suite("s", tuple(Case(id_, ("?",)) for id_ in ("who-en", "who-zh", "math", "who[1]")), "d")


@pytest.mark.parametrize(
    ("patterns", "ids"),
    [
        ([], ["who-en", "who-zh", "math", "who[1]"]),
        (["who-*"], ["who-en", "who-zh"]),
        (["math", "who-e?"], ["who-en", "math"]),
        (["*"], ["who-en", "who-zh", "math", "who[1]"]),
        (["who[1]"], ["who[1]"]),
    ],
)
def test_cases_are_selected_by_glob_or_id_in_the_suites_order(patterns: list[str], ids: list[str]) -> None:
    """-k keeps cases that match any pattern; a case's whole id always matches."""
    assert [case.id for case in choose_cases(CASES, patterns, spell_option).cases] == ids


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("maths", "-k maths fits no case. Did you mean `math`?"),
        ("x*", "-k x* fits no case. The suite has: who-en, who-zh, math, who[1]."),
        ("WHO-*", "-k WHO-* fits no case."),
    ],
)
def test_a_case_pattern_without_match_is_refused_with_a_hint(pattern: str, told: str) -> None:
    """Every pattern must match a case, even if another one does."""
    with pytest.raises(CompareError) as caught:
        choose_cases(CASES, ["math", pattern], spell_option)
    assert str(caught.value).startswith(told)
