"""Starting a process of our own that serves one end of a pipe."""

import os
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any


def start(module: str, variables: Mapping[str, str], **options: Any) -> tuple[subprocess.Popen, Connection]:
    """Runs `module.serve(descriptor)` in a new interpreter that finds the same modules as this one.

    Args:
        variables: added to the environment.
        options: further arguments of `subprocess.Popen`.

    Returns:
        The process, and our end of the pipe whose other end has that descriptor there.
    """
    ours, theirs = Pipe()
    descriptor = theirs.fileno()
    path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
    process = subprocess.Popen(
        [sys.executable, "-c", f"from {module} import serve; serve({descriptor})"],
        pass_fds=[descriptor],
        stdin=subprocess.DEVNULL,
        env={**os.environ, **variables, "PYTHONPATH": path},
        **options,
    )
    theirs.close()
    return process, ours
