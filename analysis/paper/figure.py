"""A figure of the paper: the studies that it needs, and what is made of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure as Drawing

from analysis.paper.checks import Check

RESULTS = Path("results/paper")


class Frames(dict[str, pd.DataFrame]):
    """The frame of `pglab.results.load` of each study, by its name in the catalogue.

    Attributes:
        evaluations, references: the frames of `load_evaluation` and `load_references` of each of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.evaluations: dict[str, pd.DataFrame] = {}
        self.references: dict[str, pd.DataFrame] = {}


@dataclass(frozen=True)
class Study:
    """A study as commands to `python -m pglab -m`.

    Attributes:
        name: of its folder; figures that name the same study share it.
        sweeps: the overrides of each command.
        seeds: of every arm, and `quick` with `--quick`.
        effort: seconds that one core takes, roughly: the longest are begun first.
        workers: processes that train it; more than one where it is long and may be the last.
    """

    name: str
    sweeps: Sequence[Sequence[str]]
    seeds: int
    quick: int
    effort: float = 10.0
    workers: int = 1

    def folder(self, quick: bool) -> Path:
        """The place where it is stored: with `--quick` it is another study."""
        return RESULTS / (f"{self.name}_quick" if quick else self.name)

    def commands(self, quick: bool) -> list[list[str]]:
        """All overrides of each command."""
        folder = self.folder(quick)
        ours = [f"seeds={self.quick if quick else self.seeds}", f"study={folder.name}", f"results_dir={folder.parent}"]
        return [[*sweep, *ours, f"workers={self.workers}", "logger.mode=disabled"] for sweep in self.sweeps]


@dataclass(frozen=True)
class Made:
    """A figure that was drawn, and what came of its checks."""

    figure: Drawing
    checks: Sequence[Check]


@dataclass(frozen=True)
class Figure:
    """One figure of the paper.

    Attributes:
        name: of its files.
        title, source: what it shows, and where that was published.
        caption: how to read it.
        studies: that it is drawn from.
        make: draws it from their frames, with nothing else but what is exact.
        full: how long its studies take, where that is so long that it waits for `--full`.
    """

    name: str
    title: str
    source: str
    caption: str
    studies: Sequence[Study]
    make: Callable[[Frames], Made]
    full: str = ""
