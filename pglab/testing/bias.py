"""A check that an estimate has the mean ∇J: exactly, over every batch that small problems can give."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from torch import Tensor

from pglab.algorithms.batch import Batch
from pglab.algorithms.weightings import discounted, discounted_from_start
from pglab.envs.finite import FiniteMDP, corridor
from pglab.envs.problems import random_mdp
from pglab.exact.enumeration import estimate_moments
from pglab.exact.gradients import gradient_by_theorem

TOLERANCE = 1e-8


@dataclass(frozen=True)
class Problem:
    """A finite MDP under a policy: π(a|s) `[S, A]` and ∇log π(a|s) `[S, A, P]`; batches of up to `episodes`."""

    name: str
    episodes: int
    mdp: FiniteMDP
    pi: np.ndarray
    score: np.ndarray


def check_unbiased(
    name: str,
    weighting: Callable[[Batch], Tensor],
    gamma: float,
    critic: bool,
    memory: Mapping[str, Tensor],
    also: str = "",
) -> None:
    """Fails unless the mean of (1/E) Σ_e Σ_t γ^t Ψ_t ∇log π(a_t|s_t) is ∇J to 1e-8.

    The factor γ^t is left out for a weighting that is discounted from the start.

    Args:
        name: of the component in messages.
        weighting: from a batch to Ψ.
        gamma: γ of J = E[Σ γ^t r_t].
        critic: whether to give the batches a (wrong, but fixed) critic's values.
        memory: what `batch.memory` holds, without leading axes.
        also: what a message adds on the circumstances.
    """

    def weigh(batch: Batch) -> Tensor:
        batches = len(batch.reward)
        expanded = {key: kept.expand(batches, *kept.shape) for key, kept in memory.items()}
        return discounted(weighting, weighting(replace(batch, memory=expanded)), gamma)

    for problem in _problems():
        mdp, pi, score = problem.mdp, problem.pi, problem.score
        truth = gradient_by_theorem(mdp, pi, score, gamma)
        value = np.random.default_rng(0).normal(size=(mdp.horizon or 1, len(pi))) if critic else None
        for episodes in range(1, problem.episodes + 1):
            mean = estimate_moments(mdp, pi, score, weigh, episodes, value).mean
            if not np.abs(mean - truth).max() <= TOLERANCE:
                raise AssertionError(
                    f"{name} is biased{also}: its estimate's mean over every batch of {episodes} episode"
                    f"{'s' * (episodes > 1)} of {problem.name} is {_numbers(mean)}{_multiple(mean, truth)}, and ∇J is "
                    f"{_numbers(truth)} (γ = {gamma:g}){_factor(weighting, gamma)}; correct it, or declare the reason "
                    "in an attribute `bias`",
                )


@cache
def _problems() -> tuple[Problem, ...]:
    small = {
        ("the corridor with horizon 4", 3): corridor(horizon=4),
        ("a random problem with horizon 3", 2): random_mdp(3, states=2, actions=2, branching=2, end=0.3, horizon=3),
    }
    return tuple(_under_softmax(*named, mdp, seed) for named, mdp in small.items() for seed in (0, 1))


def _under_softmax(name: str, episodes: int, mdp: FiniteMDP, seed: int) -> Problem:
    """π(a|s) ∝ exp θ[symbol of s, a] with θ from N(0, 1), and its score 1[a = b] - π(b|s)."""
    symbol = np.arange(len(mdp.transition)) if mdp.symbol is None else mdp.symbol
    weight = np.exp(np.random.default_rng(seed).normal(size=(symbol.max() + 1, mdp.actions.size)))
    table = weight / weight.sum(-1, keepdims=True)
    by_symbol = np.eye(len(table))[symbol]
    by_action = np.eye(mdp.actions.size)[None] - table[symbol][:, None]
    score = np.einsum("sk,sab->sakb", by_symbol, by_action).reshape(len(symbol), mdp.actions.size, -1)
    return Problem(name, episodes, mdp, table[symbol], score)


def _factor(weighting: Any, gamma: float) -> str:
    """A hint for a weighting that may have been discounted twice."""
    if gamma == 1 or discounted_from_start(weighting):
        return ""
    return ", with the factor γ^t that the trainer puts on it unless it says `discounted_from_start = True`"


def _numbers(vector: np.ndarray) -> str:
    return "[" + ", ".join(f"{x:.6g}" for x in vector) + "]"


def _multiple(mean: np.ndarray, truth: np.ndarray) -> str:
    if not truth.any():
        return ""
    factor = float(mean @ truth / (truth @ truth))
    return f" = {factor:.6g} ∇J" if np.abs(mean - factor * truth).max() <= TOLERANCE else ""
