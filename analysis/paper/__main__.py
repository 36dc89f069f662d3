"""`python -m analysis.paper`."""

import sys

from analysis.paper.command import main

if __name__ == "__main__":
    sys.exit(main())
