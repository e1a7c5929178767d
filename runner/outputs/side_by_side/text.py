"""Side by side as plain text, one reply below the other: what a console shows that can draw nothing."""

from collections.abc import Iterator

from runner.outputs.side_by_side.page import SideBySidePage
from runner.outputs.text.printable import one_line, printable


def write(page: SideBySidePage) -> str:
    """Write a page; nothing that was said can drive the terminal."""
    return "\n".join([*page.remarks, *_lines(page)])


def _lines(page: SideBySidePage) -> Iterator[str]:
    for question in page.questions:
        yield f"{one_line(question.label)}: {printable(question.prompt)}"
        for answer in question.answers:
            yield f"── {one_line(answer.target)} ({one_line(answer.ending)})"
            if answer.reply.text is not None:
                yield answer.reply.text
        yield ""
