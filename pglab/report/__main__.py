"""`python -m pglab.report STUDY`: one page about a study, answer first."""

import sys

from pglab.report.command import main

if __name__ == "__main__":
    sys.exit(main())
