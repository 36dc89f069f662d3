"""Kinds of episodes of a finite MDP, by prompt, and all multisets of them."""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb

import numpy as np
import torch
from scipy.special import gammaln
from torch import Tensor

from pglab.algorithms.batch import Batch, BesideGreedy
from pglab.exact.enumeration import Trajectories


@dataclass(frozen=True)
class Kinds:
    """C kinds of episodes: each by itself, or those of one outcome together.

    Attributes:
        prompt: first state, `[C]`.
        probability: given the prompt, `[C]`.
        episodes: one of each kind.
        length: steps, `[C]`.
        mean: E[∇log π(a_t|s_t)] at each step, `[C, T, P]`, 0 after the end.
        covariance: E[∇log π_t · ∇log π_u] less the product of the means, `[C, T, T]`.
    """

    prompt: np.ndarray
    probability: np.ndarray
    episodes: Trajectories
    length: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, all_: Trajectories, score: np.ndarray, by_outcome: bool) -> "Kinds":
        prompt, number = all_.state[:, 0], len(all_.probability)
        outcome = np.column_stack((prompt, all_.length, all_.reward))
        key = outcome if by_outcome else np.arange(number)[:, None]
        _, first, kind = np.unique(key, axis=0, return_index=True, return_inverse=True)
        along = score[all_.state, all_.action] * all_.mask[..., None]
        own = np.bincount(kind, weights=all_.probability)
        share = all_.probability / own[kind]
        mean = np.zeros((len(first), *along.shape[1:]))
        square = np.zeros((len(first), along.shape[1], along.shape[1]))
        np.add.at(mean, kind, share[:, None, None] * along)
        for episode in range(number):  # one by one: a table by episode, step and step would be large
            square[kind[episode]] += share[episode] * (along[episode] @ along[episode].T)
        of_prompt = np.bincount(prompt, weights=all_.probability)
        covariance = square - np.einsum("ctp,cup->ctu", mean, mean)
        chosen = Trajectories(*(np.asarray(part)[first] for part in vars(all_).values()))
        return cls(prompt[first], own / of_prompt[prompt[first]], chosen, chosen.length, mean, covariance)

    def batch(self, chosen: np.ndarray, greedy: float | None) -> Batch:
        """Batches of the kinds `[n, E]`."""

        def pick(x: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(x[chosen]))

        own = self.episodes
        batch = Batch(
            obs=pick(own.symbol.astype(float))[..., None],
            action=pick(own.action),
            reward=pick(own.reward),
            mask=pick(own.mask),
            terminated=pick(own.terminated),
            truncated=pick(own.truncated),
        )
        if greedy is None:
            return batch
        return BesideGreedy(**vars(batch), greedy=torch.full(chosen.shape, greedy, dtype=torch.float64))


def multisets(kinds: np.ndarray, probability: np.ndarray, size: int, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """All multisets of `size` of some numbers, `[n, size]`, with their probabilities where each is drawn by its own."""
    count = multisets_of(len(kinds), size, limit)
    place = np.array(list(combinations_with_replacement(range(len(kinds)), size))).reshape(count, size)
    times = np.zeros((count, len(kinds)))
    np.add.at(times, (np.arange(count)[:, None], place), 1.0)
    orders = gammaln(size + 1) - gammaln(times + 1).sum(1)
    return kinds[place], np.exp(orders + times @ np.log(probability))


def multisets_of(kinds: int, size: int, limit: int) -> int:
    """The number of multisets; an error where it is beyond the limit."""
    if (count := comb(kinds + size - 1, size)) > limit:
        raise ValueError(f"{kinds} kinds make {count:,} multisets of {size}, more than limit={limit:,}")
    return count
