"""Code-level optimizations of PPO on MuJoCo: what is gained by them, and what by clipping."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from analysis.paper.checks import Check, above
from analysis.paper.figure import Figure, Frames, Made, Study
from pglab.results import mean_interval, scores
from pglab.results.plots.style import GREY, PAGE_WIDTH, colours, finished, legend_above, paper

SEEDS, QUICK = 8, 2
TASKS = ("Hopper-v5", "Walker2d-v5")
PUBLISHED = {"Hopper-v5": 371.0, "Walker2d-v5": 557.0}  # PPO less PPO-M on v2, Engstrom et al. 2020
MARK: dict[str, Any] = {"fmt": "o", "ms": 4, "capsize": 2}

_HOW = ["evaluation.episodes=0", "backend=native"]
_ENVS = ["env=mujoco", f"env.id={','.join(TASKS)}", *_HOW]
OPTIMIZATIONS = Study(
    "code_level",
    [
        ["experiment=ppo_engstrom", "surrogate=clip,ratio", *_ENVS],
        ["experiment=ppo_m_engstrom", *_ENVS],
    ],
    SEEDS,
    QUICK,
    effort=6300,
    workers=2,
)
LAST_LAYER = Study(
    "last_layer",
    [["experiment=ppo_continuous", "init.last=0.01,1.0", f"env.id={TASKS[0]}", *_HOW]],
    SEEDS,
    QUICK,
    effort=4200,
    workers=2,
)


def make(frames: Frames) -> Made:
    """Paired differences of the mean return of the last tenth of training."""
    code, layer = (scores(frames[study.name], how="last_tenth") for study in (OPTIMIZATIONS, LAST_LAYER))
    contrasts = {
        "PPO less PPO-M": lambda task: _arm(code, task, "PPO") - _arm(code, task, "PPO-M"),
        "PPO without clipping less PPO-M": lambda task: _arm(code, task, "no clipping") - _arm(code, task, "PPO-M"),
        "PPO less PPO without clipping": lambda task: _arm(code, task, "PPO") - _arm(code, task, "no clipping"),
        "last layer × 0.01 less × 1": lambda task: _layer(layer, task, 0.01) - _layer(layer, task, 1.0),
    }
    found = {(said, task): difference(task) for said, difference in contrasts.items() for task in TASKS}
    with paper():
        figure, axes = plt.subplots(figsize=(PAGE_WIDTH, 2.4), layout="constrained")
        for place, (task, (colour, _)) in enumerate(zip(TASKS, colours(len(TASKS)), strict=True)):
            runs = [found[said, task].to_numpy() for said in contrasts]
            mean, low, high = np.array([mean_interval(one) for one in runs]).T
            heights = np.arange(len(contrasts)) + 0.24 * (place - 0.5)
            said = f"{task} (n = {min(map(len, runs))})"
            axes.errorbar(mean, heights, xerr=[mean - low, high - mean], **MARK, color=colour, label=said)
            axes.plot(PUBLISHED[task], heights[0], "|", ms=10, color=colour, label=f"{task}, published on v2")
        axes.axvline(0, color=GREY, lw=0.8, zorder=0)
        axes.set_yticks(range(len(contrasts)), contrasts)
        axes.invert_yaxis()
        axes.set_xlabel("difference of the mean return of the last tenth of 1 M steps")
        legend_above(figure, "mean over pairs of seeds, 95 % t interval", ncols=4)
    return Made(finished(figure), _checks(found, list(contrasts)))


def _arm(runs: pd.DataFrame, task: str, name: str) -> pd.Series:
    """The score of each seed, of an arm on a task."""
    clips = runs["surrogate"].astype(str) == "clip"
    of = {
        "PPO": clips & (runs["experiment"] == "ppo_engstrom"),
        "PPO-M": runs["experiment"] == "ppo_m_engstrom",
        "no clipping": ~clips,
    }
    return runs[of[name] & (runs["env.id"] == task)].set_index("seed")["score"]


def _layer(runs: pd.DataFrame, task: str, last: float) -> pd.Series:
    own = (runs["init.last"].astype(float) == last) & (runs["env.id"] == task)
    return runs[own].set_index("seed")["score"]


def _checks(found: dict[tuple[str, str], pd.Series], said: Sequence[str]) -> list[Check]:
    full, unclipped, _, layer = said
    claims = {
        full: "above 0; on v2 by {published:g} (Engstrom et al. 2020)",
        unclipped: "above 0 (Engstrom et al. 2020)",
        layer: "a small last layer helps (Andrychowicz et al. 2021)",
    }
    return [
        above(f"{task}: {name}", 0.0, found[name, task].to_numpy(), claim.format(published=PUBLISHED[task]))
        for name, claim in claims.items()
        for task in TASKS
    ]


FIGURE = Figure(
    "code_level_optimizations",
    "What PPO owes to code, and what to clipping",
    "Engstrom et al. 2020 on v2 of these tasks, Andrychowicz et al. 2021 on v1",
    "All with the settings that theirs have for Hopper. PPO-M is PPO without code-level optimizations: no scaled "
    "rewards, clipped observations, orthogonal weights and falling learning rates. Needs `pip install "
    "'pglab[mujoco,envpool]'`, or without EnvPool more time.",
    [OPTIMIZATIONS, LAST_LAYER],
    make,
    full="three hours on two cores, with EnvPool",
)
