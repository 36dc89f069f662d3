"""Learning curves of a study as a figure: `python -m analysis.learning_curves STUDY [FILE]`.

FILE ends in .pdf, .svg or .png; by default it is `learning_curves.pdf` in the study's folder.
"""

import sys
from pathlib import Path

from pglab.results import load
from pglab.results.plots import learning_curves, save


def main() -> None:
    """Draws the study named on the command line."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    study = Path(sys.argv[1])
    file = Path(sys.argv[2]) if len(sys.argv) == 3 else study / "learning_curves.pdf"
    print(save(learning_curves(load(study)), file))


if __name__ == "__main__":
    main()
