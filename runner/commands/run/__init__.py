"""`compare run`: prepare a run, perform it, write its outputs."""
