"""The help of a command: its options in groups."""

from runner.cli.help import OPTIONS
from runner.cli.run import run


def test_every_option_of_a_run_is_in_a_group() -> None:
    """None is left over for the end of the help, where a reader would not look for it."""
    names = {each.lstrip("-").replace("-", "_") for option in run.params for each in option.opts if each[:2] == "--"}
    grouped = {name for group in OPTIONS.values() for name in group}
    assert names - grouped == {"max_requests"}  # another name of --requests
