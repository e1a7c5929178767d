"""`compare snapshot`: keep a suite's replies as text files beside it, and compare runs with them."""
