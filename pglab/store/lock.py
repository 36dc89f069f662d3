"""Claiming an arm's work, so that two commands on one study do not harm each other."""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pglab.store.files import opened

LOCK = "lock"


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Yields true where the arm's folder is ours for as long as the context lasts.

    The lock is the kernel's (`flock`; on a network file system its server's), so that a process
    which is gone holds nothing, on whatever host it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = opened(folder / LOCK, os.O_RDWR | os.O_CREAT)
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


def holder(folder: Path) -> str | None:
    """Names who trains the arm in this folder now; None where nobody does."""
    try:
        descriptor = opened(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _named(os.pread(descriptor, 4096, 0))
    finally:
        os.close(descriptor)


def _named(content: bytes) -> str:
    try:
        who: dict[str, Any] = json.loads(content)
        return f"process {who['process']} on {who['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
