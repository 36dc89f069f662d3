"""REINFORCE on the short corridor, with and without a learned baseline."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.paper.checks import Check, share, within_errors
from analysis.paper.figure import Figure, Frames, Made, Study
from analysis.paper.marks import by_seed, in_blocks, mean_and_band, reference
from pglab.results.plots.style import COLUMN_WIDTH, colours_of, finished, legend_above, paper

LIMIT = 20_000  # steps of an episode, at which a run ends as diverged
BEST = -(6 + 4 * 2**0.5)  # J of the best policy, p = 2 - √2
PUBLISHED_RUNS = 100
BLOCKS = ((91, 100), (191, 200), (451, 500), (901, 1000))
SMOOTH = 10  # episodes a point of the curves

ALPHA_12, ALPHA_13, WITH_BASELINE = "α = $2^{-12}$", "α = $2^{-13}$", "baseline, α = $2^{-9}$, $α_w = 2^{-6}$"
BASELINES = {ALPHA_13: "none", WITH_BASELINE: "value", ALPHA_12: "none"}
PUBLISHED = {  # mean return over the episodes of each block
    ALPHA_12: (-23.8, -17.0, -12.6, -11.7),
    ALPHA_13: (-34.0, -22.5, -15.0, -12.4),
    WITH_BASELINE: (-12.4, -12.1, -11.9, -11.9),
}

PLAIN = Study(
    "corridor_reinforce",
    [["experiment=corridor_reinforce", "optimizer.lr=0.000244140625,0.0001220703125", "evaluation.episodes=0"]],
    seeds=PUBLISHED_RUNS,
    quick=20,
    effort=90,
)
LEARNED = Study(
    "corridor_baseline",
    [["experiment=corridor_baseline", "evaluation.episodes=0"]],
    seeds=PUBLISHED_RUNS,
    quick=20,
    effort=45,
)


def reinforce(frames: Frames) -> Made:
    """Figure 13.1: the mean return of each episode under two step sizes."""
    rows = frames[PLAIN.name]
    arms = {ALPHA_12: rows[rows["optimizer.lr"] == 2**-12], ALPHA_13: rows[rows["optimizer.lr"] == 2**-13]}
    return _made(arms)


def with_baseline(frames: Frames) -> Made:
    """Figure 13.2: a learned baseline beside the better of the two step sizes without one."""
    rows = frames[PLAIN.name]
    plain = rows[rows["optimizer.lr"] == 2**-13]
    return _made({WITH_BASELINE: frames[LEARNED.name], ALPHA_13: plain}, names={ALPHA_13: f"no baseline, {ALPHA_13}"})


def _made(arms: Mapping[str, pd.DataFrame], names: Mapping[str, str] | None = None) -> Made:
    checks: list[Check] = []
    with paper():
        figure, axes = plt.subplots(figsize=(COLUMN_WIDTH, 2.4), layout="constrained")
        looks = dict(zip(BASELINES, colours_of(BASELINES.values()), strict=True))
        for arm, rows in arms.items():
            colour, _ = looks[arm]
            name = (names or {}).get(arm, arm)
            whole, capped = _whole_runs(rows)
            said = f"{name} (n = {len(whole)}{f', {capped} diverged' if capped else ''})"
            mean_and_band(
                axes,
                in_blocks(whole, SMOOTH),
                said,
                color=colour,
                lw=1.2,
            )
            _dots(axes, PUBLISHED[arm], colour)
            checks += _checks(name, whole, capped, PUBLISHED[arm])
        reference(axes, BEST, "best policy, −11.66")
        axes.set(xlabel="episode", ylabel="return of an episode", xlim=(0, 1000), ylim=(-90, -6))
        axes.plot([], [], "D", color="black", mfc="white", ms=4, label="published (mean over a block of episodes)")
        legend_above(figure, f"mean over runs and {SMOOTH} episodes, 95 % t interval (pointwise)")
    return Made(finished(figure), checks)


def _whole_runs(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Returns of the runs that never met the limit, `[runs, episodes]`, and how many did."""
    whole = rows[rows["status"] == "finished"]
    return by_seed(whole), rows["seed"].nunique() - whole["seed"].nunique()


def _dots(axes: Axes, published: Sequence[float], colour: object) -> None:
    middles = [(first + last) / 2 for first, last in BLOCKS]
    axes.plot(middles, published, "D", color=colour, mfc="white", ms=4, zorder=5)


def _checks(name: str, whole: pd.DataFrame, capped: int, published: Sequence[float]) -> list[Check]:
    plain = name.translate(str.maketrans("", "", "${}"))
    checks = []
    for (first, last), value in zip(BLOCKS, published, strict=True):
        of_run = whole.loc[:, first:last].mean(axis=1).to_numpy()
        checks.append(within_errors(f"{plain}: episodes {first} to {last}", value, of_run, PUBLISHED_RUNS))
    runs = np.arange(len(whole) + capped) < len(whole)
    return [*checks, share(f"{plain}: runs without an episode of {LIMIT:,} steps", runs, 0.9, "few diverge")]


REINFORCE = Figure(
    "corridor_reinforce",
    "REINFORCE on the short corridor",
    "Sutton and Barto (2018), Fig. 13.1",
    "One update after each episode, with θ frozen while it lasts, where the book's pseudo-code updates within the "
    "episode. Runs that met an episode of 20,000 steps are counted, and left out of the means.",
    [PLAIN],
    reinforce,
)
BASELINE = Figure(
    "corridor_baseline",
    "REINFORCE with a learned baseline on the short corridor",
    "Sutton and Barto (2018), Fig. 13.2",
    "The baseline is one number w, learned beside θ. Both stand still within the episode.",
    [PLAIN, LEARNED],
    with_baseline,
)
