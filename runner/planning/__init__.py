"""Which targets a run asks, the plan of its requests, and the plan's upper bound in tokens and money."""
