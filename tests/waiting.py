"""Waiting in tests: for events, never for a time, so that a loaded machine fails none."""

import os
import re
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

HANG = 900
"""Seconds after which whatever is waited for is taken to hang, on the slowest machine."""


def until(holds: Callable[[], object], process: subprocess.Popen[str] | None = None, tick: float = 0.02) -> bool:
    """Waits until something holds; False where the process that brings it about has ended without it."""
    end = time.monotonic() + HANG
    while not (held := holds()) and time.monotonic() < end and (process is None or process.poll() is None):
        time.sleep(tick)
    return bool(held or holds())


class Told:
    """The words of a command, as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        self._out, self._bytes = process.stdout.fileno(), b""
        os.set_blocking(self._out, False)

    def says(self, words: str) -> bool:
        with suppress(BlockingIOError):
            self._bytes += os.read(self._out, 1 << 16)
        return re.search(words, self.text) is not None

    @property
    def text(self) -> str:
        """All of them so far."""
        return self._bytes.decode(errors="ignore")
