"""Replies side by side, for a notebook's cell: as HTML that stands alone, and as text."""
