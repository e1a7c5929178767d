"""The report as one HTML file, whose Content-Security-Policy allows only its own style and scripts."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from runner.analysis.diff import Difference
from runner.analysis.run_results import Run
from runner.analysis.votes import Votes
from runner.errors import counted
from runner.outputs.report.diff_section import compose_diff
from runner.outputs.report.reply import language_of_text
from runner.outputs.report.report_page import ReportPage, compose_report
from runner.outputs.text.escape import printable
from runner.outputs.text.translation import BilingualText, _, in_language, other_of, plural, sentences

if TYPE_CHECKING:
    from runner.analysis.history import RunSeries

_GRID_SCRIPTS = ("word_diff", "grid", "grid_columns", "blind_vote")
_BREAKS = re.compile(r"(?<=[/\\_:?&=#+,@-])(?=[^/\\_:?&=#+,@\s-])|(?<=\.)(?=[^\W\d])")
"""Where the name of a target may be broken: behind its separators, and never inside a word."""
_PERCENT = re.compile(r"(?<=\d) (?=%)")


def write_report(
    runs: Sequence[Run],
    difference: Difference | None = None,
    language: str | None = None,
    votes: Votes | None = None,
) -> str:
    """Return the HTML page of one run, or of several side by side; with a comparison of the run, it stands on top.

    A button of the page switches between its language and the other one. Without a language it is written in that of
    this process's locale.
    """
    with in_language(language):
        page = compose_report(runs, difference, votes)
        # The number of columns cannot be in a style attribute: the policy allows none.
        style = _asset("replies.css") + Markup("#grid {{ --columns: {} }}\n").format(len(page.columns))
        content = {"page": page, "words": _script_words(page)}
        scripts = ("charts", *(_GRID_SCRIPTS if page.rows else ()))
        return _render("report_page.html.j2", content, *scripts, style=style, images=page.has_images)


def write_diff(difference: Difference, language: str | None = None) -> str:
    """Return the HTML page of a comparison: figures with their changes, and the replies that changed.

    Its languages are those of a report.
    """
    with in_language(language):
        content = {"section": compose_diff(difference), "suite": difference.new.suite}
        return _render("diff_page.html.j2", content)


def write_history(series: "Sequence[RunSeries]", hrefs: Mapping[str, str], language: str | None = None) -> str:
    """Return the HTML page of targets over many runs; its languages are those of a report.

    Args:
        series: at least one; those of one suite are neighbours.
        hrefs: id of a run -> the address of its page, relative to this one.
        language: that of the page; None for that of this process's locale.

    """
    from runner.outputs.report.history_page import compose_history  # noqa: PLC0415 -- no report needs it

    with in_language(language):
        return _render("history_page.html.j2", {"page": compose_history(series, hrefs)}, "charts")


def _render(
    template: str, content: Mapping[str, object], *script_names: str, style: str = "", images: bool = False
) -> str:
    """Return a page of a template filled with its content, with the scripts of these names and further style."""
    style = _asset("style.css") + style
    scripts = [_asset(f"{name}.js") for name in ("before_first_paint", "page_language", *script_names)]
    return (
        _environment()
        .get_template(template)
        .render(
            content,
            style=style,
            scripts=scripts,
            policy=_policy(style, scripts, images=images),
            languages=_page_languages(),
        )
    )


def _page_languages() -> dict[str, str]:
    """Return the codes of the page's two languages, and what each is called in itself."""
    code, name = _("en"), _("English")
    return {"here": str(code), "there": code.other, "name": str(name), "other_name": name.other}


def _script_words(page: ReportPage) -> dict[str, dict[str, object]]:
    """Return the texts of the scripts in each of the page's languages, with the targets' names."""
    code, words = _("en"), _script_texts()
    labels = [printable(name) for name in page.labels], [printable(other_of(name)) for name in page.labels]
    return {
        str(code): {**words, "targets": labels[0]},
        code.other: {**{name: text.other for name, text in words.items()}, "targets": labels[1]},
    }


