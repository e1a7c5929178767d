"""`compare snapshot`: store a suite's replies as text files beside it, and compare runs with them."""
