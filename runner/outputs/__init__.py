"""One file a format; a writer returns text."""
