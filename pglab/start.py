"""The beginning of every command: light, so that it is there before anything heavy is imported."""

import signal
import sys
from importlib import import_module
from typing import NoReturn


def run(module: str) -> NoReturn:
    """Runs `main` of a module, and exits with its status.

    A Ctrl-C while the module is imported, which takes seconds, ends the process without a word: there is
    nothing to tell yet. What comes later is for `main`.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(import_module(module).main())
