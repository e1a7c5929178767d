"""The images of a prompt as a page shows them: thumbnails from the run's folder, inside the page itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.analysis.checks import steps_in
from runner.analysis.run_results import Run


@dataclass(frozen=True, slots=True)
class PromptImage:
    """A thumbnail: a `data:` URL, and the image's name and size."""

    url: str
    label: str


def prompt_images(runs: Sequence[Run], case: str, turn: int) -> tuple[PromptImage, ...]:
    """Return the thumbnails of a turn's images, each once, in the order in which they were sent."""
    found: dict[str, PromptImage] = {}
    for run in runs:
        asked, step = steps_in(run.header.checks, case).place(turn)
        for image in _images_of(run.header.attachments.get(case, ()), asked) if step == 1 else ():
            thumbnail = run.thumbnails.get(str(image.get("digest")))
            if thumbnail is not None:
                label = f"{image.get('name')}, {image.get('width')}x{image.get('height')}"
                found.setdefault(thumbnail.data_url, PromptImage(thumbnail.data_url, label))
    return tuple(found.values())


def _images_of(turns: Sequence[Any], turn: int) -> Iterator[Mapping[str, Any]]:
    """Yield the images of a turn, counted from 1; a header may have been edited by hand, so all is checked."""
    attachments = turns[turn - 1] if 0 < turn <= len(turns) else ()
    for each in attachments if isinstance(attachments, list) else ():
        if isinstance(each, Mapping) and each.get("kind") == "image":
            yield each
