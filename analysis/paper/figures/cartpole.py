"""Total return against reward-to-go on CartPole."""

import matplotlib.pyplot as plt

from analysis.paper.checks import above
from analysis.paper.figure import Figure, Frames, Made, Study
from analysis.paper.marks import by_seed, every_run, mean_and_band, reference
from pglab.results.plots.style import COLUMN_WIDTH, colours_of, finished, legend_above, paper

NAMES = {"total": "total return", "rtg": "reward-to-go"}
LIMIT = 200  # steps of CartPole-v0, hence the highest return

STUDY = Study(
    "cartpole",
    [["experiment=simple_pg,rtg_pg", "evaluation.episodes=0"]],
    seeds=24,
    quick=6,
    effort=20,
)


def make(frames: Frames) -> Made:
    """The mean return of each epoch, and the paired difference."""
    rows = frames[STUDY.name]
    tables = {weighting: by_seed(rows[rows["weighting"] == weighting]) for weighting in NAMES}
    with paper():
        figure, axes = plt.subplots(figsize=(COLUMN_WIDTH, 2.4), layout="constrained")
        for (weighting, table), (colour, _) in zip(tables.items(), colours_of(tables), strict=True):
            every_run(axes, table, colour)
            mean_and_band(axes, table, f"{NAMES[weighting]} (n = {len(table)})", color=colour, lw=1.6)
        reference(axes, LIMIT, "highest return")
        axes.set(
            xlabel="epoch (an update from more than 5000 steps)", ylabel="mean return", xlim=(1, 50), ylim=(0, 215)
        )
        legend_above(figure, "mean over seeds, 95 % t interval (pointwise), every run")
    ahead = tables["rtg"].mean(axis=1) - tables["total"].mean(axis=1)
    last = {weighting: table.iloc[:, -10:].mean(axis=1).to_numpy() for weighting, table in tables.items()}
    checks = [
        above(
            "reward-to-go less total, mean return of all epochs, paired by seed", 0, ahead.to_numpy(), "learns faster"
        ),
        above("total return: mean return of the last 10 epochs", 100, last["total"], "learns"),
        above("reward-to-go: mean return of the last 10 epochs", 150, last["rtg"], "learns"),
    ]
    return Made(finished(figure), checks)


FIGURE = Figure(
    "total_against_reward_to_go",
    "Total return against reward-to-go on CartPole",
    "OpenAI Spinning Up, Intro to Policy Optimization: code without curves; that the past is noise is the text's claim",
    "Both estimates have the same mean; the reward-to-go leaves out what no action could change.",
    [STUDY],
    make,
)
