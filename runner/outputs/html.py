"""`report.html`: one file to open from disk. No script, nothing from the network, and a policy that says so."""

from base64 import b64encode
from functools import cache
from hashlib import sha256

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from runner.analysis.run import Run
from runner.outputs.excerpt import excerpt
from runner.outputs.figures import rate, seconds
from runner.outputs.overview import CAPTION, advise_on, banner, describe_failure, remarks, tabulate_summary
from runner.outputs.printable import printable
from runner.outputs.words import describe_outcome

MAX_CASES = 500
MAX_BYTES = 10_000_000


def write(run: Run) -> str:
    """Write the summary, what to know about it, and the replies side by side."""
    return _template().render(
        run=run,
        banner=banner(run),
        remarks=remarks(run),
        summary=tabulate_summary(run.summary),
        caption=CAPTION,
        excerpt=excerpt(run.grid, MAX_CASES, MAX_BYTES),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("runner", "outputs"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_fit_to_show,
    )
    environment.filters.update(
        seconds=seconds, rate=rate, digest=_digest, describe_failure=describe_failure, advise_on=advise_on
    )
    environment.globals.update(describe_outcome=describe_outcome)
    return environment.get_template("report.html.j2")


def _fit_to_show(value: object) -> object:
    # `type`, not isinstance: jinja's own Markup must pass as it is.
    return printable(value) if type(value) is str else value


def _digest(style: str) -> str:
    """Return what a Content-Security-Policy calls the one style sheet that it allows."""
    return "sha256-" + b64encode(sha256(style.encode()).digest()).decode()
