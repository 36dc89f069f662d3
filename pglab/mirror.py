"""`python -m pglab.mirror STUDY`: upload a study to W&B, or what is missing of it there."""

import sys

from pglab.tracking.command import main

if __name__ == "__main__":
    sys.exit(main())
