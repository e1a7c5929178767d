"""The template language of a suite: jinja2's sandbox, restricted so that no template can exhaust time or memory.

A template consists of variables, constants, arithmetic, comparisons, `{% if %}`, `{% raw %}` and a few filters.
It has no loops, calls, attributes or assignments. So only `*` can make a text longer than it is in the file, and the
result of `*` is bounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runner.errors import did_you_mean
from runner.suite.errors import BadTemplate

MAX_TEMPLATE_CHARACTERS = 1 << 20
MAX_NUMBER = 10**15
MAX_OPERATIONS = 100
MAX_NODES = 2_000
FILTERS = ("float", "int", "length", "lower", "trim", "upper")

_ARITHMETIC = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos)
_LOGIC = (nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.CondExpr, nodes.If)
_VALUES = (nodes.Name, nodes.Const, nodes.TemplateData, nodes.Output)
_ALLOWED = (*_ARITHMETIC, *_LOGIC, *_VALUES, nodes.Filter)
_RAW = "put {% raw %} and {% endraw %} around text that is not a template"


@dataclass(frozen=True, slots=True)
class SafeTemplate:
    """A template that passed all checks, and the names of its variables."""

    names: tuple[str, ...]
    _template: Template

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with the values of all variables.

        Raises:
            BadTemplate: a value is missing, an expression fails, or the text is too long.

        """
        pieces, size = [], 0
        try:
            for piece in self._template.generate(values):
                pieces.append(piece)
                size += len(piece)
                if size > MAX_TEMPLATE_CHARACTERS:
                    raise BadTemplate("the filled template is longer than a million characters", "Shorten it")
        except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise BadTemplate(f"the template cannot be filled: {error}", "Change the expression") from None
        return "".join(pieces)


def read_template(text: str) -> SafeTemplate:
    """Parse and check a template.

    Raises:
        BadTemplate: its syntax is wrong, or it uses a feature that is not allowed.

    """
    environment = _environment()
    try:
        tree = environment.parse(text)
        inner = list(tree.find_all(nodes.Node))
        _check(inner)
        template = environment.from_string(tree)
    except TemplateSyntaxError as error:
        where = f" on line {error.lineno} of the text" if "\n" in text else ""
        raise BadTemplate(f"the template is broken{where}: {_message_of(error)}", f"Correct it, or {_RAW}") from None
    except (RecursionError, SyntaxError, MemoryError):
        raise BadTemplate("the template is nested too deeply", "Simplify it") from None
    return SafeTemplate(tuple(dict.fromkeys(node.name for node in inner if isinstance(node, nodes.Name))), template)


def _check(inner: list[nodes.Node]) -> None:
    for node in inner:
        if isinstance(node, nodes.Filter):
            _check_filter(node)
        elif not isinstance(node, _ALLOWED):
            what = f"the template uses {_name_of_syntax(node)}, which has no place in a prompt"
            raise BadTemplate(what, f"Use variables, arithmetic and if only, or {_RAW}")
    if len(inner) > MAX_NODES or sum(isinstance(n, nodes.BinExpr | nodes.Filter) for n in inner) > MAX_OPERATIONS:
        raise BadTemplate("the template holds too many expressions", "Simplify it")


def _check_filter(node: nodes.Filter) -> None:
    if node.name not in FILTERS:
        hint = did_you_mean(node.name, FILTERS, f"Known are {', '.join(FILTERS)}")
        raise BadTemplate(f"the template uses the unknown filter `{node.name}`", hint)
    if node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
        raise BadTemplate(f"the filter `{node.name}` takes nothing in brackets here", "Remove the brackets")


def _name_of_syntax(node: nodes.Node) -> str:
    known = {
        nodes.For: "a loop",
        nodes.Call: "a call",
        nodes.Getattr: "an attribute",
        nodes.Getitem: "an index",
        nodes.Assign: "an assignment",
        nodes.Concat: "`~`",
        nodes.Pow: "`**`",
    }
    return known.get(type(node), f"`{type(node).__name__.lower()}`")


def _message_of(error: TemplateSyntaxError) -> str:
    return (error.message or "").strip().removesuffix(".")


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2's sandbox with operators limited to bounded operands."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Return the result of an operation on two numbers, or of a text times a number.

        Raises:
            SecurityError: the operands are of other types or too large, or the text would be too long.

        """
        if operator == "*" and isinstance(left, str):
            return _repeated(left, right)
        if not all(isinstance(side, int | float) and abs(side) <= MAX_NUMBER for side in (left, right)):
            hint = "; a variable is a text, and becomes a number by `| int`"
            raise SecurityError(f"`{operator}` takes two numbers of fifteen digits at most{hint}")
        return super().call_binop(context, operator, left, right)


def _repeated(text: str, count: object) -> str:
    if not isinstance(count, int):
        raise SecurityError("a text times what is not a whole number; a variable becomes one by `| int`")
    if len(text) * count > MAX_TEMPLATE_CHARACTERS:
        raise SecurityError("`*` makes a text longer than a million characters")
    return text * count


@cache
def _environment() -> _Sandbox:
    environment = _Sandbox(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False, cache_size=0)
    environment.globals.clear()
    return environment
