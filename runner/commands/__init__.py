"""One use case per command, under the command's name."""
