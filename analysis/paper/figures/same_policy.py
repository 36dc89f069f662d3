"""For two actions, softmax and sigmoid are one policy in two coordinates."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from analysis.paper.checks import Check, above, exactly, measured, vanishes
from analysis.paper.figure import Figure, Frames, Made, Study
from analysis.paper.marks import by_seed, mean_and_band
from pglab.algorithms.heads import Sigmoid, Softmax
from pglab.envs.problems import random_mdp
from pglab.exact.gradients import gradient_by_theorem
from pglab.exact.policy import policy_on, policy_table, score_table
from pglab.models.networks import Tabular
from pglab.results.plots.style import GREY, PAGE_WIDTH, colours, colours_of, finished, legend_above, paper

ALPHA = 0.001
POINTS, STATES, GAMMA = 20, 5, 0.9
EARLY = 20  # updates before rounding has grown into other actions

_COMMON = (
    *("env=cartpole_v0", "network=linear", "init=zeros", "optimizer=sgd", "weighting=rtg", "batch=episodes"),
    *("batch.episodes=20", "estimator.reduction=episodes", "updates=150", "evaluation.episodes=0"),
)
STUDY = Study(
    "same_policy",
    [
        [*_COMMON, "head=softmax", f"optimizer.lr={ALPHA}"],
        [*_COMMON, "head=sigmoid", f"optimizer.lr={2 * ALPHA},{ALPHA}"],
    ],
    seeds=24,
    quick=6,
    effort=40,
)


def make(frames: Frames) -> Made:
    """The curves; the norms of the gradients of training; the exact gradients, parameter by parameter."""
    rows = frames[STUDY.name]
    arms = {
        f"softmax, α = {ALPHA:g}": rows[rows["head"] == "softmax"],
        f"sigmoid, α = {2 * ALPHA:g}": rows[(rows["head"] == "sigmoid") & (rows["optimizer.lr"] == 2 * ALPHA)],
        f"sigmoid, α = {ALPHA:g}": rows[(rows["head"] == "sigmoid") & (rows["optimizer.lr"] == ALPHA)],
    }
    softmax, twice, once = arms.values()
    steps = [by_seed(arm, "grad_norm").loc[:, :EARLY] for arm in (softmax, twice)]
    of_softmax, of_sigmoid = _exact_gradients()
    with paper():
        figure, (curves, norms, exact) = plt.subplots(1, 3, figsize=(PAGE_WIDTH, 2.2), layout="constrained")
        looks = zip(colours_of(["softmax", "sigmoid", "sigmoid"]), ("-", (0, (2, 2)), "-"), strict=True)
        for (name, arm), ((colour, _), dashes) in zip(arms.items(), looks, strict=True):
            mean_and_band(
                curves, by_seed(arm), f"{name} (n = {arm['seed'].nunique()})", color=colour, lw=1.6, ls=dashes
            )
        curves.set(xlabel="update", ylabel="mean return", ylim=(0, 210))
        norms.plot(*(table.to_numpy().ravel() for table in reversed(steps)), "o", color=colours(1)[0][0], ms=2.5, mew=0,
                   alpha=0.4, rasterized=True)  # fmt: skip
        _line(norms, 2**0.5, f"slope √2\n(first {EARLY} updates)")
        norms.set(xlabel="norm of the estimate, sigmoid", ylabel="norm of the estimate,\nsoftmax")
        for action, (colour, _) in enumerate(colours(2)):
            said = f"∂J/∂θ of action {action}"
            exact.plot(of_sigmoid, of_softmax[..., action].ravel(), ".", color=colour, ms=3, label=said)
        _line(exact, 1.0, "")
        _line(exact, -1.0, "")
        exact.set(xlabel="exact ∂J/∂z, sigmoid", ylabel="exact ∂J/∂θ, softmax")
        exact.legend(frameon=False, fontsize=6, loc="lower left", handletextpad=0.1, borderpad=0)
        legend_above(figure, "mean over seeds, 95 % t interval (pointwise)", ncols=3)
    return Made(finished(figure), _checks(softmax, twice, once, of_softmax, of_sigmoid))


def _checks(
    softmax: pd.DataFrame, twice: pd.DataFrame, once: pd.DataFrame, of_softmax: np.ndarray, of_sigmoid: np.ndarray
) -> list[Check]:
    same = (by_seed(softmax) == by_seed(twice)).loc[:, :EARLY].to_numpy()
    ratio = (by_seed(softmax, "grad_norm") / by_seed(twice, "grad_norm")).loc[:, :EARLY].to_numpy()
    late = [by_seed(arm).iloc[:, -50:].mean(axis=1).to_numpy() for arm in (softmax, twice)]
    ahead = by_seed(twice).mean(axis=1) - by_seed(once).mean(axis=1)
    step, half = "mean return of the last 50 updates", "the same step moves z half as far"
    return [
        exactly(f"batches with the same return, of the first {EARLY} updates", 1.0, float(same.mean()), 3),
        exactly("largest ratio of the norms there", 2**0.5, float(ratio.max()), 4),
        exactly("smallest ratio of the norms there", 2**0.5, float(ratio.min()), 4),
        measured(f"{step}, softmax less sigmoid with 2α, paired", 0.0, late[0] - late[1]),
        above("mean return of all updates, sigmoid with 2α less sigmoid with α, paired", 0.0, ahead.to_numpy(), half),
        vanishes("largest |∂J/∂θ₁ − ∂J/∂z| of the largest |∂J/∂z|", _distance(of_softmax[..., 1], of_sigmoid), 1e-10),
        vanishes("largest |∂J/∂θ₀ + ∂J/∂z| of the largest |∂J/∂z|", _distance(of_softmax[..., 0], -of_sigmoid), 1e-10),
    ]


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.ravel() - other).max() / np.abs(other).max())


def _exact_gradients() -> tuple[np.ndarray, np.ndarray]:
    """∇J of the same policies in both coordinates: `[POINTS, STATES, 2]` and `[POINTS · STATES]`."""
    mdp = random_mdp(states=STATES, actions=2)
    generator = torch.Generator().manual_seed(0)
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for _ in range(POINTS):
        theta = {
            name: torch.randn(shape, generator=generator, dtype=torch.float64)
            for name, shape in policy_on(mdp, Tabular(), Softmax()).model.layout.shapes.items()
        }
        (weight,) = theta.values()  # [2, symbols]
        z = {name: weight[1:] - weight[:1] for name in theta}
        for head, parameters, gradients in ((Softmax(), theta, found[0]), (Sigmoid(), z, found[1])):
            policy = policy_on(mdp, Tabular(), head)
            tables = policy_table(mdp, policy, parameters), score_table(mdp, policy, parameters)
            gradients.append(gradient_by_theorem(mdp, *tables, GAMMA))
    softmax = np.array(found[0]).reshape(POINTS, 2, -1).transpose(0, 2, 1)
    return softmax, np.array(found[1]).ravel()


def _line(axes: plt.Axes, slope: float, said: str) -> None:
    axes.axline((0, 0), slope=slope, color=GREY, lw=0.8, ls="--", zorder=0)
    axes.text(0.04, 0.97, said, transform=axes.transAxes, va="top", color="0.35", fontsize=7)


FIGURE = Figure(
    "same_policy",
    "Softmax and sigmoid are the same policy for two actions",
    "Theory: z = θ₁ − θ₀, so ∂J/∂θ₁ = −∂J/∂θ₀ = ∂J/∂z",
    "With plain gradient ascent a step α of the softmax moves z by 2α ∂J/∂z: a sigmoid with twice the step learns the "
    "same thing from the same random numbers, batch for batch, until rounding grows into another action; with the "
    "same step it takes twice as long.",
    [STUDY],
    make,
)
