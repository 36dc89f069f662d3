"""`python -m analysis.paper`."""

import signal
import sys

from analysis.paper.command import main

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's stop is a Ctrl-C
    sys.exit(main())
