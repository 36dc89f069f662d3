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
OPTIMIZATIONS = {
    task: Study(
        f"code_level_{task.partition('-')[0].lower()}",
        [
            ["experiment=ppo_engstrom", "surrogate=clip,ratio", "env=mujoco", f"env.id={task}", *_HOW],
            ["experiment=ppo_m_engstrom", "env=mujoco", f"env.id={task}", *_HOW],
        ],
        SEEDS,
        QUICK,
        effort=5200,
    )
    for task in PUBLISHED
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
        axes.invert_yaxis()
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
    ppo, unclipped, ppo_m, layer = {}, {}, {}, frames[LAST_LAYER.name]
    for task, study in OPTIMIZATIONS.items():
        runs = frames[study.name]
        ppo[task], unclipped[task] = (_scores(runs, experiment="ppo_engstrom", surrogate=s) for s in ("clip", "ratio"))
        ppo_m[task] = _scores(runs, experiment="ppo_m_engstrom")
    small, large = (_scores(layer, **{"init.last": last}) for last in (0.01, 1.0))

    def differences(one: dict[str, pd.Series], other: dict[str, pd.Series]) -> dict[str, np.ndarray]:
        return {task: (one[task] - other[task]).to_numpy() for task in one}

    return {
        "PPO less PPO-M": differences(ppo, ppo_m),
        "PPO without clipping less PPO-M": differences(unclipped, ppo_m),
        "PPO less PPO without clipping": differences(ppo, unclipped),
        "last layer × 0.01 less × 1": differences({"Hopper-v5": small}, {"Hopper-v5": large}),
    }


def _scores(runs: pd.DataFrame, **chosen: Any) -> pd.Series:
    """The score of each seed, of the arm with these choices."""
    own = np.logical_and.reduce([runs[key] == choice for key, choice in chosen.items()])
    return scores(runs[own], how="last_tenth").set_index("seed")["score"]


FIGURE = Figure(
    "code_level_optimizations",
    "What PPO owes to code, and what to clipping",
    "Engstrom et al. 2020 on v2 of these tasks, Andrychowicz et al. 2021 on v1",
    "All with the settings that theirs have for Hopper. PPO-M is PPO without code-level optimizations: no scaled "
    "rewards, clipped observations, orthogonal weights and falling learning rates. Needs `pip install "
    "'pglab[mujoco,envpool,native]'`, or without EnvPool more time.",
    [*OPTIMIZATIONS.values(), LAST_LAYER],
    make,
    full="two and a half hours on two cores, with EnvPool",
)
