"""The report as one HTML file, whose Content-Security-Policy allows only its own style and scripts."""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from runner.analysis.diff import Difference
from runner.analysis.run_results import Run
from runner.analysis.run_series import RunSeries
from runner.outputs.report.baseline import compose_comparison
from runner.outputs.report.history_page import HistoryPage, compose_history
from runner.outputs.report.page import compose_report
from runner.outputs.text.escape import printable
from runner.outputs.text.figures import count
from runner.outputs.text.language import LANGUAGES, BilingualText, _, in_language, other_of, plural

_SCRIPTS = ("before_paint", "language", "charts", "word_diff", "grid", "columns", "blind_vote")
_HISTORY_SCRIPTS = ("before_paint", "language", "charts")
_BREAKS = re.compile(r"(?<=[/\\_:?&=#+,@-])(?=[^/\\_:?&=#+,@\s-])|(?<=\.)(?=[^\W\d])")
"""Where the name of a target may be broken: behind its separators, and never inside a word."""


def write_report(runs: Sequence[Run], difference: Difference | None = None, language: str | None = None) -> str:
    """Return the HTML page of one run, or of several side by side; with a comparison of the run, it stands on top.

    A button of the page switches between its language and the other one. Without a language it is written in English,
    and opens in the one of the reader's browser.
    """
    with in_language(language or LANGUAGES[0]):
        return _render_report(runs, difference, is_chosen=language is not None)


def _render_report(runs: Sequence[Run], difference: Difference | None, *, is_chosen: bool) -> str:
    page = compose_report(runs, difference)
    # The number of columns cannot be in a style attribute: the policy allows none.
    style = _asset("style.css") + Markup("#grid {{ --columns: {} }}\n").format(len(page.columns))
    scripts = {name: _asset(f"{name}.js") for name in _SCRIPTS}
    policy = _policy(style, scripts.values())
    template = _environment().get_template("page.html.j2")
    words, code = _script_words(), _("en")
    return template.render(
        page=page,
        style=style,
        scripts=scripts,
        policy=policy,
        words={code: words, code.other: {name: text.other for name, text in words.items()}},
        languages=_languages(is_chosen=is_chosen),
    )


_LANGUAGE_NAMES = {"en": "English", "zh-CN": "中文"}


def write_comparison(difference: Difference, language: str = LANGUAGES[0]) -> str:
    """Return the HTML page of a comparison: figures with their changes, and the replies that changed."""
    with in_language(language):
        return _render_comparison(difference)


def _render_comparison(difference: Difference) -> str:
    style = _asset("style.css")
    return (
        _environment()
        .get_template("difference.html.j2")
        .render(
            section=compose_comparison(difference),
            title=difference.new.suite,
            style=style,
            policy=_policy(style, ()),
            languages={"here": str(_("en"))},
        )
    )


def write_history(series: Sequence[RunSeries], hrefs: Mapping[str, str], language: str | None = None) -> str:
    """Return the HTML page of targets over many runs; its languages are those of a report.

    Args:
        series: at least one; those of one suite are neighbours.
        hrefs: id of a run -> the address of its page, relative to this one.
        language: that of the page; None for English that opens in the one of the reader's browser.

    """
    with in_language(language or LANGUAGES[0]):
        return _render_history(compose_history(series, hrefs), is_chosen=language is not None)


def _render_history(page: HistoryPage, *, is_chosen: bool) -> str:
    style = _asset("style.css")
    scripts = {name: _asset(f"{name}.js") for name in _HISTORY_SCRIPTS}
    template = _environment().get_template("history.html.j2")
    return template.render(
        page=page,
        style=style,
        scripts=scripts,
        policy=_policy(style, scripts.values()),
        languages=_languages(is_chosen=is_chosen),
    )


def _languages(*, is_chosen: bool) -> dict[str, object]:
    """Return what a page's switch of languages needs."""
    code = _("en")
    return {"here": str(code), "there": code.other, "name": _LANGUAGE_NAMES[code.other], "chosen": is_chosen}


def _script_words() -> dict[str, BilingualText]:
    """Return the texts of the scripts."""
    return {
        "shown": _("{shown} shown"),
        "shown_of": _("{shown} of {all} shown"),
        "not_asked": _("not asked in this repeat"),
        "too_different": _("too different to mark"),
        "same_words": _("the same words"),
        "repeat_of": _("repeat {repeat} of {count}"),
        "repeat_here": _("repeat {repeat}, {at} of {count} here"),
        "tie": _("tie"),
        "none_good": _("none is good"),
        "reveal": _("Reveal names"),
        "blind_vote": _("Blind vote"),
        "is_best": _("{letter} is best"),
        "voted": _("{votes} of {turns} voted"),
        "all_alike": _("all replies are the same"),
    }


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
    environment.filters.update(
        count=count, markup=Markup, thousands="{:,}".format, code=_mark_code, name=_break_name, names=_break_names
    )
    environment.globals.update(_=_, plural=plural, attribute=_attribute, inside=_inside, other_of=other_of)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment


def _mark_code(text: str) -> Markup:
    """Return a sentence in which what stands between backticks is code."""
    parts = printable(text).split("`")
    marked = [Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts)]
    without_marks = BilingualText(text, other_of(text).replace("`", ""))
    return _in_both(without_marks, Markup("").join(marked) if len(parts) % 2 else escape(printable(text)))


def _break_name(name: str) -> Markup:
    """Return a name that a browser may break behind separators only."""
    if other_of(name) != name:
        return _in_both(name, escape(name))
    parts = _BREAKS.split(printable(name))
    return Markup('<bdi class="breakable">{}</bdi>').format(Markup("<wbr>").join(parts))


def _break_names(sentence: str, names: Sequence[str]) -> Markup:
    """Return a sentence in which names can be broken like names."""
    found = re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or "(?!)")
    parts, at = [], 0
    for match in found.finditer(sentence):
        parts += [escape(printable(sentence[at : match.start()])), _break_name(match[0])]
        at = match.end()
    return _in_both(sentence, Markup("").join([*parts, escape(printable(sentence[at:]))]))


def _make_printable(value: object) -> object:
    # `type`, not isinstance: Markup, a subclass of str, is left as it is.
    if isinstance(value, BilingualText):
        return _in_both(value, escape(printable(value)))
    return printable(value) if type(value) is str else value


def _in_both(text: str, shown: Markup) -> Markup:
    """Return a text as it is shown, with its form in the other language for the page's switch."""
    other = printable(other_of(text))
    if other == printable(text):
        return shown
    return Markup('<span data-other="{}">{}</span>').format(other, shown)


def _attribute(name: str, text: str) -> Markup:
    """Return an attribute whose text is in both languages."""
    return Markup('{0}="{1}" data-other-{0}="{2}"').format(name, printable(text), printable(other_of(text)))


def _inside(text: str) -> Markup:
    """Return the text of an element that can hold no other element."""
    return escape(printable(text))


def _asset(name: str) -> Markup:
    """Return a file of this package, which is trusted and not escaped."""
    return Markup(files(__package__).joinpath(name).read_text(encoding="utf-8"))  # noqa: S704


def _policy(style: str, scripts: Iterable[str]) -> str:
    """Return a policy that allows only this style and these scripts, and forbids scripts to make HTML of text."""
    allowed = " ".join(map(_digest, scripts)) or "'none'"
    return (
        f"default-src 'none'; style-src {_digest(style)}; script-src {allowed}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
