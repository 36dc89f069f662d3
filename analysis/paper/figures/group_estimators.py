"""Which GRPO: the exact mean and variance of group estimators, and where the length of sequences drifts in training."""

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.paper.checks import Check, below, exactly, vanishes
from analysis.paper.figure import Figure, Frames, Made, Study
from pglab.algorithms.groups import OPO, RLOO, GroupMean
from pglab.algorithms.losses import Estimator, Reduction
from pglab.algorithms.standardized import GRPO, ReinforcePlusPlus
from pglab.envs.finite import FiniteMDP
from pglab.envs.sequences import stop_or_continue, verifiable_bandit
from pglab.exact.gradients import gradient_by_theorem
from pglab.exact.group_estimators import group_moments
from pglab.results import mean_interval
from pglab.results.plots.style import PAGE_WIDTH, colours_of, finished, legend_above, paper

SIZES = (2, 3, 4, 6, 8, 12, 16)
SUCCESS = (0.01, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.6, 0.8, 0.95)  # probabilities of a right sequence
POSITIONS, GROUP = 4, 4
CURVES: dict[str, tuple[Callable[[int], Any], Reduction]] = {
    "RLOO": (lambda group: RLOO(1.0, group), "episodes"),
    "RLOO, mean over each sequence": (lambda group: RLOO(1.0, group), "sequences"),
    "group mean (Dr. GRPO)": (lambda group: GroupMean(1.0, group), "episodes"),
    "length-weighted mean (OPO)": (lambda group: OPO(1.0, group), "episodes"),
    "GRPO, fixed budget": (lambda group: GRPO(1.0, group), "episodes"),
    "GRPO, mean over tokens": (lambda group: GRPO(1.0, group), "tokens"),
    "GRPO, mean over each sequence": (lambda group: GRPO(1.0, group), "sequences"),
    "REINFORCE++": (lambda group: ReinforcePlusPlus(1.0, group), "tokens"),
}
WEIGHTINGS = ("rloo", "rloo", "group_mean", "opo", "grpo", "grpo", "grpo", "reinforce_pp")  # whose colours curves have
DASHES = {"episodes": "-", "budget": "-", "tokens": "--", "sequences": ":"}
CHOICES = list(dict.fromkeys(WEIGHTINGS))
COLOURS = {choice: colour for choice, (colour, _) in zip(CHOICES, colours_of(CHOICES), strict=True)}
WIDE = ("RLOO", "RLOO, mean over each sequence")  # others lie on them
GROUPS_OF_P = (2, 4, 8, 16)
SHARES = np.array([0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.4, 0.5])
REDUCTIONS = ("sequences", "tokens", "budget")
EARLY = 40  # updates
CLAIMS = {
    "sequences": "right answers get shorter (Liu et al. 2025)",
    "tokens": "not removed by a mean over tokens (against Yu et al. 2025)",
}
STUDY = Study(
    "group_lengths",
    [
        [
            "experiment=rloo", "env.depth=5", "env.binary=True", "updates=100", "evaluation.episodes=0",
            "weighting=rloo,grpo", f"estimator.reduction={','.join(REDUCTIONS)}",
        ]
    ],
    seeds=30,
    quick=3,
    effort=200,
    workers=2,
)  # fmt: skip


def playing(mdp: FiniteMDP, first: float | None) -> tuple[FiniteMDP, np.ndarray, np.ndarray]:
    """A problem, π that takes the first action with this probability, and ∇log π of a softmax over a table.

    All other actions are equally likely; None: all are.
    """
    states, actions = mdp.transition.shape[:2]
    first = 1 / actions if first is None else first
    pi = np.append(first, np.full(actions - 1, (1 - first) / (actions - 1)))
    score = np.einsum("st,ab->satb", np.eye(states), np.eye(actions) - pi)
    return mdp, np.tile(pi, (states, 1)), score.reshape(states, actions, -1)


def exact(
    mdp: FiniteMDP, weighting: Any, group: int, reduction: Reduction = "episodes", first: float | None = None
) -> tuple[float, float, float]:
    """Cosine with ∇J, length beside it, and total variance times G beside ‖∇J‖² of an estimate from one group."""
    tables = playing(mdp, first)
    found = group_moments(*tables, weighting, group, estimator=Estimator(reduction))
    gradient = gradient_by_theorem(*tables, 1.0)
    size, length = np.linalg.norm(gradient), np.linalg.norm(found.mean)
    cosine = float(found.mean @ gradient / (size * length))
    return cosine, float(length / size), float(found.variance * group / length**2)


