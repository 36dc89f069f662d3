"""Continuous control: what was published of four tasks, and what comes out here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from analysis.paper.checks import Check, above, near
from analysis.paper.figure import Figure, Frames, Made, Study
from analysis.paper.marks import by_seed, every_run, mean_and_band, reference
from pglab.results import mean_interval, scores
from pglab.results.plots.style import PAGE_WIDTH, colours, finished, legend_above, paper

SEEDS, QUICK = 10, 2
MEAN_ACTIONS: dict[str, Any] = {"fmt": "o", "ms": 4, "capsize": 2}
POINTS = 50  # of each curve: means of as many updates
NONE, GREEDY = ("evaluation.episodes=0",), ("evaluation.episodes=10", "evaluation.greedy=true")


def _study(task: str, effort: float, *overrides: str) -> Study:
    return Study(task, [overrides], SEEDS, QUICK, effort, workers=2)


# Settings of SLM-Lab's `ppo_pendulum` (ppo_classic_arc.yaml), but that σ is a parameter here, and no output.
PENDULUM = _study(
    "pendulum", 1500,
    "experiment=ppo_continuous", "env=pendulum", "observations=raw", "rewards=raw", "schedule=constant", "updates=37",
    "batch.lanes=4", "reuse.minibatches=128", "network.sizes=[256,256]", "network.activation=relu",
    "baseline.network.sizes=[256,256]", "baseline.network.activation=relu", "baseline.normalize_targets=true",
    "baseline.loss=mse", "estimator.normalize=batch", *NONE,
)  # fmt: skip
INVERTED = _study("inverted_pendulum", 900, "experiment=ppo_continuous", "env.id=InvertedPendulum-v5", *NONE)
# Tianshou evaluates the mean action, in ten episodes.
REACHER = _study("reacher", 600, "experiment=reinforce_mujoco", "env.id=Reacher-v5", *GREEDY)
SWIMMER = _study("swimmer", 2500, "experiment=reinforce_mujoco", "env.id=Swimmer-v5", *GREEDY)


@dataclass(frozen=True)
class Task:
    """A published result: the mean score over runs, and how near to it ours is to be; above it, where that is None."""

    study: Study
    title: str
    published: float
    tolerance: float | None
    source: str

    @property
    def greedy(self) -> bool:
        """True where mean actions are evaluated in the end."""
        return GREEDY[1] in self.study.sweeps[0]

    def scored(self, frames: Frames) -> pd.DataFrame:
        """Of the final evaluation by the mean action where there is one, else of the last tenth of training."""
        return scores(frames[self.study.name], frames.evaluations[self.study.name])

    def check(self, frames: Frames) -> Check:
        scored = self.scored(frames)
        runs = scored["score"].to_numpy()
        said = f"{self.title}: {scored['measure'].iat[0]}{', mean actions' * self.greedy}"
        if self.tolerance is None:
            return above(said, self.published, runs, f"at least {self.published:g} ({self.source})")
        return near(f"{said} ({self.source})", self.published, runs, self.tolerance)


TASKS = (
    Task(PENDULUM, "PPO, Pendulum-v1", -174.87, 40.0, "SLM-Lab"),
    Task(INVERTED, "PPO, InvertedPendulum-v5", 930.0, None, "CleanRL"),
    Task(REACHER, "REINFORCE, Reacher-v5", -5.5, 0.6, "Tianshou"),
    Task(SWIMMER, "REINFORCE, Swimmer-v5", 35.6, 5.0, "Tianshou"),
)


def make(frames: Frames) -> Made:
    """The mean return over environment steps, task by task, beside the published mean."""
    with paper():
        figure, panels = plt.subplots(2, 2, figsize=(PAGE_WIDTH, 4.0), layout="constrained")
        for axes, task, (colour, _) in zip(panels.flat, TASKS, colours(len(TASKS)), strict=True):
            table = _binned(frames[task.study.name])
            every_run(axes, table, colour)
            mean_and_band(axes, table, "", color=colour, lw=1.6)
            if task.greedy:
                mean, low, high = mean_interval(task.scored(frames)["score"].to_numpy())
                ends = [[mean - low], [high - mean]]
                axes.errorbar(table.columns[-1], mean, yerr=ends, **MEAN_ACTIONS, color=colour)
            axes.margins(x=0 if not task.greedy else 0.03)
            reference(
                axes,
                task.published,
                f"published: {task.published:g}".replace("-", "−"),
                above=task.published > table.to_numpy().mean(),
            )
            axes.set_title(f"{task.title} (n = {len(table)})", loc="left", fontsize=plt.rcParams["legend.fontsize"])
            axes.set(xlabel="million environment steps", ylabel="mean return")
        legend_above(figure, "mean over seeds, 95 % t interval (pointwise), every run; point: mean actions, in the end")
    return Made(finished(figure), [task.check(frames) for task in TASKS])


def _binned(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean returns as a table of seeds and millions of environment steps, in as many bins as there are points."""
    table = by_seed(rows)
    steps = by_seed(rows, "env_steps").mean()
    edges: Sequence[np.ndarray] = np.array_split(np.arange(table.shape[1]), min(POINTS, table.shape[1]))
    binned = {steps.iloc[of_bin].mean() / 1e6: table.iloc[:, of_bin].mean(axis=1) for of_bin in edges}
    return pd.DataFrame(binned)


FIGURE = Figure(
    "continuous_control",
    "Continuous control",
    "SLM-Lab's, CleanRL's and Tianshou's benchmarks; theirs are other versions of the tasks, and the first two are "
    "evaluated otherwise",
    "The pendulum for 300 k steps with SLM-Lab's settings, the inverted pendulum for 1 M with CleanRL's, Reacher and "
    "Swimmer for 3 M with Tianshou's. Needs `pip install 'pglab[mujoco,envpool]'`, or without EnvPool more time.",
    [task.study for task in TASKS],
    make,
    full="80 minutes on two cores, with EnvPool",
)
