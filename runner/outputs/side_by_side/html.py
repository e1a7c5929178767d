"""HTML of replies side by side, with its own style; it takes its colours from the page around it."""

from collections.abc import Iterable

from markupsafe import Markup

from runner.outputs.side_by_side.page import SideBySidePage, SideBySideReply, SideBySideTurn
from runner.outputs.text.escape import one_line, printable

STYLE = Markup("""<style>
.compare-grid { font-size: 0.9em; line-height: 1.5; }
.compare-grid .turn { margin: 0.6em 0 0.3em; white-space: pre-wrap; overflow-wrap: anywhere; }
.compare-grid .replies { display: grid; gap: 0.6em; grid-template-columns: repeat(auto-fit, minmax(16em, 1fr)); }
.compare-grid article { min-width: 0; padding: 0.5em 0.8em; border: 1px solid rgb(128 128 128 / 40%);
  border-radius: 0.4em; overflow-wrap: anywhere; unicode-bidi: isolate; contain: paint; }
.compare-grid .facts, .compare-grid .remark { margin: 0 0 0.4em; font-size: 0.85em; opacity: 0.75; }
.compare-grid .written { white-space: pre-wrap; }
.compare-grid .thoughts { margin-bottom: 0.4em; padding-left: 0.6em; border-left: 2px solid rgb(128 128 128 / 40%);
  opacity: 0.75; white-space: pre-wrap; }
.compare-grid .call { margin-top: 0.4em; padding: 0.3em 0.6em; border-left: 2px solid rgb(128 128 128 / 40%); }
.compare-grid .call > code { font-weight: bold; }
.compare-grid article :is(p, ul, ol, pre, table) { margin: 0.4em 0; }
.compare-grid article pre { white-space: pre-wrap; }
</style>""")

_ARTICLE = Markup('<article><strong>{}</strong><div class="facts">{}</div>{}</article>')
_PAGE = Markup('{}<div class="compare-grid">{}{}</div>')
_TURN = Markup('<div class="turn"><strong>{}</strong>\n{}</div><div class="replies">{}</div>')
_REMARK = Markup('<div class="remark">{}</div>')
_THOUGHTS = Markup('<div class="thoughts">{}</div>')
_FOLDED = Markup("<details><summary>reasoning, {:,} characters</summary>{}</details>")
_ARGUMENTS = Markup("<pre>{}</pre>")
_CALL = Markup('<div class="call"><code>{}</code><pre>{}</pre></div>')
_WRITTEN = Markup('<div class="written">{}</div>')


def write(page: SideBySidePage) -> str:
    """Return the HTML of a page: remarks, then each turn with its replies, rendered as safe HTML."""
    remarks = _join(_REMARK.format(remark) for remark in page.remarks)
    return _PAGE.format(STYLE, remarks, _join(map(_turn, page.turns)))


def write_growing(name: str, ending: str, thoughts: str, reply: str, calls: str = "") -> Markup:
    """Return the HTML of a reply that is still arriving, its Markdown not rendered, and its calls."""
    thinking = _THOUGHTS.format(printable(thoughts)) if thoughts else Markup()
    calling = _ARGUMENTS.format(printable(calls)) if calls else Markup()
    return _ARTICLE.format(one_line(name), one_line(ending), thinking + _WRITTEN.format(printable(reply)) + calling)


def write_row(articles: Iterable[Markup]) -> str:
    """Return the HTML of several replies to one prompt side by side."""
    return _PAGE.format(STYLE, Markup(), Markup('<div class="replies">{}</div>').format(_join(articles)))


def _turn(turn: SideBySideTurn) -> Markup:
    return _TURN.format(one_line(turn.label), printable(turn.prompt), _join(map(_article, turn.replies)))


def _article(shown: SideBySideReply) -> Markup:
    reply = shown.reply
    thoughts = _THOUGHTS.format(reply.reasoning) if reply.reasoning else Markup()
    folded = _FOLDED.format(reply.reasoning_characters, thoughts) if thoughts else Markup()
    text = reply.html if reply.html is not None else Markup()
    calls = _join(_CALL.format(one_line(call.name), call.arguments) for call in reply.calls)
    return _ARTICLE.format(one_line(shown.target), one_line(shown.ending), folded + text + calls)


def _join(parts: Iterable[Markup]) -> Markup:
    return Markup().join(parts)
