"""Commands that report all wrong values at once, and grouped help pages.

The pages show all commands with their purpose, and the options of large commands, most used first.
"""

from collections.abc import Iterator, Mapping, Sequence

import click

COMMANDS: Mapping[str, Mapping[str, str]] = {
    "Everyday": {
        "run": "Send a suite to every target, and write tables.",
        "ask": "Send one prompt to every target, replies side by side.",
        "chat": "Talk with every target at once, turn by turn.",
        "report": "Show finished runs, and write a report page.",
        "diff": "Compare two runs, or two targets of one run.",
        "judge": "Have a model compare a run's replies in pairs.",
        "votes": "Count blind votes on the replies of a run.",
        "runs": "List the runs in results/, the newest first.",
        "watch": "Repeat a run at a fixed interval, a line for each run.",
        "capacity": "Search the highest load that keeps an SLO.",
        "history": "Show how targets changed over many runs.",
        "plan": "Show what a run would send and cost; send nothing.",
        "providers": "List the providers, and whose key is set.",
        "init": "Write a first suite and the files beside it.",
    },
    "Continuous integration": {
        "snapshot": "Compare replies with those stored in a snapshot.",
        "export": "Write a run for another tool.",
        "import": "Make a suite from another tool's file.",
        "schema": "Print the JSON Schema of suite files.",
    },
    "Setup and testing": {
        "doctor": "Check what is installed, configured and reachable.",
        "calibrate": "Measure this machine's own timing error.",
        "simulate": "Serve the simulator, to test any client.",
        "replay": "Serve the recorded replies of a run.",
        "rederive": "Recompute a recorded run's metrics from its bytes.",
        "completion": "Print the script that sets up shell completion.",
    },
}
"""Heading -> the commands below it, each with one line that fits a terminal."""

OPTIONS: Mapping[str, Sequence[str]] = {
    "Targets": ("model", "provider", "vary", "skip_missing", "env_file", "allow_host"),
    "What to ask": (
        *("case", "repeat", "system", "attach", "max_tokens", "resume", "retry_errors", "replay", "fast"),
        *("cache_probe", "cache_waits", "warmup_requests", "seed", "budget", "confirm_over", "yes"),
    ),
    "When": ("every", "for"),
    "Load": (
        "concurrency",
        "order",
        "rate",
        "arrivals",
        "duration",
        "spread",
        "requests",
        "sweep",
        "ramp",
        "until_ci",
        "adaptive",
        "lead",
        "reply_limit",
    ),
    "Output": (
        *("output", "spans", "open", "json", "quiet", "progress", "color", "percentiles", "slo", "by", "record", "bom"),
        *("estimate_tokens", "late_bound", "allow_errors"),
    ),
    "Comparing": ("ab", "baseline", "gate", "fail_undecided", "metric", "min_effect", "min_pass_change"),
    "Cluster": ("engine", "address", "workers", "vantage"),
}
"""Heading -> the long names of the options below it; options without a heading are under "Options"."""

Record = tuple[str, str]


class Command(click.Command):
    """A command that reports all wrong values of its arguments and options, where click reports the first one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; raise click.UsageError for those that are wrong."""
        given = list(args)  # click empties the list
        try:
            return super().parse_args(ctx, args)
        except click.BadParameter as error:
            problems = [each.format_message() for each in self._wrong_values(ctx, given)]
            if len(problems) < 2:
                raise
            raise click.UsageError("\n".join(problems), ctx) from error

    def _wrong_values(self, ctx: click.Context, args: list[str]) -> Iterator[click.BadParameter]:
        values, _, _ = self.make_parser(ctx).parse_args(args)
        for param in self.get_params(ctx):
            try:
                param.process_value(ctx, param.consume_value(ctx, values)[0])
            except click.BadParameter as error:
                error.param = error.param or param
                error.ctx = error.ctx or ctx
                yield error


class GroupedCommand(Command):
    """A command whose help page groups its options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group of options, then the options without a group."""
        left = {_long_name(each): each for each in self.get_params(ctx) if isinstance(each, click.Option)}
        for heading, names in OPTIONS.items():
            _write_section(heading, [left.pop(name) for name in names if name in left], ctx, formatter)
        _write_section("Options", list(left.values()), ctx, formatter)


def _long_name(option: click.Option) -> str:
    long = next(name for name in option.opts if name.startswith("--"))
    return long.removeprefix("--").replace("-", "_")


def _write_section(
    heading: str, options: Sequence[click.Option], ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    records = [record for option in options if (record := option.get_help_record(ctx)) is not None]
    if records:
        with formatter.section(heading):
            formatter.write_dl(records)


def write_commands(formatter: click.HelpFormatter) -> None:
    """Write the commands in groups, a line each."""
    for heading, lines in COMMANDS.items():
        with formatter.section(heading):
            formatter.write_dl([(name.ljust(10), line) for name, line in lines.items()])
