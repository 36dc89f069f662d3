"""Claiming an arm's work, so that two commands on one study do not harm each other."""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from pglab.unfinished import LOCK


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether the arm's folder is ours for as long as the context lasts.

    The lock is the kernel's (`flock`; on a network file system its server's), so that a process
    which is gone holds nothing, on whatever host it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"host": socket.gethostname(), "process": os.getpid()}).encode(), 0)
        yield True
    finally:
        os.close(descriptor)
