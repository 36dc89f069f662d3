"""Which detail of PPO matters: seven details, each on or off, on two problems."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from analysis.paper.checks import Check, above, below
from analysis.paper.figure import Figure, Frames, Made, Study
from pglab.results import hyperparameter_sensitivity, main_effects, normalized, scores
from pglab.results.plots.style import GREY, PAGE_WIDTH, colours, finished, legend_above, paper

ENVS = {"cartpole": "CartPole", "acrobot": "Acrobot"}
UPDATES = 100  # × 512 steps
DETAILS = {  # column, level where it is on: name
    ("surrogate", "clip"): "clipped ratio",
    ("estimator.normalize", "minibatch"): "normalised advantages",
    ("baseline.loss", "clipped"): "clipped value loss",
    ("init", "orthogonal_scaled"): "orthogonal, scaled initialisation",
    ("schedule", "linear"): "annealed learning rate",
    ("estimator.clip_norm", "0.5"): "clipped gradient norm",
    ("weighting.lam", "0.95"): "GAE (λ = 0.95 for 1)",
}
ORDER = [
    *("clipped ratio", "GAE (λ = 0.95 for 1)", "normalised advantages", "clipped value loss"),
    *("orthogonal, scaled initialisation", "annealed learning rate", "clipped gradient norm"),
]
INTERACTIONS = 4  # that are shown: the largest of those that the data show
MARK: dict[str, Any] = {"fmt": "o", "ms": 3, "capsize": 2}

STUDY = Study(
    "ppo_details",
    [
        [
            "experiment=ppo_details", f"env={','.join(ENVS)}", f"updates={UPDATES}", "evaluation.episodes=0",
            "surrogate=ratio,clip", "estimator.normalize=False,minibatch", "baseline.loss=mse,clipped",
            "init=pytorch,orthogonal_scaled", "schedule=constant,linear", "estimator.clip_norm=null,0.5",
            "weighting.lam=0.95,1.0",
        ]
    ],
    seeds=10,
    quick=2,
    effort=2400,
    workers=2,
)  # fmt: skip


def make(frames: Frames) -> Made:
    """The effect of each detail, averaged over all settings of the others; and how much tuning them is worth."""
    references, late = frames.references[STUDY.name], scores(frames[STUDY.name], how="last_tenth")
    known = normalized(late, references)
    tables = {env: _effects(known[known["env"] == env]) for env in ENVS}
    shown = [*DETAILS.values(), *_interactions(tables)]
    with paper():
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(PAGE_WIDTH, 0.9 + 0.25 * len(shown)), width_ratios=(3, 1), layout="constrained"
        )
        for place, ((env, name), (colour, _)) in enumerate(zip(ENVS.items(), colours(2), strict=True)):
            rows = tables[env].loc[shown]
            heights = np.arange(len(shown)) + 0.24 * (place - 0.5)
            said = f"{name} (n = {int(rows['n'].min())})"
            left.errorbar(rows["effect"], heights, xerr=_ends(rows, "effect"), **MARK, color=colour, label=said)
        left.axvline(0, color=GREY, lw=0.8, zorder=0)
        left.set_yticks(range(len(shown)), shown)
        left.invert_yaxis()
        left.set_xlabel("effect of turning it on, of the way from\nrandom play (0) to the best known return (1)")
        sensitivity = hyperparameter_sensitivity(late, references, "surrogate")
        place = np.arange(len(sensitivity))
        ends = _ends(sensitivity, "sensitivity")
        right.errorbar(place, sensitivity["sensitivity"], ends, **MARK, color=colours(3)[2][0])
        right.set_xticks(place, sensitivity["algorithm"])
        right.set_xlabel("surrogate")
        right.margins(x=0.4)
        right.set_ylabel("gain of tuning the other six\nfor each problem")
        legend_above(figure, "mean over seeds, 95 % t interval (left: simultaneous)", ncols=2)
    return Made(finished(figure), [check for env in ENVS for check in _checks(known[known["env"] == env], ENVS[env])])


def _effects(known: pd.DataFrame) -> pd.DataFrame:
    """Main effects and interactions, by the names of details, against all of them off."""
    off = known[np.logical_and.reduce([known[column].astype(str) != on for column, on in DETAILS])]
    table = main_effects(known, [column for column, _ in DETAILS], control=str(off["arm"].iloc[0]))
    pairs = [
        zip(*(str(row[key]).split(" × ") for key in ("factor", "level")), strict=True) for _, row in table.iterrows()
    ]
    return table.set_axis([" × ".join(DETAILS[pair] for pair in of_row) for of_row in pairs])


def _interactions(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """The largest interactions among those whose interval leaves out 0 on some problem."""
    both = pd.concat([table[table.index.str.contains(" × ")] for table in tables.values()])
    seen = both[(both["low"] > 0) | (both["high"] < 0)]
    return seen["effect"].abs().groupby(level=0).max().nlargest(INTERACTIONS).index.tolist()


def _ends(rows: pd.DataFrame, of: str) -> np.ndarray:
    return np.array([rows[of] - rows["low"], rows["high"] - rows[of]])


def _checks(known: pd.DataFrame, problem: str) -> list[Check]:
    """Claims about the details, held against one problem."""
    by_seed = {
        name: known.assign(on=known[column].astype(str) == on).groupby(["seed", "on"])["score"].mean().unstack()
        for (column, on), name in DETAILS.items()
    }
    effect = {name: (means[True] - means[False]).to_numpy() for name, means in by_seed.items()}
    clip, gae, norm, value, init, rate, gradient = (effect[name] for name in ORDER)
    code = norm + value + init + rate + gradient
    return [
        above(f"{problem}: {ORDER[0]}", 0.0, clip, "better than the bare ratio (Schulman et al. 2017)"),
        above(f"{problem}: {ORDER[1]}", 0.0, gae, "better than λ = 1 (Schulman et al. 2016)"),
        above(f"{problem}: {ORDER[4]}", 0.0, init, "a small last layer helps (Andrychowicz et al. 2021)"),
        below(f"{problem}: {ORDER[3]}", 0.0, value, "hurts (Andrychowicz et al. 2021)"),
        above(f"{problem}: {ORDER[5]}", 0.0, rate, "helps (Engstrom et al. 2020)"),
        above(
            f"{problem}: five details of code together less the clipped ratio", 0.0, code - clip,
            "matter more than clipping (Engstrom et al. 2020)",
        ),
    ]  # fmt: skip


FIGURE = Figure(
    "ppo_details",
    "Which detail of PPO matters",
    "Engstrom et al. 2020 and Andrychowicz et al. 2021 asked it of robots, where a critic's and an observation's scale "
    "matter more than here",
    f"All 2⁷ combinations, {UPDATES * 512:,} steps each; scores are those of the last tenth of training. An effect is "
    "averaged over all settings of the other six; of two details together it is by how much one changes the effect of "
    "the other. Right: how much more the best settings for each problem bring than the best for both "
    "(hyperparameter sensitivity of Adkins et al. 2024), chosen and scored by different seeds.",
    [STUDY],
    make,
    full="20 minutes on two cores",
)
