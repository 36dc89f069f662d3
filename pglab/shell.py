"""The shell of all command lines: options whose mistakes are one line, and one way for a command to end."""

import argparse
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from pglab.errors import InputError
from pglab.output import silence, take_every_letter, tell
from pglab.shown import shown_lines

BAD_INPUT, INTERRUPTED, UNREAD = 2, 130, 141  # exit statuses; the last as of a program that SIGPIPE ends

WORDS = {
    r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)": r"\1 \2 is not one of \3",
    r"argument (\S+): expected .* arguments?": r"\1 needs a value",
    r"argument (\S+): invalid int value: '(.*)'": r"\1 \2 is no whole number",
    r"argument (\S+): ": r"\1 ",
    r"the following arguments are required: (.*)": r"\1 is missing",
    r"unrecognized arguments: (.*)": r"\1 is nothing that this command knows",
}


class Parser(argparse.ArgumentParser):
    """Options of a command; a mistake in them is an InputError of one line."""

    def error(self, message: str) -> NoReturn:
        for pattern, words in WORDS.items():
            message = re.sub(pattern, words, message)
        raise InputError(f"{message} (`{self.prog} --help` says what there is)")


def ended(work: Callable[[], int]) -> int:
    """Does the work of a command, and returns its exit status.

    Bad input, and a file that cannot be read or written, is one line on stderr and status 2. An interruption
    says what it was raised with. Where the reader of a pipe has left, as `head` does, there is nobody to
    tell anything.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as `pglab.start.run` has it until now
        signal.signal(signal.SIGINT, signal.default_int_handler)
    take_every_letter()
    try:
        try:
            _check_place()
            return work()
        finally:
            _show_all()
    except BrokenPipeError:
        silence(sys.stdout)
        return UNREAD
    except (InputError, OSError) as error:
        tell(f"error: {shown_lines(told(error))}")
        return BAD_INPUT
    except KeyboardInterrupt as interruption:
        if said := str(interruption):
            tell(said)
        exec("")  # has CPython forget one that came up through an `exec`: it would end as if nobody had caught it
        return INTERRUPTED


def _check_place() -> None:
    """Raises InputError where the folder that the command is given in has been deleted."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise InputError("the working directory is gone; go to a folder that is there") from None


def _show_all() -> None:
    """Shows what waits to be shown; there is no stdout where a shell has closed it."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        silence(sys.stdout)
        raise InputError(f"the output failed: {told(error)}") from error


def from_here(folder: Path) -> Path:
    """A folder as it is reached from here, where it is below."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def told(error: Exception) -> str:
    """The words of an error; of one of the system without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
