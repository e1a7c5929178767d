"""The number of examples of a costly property test. Import it only after conftest has loaded the profile."""

from hypothesis import settings

FEWER = settings().max_examples // 2
"""Number of examples for a property test that makes a page, a chart or a whole run from each example."""
