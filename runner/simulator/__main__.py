"""The simulator as the child of a run: it prints its base URL, and ends when its standard input is closed."""

import argparse
import sys
from pathlib import Path

from runner.errors import CompareError
from runner.simulator import LOOPBACK
from runner.simulator.connection import Handler
from runner.simulator.replay import ReplayHandler
from runner.simulator.request_handler import RequestHandler
from runner.simulator.server import answer_with, find_fault
from runner.storage.recordings.reader import read_recordings


def main() -> int:
    """Serve according to the options and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m runner.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any that is free")
    parser.add_argument("--fault", metavar="NAME", help="inject this fault into every answer")
    parser.add_argument("--replay", type=Path, metavar="FOLDER", help="replay the recordings of a run")
    parser.add_argument("--fast", action="store_true", help="with --replay: as fast as possible")
    options = parser.parse_args()
    try:
        handler: Handler = RequestHandler(find_fault(options.fault))
        if options.replay is not None:
            handler = ReplayHandler(read_recordings(options.replay), fast=options.fast)
        answer_with(handler, LOOPBACK, options.port, on_ready=_print, until_stdin_closes=True)
    except CompareError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
