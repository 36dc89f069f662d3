"""The output of a command: it fits any terminal, and a fault of that costs nothing but what it would have shown."""

import codecs
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import TextIO

ALIKE = {"−": "-", "–": "-", "…": "..."}  # for letters that numbers and lists are shown with; of others a "?"


def _alike(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(ALIKE.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


codecs.register_error("pglab.alike", _alike)


def take_every_letter() -> None:
    """From now on what stdout has no letter for is shown by one that is like it, or as `?`."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="pglab.alike")


def silence(stream: TextIO) -> None:
    """Sends what is shown from now on, and what waits to be, nowhere: Python would try once more at exit."""
    with suppress(OSError, ValueError, AttributeError):  # it is no file of the system's
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def tell(text: str) -> None:
    """A line on stderr, where there is anybody to read it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


class BestEffort:
    """A stream that takes everything: from its first fault on nothing is shown, and work goes on.

    Args:
        stream: in all else it is like this one.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._lost = stream, False

    def write(self, text: str) -> int:
        if not self._lost:
            try:
                self._stream.write(text)
            except OSError as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        if not self._lost:
            try:
                self._stream.flush()
            except OSError as error:
                self._lose(error)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def _lose(self, error: OSError) -> None:
        self._lost = True
        silence(self._stream)
        if not isinstance(error, BrokenPipeError):  # a reader who left, as `head` does, wants to hear no more
            tell(f"note: nothing more is shown, as the output failed ({error.strerror}); the work goes on")
