"""Exact mean and variance of estimates that couple the episodes of a group, or of a whole batch.

A batch has P groups of G episodes from one prompt each (`batch=groups`); a prompt of a finite MDP is its first state.
Given its prompt an episode is independent of the others, so that a group is a *multiset* of G of the prompt's episodes,
of multinomial probability. The weighting and the reduction that train are run on each, in double precision.

Where weights depend on rewards and lengths alone (`by_outcome`, see `pglab.algorithms.groups`), episodes are counted by
these: with the mean score and the covariance of the scores of an outcome, mean and variance are exact all the same.
Where a weight depends on nothing but its group (`within_group`), groups are independent and what couples them is only
the divisor of the reduction, a whole number: a sum over groups, whose distribution is a convolution. Otherwise every
batch of P groups is gone through.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.batch import Batch
from pglab.algorithms.groups import Outcomes
from pglab.algorithms.losses import Estimator, standardize
from pglab.envs.finite import FiniteMDP
from pglab.exact.enumeration import enumerate_trajectories
from pglab.exact.kinds import Kinds, multisets, multisets_of

AT_ONCE = 20_000  # groups, or batches, that are weighed together
PLAIN = Estimator(reduction="episodes")


@dataclass(frozen=True)
class GroupMoments:
    """Exact moments of the estimate from a batch.

    Attributes:
        mean: `[P]`.
        variance: total variance, of the estimate from one batch.
    """

    mean: np.ndarray
    variance: float


def group_moments(
    mdp: FiniteMDP,
    pi: np.ndarray,
    score: np.ndarray,
    weighting: Any,
    group: int,
    prompts: int = 1,
    estimator: Estimator = PLAIN,
    weigh: Callable[[Batch], Tensor] | None = None,
    limit: int = 400_000,
) -> GroupMoments:
    """Moments of the estimate from P groups of G episodes; of a sum, divided by the P G episodes.

    Args:
        mdp, pi: the problem and π(a|s), `[S, A]`.
        score: ∇log π(a|s), `[S, A, P]`.
        weighting: the component, for what it says of itself.
        group, prompts: G and P.
        estimator: reduction and normalisation.
        weigh: from a batch to Ψ, where that is more than the weighting itself.
        limit: the most groups, or batches, that are gone through.

    Raises:
        ValueError: more of them than `limit`, or as `enumerate_trajectories`.
    """
    kinds = Kinds.of(enumerate_trajectories(mdp, pi, limit), score, getattr(weighting, "by_outcome", False))
    run = _Estimates(kinds, weighting, weigh or weighting, group, estimator)
    if getattr(weighting, "within_group", False) and not estimator.normalize:
        tables = _group_tables(mdp, pi, run, limit)
        return _independent(tables, prompts, run)
    return _coupled(mdp, run, prompts, limit)


@dataclass(frozen=True)
class _Estimates:
    """The estimator, run on batches of kinds of episodes."""

    kinds: Kinds
    weighting: Any
    weigh: Callable[[Batch], Tensor]
    group: int
    estimator: Estimator

    def __call__(
        self, chosen: np.ndarray, greedy: float | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of batches `[n, E]` the mean of Σ_i Σ_t Ψ_t ∇log π `[n, P]`, its total variance, what a mean divides by, and
        whether it is in use, `[n]` each."""
        parts = [self._of(chosen[i : i + AT_ONCE], greedy) for i in range(0, len(chosen), AT_ONCE)]
        mean, variance, divisor, used = (np.concatenate(part) for part in zip(*parts, strict=True))
        return mean, variance, divisor, used

    def _of(self, chosen: np.ndarray, greedy: float | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        batch = self.kinds.batch(chosen, greedy)
        psi = self.weigh(batch)
        if self.estimator.normalize:
            psi = standardize(psi, batch.mask)
        if self.estimator.by_length:
            psi = psi / batch.mask.sum(-1, keepdim=True).clamp(min=1)
        weights = psi.numpy()
        mean, variance = np.zeros((len(chosen), self.kinds.mean.shape[-1])), np.zeros(len(chosen))
        for episode in range(chosen.shape[1]):
            kind, own = chosen[:, episode], weights[:, episode]
            mean += np.einsum("nt,ntp->np", own, self.kinds.mean[kind])
            variance += np.einsum("nt,ntu,nu->n", own, self.kinds.covariance[kind], own)
        length = self.kinds.length[chosen].sum(-1)
        divisor = length if self.estimator.by_steps else np.full(len(chosen), chosen.shape[1])
        used = np.ones(len(chosen), dtype=bool)
        if getattr(self.weighting, "drops_equal_groups", False):
            used = Outcomes.of(batch, self.weighting.gamma, self.group).differ.flatten().numpy()
        return mean, variance, divisor, used

    def divided(self, divisor: np.ndarray, episodes: int) -> np.ndarray:
        """The factor on a sum, from what a mean divides by."""
        if self.estimator.reduction == "sum":
            return np.full(len(divisor), 1.0 / episodes)
        count = torch.from_numpy(np.asarray(divisor))
        return self.estimator.scale(count, count, torch.float64).numpy()


@dataclass(frozen=True)
class _Table:
    """One group, drawn with its prompt, by what it adds to the divisor d = 0, 1, …, given that it is in use.

    Attributes:
        used: probability that it is.
        probability: of d, `[D]`.
        mean: E[x; d] of its sum x, `[D, P]`.
        square: E[‖x‖²; d], `[D]`.
    """

    used: float
    probability: np.ndarray
    mean: np.ndarray
    square: np.ndarray


def _group_tables(mdp: FiniteMDP, pi: np.ndarray, run: _Estimates, limit: int) -> _Table:
    kinds, group = run.kinds, run.group
    largest = group * int(kinds.length.max()) + 1
    probability, square = np.zeros(largest), np.zeros(largest)
    mean = np.zeros((largest, kinds.mean.shape[-1]))
    for prompt in np.flatnonzero(mdp.start).tolist():
        own = np.flatnonzero(kinds.prompt == prompt)
        chosen, chance = multisets(own, kinds.probability[own], group, limit)
        for greedy, share in _greedy_returns(mdp, pi, prompt, run.weighting):
            x, variance, divisor, used = run(chosen, greedy)
            weight = mdp.start[prompt] * share * chance * used
            np.add.at(probability, divisor, weight)
            np.add.at(mean, divisor, weight[:, None] * x)
            np.add.at(square, divisor, weight * ((x**2).sum(1) + variance))
    total = probability.sum()
    scale = 1.0 / total if total > 0 else 0.0
    return _Table(min(total, 1.0), probability * scale, mean * scale, square * scale)


def _greedy_returns(mdp: FiniteMDP, pi: np.ndarray, prompt: int, weighting: Any) -> list[tuple[float | None, float]]:
    """The returns of the greedy episode from a prompt, with their probabilities; None where nobody asks."""
    if not getattr(weighting, "uses_greedy", False):
        return [(None, 1.0)]
    from_prompt = FiniteMDP(mdp.transition, mdp.reward, np.eye(len(pi))[prompt], mdp.terminal, mdp.horizon, mdp.symbol)
    played = enumerate_trajectories(from_prompt, np.eye(pi.shape[1])[pi.argmax(-1)])
    value, which = np.unique(played.returns(weighting.gamma), return_inverse=True)
    return list(zip(value.tolist(), np.bincount(which, weights=played.probability).tolist(), strict=True))


def _independent(table: _Table, prompts: int, run: _Estimates) -> GroupMoments:
    """Of P independent groups of which those in use are kept: the first P of as many as are played."""
    refill = getattr(run.weighting, "refill", False)
    played = prompts * run.weighting.most if refill else prompts
    mean, square = np.zeros(table.mean.shape[1]), 0.0
    for kept in range(1, prompts + 1):
        chance = _binomial(kept, played, table.used) if kept < prompts else _at_least(prompts, played, table.used)
        if chance:
            one, two = _of_so_many(table, kept, run, prompts * run.group)
            mean, square = mean + chance * one, square + chance * two
    return GroupMoments(mean, max(float(square - mean @ mean), 0.0))


def _of_so_many(table: _Table, groups: int, run: _Estimates, episodes: int) -> tuple[np.ndarray, float]:
    """E[ĝ] and E[‖ĝ‖²] of so many groups: sums over the divisor of all, a convolution of theirs."""
    others, further = _power(table.probability, groups - 1), _power(table.probability, groups - 2)
    x = np.stack([np.convolve(column, others) for column in table.mean.T], -1)
    squares = np.convolve(table.square, others)
    factor = run.divided(np.arange(len(x)), episodes)
    mean = groups * factor @ x
    square = groups * float(factor**2 @ squares)
    if groups > 1:
        products = np.sum([np.convolve(column, column) for column in table.mean.T], axis=0)
        square += groups * (groups - 1) * float(factor**2 @ np.convolve(products, further))
    return mean, square


def _power(probability: np.ndarray, times: int) -> np.ndarray:
    """The distribution of the sum of so many independent numbers."""
    result = np.ones(1)
    for _ in range(times):
        result = np.convolve(result, probability)
    return result


def _binomial(hits: int, of: int, chance: float) -> float:
    return comb(of, hits) * chance**hits * (1 - chance) ** (of - hits)


def _at_least(hits: int, of: int, chance: float) -> float:
    return sum(_binomial(k, of, chance) for k in range(hits, of + 1))


def _coupled(mdp: FiniteMDP, run: _Estimates, prompts: int, limit: int) -> GroupMoments:
    """Every batch of P groups."""
    kinds = run.kinds
    of_each = [int((kinds.prompt == prompt).sum()) for prompt in np.flatnonzero(mdp.start)]
    multisets_of(sum(multisets_of(n, run.group, limit) for n in of_each), prompts, limit)
    groups, chances = [], []
    for prompt in np.flatnonzero(mdp.start).tolist():
        own = np.flatnonzero(kinds.prompt == prompt)
        chosen, chance = multisets(own, kinds.probability[own], run.group, limit)
        groups.append(chosen)
        chances.append(mdp.start[prompt] * chance)
    every, probability = np.concatenate(groups), np.concatenate(chances)
    batches, chance = multisets(np.arange(len(every)), probability, prompts, limit)
    x, variance, divisor, _ = run(every[batches].reshape(len(batches), -1))
    factor = run.divided(divisor, prompts * run.group)
    mean = (chance * factor) @ x
    square = float((chance * factor**2) @ ((x**2).sum(1) + variance))
    return GroupMoments(mean, max(square - float(mean @ mean), 0.0))
