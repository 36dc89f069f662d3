"""One arm in training: a row of parameters, critic, memory and counters for each seed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.baselines import Value
from pglab.algorithms.batch import Batch
from pglab.algorithms.losses import Estimator, standardize
from pglab.algorithms.returns import rewards_to_go
from pglab.algorithms.weightings import declared_bias
from pglab.envs.world import Observation
from pglab.models.model import Policy
from pglab.models.optimizers import MakeOptimizer, Rows
from pglab.models.parameters import Init
from pglab.training.blocks import episode_blocks
from pglab.training.critic import Critic
from pglab.training.episodes import Episodes
from pglab.training.gradient import Gradient, clip_norm
from pglab.training.randomness import fold_in, generator, stream_keys
from pglab.training.rollout import Streams, Target


@dataclass(frozen=True)
class BatchSize:
    """When a batch is complete: at least `steps` steps, or exactly `episodes` episodes."""

    steps: int | None = None
    episodes: int | None = None

    def __post_init__(self) -> None:
        sizes = [size for size in (self.steps, self.episodes) if size is not None]
        if len(sizes) != 1 or sizes[0] < 1:
            raise ValueError(f"a batch needs either steps or episodes, at least 1; got {self}")

    @property
    def bias(self) -> tuple[str, ...]:
        """Why a mean over the batch's episodes is not unbiased."""
        return () if self.steps is None else ("the batch ends by its steps, so its number of episodes is random",)


@dataclass(frozen=True)
class Arm:
    """A configuration without its seed, as components, and the seeds to train it on."""

    weighting: Callable[[Batch], Tensor]
    init: Init
    optimizer: MakeOptimizer
    estimator: Estimator
    batch: BatchSize
    gamma: float
    updates: int
    seeds: list[int]

    @property
    def baseline(self) -> Any:
        """The baseline that the weighting uses, if it uses one."""
        return getattr(self.weighting, "baseline", None)

    @property
    def bias(self) -> tuple[str, ...]:
        """Every declared reason why the mean of its gradient estimate is not ∇J; empty: it is."""
        return declared_bias(self.weighting) + self.estimator.bias + self.batch.bias


@dataclass(frozen=True)
class Measures:
    """What one update of some runs of an arm showed: `[R]` each, a row of the results a run.

    `seed`, `update`, `env_steps` and `episodes` count: the seed, the updates, steps and episodes
    of all batches so far. The others are of this update: mean and deviation of the undiscounted
    return and mean length over the batch's episodes, the surrogate's value, the policy's mean
    entropy in nats, the norm of the gradient before clipping.
    """

    seed: np.ndarray
    update: np.ndarray
    env_steps: np.ndarray
    episodes: np.ndarray
    return_mean: np.ndarray
    return_std: np.ndarray
    length_mean: np.ndarray
    loss: np.ndarray
    entropy: np.ndarray
    grad_norm: np.ndarray
    diverged: np.ndarray


