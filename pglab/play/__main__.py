"""`python -m pglab.play STUDY arm=… seed=…`: watch a stored policy in its environment."""

import sys

from pglab.play.command import main

if __name__ == "__main__":
    sys.exit(main())
