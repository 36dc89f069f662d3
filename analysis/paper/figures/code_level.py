"""Code-level optimizations of PPO on MuJoCo: what is gained by them, and what by clipping."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from analysis.paper.checks import above
from analysis.paper.figure import Figure, Frames, Made, Study
from pglab.results import mean_interval, scores
from pglab.results.plots.style import GREY, PAGE_WIDTH, colours, finished, legend_above, paper

SEEDS, QUICK = 8, 2
PUBLISHED = {"Hopper-v5": 371.0, "Walker2d-v5": 557.0}  # PPO less PPO-M on v2, Engstrom et al. 2020
MARK: dict[str, Any] = {"fmt": "o", "ms": 4, "capsize": 2}

_HOW = ["evaluation.episodes=0", "backend=native"]
_SURROGATES = {"Hopper-v5": "clip,ratio", "Walker2d-v5": "clip"}  # at PPO's own rate
OPTIMIZATIONS = {
    task: Study(
        f"code_level_{task.partition('-')[0].lower()}",
        [
            ["experiment=ppo_engstrom", f"surrogate={surrogates}", "env=mujoco", f"env.id={task}", *_HOW],
            ["experiment=ppo_m_engstrom,ppo_noclip_engstrom", "env=mujoco", f"env.id={task}", *_HOW],
        ],
        SEEDS,
        QUICK,
        effort=5500,
    )
    for task, surrogates in _SURROGATES.items()
}
LAST_LAYER = Study(
    "last_layer",
    [["experiment=ppo_continuous", "init.last=0.01,1.0", "env.id=Hopper-v5", *_HOW]],
    SEEDS,
    QUICK,
    effort=3500,
)


def make(frames: Frames) -> Made:
    """Paired differences of the mean return of the last tenth of training."""
    found = _contrasts(frames)
    with paper():
        figure, axes = plt.subplots(figsize=(PAGE_WIDTH, 2.4), layout="constrained")
        for place, (task, (colour, _)) in enumerate(zip(PUBLISHED, colours(len(PUBLISHED)), strict=True)):
            runs = {row: of[task] for row, of in enumerate(found.values()) if task in of}
            mean, low, high = np.array([mean_interval(one) for one in runs.values()]).T
            heights = np.array(list(runs)) + 0.24 * (place - 0.5)
            said = f"{task} (n = {min(map(len, runs.values()))})"
            axes.errorbar(mean, heights, xerr=[mean - low, high - mean], **MARK, color=colour, label=said)
            axes.plot(PUBLISHED[task], heights[0], "|", ms=10, color=colour, label=f"{task}, published on v2")
        axes.axvline(0, color=GREY, lw=0.8, zorder=0)
        axes.set_yticks(range(len(found)), found)
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_xlabel("difference of the mean return of the last tenth of 1 M steps")
        legend_above(figure, "mean over pairs of seeds, 95 % t interval", ncols=4)
    full, unclipped, _, layer = found
    claims = {
        full: "above 0; on v2 by {published:g} (Engstrom et al. 2020)",
        unclipped: "above 0 (Engstrom et al. 2020)",
        layer: "a small last layer helps (Andrychowicz et al. 2021)",
    }
    checks = [
        above(f"{task}: {name}", 0.0, of, claim.format(published=PUBLISHED[task]))
        for name, claim in claims.items()
        for task, of in found[name].items()
    ]
    return Made(finished(figure), checks)


def _contrasts(frames: Frames) -> dict[str, dict[str, np.ndarray]]:
    """The difference of each pair of seeds, by contrast and task."""
    found: dict[str, dict[str, np.ndarray]] = {}

    def add(said: str, task: str, one: pd.Series, other: pd.Series) -> None:
        found.setdefault(said, {})[task] = (one - other).to_numpy()

    for task, study in OPTIMIZATIONS.items():
        runs = frames[study.name]
        ppo = _scores(runs, experiment="ppo_engstrom", surrogate="clip")
        ppo_m = _scores(runs, experiment="ppo_m_engstrom")
        add("PPO less PPO-M", task, ppo, ppo_m)
        add("PPO-NoClip less PPO-M", task, _scores(runs, experiment="ppo_noclip_engstrom"), ppo_m)
        if "ratio" in _SURROGATES[task]:
            add("PPO less PPO, not clipped", task, ppo, _scores(runs, experiment="ppo_engstrom", surrogate="ratio"))
    small, large = (_scores(frames[LAST_LAYER.name], **{"init.last": last}) for last in (0.01, 1.0))
    add("last layer × 0.01 less × 1", "Hopper-v5", small, large)
    return found


def _scores(runs: pd.DataFrame, **chosen: Any) -> pd.Series:
    """The score of each seed, of the arm with these choices."""
    own = np.logical_and.reduce([runs[key] == choice for key, choice in chosen.items()])
    return scores(runs[own], how="last_tenth").set_index("seed")["score"]


FIGURE = Figure(
    "code_level_optimizations",
    "What PPO owes to code, and what to clipping",
    "Engstrom et al. 2020 on v2 of these tasks, Andrychowicz et al. 2021 on v1",
    "All with the settings that theirs have for Hopper. PPO-M is PPO without code-level optimizations: no scaled "
    "rewards, clipped observations, orthogonal weights and falling learning rates. PPO-NoClip has these, a rate that "
    "is a fifth of PPO's, and no clipping; “PPO, not clipped” has PPO's rate. Needs `pip install "
    "'pglab[mujoco,envpool,native]'`, or without EnvPool more time.",
    [*OPTIMIZATIONS.values(), LAST_LAYER],
    make,
    full="two and a half hours on two cores, with EnvPool",
)
