"""`python -m analysis.surrogate STUDY [FILE]`: loss and exact objective of a study side by side."""

from pglab.start import run

if __name__ == "__main__":  # before anything that takes long to import
    run("analysis.surrogate")

from collections.abc import Sequence
from pathlib import Path

from pglab.errors import InputError
from pglab.results import load
from pglab.results.plots import save, surrogate_and_objective
from pglab.shell import Parser, ended

HOW = "train on a finite MDP with diagnostics=gradient, such as\n  python -m pglab {}".format(
    "env=corridor network=tabular diagnostics=gradient diagnostics.every=1 study=surrogate seeds=10"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the study that the command line names; returns the exit status."""
    return ended(lambda: _drawn(arguments))


def _drawn(arguments: Sequence[str] | None) -> int:
    parser = Parser("python -m analysis.surrogate", description="Loss and exact objective of a study side by side.")
    parser.add_argument(
        "study", metavar="STUDY", type=Path, help="folder of a study on a finite MDP, with diagnostics=gradient"
    )
    parser.add_argument(
        "file", metavar="FILE", nargs="?", type=Path, help="ends in .pdf, .svg or .png; STUDY/surrogate.pdf"
    )
    asked = parser.parse_args(arguments)
    try:
        figure = surrogate_and_objective(load(asked.study))
    except ValueError as error:
        raise InputError(
            f"{asked.study}: {error}; {HOW}\n(finished runs are not trained again: give it a study of its own)"
        ) from error
    print(save(figure, asked.file or asked.study / "surrogate.pdf"))
    return 0
