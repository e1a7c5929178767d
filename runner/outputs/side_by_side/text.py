"""Plain text of replies side by side, one below the other, for a console without HTML."""

from collections.abc import Iterator

from runner.outputs.side_by_side.page import SideBySidePage
from runner.outputs.text.escape import one_line, printable


def write(page: SideBySidePage) -> str:
    """Return the text of a page, in which no reply can drive the terminal."""
    return "\n".join([*page.remarks, *_lines(page)])


def _lines(page: SideBySidePage) -> Iterator[str]:
    for turn in page.turns:
        yield f"{one_line(turn.label)}: {printable(turn.prompt)}"
        for each in turn.replies:
            yield f"── {one_line(each.target)} ({one_line(each.ending)})"
            if each.reply.text is not None:
                yield each.reply.text
            yield from each.reply.call_lines
        yield ""
