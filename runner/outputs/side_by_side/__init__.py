"""Replies side by side for a notebook's cell: as HTML with its own style, and as plain text."""
