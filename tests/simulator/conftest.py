"""The simulator that the tests of a module ask."""

from collections.abc import Iterator

import pytest

from runner.simulator.child_process import launch_sync


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """Start one simulator for a module."""
    with launch_sync() as url:
        yield url
