"""A run's folder on disk: journal, recordings, and what a resumed run reads back."""
