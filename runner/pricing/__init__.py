"""Money, token rates, published list prices and the user's own prices."""
