"""How many examples a costly property gets. Not to be imported before conftest has loaded the profile."""

from hypothesis import settings

FEWER = settings().max_examples // 2
"""For a property that makes a page, a chart or a whole run of each example."""
