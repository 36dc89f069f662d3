"""`python -m pglab.verify`: hold gradient estimators against exact gradients."""

import sys

from pglab.verify.command import main

if __name__ == "__main__":
    sys.exit(main())
