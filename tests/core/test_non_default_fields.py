"""Fields that differ from their defaults, and the stored digests that depend on them."""

from dataclasses import dataclass, field
from datetime import datetime

import pytest

from runner.commands.run.judge_requests import judge_line
from runner.commands.run.prepared_run import PreparedJudge
from runner.core.attachment_parts import Attachment
from runner.core.non_default_fields import non_default_fields
from runner.core.suite import (
    Case,
    Expectations,
    Message,
    Parameters,
    Suite,
    SuiteTarget,
    Timeouts,
    ToolDefinition,
    Variant,
)
from runner.core.tool_call import ToolCall
from runner.planning.request import Request, Target
from runner.planning.target_prices import Prices
from runner.providers.endpoint import Endpoint
from runner.providers.provider_row import ProviderRow
from runner.suite.digest import digest_of


@dataclass(frozen=True)
class SampleValue:
    """A dataclass with each kind of default."""

    name: str
    number: int = 1
    items: list[int] = field(default_factory=list)


@pytest.mark.parametrize(
    ("value", "changed"),
    [
        (SampleValue("a"), {"name": "a"}),
        (SampleValue("a", 2, [3]), {"name": "a", "number": 2, "items": [3]}),
        (SampleValue("a", 1, []), {"name": "a"}),
    ],
)
def test_fields_at_their_defaults_are_left_out(value: SampleValue, changed: dict[str, object]) -> None:
    """A field without a default always differs."""
    assert non_default_fields(value) == changed
    assert non_default_fields(value, always={"number"}, never={"name"}) == {
        "number": value.number, **{name: item for name, item in changed.items() if name == "items"},
    }  # fmt: skip


PICTURE = Attachment(
    *("image", "chart.png"), path="/tmp/chart.png", digest="ab" * 32, media_type="image/png", size=9, width=3, height=2,
    detail="low",
)  # fmt: skip
PARAMETERS = Parameters(
    system="Be brief.",
    temperature=0.5,
    stop=("END",),
    thinking="low",
    timeouts=Timeouts(idle=5.0),
    extra_body={"top_k": 3},
    reply_limit=1000,
    prefix="> ",
    tools=(ToolDefinition("clock", parameters={"type": "object"}),),
    tool_choice="auto",
)
CASE = Case(
    "rich",
    ("Go on.", "[image chart.png]"),
    (
        Message("user", "[image chart.png]\nWhat?", parts=(PICTURE, "What?")),
        Message("assistant", "A chart.", calls=(ToolCall("clock", "{}", "c1"),), reasoning="hm"),
    ),
    "Be kind.",
    tags=("a",),
    line=7,
    expectations=Expectations({"contains": "x"}),
    overrides={"max_tokens": 9},
    tool_results={"clock": "noon"},
    max_steps=3,
    parts=((), (PICTURE,)),
)
TARGET = Target("acme", "m", PARAMETERS, variant="v")


def test_keys_of_requests_are_those_of_earlier_versions() -> None:
    """A key that changed would send completed requests again when a run is resumed."""
    request = Request(TARGET, CASE, repeat=2, block=2)
    keys = [request.key_at(turn) for turn in (1, 2, 4)]
    assert keys == ["e79ca5b9f3cc2ecc", "6c71c186be2ec74b", "d79703e1a4eccc18"]
    assert request.prefix_key == "98eca8fac895a259"


def test_digests_of_suites_are_those_of_earlier_versions() -> None:
    """A digest that changed would make two runs of one suite look like runs of different suites."""
    variants = (Variant("v", Parameters(seed=1), {"seed": 1}),)
    targets = (SuiteTarget("acme", ("m",), PARAMETERS, variants),)
    suite = Suite(
        *("rich", (CASE, Case("plain", ("Hi.",))), "", "text", "s.yaml", targets), parameters=PARAMETERS, repeat=2,
        files=("f",),
    )  # fmt: skip
    digest = "f363ba9c3041235c75b83331e9e4f13576fe823f2a5c9fdae05771111952b0fb"
    assert digest_of(suite, {"acme": {"base_url": "http://x"}}) == digest


def test_ids_of_judges_are_those_of_earlier_versions() -> None:
    """An id that changed would ask a judge again about pairs that it has decided."""
    judge = PreparedJudge(TARGET, Endpoint("acme", "http://x", None, ProviderRow()), Prices())
    assert judge_line(judge, datetime(2026, 1, 1).astimezone())["id"] == "106ba6007da8"
