"""The display of a run in a notebook's cell; without IPython nothing is shown."""
