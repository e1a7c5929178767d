"""What is kept of a run beside its suite, to be committed: the replies as small text files, timings apart."""
