"""The page model as one HTML file, under a policy that lets only its own style and scripts stand."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from runner.analysis.run import Run
from runner.outputs.report.page import compose
from runner.outputs.text.figures import count
from runner.outputs.text.printable import printable

_SCRIPTS = ("early", "words", "board", "blind")


def write_report(runs: Sequence[Run]) -> str:
    """Write one page on one run, or on several side by side."""
    page = compose(runs)
    # A style attribute could not say how many columns there are: the policy lets none stand.
    style = _asset("style.css") + Markup("#board {{ --columns: {} }}\n").format(len(page.columns))
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
        finalize=_fit_to_show,
    )
    environment.filters.update(count=count, drawn=Markup, thousands="{:,}".format)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment


def _fit_to_show(value: object) -> object:
    # `type`, not isinstance: Markup must pass as it is.
    return printable(value) if type(value) is str else value


def _asset(name: str) -> Markup:
    """Return a file of this package, which is ours and needs no escaping."""
    return Markup(files(__package__).joinpath(name).read_text(encoding="utf-8"))  # noqa: S704


def _policy(style: str, scripts: Iterable[str]) -> str:
    """Shut out everything but this style and these scripts; and no script may make HTML of text."""
    allowed = " ".join(map(_digest, scripts))
    return (
        f"default-src 'none'; style-src {_digest(style)}; script-src {allowed}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
