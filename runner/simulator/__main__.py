"""Run the simulator alone, in the foreground or as a child of a run: `python -m runner.simulator`."""

import argparse
import sys
from pathlib import Path

from runner.errors import CompareError
from runner.simulator import LOOPBACK, replay, server
from runner.simulator.server import DEFAULT_PORT


def main() -> int:
    """Serve according to the options and return the exit code."""
    options = _parser().parse_args()
    is_child = options.until_stdin_closes
    try:
        if options.replay is not None:
            replay.serve(
                options.replay,
                options.host,
                options.port,
                fast=options.fast,
                announce=_print,
                until_stdin_closes=is_child,
            )
        else:
            server.serve(options.host, options.port, fault=options.fault, announce=_print, until_stdin_closes=is_child)
    except CompareError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runner.simulator", description=__doc__)
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes any that is free")
    parser.add_argument("--fault", metavar="NAME", help="inject this fault into every answer")
    parser.add_argument("--replay", type=Path, metavar="FOLDER", help="replay the recordings of a run")
    parser.add_argument("--fast", action="store_true", help="with --replay: as fast as possible")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="print the base URL only, end with the parent"
    )
    return parser


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
