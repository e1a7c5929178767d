"""Side by side as HTML with a style of its own, which takes ink and paper from the page around it."""

from collections.abc import Iterable

from markupsafe import Markup

from runner.outputs.side_by_side.page import SideAnswer, SideBySidePage, SideQuestion
from runner.outputs.text.printable import one_line, printable

STYLE = Markup("""<style>
.compare-board { font-size: 0.9em; line-height: 1.5; }
.compare-board .question { margin: 0.6em 0 0.3em; white-space: pre-wrap; overflow-wrap: anywhere; }
.compare-board .answers { display: grid; gap: 0.6em; grid-template-columns: repeat(auto-fit, minmax(16em, 1fr)); }
.compare-board article { min-width: 0; padding: 0.5em 0.8em; border: 1px solid rgb(128 128 128 / 40%);
  border-radius: 0.4em; overflow-wrap: anywhere; unicode-bidi: isolate; contain: paint; }
.compare-board .facts, .compare-board .remark { margin: 0 0 0.4em; font-size: 0.85em; opacity: 0.75; }
.compare-board .written { white-space: pre-wrap; }
.compare-board .thoughts { margin-bottom: 0.4em; padding-left: 0.6em; border-left: 2px solid rgb(128 128 128 / 40%);
  opacity: 0.75; white-space: pre-wrap; }
.compare-board article :is(p, ul, ol, pre, table) { margin: 0.4em 0; }
.compare-board article pre { white-space: pre-wrap; }
</style>""")

_ARTICLE = Markup('<article><strong>{}</strong><div class="facts">{}</div>{}</article>')
_BOARD = Markup('{}<div class="compare-board">{}{}</div>')
_QUESTION = Markup('<div class="question"><strong>{}</strong>\n{}</div><div class="answers">{}</div>')
_REMARK = Markup('<div class="remark">{}</div>')
_THOUGHTS = Markup('<div class="thoughts">{}</div>')
_FOLDED = Markup("<details><summary>reasoning, {:,} characters</summary>{}</details>")
_WRITTEN = Markup('<div class="written">{}</div>')


def write(page: SideBySidePage) -> str:
    """Write a page: remarks first, then each question with its replies, Markdown rendered and made safe."""
    remarks = _join(_REMARK.format(remark) for remark in page.remarks)
    return _BOARD.format(STYLE, remarks, _join(map(_question, page.questions)))


def write_growing(name: str, ending: str, thoughts: str, reply: str) -> Markup:
    """Write a reply that is not whole yet as it stands, its Markdown unread."""
    thinking = _THOUGHTS.format(printable(thoughts)) if thoughts else Markup()
    return _ARTICLE.format(one_line(name), one_line(ending), thinking + _WRITTEN.format(printable(reply)))


def write_row(articles: Iterable[Markup]) -> str:
    """Write replies to one question side by side."""
    return _BOARD.format(STYLE, Markup(), Markup('<div class="answers">{}</div>').format(_join(articles)))


def _question(question: SideQuestion) -> Markup:
    answers = _join(map(_article, question.answers))
    return _QUESTION.format(one_line(question.label), printable(question.prompt), answers)


def _article(answer: SideAnswer) -> Markup:
    reply = answer.reply
    thoughts = _THOUGHTS.format(reply.reasoning) if reply.reasoning else Markup()
    folded = _FOLDED.format(reply.reasoning_characters, thoughts) if thoughts else Markup()
    said = reply.html if reply.html is not None else Markup()
    return _ARTICLE.format(one_line(answer.target), one_line(answer.ending), folded + said)


def _join(parts: Iterable[Markup]) -> Markup:
    return Markup().join(parts)
