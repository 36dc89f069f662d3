"""`python -m analysis.learning_curves STUDY [FILE]`: learning curves of a study as a figure, one for each problem."""

from pglab.start import run

if __name__ == "__main__":  # before anything that takes long to import
    run("analysis.learning_curves")

from collections.abc import Sequence
from pathlib import Path

from pglab.results import by_problem, load
from pglab.results.plots import learning_curves, save
from pglab.shell import Parser, ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the study that the command line names; returns the exit status."""
    return ended(lambda: _drawn(arguments))


def _drawn(arguments: Sequence[str] | None) -> int:
    parser = Parser("python -m analysis.learning_curves", description="Learning curves of a study as a figure.")
    parser.add_argument("study", metavar="STUDY", type=Path, help="folder of a study")
    parser.add_argument(
        "file", metavar="FILE", nargs="?", type=Path, help="ends in .pdf, .svg or .png; STUDY/learning_curves.pdf"
    )
    asked = parser.parse_args(arguments)
    file, problems = asked.file or asked.study / "learning_curves.pdf", by_problem(load(asked.study))
    for number, (problem, updates) in enumerate(problems.items(), 1):
        of_problem = file if len(problems) == 1 else file.with_stem(f"{file.stem}_{number}")
        saved = save(learning_curves(updates), of_problem)
        print(saved if len(problems) == 1 else f"{saved}   ({problem})")
    return 0
