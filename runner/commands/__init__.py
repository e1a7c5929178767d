"""The use case of each command, in a module of the command's name."""
