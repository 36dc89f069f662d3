"""A catalogue of one small figure, whose study is there, in a folder of its own."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from analysis.paper import command
from analysis.paper.checks import above, near
from analysis.paper.figure import Figure, Frames, Made, Study
from analysis.paper.marks import by_seed, every_run, mean_and_band, reference
from pglab.results.plots.style import finished, legend_above, paper
from tests.conftest import TINY

OF_ARM = [override for override in TINY if not override.startswith(("workers", "logger"))]
SMALL = Study("small", [["weighting=total,rtg", *OF_ARM]], seeds=3, quick=2)


def make(frames: Frames) -> Made:
    rows = frames["small"]
    table = by_seed(rows[rows["weighting"] == "rtg"])
    with paper():
        figure, axes = plt.subplots(layout="constrained")
        every_run(axes, table, "blue")
        mean_and_band(axes, table, "a line")
        reference(axes, 0.0, "zero")
        axes.plot([1, 2], [-20, -30], "o", rasterized=True)
        legend_above(figure, "title")
    last = table.iloc[:, -1].to_numpy()
    return Made(finished(figure), [near("last", 0.0, last, 1e9), above("first < last", 1e9, last)])


FIGURE = Figure("small_figure", "A <b>small</b> figure", "Nobody & nowhere", "Look.", [SMALL], make)


class Paper:
    """The command in a folder where the small study is stored, and nothing is trained."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.figures = folder / "analysis/figures"
        self.trained: list[list[str]] = []
        self.failed: dict[str, str] = {}

    def train(self, studies: Sequence[Study], quick: bool, more: Sequence[str], say: object) -> dict[str, str]:
        self.trained.append([study.name for study in studies])
        return self.failed

    def __call__(self, *arguments: str, catalogue: Sequence[Figure] = (FIGURE,)) -> int:
        return command.main(arguments, catalogue)

    def arm(self, weighting: str) -> Path:
        """The folder of an arm of the stored study."""
        (found,) = (self.folder / "results/paper/small").glob(f"*weighting={weighting}")
        return found

    def files(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.figures.iterdir() if file.is_file()}


@pytest.fixture
def build(study, tmp_path, monkeypatch) -> Paper:
    for name in ("small", "small_quick"):
        shutil.copytree(study, tmp_path / "results/paper" / name)
    monkeypatch.chdir(tmp_path)
    paper = Paper(tmp_path)
    monkeypatch.setattr(command, "train", paper.train)
    return paper
