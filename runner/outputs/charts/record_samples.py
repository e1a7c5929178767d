"""Samples of a run's records for its charts: read once, however often the charts are drawn."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from runner.analysis.run_results import Run
from runner.outputs.charts.arrivals import ArrivalSamples
from runner.outputs.charts.day import DaySamples, RoundPoint
from runner.outputs.charts.phases import MedianRequest, find_median_requests
from runner.outputs.charts.waterfall import SpanSamples


class RecordSamples:
    """Samples of one run's records, read when a chart first needs them."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @cached_property
    def median_requests(self) -> Sequence[MedianRequest]:
        """The median request of each target that has a whole reply."""
        return find_median_requests(self.run)

    @property
    def arrivals(self) -> ArrivalSamples:
        """Replies whose text is drawn over time."""
        return self._read[0]

    @property
    def spans(self) -> SpanSamples:
        """Requests that are drawn in time."""
        return self._read[1]

    @cached_property
    def rounds(self) -> Mapping[str, Sequence[RoundPoint]]:
        """The rounds of each target that were spread over a day."""
        return self._read[2].of_targets()

    @cached_property
    def _read(self) -> tuple[ArrivalSamples, SpanSamples, DaySamples]:
        samples = ArrivalSamples(self.run), SpanSamples(self.run), DaySamples(self.run)
        for record in self.run.records:
            for sample in samples:
                sample.add(record)
        return samples