def make(frames: Frames) -> Made:
    """Exact but for the two panels of lengths, which are measured."""
    with paper():
        figure, axes = plt.subplots(3, 3, figsize=(PAGE_WIDTH, 6.4), layout="constrained")
        problem = stop_or_continue(POSITIONS)
        for (name, (weighting, reduction)), choice in zip(CURVES.items(), WEIGHTINGS, strict=True):
            by_size = [exact(problem, weighting(n), n, reduction) for n in SIZES]
            stops = [1 - p ** (1 / POSITIONS) for p in SUCCESS]
            by_success = [exact(problem, weighting(GROUP), GROUP, reduction, stop) for stop in stops]
            style = {"color": COLOURS[choice], "ls": DASHES[reduction], "lw": 2.4 if name in WIDE else 1.2}
            for row, x, found in zip(axes, (SIZES, SUCCESS), (by_size, by_success), strict=False):
                for column, ax in zip(np.transpose(found), row, strict=True):
                    ax.plot(x, column, **style, label=name if ax is axes[0, 0] else None)
        labels = ("cosine with ∇J", "length of the mean, × |∇J|", "variance of one, ÷ |mean|²")
        for above, under, label in zip(*axes[:2], labels, strict=True):
            above.set(xlabel="G, sequences of a prompt", ylabel=label, xticks=[2, 4, 8, 12, 16])
            under.set(xlabel=f"p, right answers (G = {GROUP})", ylabel=label, xticks=[0, 0.5, 1])
        axes[1, 2].set_yscale("log")
        axes[0, 2].set_ylim(bottom=0)
        _weights(axes[2, 0])
        for ax, weighting in zip(axes[2, 1:], ("rloo", "grpo"), strict=True):
            _lengths(ax, frames[STUDY.name], weighting)
        n = frames[STUDY.name]["seed"].nunique()
        said = f"exact; below, middle and right: trained, difference to a fixed budget (95 % t interval, {n} pairs)"
        legend_above(figure, said, ncols=3)
    return Made(finished(figure), [*_known(), *_drifts(frames[STUDY.name])])


def _weights(ax: Axes) -> None:
    """The weight of a prompt beside one that is solved half of the time."""
    colour = COLOURS["grpo"]
    for group in GROUPS_OF_P:
        ax.plot(SHARES, [weight(p, group) for p in SHARES], color=colour, lw=1.2)
        place = {2: "top", 4: "bottom"}.get(group, "center")
        ax.annotate(f"G = {group} ", (SHARES[0], weight(SHARES[0], group)), color=colour, va=place, ha="right", size=6)
    ax.plot(SHARES, 0.5 / np.sqrt(SHARES * (1 - SHARES)), ":", color="black", lw=1)
    ax.annotate(" G = ∞", (0.03, 2.9), ha="left", size=6)
    ax.set(xlabel="p, share of right answers", ylabel="weight of a prompt in GRPO,\n× that at p = ½", xlim=(-0.2, 0.5))
    ax.set(ylim=(0, 3.5), xticks=[0, 0.25, 0.5])


def weight(p: float, group: int) -> float:
    """E[s] / (p (1 - p)), ÷ the same at p = ½, of a group with deviation s."""
    hard, even = (exact(verifiable_bandit([q], 100), GRPO(1.0, group, epsilon=0.0), group)[1] for q in (p, 0.5))
    return hard / even


def _differences(rows: pd.DataFrame, weighting: str, reduction: str) -> pd.DataFrame:
    """Mean length less that with a fixed budget, seeds by updates."""
    own = rows[rows["weighting"] == weighting].pivot_table(
        index="seed", columns=["estimator.reduction", "update"], values="length_mean"
    )
    return own[reduction] - own["budget"]


