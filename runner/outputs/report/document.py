"""The report as one HTML file, whose Content-Security-Policy allows only its own style and scripts."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from runner.analysis.run_results import Run
from runner.outputs.report.page import compose_report
from runner.outputs.text.escape import printable
from runner.outputs.text.figures import count

_SCRIPTS = ("before_paint", "word_diff", "grid", "blind_vote")


def write_report(runs: Sequence[Run]) -> str:
    """Return the HTML page of one run, or of several side by side."""
    page = compose_report(runs)
    # The number of columns cannot be in a style attribute: the policy allows none.
    style = _asset("style.css") + Markup("#grid {{ --columns: {} }}\n").format(len(page.columns))
    scripts = {name: _asset(f"{name}.js") for name in _SCRIPTS}
    policy = _policy(style, scripts.values())
    template = _environment().get_template("page.html.j2")
    return template.render(page=page, style=style, scripts=scripts, policy=policy)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("runner.outputs", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_make_printable,
    )
    environment.filters.update(count=count, markup=Markup, thousands="{:,}".format)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment


def _make_printable(value: object) -> object:
    # `type`, not isinstance: Markup, a subclass of str, is left as it is.
    return printable(value) if type(value) is str else value


def _asset(name: str) -> Markup:
    """Return a file of this package, which is trusted and not escaped."""
    return Markup(files(__package__).joinpath(name).read_text(encoding="utf-8"))  # noqa: S704


def _policy(style: str, scripts: Iterable[str]) -> str:
    """Return a policy that allows only this style and these scripts, and forbids scripts to make HTML of text."""
    allowed = " ".join(map(_digest, scripts))
    return (
        f"default-src 'none'; style-src {_digest(style)}; script-src {allowed}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
