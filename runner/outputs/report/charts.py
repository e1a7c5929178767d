"""Which pictures a report shows, and in which order."""

from collections.abc import Iterator, Sequence

from runner.analysis.run import Run
from runner.outputs.charts import (
    TOTAL,
    TTFT,
    Chart,
    draw_arrivals,
    draw_phases,
    draw_points,
    draw_shares,
    draw_tokens_under_load,
    draw_total_against_reply,
    draw_ttft_against_prompt,
    draw_ttft_under_load,
    draw_waterfall,
)


def draw_pictures(runs: Sequence[Run]) -> tuple[Chart, ...]:
    """Draw what there is to draw of each run."""
    drawn = (picture for number, run in enumerate(runs, start=1) for picture in draw_run(run, f"run-{number}"))
    return tuple(picture for picture in drawn if picture)


def draw_run(run: Run, prefix: str) -> Iterator[Chart | None]:
    """Draw one run; the prefix keeps its ids apart from those of the others."""
    yield draw_ttft_under_load(run, f"{prefix}-ttft-under-load")
    yield draw_tokens_under_load(run, f"{prefix}-tokens-under-load")
    for over in (TTFT, TOTAL):
        yield draw_points(run, over, f"{prefix}-points-{over.column}")
    for over in (TTFT, TOTAL):
        yield draw_shares(run, over, f"{prefix}-shares-{over.column}")
    yield draw_phases(run, f"{prefix}-phases")
    yield draw_arrivals(run, run.records, f"{prefix}-arrivals")
    yield draw_waterfall(run, run.records, f"{prefix}-waterfall")
    yield draw_ttft_against_prompt(run, f"{prefix}-prompt-size")
    yield draw_total_against_reply(run, f"{prefix}-reply-size")
