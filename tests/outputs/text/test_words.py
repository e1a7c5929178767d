"""Whatever a row says in one word has a sentence for people."""

import ast
from collections.abc import Iterator
from pathlib import Path

from runner.outputs.text.words import FLAGS, describe_flag

PACKAGE = Path(__file__).parents[3] / "runner"


def raised_flags() -> Iterator[str]:
    """Find every flag in the source: noted by the wire, added by the engine, derived by the record."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="Flagged"), args=[_, flag]):
                    yield ast.literal_eval(flag)
                case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="flags"), attr="add"), args=[flag]):
                    yield ast.literal_eval(flag)
                case ast.Assign(targets=[ast.Name(id="derived" | "flags")], value=ast.Dict(keys=flags)):
                    yield from (ast.literal_eval(flag) for flag in flags if flag is not None)


def test_every_flag_has_a_sentence() -> None:
    """What the source can raise is in the table, and the table holds nothing that is never raised."""
    raised = set(raised_flags())
    assert {"not_streamed", "adjusted", "client_late"} <= raised  # of each kind one: the search has not gone blind
    assert raised == set(FLAGS)


def test_a_flag_of_a_later_version_stands_for_itself() -> None:
    """A journal may hold words that this version does not know."""
    assert describe_flag("warmup").startswith("warmup: ")
    assert describe_flag("from_the_future") == "from_the_future"
