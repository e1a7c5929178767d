"""Money, rates, and where prices come from: published lists and the user's own."""
