"""A run's folder on disk: the journal, the recordings, and the state that a resumed run starts from."""
