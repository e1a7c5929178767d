"""The comparison grid: targets as columns, turns as rows, in each cell the places of replies, and images of prompts.

A browser cannot hold all of a long run: repeats and cases are sampled, and long replies are cut.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple, Self, TypeVar

from runner.analysis.check_results import check_record, steps_in
from runner.analysis.dataframe import rows_of, targets_of
from runner.analysis.measured_targets import MeasuredTarget, name_target
from runner.analysis.result_columns import Row
from runner.analysis.run_results import Run
from runner.analysis.summary import TargetSummary
from runner.analysis.target_figures import TargetFigures, target_figures
from runner.checks.check_finding import CheckVerdict
from runner.core.events import TIMED
from runner.core.turns_and_steps import NO_STEPS, Steps
from runner.outputs.text.labels import name_in_words, name_question
from runner.outputs.text.translation import BilingualText, _, plural

FAILED_CHECKS = "failed_checks"
"""A cell of the rows that are shown; it is no column of results."""

_COLUMNS_READ = ["case", "turn", "repeat", "prompt", "outcome"]


# Columns


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """One target of one run; `number` is its position on the page, from 1. `summary` names it by the column's label."""

    run: Run
    number: int
    target: MeasuredTarget
    summary: TargetSummary
    figures: TargetFigures

    @property
    def label(self) -> str:
        """The heading of the column: the target and, where there are several runs, its run."""
        return str(self.summary.target)

    @property
    def name(self) -> BilingualText:
        """The heading to show, in both languages; code identifies the column by `label`."""
        return name_in_words(self.summary.target)


def target_columns(runs: Sequence[Run]) -> tuple[TargetColumn, ...]:
    """Return a column for each target of each run, run by run."""
    return tuple(
        TargetColumn(
            run, number, each.target, replace(each.summary, target=name_target(each.target, number, len(runs))), each
        )
        for number, run in enumerate(runs, start=1)
        for each in target_figures(run)
    )


# Rows


class ReplyPlace(NamedTuple):
    """A reply's row in its run's table, and whether the target answered. Texts are read only if they are shown."""

    place: int
    answered: bool


GridCell = Mapping[int, ReplyPlace]
"""One column's replies to a turn, by repeat; repeats that were not sent are absent."""

Replies = Sequence[Mapping[int, Row]]
"""For each column whole rows of its run, texts included, by their place in the table."""


@dataclass(frozen=True, slots=True)
class GridTurn:
    """One turn of one case, and a cell for each column."""

    case: str
    turn: int
    prompt: str
    cells: tuple[GridCell, ...]
    steps: Steps = NO_STEPS
    """The steps of the case's conversation."""

    @property
    def label(self) -> str:
        """The case and, from the second on, the turn and the step, or that a cache probe sent it again."""
        return name_question(self.case, self.turn, self.steps)

    @property
    def repeats(self) -> list[int]:
        """The repeats that any column has, ascending."""
        return sorted({repeat for cell in self.cells for repeat in cell})

    @property
    def first(self) -> int:
        """The repeat to show first: the earliest of those in which most targets answered."""
        return max(self.repeats, key=lambda repeat: (self._count_answers(repeat), -repeat))

    def only_repeats(self, *repeats: int) -> Self:
        """Return the turn with these repeats only."""
        cells = ({repeat: reply for repeat, reply in cell.items() if repeat in repeats} for cell in self.cells)
        return replace(self, cells=tuple(cells))

    def _count_answers(self, repeat: int) -> int:
        return sum(repeat in cell and cell[repeat].answered for cell in self.cells)


def has_failed(row: Row) -> bool:
    """Return whether a request failed, or its reply failed a check."""
    return row["outcome"] not in TIMED or bool(row["checks_failed"])


