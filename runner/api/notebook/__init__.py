"""What a notebook's cell shows while a run goes on. Nothing here needs IPython, and nothing is shown without it."""
