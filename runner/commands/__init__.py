"""Use cases of the commands, one module per command, under the command's name."""
