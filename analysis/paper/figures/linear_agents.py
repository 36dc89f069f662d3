"""The linear agents of a question on Stack Overflow and of its answer."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from analysis.paper.checks import above, below, share
from analysis.paper.figure import Figure, Frames, Made, Study
from analysis.paper.marks import by_seed, every_run, in_blocks, mean_and_band, reference
from pglab.results.plots.style import PAGE_WIDTH, colours_of, finished, legend_above, paper

BLOCK = 100  # episodes
RANDOM_PLAY = 22.3  # mean return of a uniform policy
LEARNT = 180  # mean return of the last block that the answer's agent passes
MOST = 10 / 12  # of the runs
REACHED = 150  # mean return of a block, for how soon


def _study(experiment: str, *more: str, effort: float) -> Study:
    return Study(experiment, [[f"experiment={experiment}", *more, "evaluation.episodes=0"]], 12, 3, effort)


SOFTMAX = _study("linear_softmax", effort=100)
BROKEN = _study("linear_sigmoid_broken", effort=50)
FIXED = _study("linear_sigmoid", "init=gaussian,centred_uniform", effort=300)
UNIFORM, GAUSSIAN = "U[−½, ½)", "0.01 · N(0, 1)"


def make(frames: Frames) -> Made:
    """Mean return of every hundred episodes: the agents as asked, and as answered from two starts."""
    fixed = frames[FIXED.name]
    is_small = fixed["init.scale"].notna()
    tables = {
        "softmax, as asked": _blocks(frames[SOFTMAX.name]),
        "broken sigmoid, as asked": _blocks(frames[BROKEN.name]),
        f"sigmoid as answered, from {GAUSSIAN}": _blocks(fixed[is_small]),
        f"sigmoid as answered, from {UNIFORM}": _blocks(fixed[~is_small]),
    }
    softmax, broken, small, uniform = tables.values()
    heads = colours_of(["softmax", "sigmoid_action_blind", "sigmoid", "sigmoid"])
    looks = {name: colour for name, (colour, _) in zip(tables, heads, strict=True)}
    labels = {name: f"{name} (n = {len(table)})" for name, table in tables.items()}
    *asked, last = tables
    with paper():
        figure, panels = plt.subplots(1, 2, figsize=(PAGE_WIDTH, 2.5), sharex=True, sharey=True, layout="constrained")
        titles = ("the question and its answer", "the same agent from two starts")
        for axes, shown, title in zip(panels, (asked, [asked[-1], last]), titles, strict=True):
            for name in shown:
                every_run(axes, tables[name], looks[name])
                mean_and_band(axes, tables[name], labels[name], color=looks[name], lw=1.6)
            reference(axes, RANDOM_PLAY, "random play")
            axes.set_title(title, loc="left", fontsize=plt.rcParams["legend.fontsize"])
            axes.set(xlabel="episode", ylim=(0, 210), xlim=(0, 5000))
        panels[0].plot([], [], color=looks[last], lw=1.6, label=labels[last])  # the legend is that of the first panel
        panels[0].set_ylabel(f"mean return of {BLOCK} episodes")
        legend_above(figure, "mean over seeds, 95 % t interval (pointwise), every run", ncols=2)
    learning = broken.loc[:, broken.columns > 1000].mean(axis=1).to_numpy()
    checks = [
        above("softmax: mean return of the last 100 episodes", RANDOM_PLAY, softmax.iloc[:, -1].to_numpy(), "learns"),
        below("broken sigmoid: mean return after 1000 episodes", RANDOM_PLAY + 3, learning, "at random play or below"),
        share("broken sigmoid: runs at random play or below", learning <= RANDOM_PLAY, MOST, "does not learn"),
        share(f"sigmoid as answered: runs above {LEARNT} at last", small.iloc[:, -1] > LEARNT, MOST, "learns"),
        above(
            f"uniform start less Gaussian start: episodes to a mean of {REACHED}, paired",
            0.0,
            _episodes_to(uniform) - _episodes_to(small),
            "the Gaussian start converges much faster",
        ),
    ]
    return Made(finished(figure), checks)


def _blocks(rows: pd.DataFrame) -> pd.DataFrame:
    return in_blocks(by_seed(rows), BLOCK)


def _episodes_to(table: pd.DataFrame) -> np.ndarray:
    """Episodes until the first block with a mean of 150, `[seeds]`; all of them for a run that never gets there."""
    reached = table >= REACHED
    return np.where(reached.any(axis=1), reached.idxmax(axis=1), table.columns[-1]).astype(float)


FIGURE = Figure(
    "linear_agents",
    "Softmax, broken sigmoid, fixed sigmoid",
    "Stack Overflow, “Understanding policy gradient derivation”, question and answer",
    "The broken agent uses ∇log σ(z) as the score of either action, so that all it learns is to push to the right. "
    "That the small Gaussian start is much faster was said of single runs; whether seeds bear it out is the last line "
    "of the table. A run that never reaches a mean of 150 counts there with all its episodes.",
    [SOFTMAX, BROKEN, FIXED],
    make,
)
