"""Whom a run asks: what is named must be there, what is configured is asked, and nobody else ever is."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.suite import Case, Parameters, Suite, SuiteTarget
from runner.errors import CompareError, MissingKey, UnknownTarget
from runner.planning.targets import SelectedTargets, TargetSelection, choose_cases, choose_targets
from runner.providers.registry import Registry
from runner.providers.row import Row

URL = "https://api.example.com/v1"
REGISTRY = Registry(
    MappingProxyType(
        {
            "red": Row(base_url=URL, api_key_env=("RED_API_KEY",), models=("red-big", "red-small"), aliases=("rouge",)),
            "blue": Row(
                base_url=URL, api_key_env=("BLUE_API_KEY",), models=("blue-1",), retired={"blue-0": "gone since June"}
            ),
            "bare": Row(base_url=URL, api_key_env=("BARE_API_KEY",)),
            "local": Row(base_url="http://localhost:1/v1", keyless=True, models=("tiny",)),
            "sim": Row(base_url="http://127.0.0.1/v1", keyless=True, models=("quick",), simulated=True),
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
) -> SelectedTargets:
    """Choose as a command with these options would."""
    return choose_targets(suite, TargetSelection(models, providers, skip_missing), registry, environ)


def chosen(*models: str, **rest: object) -> list[str]:
    """Return the names of those chosen."""
    return [target.name for target in choose(*models, **rest).targets]  # type: ignore[arg-type]


def listing(*rows: tuple[str, tuple[str, ...]], parameters: Parameters = COLD) -> Suite:
    """Return a suite that lists these targets."""
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
def test_without_a_name_the_configured_ones_are_asked(environ: dict[str, str], names: list[str]) -> None:
    """A key makes a provider configured, for its default models; without any the choice is empty."""
    assert chosen(environ=environ) == names


def test_a_row_of_ones_own_configures_a_local_server() -> None:
    """A keyless server is asked unnamed only where the user wrote a row for it."""
    assert chosen(environ={}) == []
    assert chosen(environ={}, registry=REGISTRY.with_rows({"local": Row(concurrency=1)})) == ["local/tiny"]


def test_the_simulator_is_asked_only_by_name() -> None:
    """It is never among the configured, and says what it is where it was named."""
    assert "sim/quick" not in chosen()
    targets = choose("sim/quick", "red/red-big").targets
    assert [(target.name, target.simulated) for target in targets] == [("sim/quick", True), ("red/red-big", False)]


def test_what_is_configured_and_unusable_is_left_out_and_told() -> None:
    """The others are asked, and a note says why one is not."""
    choice = choose(environ={**RED, "BLUE_API_KEY": "your-api-key", **BARE})
    assert [target.provider for target in choice.targets] == ["red", "red"]
    assert [note.split()[0] for note in choice.notes] == ["BLUE_API_KEY", "bare"]


@pytest.mark.parametrize("environ", [{"BLUE_API_KEY": "your-api-key"}, BARE])
def test_a_configuration_of_which_nothing_is_usable_is_an_error(environ: dict[str, str]) -> None:
    """The simulator does not stand in for a provider that somebody has set up; the message offers it."""
    with pytest.raises(CompareError, match=r"(placeholder|no default model)[^\0]*-p sim") as caught:
        choose(environ=environ)
    assert caught.value.exit_code == 2


# What the suite lists


def test_a_suites_targets_are_asked_and_no_others() -> None:
    """Listed ones come in the suite's order with their own parameters, default models where none are listed."""
    choice = choose(suite=listing(("blue", ("blue-9",)), ("rouge", ())))
    assert [target.name for target in choice.targets] == ["blue/blue-9", "red/red-big", "red/red-small"]
    assert all(target.parameters == COLD for target in choice.targets)
    assert set(choice.endpoints) == {"blue", "red"}


def test_a_suites_targets_keep_their_parameters_when_named() -> None:
    """-m on a listed target changes nothing but the selection; on another one the suite's defaults hold."""
    suite = listing(("blue", ("blue-9",)))
    listed, other = choose("blue/blue-9", "red/x", suite=suite).targets
    assert (listed.parameters, other.parameters) == (COLD, SUITE.parameters)


def test_a_listed_provider_without_models_needs_one() -> None:
    """A provider that has no default model cannot be listed bare."""
    with pytest.raises(UnknownTarget, match="bare has no default model"):
        choose(suite=listing(("bare", ())))


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
        (["red/x"], ["blue"], ["red/x", "blue/blue-1"]),
    ],
)
def test_names_and_patterns(models: list[str], providers: list[str], names: list[str]) -> None:
    """provider/model names any model; a bare pattern filters; -p keeps a provider, or brings one by its name."""
    assert chosen(*models, providers=tuple(providers), environ={**RED, **BLUE, **BARE}) == names