def grid_turns(columns: Sequence[TargetColumn]) -> tuple[GridTurn, ...]:
    """Return the grid's rows, cases in the order of their suites; equal cases with different prompts have own rows."""
    cells: dict[tuple[str, int, str], tuple[dict[int, ReplyPlace], ...]] = {}
    for at, column in enumerate(columns):
        table = column.run.measured
        own = table.loc[targets_of(table) == column.target, _COLUMNS_READ]
        for place, row in zip(own.index.tolist(), rows_of(own), strict=True):
            key = (str(row["case"]), int(row["turn"] or 0), str(row["prompt"] or ""))
            of_key = cells.setdefault(key, tuple({} for _ in columns))
            of_key[at].setdefault(int(row["repeat"] or 0), ReplyPlace(place, row["outcome"] in TIMED))
    order = _order_of_cases(columns)
    keys = sorted(cells, key=lambda key: (order.get(key[0], len(order)), *key))
    probes = {column.run.header.cache_probe for column in columns}
    idles = probes.pop() if len(probes) == 1 else ()
    return tuple(GridTurn(*key, cells[key], replace(_steps_of(key[0], columns), idles=idles)) for key in keys)


def _steps_of(case: str, columns: Sequence[TargetColumn]) -> Steps:
    """Return the steps of a case in the first run that has any of it."""
    found = (steps_in(column.run.header.checks, case) for column in columns)
    return next((steps for steps in found if steps.max_steps > 1), NO_STEPS)


def _order_of_cases(columns: Sequence[TargetColumn]) -> dict[str, int]:
    names = dict.fromkeys(case for column in columns for case in column.run.header.cases)
    return {case: at for at, case in enumerate(names)}


def read_replies(turns: Iterable[GridTurn], columns: Sequence[TargetColumn]) -> Replies:
    """Return the rows of these turns' replies; each run is read once, however many columns it has."""
    places: dict[Run, set[int]] = {column.run: set() for column in columns}
    for turn in turns:
        for column, cell in zip(columns, turn.cells, strict=True):
            places[column.run].update(reply.place for reply in cell.values())
    rows = {run: _with_failed_checks(run, run.rows_at(of_run)) for run, of_run in places.items()}
    return [rows[column.run] for column in columns]


def _with_failed_checks(run: Run, rows: Mapping[int, Row]) -> dict[int, Row]:
    """Return rows with the names of the checks that each failed, in a cell of their own."""
    failing = sorted(place for place, row in rows.items() if row["checks_failed"])
    records = run.source.records_at(frozenset(failing)) if failing else ()
    named = {
        place: [name for name, found in findings.items() if found.verdict is CheckVerdict.FAILED]
        for place, record in zip(failing, records, strict=True)
        if (findings := check_record(run.header, record))
    }
    return {place: {**row, FAILED_CHECKS: ", ".join(named.get(place, ())) or None} for place, row in rows.items()}


# Images of prompts: thumbnails from the run's folder, inside the page itself


@dataclass(frozen=True, slots=True)
class PromptImage:
    """A thumbnail: a `data:` URL, and the image's name and size."""

    url: str
    label: str


def prompt_images(runs: Sequence[Run], case: str, turn: int) -> tuple[PromptImage, ...]:
    """Return the thumbnails of a turn's images, each once, in the order in which they were sent."""
    found: dict[str, PromptImage] = {}
    for run in runs:
        asked, step = steps_in(run.header.checks, case).turn_and_step(turn)
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


# The sample: the part that a browser can hold


MAX_REPLIES = 2_000
"""A page of this many opens in a second or two."""

MAX_BYTES = 5_000_000
"""The bytes of replies and reasoning; each is in the page twice, rendered and as it was written."""

