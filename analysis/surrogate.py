"""Loss and exact objective of a study side by side: `python -m analysis.surrogate STUDY [FILE]`.

FILE ends in .pdf, .svg or .png; by default it is `surrogate.pdf` in the study's folder. The study
must be on a finite MDP and trained with `diagnostics=gradient`.
"""

import sys
from pathlib import Path

from pglab.results import load
from pglab.results.plots import save, surrogate_and_objective

HOW = "train on a finite MDP with diagnostics=gradient, such as\n  python -m pglab {}".format(
    "env=corridor network=tabular diagnostics=gradient diagnostics.every=1 study=surrogate seeds=10"
)


def main() -> None:
    """Draws the study named on the command line."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    study = Path(sys.argv[1])
    file = Path(sys.argv[2]) if len(sys.argv) == 3 else study / "surrogate.pdf"
    try:
        figure = surrogate_and_objective(load(study))
    except FileNotFoundError as error:
        sys.exit(f"error: {error}")
    except ValueError as error:
        sys.exit(f"error: {study}: {error}; {HOW}\n(finished runs are not trained again: give it a study of its own)")
    print(save(figure, file))


if __name__ == "__main__":
    main()
