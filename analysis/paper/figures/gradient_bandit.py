"""The gradient bandit on the 10-armed testbed, with and without a baseline."""

import matplotlib.pyplot as plt
from matplotlib.ticker import PercentFormatter

from analysis.paper.checks import near
from analysis.paper.figure import Figure, Frames, Made, Study
from analysis.paper.marks import by_seed, mean_and_band
from pglab.results.plots.style import COLUMN_WIDTH, colours_of, finished, legend_above, paper

PUBLISHED = {0.1: {"running_mean_inclusive": 0.86, "none": 0.49}}  # share over the last steps, by α and baseline
TOLERANCE = 0.04
LATE = 900  # steps before those that are compared
NAMES = {"running_mean_inclusive": "with baseline", "none": "without baseline"}


def _study(name: str, rate: float, seeds: int, quick: int, effort: float) -> Study:
    arms = ["experiment=gradient_bandit", "baseline=running_mean_inclusive,none", f"optimizer.lr={rate:g}"]
    return Study(name, [[*arms, "evaluation.episodes=0"]], seeds, quick, effort)


STUDIES = {
    0.1: _study("gradient_bandit", 0.1, seeds=2000, quick=200, effort=160),
    0.4: _study("gradient_bandit_fast", 0.4, seeds=500, quick=100, effort=50),
}


def make(frames: Frames) -> Made:
    """Figure 2.5: the share of runs that take the best action at each step."""
    checks = []
    with paper():
        figure, axes = plt.subplots(figsize=(COLUMN_WIDTH, 2.4), layout="constrained")
        for (rate, study), dashes in zip(STUDIES.items(), ("-", "--"), strict=True):
            measured = frames[study.name].dropna(subset=["optimal_action"])
            for (baseline, name), (colour, _) in zip(NAMES.items(), colours_of(NAMES), strict=True):
                arm = measured[measured["baseline"] == baseline]
                table = by_seed(arm, "optimal_action")
                said = f"{name}, α = {rate:g} (n = {len(table):,})"
                mean_and_band(axes, table, said, color=colour, ls=dashes, lw=1.2)
                if rate in PUBLISHED:
                    value = PUBLISHED[rate][baseline]
                    late = table.loc[:, table.columns > LATE].mean(axis=1).to_numpy()
                    checks.append(near(f"{name}, α = {rate:g}: steps 901 to 1000", value, late, TOLERANCE))
                    axes.plot(950, value, "D", color=colour, mfc="white", ms=4, zorder=5)
        axes.set(xlabel="step", ylabel="best action taken", xlim=(0, 1000), ylim=(0, 1))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.plot([], [], "D", color="black", mfc="white", ms=4, label="published (steps 901 to 1000)")
        legend_above(figure, "mean over runs at every tenth step, 95 % t interval (pointwise)")
    return Made(finished(figure), checks)


FIGURE = Figure(
    "gradient_bandit",
    "Gradient bandit on the 10-armed testbed",
    "Sutton and Barto (2018), Fig. 2.5",
    "True values are drawn from N(4, 1) for each run; the baseline is the mean of all rewards, the present one "
    "included. The best action is noted at every tenth step. Of α = 0.4 there are "
    "fewer runs than in the book, and no published number.",
    list(STUDIES.values()),
    make,
)