MAX_CHARACTERS = 60_000
"""The characters of one reply."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class GridSample:
    """The turns to show, and sentences on what is left out."""

    turns: tuple[GridTurn, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextCut:
    """The number of characters to show of each text, and a sentence on longer texts."""

    characters: int
    left_out: tuple[str, ...]


def sample_turns(turns: Sequence[GridTurn]) -> GridSample:
    """Return the turns that fit: with fewer repeats first, then of fewer cases, both spread evenly."""
    fewer = _fewer_repeats(turns)
    kept = _fewer_cases(fewer)
    sentences = (_describe_repeats(turns, fewer), _describe_cases(turns, kept))
    return GridSample(kept, tuple(sentence for sentence in sentences if sentence))


def find_text_limit(replies: Replies) -> TextCut:
    """Return the length at which long texts are cut so that all fit together."""
    texts = _reply_texts(replies)
    characters = _characters_that_fit(texts)
    longer = sum(len(text) > characters for text in texts)
    sentence = plural(
        longer,
        "{n} text cut at {characters} characters; whole in the run's results.csv and journal.jsonl.",
        "{n} texts cut at {characters} characters; whole in the run's results.csv and journal.jsonl.",
        characters=f"{characters:,}",
    )
    return TextCut(characters, (sentence,) if longer else ())


def _count_replies(turns: Sequence[GridTurn]) -> int:
    return sum(len(cell) for turn in turns for cell in turn.cells)


def _fewer_repeats(turns: Sequence[GridTurn]) -> tuple[GridTurn, ...]:
    cells = sum(len(turn.cells) for turn in turns)
    if _count_replies(turns) <= MAX_REPLIES:
        return tuple(turns)
    return tuple(_with_repeats(turn, max(MAX_REPLIES // cells, 1)) for turn in turns)


def _with_repeats(turn: GridTurn, most: int) -> GridTurn:
    """Return the turn with at most this many repeats, among them the one that is shown first."""
    spread = _spread(turn.repeats, most)
    return turn.only_repeats(*(spread if turn.first in spread else [turn.first, *spread[: most - 1]]))


def _fewer_cases(turns: Sequence[GridTurn]) -> tuple[GridTurn, ...]:
    total = _count_replies(turns)
    cases = [tuple(of_case) for _, of_case in groupby(turns, key=lambda turn: turn.case)]
    if total <= MAX_REPLIES:
        return tuple(turns)
    kept = _spread(cases, max(MAX_REPLIES * len(cases) // total, 1))
    return tuple(turn for of_case in kept for turn in of_case)


def _spread(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most this many items, evenly spread, with the first."""
    if len(items) <= most:
        return list(items)
    return [items[at * len(items) // most] for at in range(most)]


def _reply_texts(replies: Replies) -> list[str]:
    rows = {id(row): row for of_column in replies for row in of_column.values()}  # columns of one run share rows
    cells = (row[name] for row in rows.values() for name in ("reply", "tool_calls", "reasoning", "error"))
    return [cell for cell in cells if isinstance(cell, str)]


def _characters_that_fit(texts: Sequence[str]) -> int:
    """Return the length at which texts are cut: each gets an equal share of the room that shorter ones leave."""
    sizes = sorted((min(len(text), MAX_CHARACTERS), len(text.encode(errors="replace"))) for text in texts)
    room = MAX_BYTES
    for at, (characters, size) in enumerate(sizes):
        share = room // (len(sizes) - at)
        if size > share:
            return max(min(share * characters // size, MAX_CHARACTERS), 1)
        room -= size
    return MAX_CHARACTERS


def _describe_repeats(turns: Sequence[GridTurn], fewer: Sequence[GridTurn]) -> str | None:
    most, shown = (max((len(turn.repeats) for turn in each), default=0) for each in (turns, fewer))
    if shown == most:
        return None
    return _(
        "{shown} of up to {most} repeats of each turn are shown, spread evenly; all are in the run's results.csv and "
        "journal.jsonl.",
        shown=shown,
        most=f"{most:,}",
    )


def _describe_cases(turns: Sequence[GridTurn], kept: Sequence[GridTurn]) -> str | None:
    every, shown = (len({turn.case for turn in each}) for each in (turns, kept))
    if shown == every:
        return None
    return _(
        "{shown} of {all} cases are shown, spread evenly; all are in the run's results.csv and journal.jsonl.",
        shown=f"{shown:,}",
        all=f"{every:,}",
    )
