"""Target selection, the plan of a run's requests, prices, and upper bounds in tokens and money."""