def _lengths(ax: Axes, rows: pd.DataFrame, weighting: str) -> None:
    colour = COLOURS[weighting]
    for reduction in REDUCTIONS[:2]:
        apart = _differences(rows, weighting, reduction)
        apart = apart.T.groupby((apart.columns - 1) // 10 * 10 + 5.5).mean().T  # the means of ten updates each
        middle, low, high = np.array([mean_interval(apart[update].to_numpy()) for update in apart]).T
        ax.plot(apart.columns, middle, DASHES[reduction], color=colour, lw=1, label=reduction)
        ax.fill_between(apart.columns, low, high, color=colour, alpha=0.2, lw=0)
    ax.legend(frameon=False, fontsize=6, loc="lower left")
    ax.axhline(0, color="0.6", lw=0.8)
    ax.set(xlabel="update", ylabel=f"tokens of a sequence more\nthan with a budget ({weighting})")


def _known() -> list[Check]:
    """Claims, who makes them, and the exact number that each comes to."""
    four = {
        (kind.__name__, reduction): exact(stop_or_continue(POSITIONS), kind(1.0, 4), 4, reduction)
        for kind in (RLOO, GroupMean, GRPO)
        for reduction in ("episodes", "sequences", "tokens")
    }
    checks = [
        exactly("“RLOO is unbiased” (Ahmadian et al. 2024): cosine with ∇J", 1.0, four["RLOO", "episodes"][0]),
        exactly("“RLOO is unbiased” (Ahmadian et al. 2024): factor", 1.0, four["RLOO", "episodes"][1]),
        *(
            exactly(
                f"“Dr. GRPO is unbiased” (Liu et al. 2025): factor 1 − 1/G, G = {group}",
                1 - 1 / group,
                exact(stop_or_continue(POSITIONS), GroupMean(1.0, group), group)[1],
            )
            for group in (2, 4, 8)
        ),
        exactly(
            "“1/length is a bias” (Liu et al. 2025): cosine of RLOO with it", 0.940428, four["RLOO", "sequences"][0]
        ),
        exactly(
            "“1/length is a bias” (Liu et al. 2025): factor of RLOO with it", 0.362756, four["RLOO", "sequences"][1]
        ),
        exactly("“token-level loss removes it” (Yu et al. 2025): cosine of GRPO", 0.999403, four["GRPO", "tokens"][0]),
        exactly("“token-level loss removes it” (Yu et al. 2025): factor of GRPO", 0.761143, four["GRPO", "tokens"][1]),
        exactly("“the deviation biases” (Liu et al. 2025): cosine at one prompt", 1.0, four["GRPO", "episodes"][0]),
        exactly(
            "“the deviation biases” (Liu et al. 2025): factor at one prompt", 1.704857, four["GRPO", "episodes"][1], 6
        ),
    ]
    for group, known in zip(GROUPS_OF_P, (1.0, 1.058155, 1.332716, 1.689188), strict=True):
        what = f"“GRPO favours hard prompts” (Liu et al. 2025): weight of p = .05 beside .5, G = {group}"
        checks.append(exactly(what, known, weight(0.05, group)))
    p, group = 0.1, 8
    count = np.arange(group + 1)
    ways = np.array([1, 8, 28, 56, 70, 56, 28, 8, 1])
    chance = ways * p**count * (1 - p) ** (group - count)
    mixed = chance[1:-1] @ count[1:-1] / group / chance[1:-1].sum()
    what = (
        "“a mixed group overrates a hard prompt”: mean share of right answers at p = .1, G = 8, given that it is mixed"
    )
    checks.append(exactly(what, 0.1756, float(mixed), 4))
    off = 1 - exact(verifiable_bandit([p], 20), RLOO(1.0, group), group)[0]
    checks.append(vanishes("… and yet the direction of RLOO is exact there: 1 − cosine", off, 1e-9))
    return checks


def _drifts(rows: pd.DataFrame) -> list[Check]:
    """Early in training, while most sequences are still wrong, both means by length make sequences shorter."""
    checks = []
    for weighting in ("rloo", "grpo"):
        for reduction in REDUCTIONS[:2]:
            early = _differences(rows, weighting, reduction).loc[:, :EARLY].mean(axis=1).to_numpy()
            what = f"tokens more than with a fixed budget, updates 1 to {EARLY}: {weighting} with {reduction}"
            checks.append(below(what, 0.0, early, CLAIMS[reduction]))
    return checks


FIGURE = Figure(
    "group_estimators",
    "Which GRPO: what each divides by, exactly",
    "Shao et al. (2024), Ahmadian et al. (2024), Liu et al. (2025), Yu et al. (2025); exact values by enumeration",
    "Above: stop_or_continue with four positions at the uniform policy, one prompt, every group enumerated; in the "
    "middle with policies that continue more or less often. Taking the "
    "group's mean or dividing by its deviation changes the length of the mean gradient at one prompt and not its "
    "direction; the mean over each sequence changes the direction. Below, left: with several prompts the deviation "
    "weighs them otherwise than ∇J does, the more the larger the group. Below, middle and right: token_tree with five "
    "words and binary rewards, the mean length of a sequence in training, seed by seed beside a fixed budget.",
    [STUDY],
    make,
)