class ArmState:
    """The runs of one arm; `rows` below are positions in `arm.seeds`."""

    def __init__(self, arm: Arm, policy: Policy, observation: Observation, device: torch.device) -> None:
        self.arm, self._device = arm, device
        generators = [generator(seed, "weights") for seed in arm.seeds]
        self.policy = Rows(policy.model.draw(arm.init, generators, device), arm.optimizer)
        self._critic = None
        if isinstance(arm.baseline, Value):
            self._critic = Critic(arm.baseline, observation, arm.seeds, device)
        self._memory: dict[str, Tensor] = {}
        self._keys = self._streams("")
        self._update = 0
        self._diverged = np.zeros(len(arm.seeds), dtype=bool)
        self._env_steps = np.zeros(len(arm.seeds), dtype=np.int64)
        self._episodes = np.zeros(len(arm.seeds), dtype=np.int64)
        self._length = np.full(len(arm.seeds), np.nan)

    @property
    def active(self) -> np.ndarray:
        """Rows that train on."""
        return np.flatnonzero(~self._diverged) if self._update < self.arm.updates else np.arange(0)

    def streams(self, rows: np.ndarray) -> Streams:
        """Keys of the coming update."""
        index, update = torch.from_numpy(rows), torch.tensor(self._update, device=self._device)
        return Streams(**{name: fold_in(key[index], update) for name, key in vars(self._keys).items()})

    def evaluation_streams(self) -> Streams:
        return self._streams("evaluation_")

    def target(self, rows: np.ndarray) -> Target:
        size = self.arm.batch
        return Target(np.full(len(rows), size.steps or 0), np.full(len(rows), size.episodes or 1))

    def expected_length(self, rows: np.ndarray) -> np.ndarray:
        """The mean episode length of the last batch; NaN before the first."""
        return self._length[rows]

    def weigh(self, episodes: Episodes) -> Tensor:
        """Ψ of each packed step, its reduction included, `[S + 1]`.

        Fits the critic and updates the memory afterwards, so that the weights use both as the
        earlier batches left them.
        """
        arm = self.arm
        psi, returns = torch.zeros_like(episodes.reward), torch.zeros_like(episodes.reward)
        remembers = hasattr(arm.baseline, "remember")
        remembered = []
        for rows, index, batch in self.batches(episodes):
            # Padding is written to the entry for padding, which stays zero.
            psi[index] = self.scaled(arm.weighting(batch), batch)
            if self._critic is None and not remembers:
                continue
            batch_returns = rewards_to_go(batch.reward, arm.gamma)
            returns[index] = torch.where(batch.mask, batch_returns, 0.0)
            if remembers:
                remembered.append((rows, arm.baseline.remember(batch.memory, batch, batch_returns)))
        self._keep(remembered)
        if self._critic is not None:
            trained = np.isin(np.arange(len(arm.seeds)), episodes.run)
            self._critic.fit(episodes, returns, torch.from_numpy(trained).to(self._device))
        return psi

    def batches(self, episodes: Episodes) -> Iterator[tuple[Tensor, Tensor, Batch]]:
        """What the weighting sees, as critic and memory now are: rows `[r]`, positions `[r, E, T]`, batch."""
        reward, value = episodes.reward, None
        if self._critic is not None:
            value = self._critic.values(episodes.run, episodes.length, episodes.obs)
            if self.arm.estimator.truncation == "bootstrap":
                reward = self._bootstrapped(episodes, self._critic)
        terminated, truncated = (_at_last_steps(episodes, ended) for ended in (episodes.terminated, episodes.truncated))
        for rows, index in episode_blocks(episodes):
            batch = Batch(
                obs=episodes.obs[index],
                action=episodes.action[index],
                reward=reward[index],
                mask=index < len(reward) - 1,
                terminated=terminated[index],
                truncated=truncated[index],
                value=None if value is None else value[index],
                memory={name: kept[rows] for name, kept in self._memory.items()},
            )
            yield rows, index, batch

    def scaled(self, psi: Tensor, batch: Batch) -> Tensor:
        """The weights of a batch, standardised if asked for, times the reduction's factor."""
        if psi.shape != batch.reward.shape:
            raise ValueError(
                f"{type(self.arm.weighting).__name__} returned weights of shape {list(psi.shape)}; "
                f"one for every reward is needed, {list(batch.reward.shape)}"
            )
        if self.arm.estimator.normalize:
            psi = standardize(psi, batch.mask)
        scale = self.arm.estimator.scale(batch.mask.sum((-2, -1)), batch.mask[..., 0].sum(-1))
        return torch.where(batch.mask, psi * scale[:, None, None], 0.0)

    def entropy_weight(self, episodes: Episodes) -> Tensor:
        """β of each seed's row, its reduction included, `[k]`."""
        k, estimator = len(self.arm.seeds), self.arm.estimator
        steps = np.bincount(episodes.run, weights=episodes.length, minlength=k)
        count = np.bincount(episodes.run, minlength=k)
        scale = estimator.scale(torch.from_numpy(steps), torch.from_numpy(count))
        return (estimator.entropy_bonus * scale).to(self._device)

    def update(self, rows: np.ndarray, estimate: Gradient, kept: np.ndarray) -> np.ndarray:
        """One step on the gradients `[R, P]` of the given rows.

        A row whose loss, gradient or next parameters are not finite stays as it was for good.

        Args:
            kept: which rows have an episode in their estimate, `[R]`; the others take no step.

        Returns:
            Which rows diverged, `[R]`.
        """
        index = torch.from_numpy(rows).to(self._device)
        finite = estimate.loss.isfinite() & estimate.gradient.isfinite().all(-1)
        steps = finite & torch.from_numpy(kept).to(self._device)
        slope = estimate.gradient
        if self.arm.estimator.clip_norm is not None:
            slope = clip_norm(slope, self.arm.estimator.clip_norm)
        gradient = torch.zeros_like(self.policy.parameters)
        gradient[index] = slope
        may_change = torch.zeros(len(gradient), dtype=torch.bool, device=self._device)
        may_change[index] = steps
        took = self.policy.step(gradient, may_change)[index]
        diverged = (~finite | (steps & ~took)).cpu().numpy()
        self._diverged[rows] = diverged
        self._update += 1
        return diverged

    def measure(self, rows: np.ndarray, episodes: Episodes, estimate: Gradient, diverged: np.ndarray) -> Measures:
        """Adds the batches of the given rows to the counters and says what they showed."""
        count = np.bincount(episodes.run, minlength=len(self.arm.seeds))[rows]
        steps = np.bincount(episodes.run, weights=episodes.length, minlength=len(self.arm.seeds))[rows]
        self._episodes[rows] += count
        self._env_steps[rows] += steps.astype(np.int64)
        self._length[rows] = steps / count
        returns = episodes.returns()

        def mean(of_episodes: np.ndarray) -> np.ndarray:
            return np.bincount(episodes.run, weights=of_episodes, minlength=len(self.arm.seeds))[rows] / count

        return_mean = mean(returns)
        spread = np.zeros(len(self.arm.seeds))
        spread[rows] = return_mean
        return Measures(
            seed=np.array(self.arm.seeds)[rows],
            update=np.full(len(rows), self._update),
            env_steps=self._env_steps[rows],
            episodes=self._episodes[rows],
            return_mean=return_mean,
            return_std=np.sqrt(mean((returns - spread[episodes.run]) ** 2)),
            length_mean=steps / count,
            loss=estimate.loss.cpu().numpy(),
            entropy=estimate.entropy.cpu().numpy(),
            grad_norm=estimate.gradient.norm(dim=-1).cpu().numpy(),
            diverged=diverged,
        )

    def _streams(self, prefix: str) -> Streams:
        names = ("first_states", "transitions", "actions")
        return Streams(*(stream_keys(self.arm.seeds, prefix + name, self._device) for name in names))

    def _bootstrapped(self, episodes: Episodes, critic: Critic) -> Tensor:
        """Rewards with γ V(s_T) added to the last one of each truncated episode."""
        ends = torch.cat((episodes.last_obs, torch.zeros_like(episodes.obs[:1])))
        value = critic.values(episodes.run, np.ones_like(episodes.length), ends)[:-1]
        cut = torch.from_numpy(episodes.truncated & ~episodes.terminated).to(self._device)
        last = torch.from_numpy(episodes.last).to(self._device)
        reward = episodes.reward.clone()
        reward[last] += self.arm.gamma * value * cut
        return reward

    def _keep(self, remembered: list[tuple[Tensor, dict[str, Tensor]]]) -> None:
        for rows, memory in remembered:
            for name, kept in memory.items():
                if name not in self._memory:
                    shape = (len(self.arm.seeds), *kept.shape[1:])
                    self._memory[name] = torch.zeros(shape, dtype=kept.dtype, device=kept.device)
                self._memory[name][rows] = kept


def _at_last_steps(episodes: Episodes, ended: np.ndarray) -> Tensor:
    """A boolean `[S + 1]` with each episode's flag at its last step."""
    device = episodes.obs.device
    flags = torch.zeros(len(episodes.reward), dtype=torch.bool, device=device)
    flags[torch.from_numpy(episodes.last).to(device)] = torch.from_numpy(ended).to(device)
    return flags
