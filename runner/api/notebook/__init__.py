"""What a notebook's cell shows while a run goes on; without IPython nothing is shown."""
