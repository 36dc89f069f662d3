"""`python -m pglab`: train a study."""

import sys

from pglab.cli import main

if __name__ == "__main__":
    sys.exit(main())
