"""Descriptions of flags: every flag that a row can have has one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from runner.outputs.text.labels import FLAGS, describe_flag

PACKAGE = Path(__file__).parents[2] / "runner"


MAY_RAISE = re.compile(
    r"Flagged\(|\b_?(flags|notes|derived|FILLING|REPEATED|NO_TOOL_RESULT|MAX_STEPS_REACHED|FLAGS|BODY_FLAGS)\b"
)
"""What stands in each module that one of the patterns below matches."""


def raised_flags() -> Iterator[str]:
    """Yield every flag in the source: set in wire, added in engine, derived from one record or from all rows."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if not MAY_RAISE.search(text):
            continue  # parsing every module takes a second
        for node in ast.walk(ast.parse(text)):
            match node:
                case ast.Call(func=ast.Name(id="Flagged"), args=[_, ast.Constant(str(flag))]):
                    yield flag
                case ast.Call(
                    func=ast.Attribute(value=ast.Attribute(attr="flags" | "_notes") | ast.Name("notes"), attr="add"),
                    args=[ast.Constant(str(flag))],
                ):
                    yield flag
                case ast.Assign(
                    targets=[ast.Name(id="FILLING" | "DRAINING" | "REPEATED" | "NO_TOOL_RESULT" | "MAX_STEPS_REACHED")],
                    value=ast.Constant(str(flag)),
                ):
                    yield flag
                case ast.AnnAssign(target=ast.Name(id="FLAGS"), value=ast.Dict(values=flags)):
                    yield from map(ast.literal_eval, flags)
                case ast.Assign(targets=[ast.Name(id="BODY_FLAGS")], value=ast.Tuple(elts=flags)):
                    yield from map(ast.literal_eval, flags)
                case ast.Assign(targets=[ast.Name(id="derived" | "flags")], value=ast.Dict(keys=flags)):
                    yield from (ast.literal_eval(flag) for flag in flags if flag is not None)


def test_every_flag_has_a_sentence() -> None:
    """Every flag in the source has a sentence, and every sentence belongs to a flag in the source."""
    raised = set(raised_flags())
    assert {
        "not_streamed",
        "adjusted",
        "client_late",
    } <= raised  # one of each kind, to check that the search finds all three
    assert raised == set(FLAGS)


def test_an_unknown_flag_is_returned_alone() -> None:
    """A journal of a later version may hold flags that are unknown to this version."""
    assert describe_flag("warmup").startswith("warmup: ")
    assert describe_flag("from_the_future") == "from_the_future"
