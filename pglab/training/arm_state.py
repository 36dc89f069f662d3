"""One arm in training: a row of parameters, critic, memory and counters for each seed."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.baselines import Value
from pglab.algorithms.batch import Batch
from pglab.algorithms.losses import standardize
from pglab.algorithms.returns import rewards_to_go
from pglab.envs.world import Observation
from pglab.models.model import Policy
from pglab.models.optimizers import Rows
from pglab.training.arm import Arm, Measures
from pglab.training.blocks import episode_blocks
from pglab.training.critic import Critic
from pglab.training.episodes import Episodes
from pglab.training.gradient import Gradient, clip_norm
from pglab.training.randomness import fold_in, generator, stream_keys
from pglab.training.rollout import Streams, Target


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
    def updates(self) -> int:
        """How many there have been."""
        return self._update

    @property
    def active(self) -> np.ndarray:
        """Rows that train on."""
        return np.flatnonzero(~self._diverged) if self._update < self.arm.updates else np.arange(0)

    def streams(self, rows: np.ndarray) -> Streams:
        """Keys of the coming update."""
        index, update = torch.from_numpy(rows), torch.tensor(self._update, device=self._device)
        coming = {name: fold_in(key[index], update) for name, key in vars(self._keys).items() if name != "problems"}
        return Streams(**coming, problems=self._keys.problems[index])

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

    def clipped(self, gradient: Tensor) -> Tensor:
        """The gradients `[R, P]` as the step takes them."""
        largest = self.arm.estimator.clip_norm
        return gradient if largest is None else clip_norm(gradient, largest)

    def state(self) -> dict[str, Tensor]:
        """Everything that an update changes, by name; a row for each seed, but for what all share."""
        parts = {"policy": self.policy.state(), "memory": self._memory, "counters": self._counters()}
        if self._critic is not None:
            parts["critic"] = self._critic.rows.state()
        return {f"{part}/{name}": tensor.clone() for part, named in parts.items() for name, tensor in named.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes the place of what `state` was called on."""
        parts: dict[str, dict[str, Tensor]] = {"policy": {}, "memory": {}, "counters": {}, "critic": {}}
        for key, tensor in state.items():
            part, name = key.split("/")
            parts[part][name] = tensor.to(self._device)
        self.policy.restore(parts["policy"])
        self._memory = {name: tensor.clone() for name, tensor in parts["memory"].items()}
        if self._critic is not None:
            self._critic.rows.restore(parts["critic"])
        counters = {name: tensor.cpu().numpy().copy() for name, tensor in parts["counters"].items()}
        self._update = int(counters["update"])
        self._diverged, self._env_steps = counters["diverged"], counters["env_steps"]
        self._episodes, self._length = counters["episodes"], counters["length"]

    def update(self, rows: np.ndarray, estimate: Gradient, kept: np.ndarray, cut: np.ndarray) -> np.ndarray:
        """One step on the gradients `[R, P]` of the given rows.

        A row whose loss, gradient or next parameters are not finite stays as it was for good, and
        so, with `truncation="diverge"`, does one with an episode that the time limit cut.

        Args:
            kept: which rows have an episode in their estimate, `[R]`; the others take no step.
            cut: which rows have an episode that was truncated and not terminated, `[R]`.

        Returns:
            Which rows diverged, `[R]`.
        """
        index = torch.from_numpy(rows).to(self._device)
        finite = estimate.loss.isfinite() & estimate.gradient.isfinite().all(-1)
        if self.arm.estimator.truncation == "diverge":
            finite &= torch.from_numpy(~cut).to(self._device)
        steps = finite & torch.from_numpy(kept).to(self._device)
        gradient = torch.zeros_like(self.policy.parameters)
        gradient[index] = self.clipped(estimate.gradient)
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

    def _counters(self) -> dict[str, Tensor]:
        counted = {"diverged": self._diverged, "env_steps": self._env_steps, "episodes": self._episodes}
        tensors = {name: torch.from_numpy(count.copy()) for name, count in counted.items()}
        return tensors | {"length": torch.from_numpy(self._length.copy()), "update": torch.tensor(self._update)}

    def _streams(self, prefix: str) -> Streams:
        names = (prefix + "first_states", prefix + "transitions", prefix + "actions", "problems")
        return Streams(*(stream_keys(self.arm.seeds, name, self._device) for name in names))

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