def _script_texts() -> dict[str, BilingualText]:
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
        optimized=False,  # a page is written once, and to optimize its template takes longer than it saves
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_make_printable,
    )
    environment.filters.update(
        count=counted,
        markup=Markup,
        thousands="{:,}".format,
        code=partial(_mark_both, _mark_code),
        name=partial(_mark_both, _break_name),
        names=_break_names,
        tongue=language_of_text,
        unbroken=lambda text: BilingualText(_unbroken(text), _unbroken(other_of(text))),
    )
    environment.globals.update(
        _=_, plural=plural, sentences=sentences, attribute=_attribute, inside=_inside, other=_other
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment


def _mark_both(mark: Callable[[str], Markup], text: str) -> Markup:
    """Return marked text, with its form in the other language in a template, which is not shown, for the switch."""
    here, there = mark(str(text)), mark(other_of(text))
    return here if here == there else Markup("<span data-swap>{}<template>{}</template></span>").format(here, there)


def _mark_code(text: str) -> Markup:
    """Return a sentence in which what stands between backticks is code."""
    parts = _unbroken(text).split("`")
    marked = [Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts)]
    return Markup("").join(marked) if len(parts) % 2 else escape(_unbroken(text))


def _break_name(name: str) -> Markup:
    """Return a name that a browser may break behind separators only."""
    return Markup('<bdi class="breakable">{}</bdi>').format(Markup("<wbr>").join(_BREAKS.split(printable(name))))


def _break_names(sentence: str, names: Sequence[str]) -> Markup:
    """Return a sentence in which names can be broken like names."""
    longest_first = sorted({*map(str, names), *map(other_of, names)}, key=len, reverse=True)
    found = re.compile(f"({'|'.join(map(re.escape, longest_first))})") if names else re.compile("(?!)")

    def mark(text: str) -> Markup:
        parts = found.split(text)
        return Markup("").join(
            _break_name(part) if at % 2 else escape(_unbroken(part)) for at, part in enumerate(parts)
        )

    return _mark_both(mark, sentence)


def _make_printable(value: object) -> object:
    # `type`, not isinstance: Markup, a subclass of str, is left as it is.
    if isinstance(value, BilingualText):
        return _in_both(_unbroken(value), _unbroken(value.other))
    return printable(value) if type(value) is str else value


def _unbroken(text: str) -> str:
    """Return a text of ours, printable, in which no line ends between a number and its `%`."""
    return _PERCENT.sub("\u00a0", printable(text))


def _in_both(text: str, other: str) -> Markup:
    """Return a text as it is shown, with its form in the other language for the page's switch."""
    shown = escape(text)
    if other == text:
        return shown
    return Markup('<span data-other="%s">%s</span>') % (other, shown)  # as it is faster than `format`


def _attribute(name: str, text: str) -> Markup:
    """Return an attribute whose text is in both languages."""
    return Markup('{0}="{1}" data-other-{0}="{2}"').format(name, printable(text), printable(other_of(text)))


def _other(text: str) -> Markup:
    """Return the attribute that holds a text's form in the other language, of an element that can hold no other."""
    other = printable(other_of(text))
    return Markup("") if other == printable(text) else Markup(' data-other="{}"').format(other)


def _inside(text: str) -> Markup:
    """Return the text of an element that can hold no other element."""
    return escape(printable(text))


def _asset(name: str) -> Markup:
    """Return a file of this package, which is trusted and not escaped."""
    return Markup(files(__package__).joinpath(name).read_text(encoding="utf-8"))  # noqa: S704


def _policy(style: str, scripts: Iterable[str], *, images: bool = False) -> str:
    """Return a policy that allows only this style and these scripts, and forbids scripts to make HTML of text.

    Images are those in the page itself, if it has any.
    """
    allowed = " ".join(map(_digest, scripts))
    own_images = "img-src data:; " if images else ""
    return (
        f"default-src 'none'; style-src {_digest(style)}; script-src {allowed}; {own_images}"
        "base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