@pytest.mark.parametrize(
    ("models", "providers", "told"),
    [
        (["red-smal"], [], "-m red-smal fits no configured model. Did you mean red-small? "),
        (["gpt*"], [], "-m gpt* fits no configured model. To choose from: red-big, red-small, blue-1. "),
        (["red/gpt*"], [], "-m red/gpt* fits no configured model."),
        (["tiny"], [], "-m tiny fits no configured model."),
        (["blue-1"], ["red"], "-m blue-1 fits no configured model. To choose from: red-big, red-small. "),
        (["green/x"], [], "-m green/x fits no configured model. "),
        (["red/"], [], "'red/' names no target. Write provider/model"),
        ([], ["blu"], "-p blu fits no provider. Did you mean blue? "),
        ([], ["g*"], "-p g* fits no provider. To choose from: "),
        ([], ["bare"], "bare has no default model. Name one: -m bare/MODEL."),
        (["red/x", "gpt*"], [], "-m gpt* fits no configured model."),
    ],
)
def test_what_fits_nothing_is_told_with_a_hint(models: list[str], providers: list[str], told: str) -> None:
    """Each pattern must fit something, and the message says what would; exit code 2."""
    with pytest.raises(UnknownTarget) as caught:
        choose(*models, providers=tuple(providers))
    assert str(caught.value).startswith(told)
    assert caught.value.exit_code == 2


def test_a_pattern_on_a_bare_machine_says_that_nothing_is_configured() -> None:
    """A filter never falls back to the simulator."""
    with pytest.raises(UnknownTarget, match="To choose from: none"):
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
def test_every_named_target_without_a_key_is_told_at_once(
    models: tuple[str, ...], providers: tuple[str, ...], suite: Suite
) -> None:
    """Named by -m, -p or the suite, a missing key stops the run with exit code 4, and all are named."""
    with pytest.raises(MissingKey) as caught:
        choose(*models, providers=providers, suite=suite, environ={})
    assert caught.value.exit_code == 4
    assert [line.split()[0] for line in str(caught.value).splitlines()] == ["RED_API_KEY", "BLUE_API_KEY"]


def test_missing_ones_are_left_out_on_demand_and_told() -> None:
    """--skip-missing asks the others, and a note names each that is not asked."""
    choice = choose("red/x", "blue/y", environ=RED, skip_missing=True)
    assert [target.name for target in choice.targets] == ["red/x"]
    assert set(choice.endpoints) == {"red"}
    assert [note.split()[0] for note in choice.notes] == ["BLUE_API_KEY"]


def test_to_leave_out_all_is_no_run() -> None:
    """--skip-missing does not turn a run into one of nobody, or of the simulator."""
    with pytest.raises(MissingKey):
        choose("red/x", environ={}, skip_missing=True)


def test_a_placeholder_is_told_once() -> None:
    """A provider both configured in vain and named by -p is one sentence."""
    environ = {**RED, "BLUE_API_KEY": "your-api-key"}
    notes = choose(providers=("red", "blue"), environ=environ, skip_missing=True).notes
    assert [note.split()[0] for note in notes] == ["BLUE_API_KEY"]


def test_what_is_known_of_a_model_is_noted_and_the_name_passes_through() -> None:
    """A retired name is asked as it is written."""
    choice = choose("blue/blue-0")
    assert [target.model for target in choice.targets] == ["blue-0"]
    assert choice.notes == ("blue-0: gone since June",)


ANY_WISH = st.builds(
    TargetSelection,
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


@given(SUITES, ANY_WISH, ENVIRONMENTS)
def test_whoever_is_chosen_can_be_asked(suite: Suite, wish: TargetSelection, environ: dict[str, str]) -> None:
    """Each target is there once, has an endpoint, and its key; a keyless one was named. Else it is one sentence."""
    try:
        choice = choose_targets(suite, wish, REGISTRY, environ)
    except CompareError:
        return
    names = [target.name for target in choice.targets]
    assert len(set(names)) == len(names)
    assert {target.provider for target in choice.targets} == set(choice.endpoints)
    for provider, endpoint in choice.endpoints.items():
        row = REGISTRY.rows[provider]
        assert row.keyless or (endpoint.key is not None and endpoint.key.variable in environ)
        named = [*wish.models, *wish.providers, *(target.provider for target in suite.targets)]
        assert not row.keyless or any(name.partition("/")[0] in {provider, "*"} for name in named)
    assert names or not (wish.models or wish.providers or suite.targets or environ)


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
def test_cases_are_chosen_by_glob_or_by_name_in_the_suites_order(patterns: list[str], ids: list[str]) -> None:
    """-k keeps what fits any of the patterns; a case's whole id always fits."""
    assert [case.id for case in choose_cases(CASES, patterns).cases] == ids


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("maths", "-k maths fits no case. Did you mean math?"),
        ("x*", "-k x* fits no case. The suite has: who-en, who-zh, math, who[1]."),
        ("WHO-*", "-k WHO-* fits no case."),
    ],
)
def test_a_pattern_without_a_case_is_told_with_a_hint(pattern: str, told: str) -> None:
    """Every pattern must fit a case, even where another one does."""
    with pytest.raises(CompareError) as caught:
        choose_cases(CASES, ["math", pattern])
    assert str(caught.value).startswith(told)
