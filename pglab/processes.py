"""Children: processes of our own that serve one end of a pipe. The one way in which pglab starts any."""

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

# One arena of memory, too: threads of EnvPool's come and go, and each would leave one behind.
SINGLE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX")
}
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)
PARENT_CHECK = 0.5  # seconds between two looks at whether the parent is still there


def start(module: str, variables: Mapping[str, str], **options: Any) -> tuple[subprocess.Popen, Connection]:
    """Runs `module.serve(connection)` in a new interpreter that finds the same modules as this one.

    Args:
        variables: added to the environment.
        options: further arguments of `subprocess.Popen`.

    Returns:
        The process, and our end of the pipe.
    """
    ours, theirs = Pipe()
    descriptor = theirs.fileno()
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    arguments = f"{module!r}, {descriptor}, {os.getpid()}"
    process = None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # which the child has from its first moment
    try:
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", f"from pglab.processes import be_child; be_child({arguments})"],
                pass_fds=[descriptor],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **variables, "PYTHONPATH": path},
                **options,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # here a stop arrives that came meanwhile
        theirs.close()
        return process, ours
    except BaseException:
        if process:
            process.kill()
            process.wait()
        raise


def be_child(module: str, descriptor: int, parent: int) -> None:
    """Serves the pipe with this descriptor, in a child, for as long as the process `parent` lives.

    A Ctrl-C or a scheduler's SIGTERM or SIGUSR2 reaches children too; the parent alone decides what becomes of them.
    """
    for stop in STOPS:
        signal.signal(stop, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    importlib.import_module(module).serve(Connection(descriptor))


def _end_with(parent: int) -> None:
    """Ends this process once its parent is gone, even in the middle of a user's component."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK)
    os._exit(1)
