"""Start a module of this project in a fork of the tests' process, instead of a new interpreter.

Most of the time of a small run is an interpreter that imports pandas and the SDK; the tests' process has them. Its fork
has its own process id, signals, streams, exit code and descriptors, on which tests of interruptions and exit codes
depend. It does not show the start of an interpreter (encoding, closed streams, imports), so tests of these start one.
With pytest's option `--thorough` all tests do.
"""

import atexit
import gc
import os
import runpy
import signal
import subprocess
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from functools import partial
from pathlib import Path
from typing import Any

DOES_NOT_FORK = "ray"
"""Library whose C++ threads hold locks on which a fork would wait."""

DESCRIPTORS = Path("/proc/self/fd")


def can_fork() -> bool:
    """Return whether this process can be forked: only on Linux; elsewhere it is unsafe with threads, or impossible."""
    return sys.platform == "linux" and DOES_NOT_FORK not in sys.modules


def start_forked(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], **options: Any
) -> "subprocess.Popen[Any]":
    """Start a module in a fork of this process; take the options of `subprocess.Popen` and return a `Popen`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on: this process has threads
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            preexec_fn=become(module, arguments, environment),  # noqa: PLW1509 -- Python resets its locks in a fork
            **options,
        )


def become(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Callable[[], None]:
    """Return a function that runs a module in a process just after its fork, and then ends the process.

    It is a `preexec_fn`: the parent waits until the child has closed the descriptors inherited from it.
    """
    return partial(_become, module, arguments, environment)


def _become(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    code = 1
    try:
        _forget_the_tests(environment)
        code = Context().run(_run, module, arguments)
    except BaseException:  # noqa: BLE001 -- a fault of this module: nothing else would print it
        traceback.print_exc(file=sys.__stderr__)
        if sys.__stderr__ is not None:
            sys.__stderr__.flush()
    finally:
        os._exit(code)


def _forget_the_tests(environment: Mapping[str, str]) -> None:
    """Give the process the environment, streams, signals and hooks of a new interpreter."""
    gc.freeze()
    gc.enable()  # `subprocess` disables it
    gc.set_threshold(700, 10, 10)
    _close_inherited()
    os.environ.clear()
    os.environ.update(environment)
    encoding = environment.get("PYTHONIOENCODING") or "utf-8"
    sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.excepthook, threading.excepthook, sys.unraisablehook = (
        sys.__excepthook__,
        threading.__excepthook__,
        sys.__unraisablehook__,
    )
    atexit._clear()
    weakref.finalize._registry.clear()  # type: ignore[attr-defined] # those of the tests are theirs to call
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]


def _close_inherited() -> None:
    """Replace each inherited descriptor by the null device, since objects of the tests still use the numbers."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in [int(path.name) for path in DESCRIPTORS.iterdir()]:
        if number > 2 and number != null and (DESCRIPTORS / str(number)).is_symlink():
            os.dup2(null, number, inheritable=False)


def _run(module: str, arguments: Sequence[str]) -> int:
    """Run a module like the interpreter with `-m`; return the exit code."""
    sys.argv = [module, *arguments]
    code = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException as error:  # noqa: BLE001 -- what escapes is printed, as by the interpreter
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined] # waits for threads as the end of an interpreter does
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except OSError:
        code = 120
    sys.stderr.flush()
    return code
