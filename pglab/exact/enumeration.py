"""Every episode that a policy can play in a finite MDP, with its probability."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.batch import Batch
from pglab.algorithms.losses import Estimator, Reduction, standardize
from pglab.envs.finite import FiniteMDP
from pglab.exact.chain import Chain
from pglab.exact.moments import Moments

Weighting = Callable[[Batch], Tensor]


@dataclass(frozen=True)
class Trajectories:
    """N episodes, padded with zeros to the longest of T steps.

    Attributes:
        probability: of each episode, `[N]`, summing to 1.
        state, action, symbol: integers `[N, T]`; `symbol` is what the policy sees of the state.
        reward: `[N, T]`.
        mask: whether step t belongs to the episode, `[N, T]`.
        terminated, truncated: whether the episode ended after step t, in a terminal state or by
            the horizon (both, when both), `[N, T]`.
    """

    probability: np.ndarray
    state: np.ndarray
    action: np.ndarray
    symbol: np.ndarray
    reward: np.ndarray
    mask: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray

    @property
    def length(self) -> np.ndarray:
        """Steps of each episode, `[N]`."""
        return self.mask.sum(-1)

    def returns(self, gamma: float) -> np.ndarray:
        """R(τ) = Σ_t γ^t r_t of each episode, `[N]`."""
        return self.reward @ gamma ** np.arange(self.reward.shape[1])

    def look_up(self, table: np.ndarray) -> np.ndarray:
        """A table of the states `[S]`, or `[H, S]` by time, along the episodes: `[N, T]`, 0 after the end."""
        along = table[self.state] if table.ndim == 1 else table[np.arange(self.state.shape[1]), self.state]
        return np.where(self.mask, along, 0.0)

    def batches(
        self, episodes: int = 1, value: np.ndarray | None = None, memory: Mapping[str, Tensor] | None = None
    ) -> tuple[np.ndarray, Batch]:
        """Every batch of so many independent episodes, with its probability.

        Args:
            episodes: E in a batch, so that there are N^E batches.
            value: V of a critic, `[S]` or `[H, S]`, for `Batch.value`; none by default.
            memory: `Batch.memory` of one run, each entry `[1]`; empty by default.

        Returns:
            Probabilities `[N^E]` and a batch with axes `[N^E, E, T]`, in double precision.
        """
        count = len(self.probability)
        index = np.stack(np.meshgrid(*[np.arange(count)] * episodes, indexing="ij"), -1).reshape(-1, episodes)

        def pick(x: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(x[index]))

        batch = Batch(
            obs=pick(self.symbol.astype(float))[..., None],
            action=pick(self.action),
            reward=pick(self.reward),
            mask=pick(self.mask),
            terminated=pick(self.terminated),
            truncated=pick(self.truncated),
            value=None if value is None else pick(self.look_up(value)),
            memory={name: kept.expand(len(index), *kept.shape[1:]) for name, kept in (memory or {}).items()},
        )
        return self.probability[index].prod(-1), batch


def enumerate_trajectories(mdp: FiniteMDP, pi: np.ndarray, limit: int = 100_000) -> Trajectories:
    """All episodes of positive probability under π(a|s) `[S, A]`.

    Raises:
        ValueError: more than `limit` of them, episodes without end, or π is no distribution.
    """
    chain = Chain(mdp, pi)
    state = np.flatnonzero(mdp.start)
    open_ = _Open(mdp.start[state], state[:, None], *(np.zeros((len(state), 0), dtype) for dtype in (int, float)))
    closed: list[_Open] = []
    longest = len(chain.live) if mdp.horizon is None else mdp.horizon
    for t in range(1, longest + 1):
        open_ = open_.grow(mdp, chain)
        ends = mdp.terminal[open_.state[:, -1]] | (t == mdp.horizon)
        closed.append(open_.select(ends))
        open_ = open_.select(~ends)
        if sum(len(part.probability) for part in closed) + len(open_.probability) > limit:
            raise ValueError(
                f"more than limit={limit} trajectories after {t} steps: shorten the horizon or raise limit"
            )
        if not len(open_.probability):
            break
    if len(open_.probability):
        raise ValueError(
            f"an episode of {longest} steps among {longest} states has been in one of them twice, so there is no "
            "longest episode: give the MDP a horizon"
        )
    return _pad([part for part in closed if len(part.probability)], mdp)


def estimate_moments(
    mdp: FiniteMDP,
    pi: np.ndarray,
    score: np.ndarray,
    weighting: Weighting,
    episodes: int = 1,
    value: np.ndarray | None = None,
    reduction: Reduction = "episodes",
    normalize: bool = False,
    limit: int = 100_000,
    memory: Mapping[str, Tensor] | None = None,
    budget: float = 1.0,
) -> Moments:
    """Exact mean and covariance of the estimate that a weighting makes of a batch of episodes.

    The weighting is *run*, on every batch there can be: this holds for any weighting and
    baseline, those that look at the whole batch included, where the problem is small enough.

    Args:
        mdp, pi: the problem and π(a|s), `[S, A]`.
        score: ∇log π(a|s), `[S, A, P]`.
        weighting: from a batch to Ψ `[..., E, T]`.
        episodes: E, episodes in a batch.
        value: V of a critic for `Batch.value`, `[S]` or `[H, S]`.
        reduction, normalize, budget: as in `pglab.algorithms.losses.Estimator`.
        limit: the most batches that are enumerated.
        memory: what the baseline has kept of earlier batches, each entry `[1]`.

    Raises:
        ValueError: more than `limit` batches, or as `enumerate_trajectories`.
    """
    estimator = Estimator(reduction=reduction, budget=budget)
    trajectories = enumerate_trajectories(mdp, pi, limit)
    if (count := len(trajectories.probability)) ** episodes > limit:
        raise ValueError(
            f"{count} trajectories make {count}^{episodes} batches of {episodes} episodes, more than limit={limit}: "
            "shorten the horizon, take fewer episodes or raise limit"
        )
    probability, batch = trajectories.batches(episodes, value, memory)
    psi = weighting(batch)
    if normalize:
        psi = standardize(psi, batch.mask)
    if estimator.by_length:
        psi = psi / batch.mask.sum(-1, keepdim=True).clamp(min=1)
    steps = batch.mask.sum((-2, -1))
    scale = estimator.scale(steps, torch.full_like(steps, episodes), torch.float64)
    psi = (psi * scale[:, None, None]).numpy()
    # Σ_t Ψ_t ∇log π of every episode of every batch; which episodes they are, `batches` knows.
    along = score[trajectories.state, trajectories.action]
    index = np.stack(np.unravel_index(np.arange(len(probability)), (count,) * episodes), -1)
    estimate = sum(np.einsum("nt,ntp->np", psi[:, e], along[index[:, e]]) for e in range(episodes))
    estimate = np.asarray(estimate)
    mean = probability @ estimate
    centred = estimate - mean
    return Moments(mean, np.einsum("n,np,nq->pq", probability, centred, centred, optimize=True))


@dataclass(frozen=True)
class _Open:
    """Episodes of t steps under way: `state` `[N, t+1]`, `action` and `reward` `[N, t]`."""

    probability: np.ndarray
    state: np.ndarray
    action: np.ndarray
    reward: np.ndarray

    def select(self, keep: np.ndarray) -> "_Open":
        return _Open(self.probability[keep], self.state[keep], self.action[keep], self.reward[keep])

    def grow(self, mdp: FiniteMDP, chain: Chain) -> "_Open":
        now = self.state[:, -1]
        branch = chain.reach[np.searchsorted(chain.live, now)]
        parent, action, following = np.nonzero(branch)
        return _Open(
            self.probability[parent] * branch[parent, action, following],
            np.column_stack((self.state[parent], following)),
            np.column_stack((self.action[parent], action)),
            np.column_stack((self.reward[parent], mdp.reward[now[parent], action, following])),
        )


def _pad(parts: list[_Open], mdp: FiniteMDP) -> Trajectories:
    longest = parts[-1].action.shape[1]

    def padded(arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.pad(x, ((0, 0), (0, longest - x.shape[1]))) for x in arrays])

    symbol = np.arange(len(mdp.transition)) if mdp.symbol is None else mdp.symbol
    state = padded([part.state[:, :-1] for part in parts])
    mask = padded([np.ones(part.action.shape, dtype=bool) for part in parts])
    last = mask & ~np.pad(mask[:, 1:], ((0, 0), (0, 1)))
    final = np.concatenate([part.state[:, -1] for part in parts])
    return Trajectories(
        np.concatenate([part.probability for part in parts]),
        state,
        padded([part.action for part in parts]),
        np.where(mask, symbol[state], 0),
        padded([part.reward for part in parts]),
        mask,
        last & mdp.terminal[final][:, None],
        last & (mask.sum(-1) == mdp.horizon)[:, None],
    )
