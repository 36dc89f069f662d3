"""Waiting in tests: for events, never for a time, so that a loaded machine fails none."""

import subprocess
import time
from collections.abc import Callable

HANG = 900
"""Seconds after which whatever is waited for is taken to hang, on the slowest machine."""


def until(holds: Callable[[], object], process: subprocess.Popen[str] | None = None, tick: float = 0.02) -> bool:
    """Waits until something holds; False where the process that brings it about has ended without it."""
    end = time.monotonic() + HANG
    while not (held := holds()) and time.monotonic() < end and (process is None or process.poll() is None):
        time.sleep(tick)
    return bool(held or holds())
