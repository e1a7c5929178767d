"""The simulator's event loop and its listening socket."""

import asyncio
import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

from runner.errors import CompareError, did_you_mean
from runner.simulator.connection import Connection, Handler
from runner.simulator.exact_timers import make_timer
from runner.simulator.faults import FAULTS, InjectedFault
from runner.simulator.request_handler import RequestHandler

DEFAULT_PORT = 8765
MAX_PORT = 65_535
BACKLOG = 4096
MAX_OPEN_FILES = 65_536


def serve(
    host: str,
    port: int,
    *,
    fault: str | None = None,
    announce: Callable[[str], object],
) -> None:
    """Serve the simulated models until a signal; call `announce` with each line of instructions.

    Raises:
        CompareError: there is no such fault, or the address cannot be used.

    """

    def announce_usage(base_url: str) -> None:
        announce(f"Simulated models at {base_url} (Ctrl-C ends it). Try:")
        announce(
            f"curl -N {base_url}/chat/completions -d "
            """'{"model":"sim/quick","stream":true,"messages":[{"role":"user","content":"Who are you?"}]}'"""
        )

    answer_with(RequestHandler(find_fault(fault)), host, port, on_ready=announce_usage)


def answer_with(
    handler: Handler, host: str, port: int, *, on_ready: Callable[[str], object], until_stdin_closes: bool = False
) -> None:
    """Serve the responses of a handler until a signal, or until standard input is closed.

    Args:
        handler: the handler.
        host: the address to listen on.
        port: the port to listen on; 0 for any free port.
        on_ready: called with the base URL when the server listens.
        until_stdin_closes: whether the server is the child of a run, which ends with its parent and ignores Ctrl-C.

    Raises:
        CompareError: the address cannot be used.

    """
    if not 0 <= port <= MAX_PORT:
        raise CompareError(f"The port {port} is not between 0 and {MAX_PORT}.")
    loop = _make_loop()
    try:
        timer = make_timer(loop)
        server = _listen(loop, lambda: Connection(handler, timer), host, port)
        _raise_file_limit()
        _stop_on_signals(loop, interruptible=not until_stdin_closes)
        if until_stdin_closes:
            threading.Thread(target=_stop_at_eof, args=(loop,), daemon=True).start()
        gc.freeze()
        # Call `on_ready` in the running loop: it may cause a signal, and uvloop handles signals only while it runs.
        loop.call_soon(on_ready, _base_url(server))
        with contextlib.suppress(KeyboardInterrupt):  # raised on platforms whose loops cannot handle signals
            loop.run_forever()
        server.close()
        loop.run_until_complete(asyncio.sleep(0))  # uvloop releases its handle in an iteration of the loop
    finally:
        loop.close()


def find_fault(name: str | None) -> InjectedFault | None:
    """Return the fault of a name; None without a name.

    Raises:
        CompareError: there is no such fault.

    """
    if name is None:
        return None
    if name not in FAULTS:
        hint = did_you_mean(name, list(FAULTS), f"There are: {', '.join(FAULTS)}.")
        raise CompareError(f"There is no fault '{name}'. {hint}")
    return FAULTS[name]


def _make_loop() -> asyncio.AbstractEventLoop:
    # On other systems asyncio's own loop has more exact timers than libuv, which rounds to milliseconds.
    if sys.platform == "linux":
        with contextlib.suppress(ImportError):
            loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
            return loop
    return asyncio.new_event_loop()


def _listen(
    loop: asyncio.AbstractEventLoop,
    make_connection: Callable[[], Connection],
    host: str,
    port: int,
) -> asyncio.Server:
    try:
        return loop.run_until_complete(loop.create_server(make_connection, host, port, backlog=BACKLOG))
    except (socket.gaierror, UnicodeError) as error:
        raise CompareError(f"The host '{host}' is not known to this machine.") from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CompareError(
            f"Cannot listen on {host}:{port}: {reason}. Choose another port, or 0 for any that is free."
        ) from error


def _base_url(server: asyncio.Server) -> str:
    address, port = server.sockets[0].getsockname()[:2]
    return f"http://[{address}]:{port}/v1" if ":" in address else f"http://{address}:{port}/v1"


def _raise_file_limit() -> None:
    """Raise the limit on open files as far as the system allows."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        resource = importlib.import_module("resource")
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _stop_on_signals(loop: asyncio.AbstractEventLoop, *, interruptible: bool) -> None:
    if not interruptible:
        # Ctrl-C in a terminal reaches the whole process group, but a run that is stopping still needs its server.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    signals = (signal.SIGTERM, signal.SIGINT) if interruptible else (signal.SIGTERM,)
    with contextlib.suppress(NotImplementedError):
        for number in signals:
            loop.add_signal_handler(number, loop.stop)


def _stop_at_eof(loop: asyncio.AbstractEventLoop) -> None:
    """Stop the loop when standard input is closed; runs in a thread of its own."""
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    with contextlib.suppress(RuntimeError):  # the loop has already ended
        loop.call_soon_threadsafe(loop.stop)
