"""Weighing: from the episodes of an arm to Ψ, and learning from them afterwards."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.batch import Batch, BesideGreedy
from pglab.algorithms.losses import standardize
from pglab.algorithms.packed import PackedEpisodes
from pglab.algorithms.returns import rewards_to_go
from pglab.algorithms.rewards import RAW
from pglab.bits import IMAGE, padded_batches, step_blocks
from pglab.envs.spaces import Space
from pglab.training.arm import Arm
from pglab.training.critic_lesson import CriticLesson, Targets
from pglab.training.episodes import Episodes
from pglab.training.randomness import generator
from pglab.training.scaling import DiscountedReturns
from pglab.training.segments import Segments


class Weigher:
    """The weighting of one arm, with what its critic and its baseline's memory hold of earlier batches.

    Packed tensors below are the bundle's, `[S + 1]`; an arm reads and writes its own rows' steps.

    Attributes:
        rows: of the arm in the bundle's table.
        memory: what the baseline remembers, `[k, …]` each.
        critic: of the baseline, or None.
    """

    def __init__(self, arm: Arm, rows: slice, observation: Space, device: torch.device) -> None:
        self.arm, self.rows, self._device = arm, rows, device
        self.memory: dict[str, Tensor] = {}
        self._earlier: dict[str, Tensor] = {}  # the same before the batch that was weighed last
        lanes = arm.batch.lanes if isinstance(arm.batch, Segments) else 0
        self.scale = DiscountedReturns(rows, arm.gamma, lanes, device)
        self.critic = None
        if arm.has_critic:
            generators = [generator(seed, "critic_weights") for seed in arm.seeds]
            self.critic = arm.baseline.critic(observation, generators, device)

    def weigh(self, episodes: Episodes, psi: Tensor, targets: Targets | None = None) -> CriticLesson | None:
        """Writes Ψ of each packed step, its reduction included, and then lets critic and memory learn.

        So the weights use both as the earlier batches left them. Returns what the critic is still to learn
        from, where it does so together with the policy; it is written into `targets`.
        """
        if self.scales:
            self.scale.add(episodes)
        self._earlier = {name: kept.clone() for name, kept in self.memory.items()}
        remembered: list | None = [] if hasattr(self.arm.baseline, "remember") else None
        lesson = self._weigh(episodes, psi, remembered, targets)
        self._keep(remembered or [])
        if lesson is None:
            return None
        learned = list(lesson.stretches(self._blocks(episodes.run, episodes.length, episodes.obs.shape[-1])))
        if self.arm.learns_together:
            lesson.critic.observe(learned)
            return lesson
        lesson.critic.fit(learned)
        return None

    def reweigh(self, episodes: Episodes, psi: Tensor, targets: Targets | None = None) -> CriticLesson | None:
        """Writes Ψ with the critic as it is by now, and returns what it is to learn from; nothing learns here.

        The memory is that from before the batch, which is not to be its own baseline.
        """
        memory, self.memory = self.memory, self._earlier
        lesson = self._weigh(episodes, psi, None, targets)
        self.memory = memory
        return lesson if self.arm.learns_together else None

    def _weigh(
        self, episodes: Episodes, psi: Tensor, remembered: list | None, targets: Targets | None
    ) -> CriticLesson | None:
        """Writes Ψ, appends what the baseline is to remember, and returns what the critic is to learn from."""
        arm, lesson = self.arm, None
        if self._reads_rewards_alone:
            self._weigh_packed(episodes, psi)
            return None
        if self.critic is not None:
            coefficient = getattr(arm.baseline, "coefficient", 1.0)
            lesson = CriticLesson(self.rows, self.critic, coefficient, episodes, targets or Targets.like(psi))
        from_psi = getattr(arm.baseline, "target", "returns") == "lambda_returns"
        for rows, index, batch in self.batches(episodes):
            # Padding is written to the entry for padding, which stays zero.
            weight = arm.weigh(batch)
            psi[index] = self.scaled(arm.discounted(weight), batch)
            if lesson is None and remembered is None:
                continue
            returns = rewards_to_go(batch.reward, arm.gamma)
            if lesson is not None and batch.value is not None:
                target = weight + batch.value if from_psi else returns
                lesson.targets.target[index] = torch.where(batch.mask, target, 0.0)
                lesson.targets.value[index] = batch.value
            if remembered is not None:
                remembered.append((rows, arm.baseline.remember(batch.memory, batch, returns)))
        return lesson

    @property
    def _reads_rewards_alone(self) -> bool:
        """Tells whether Ψ can be had of episodes that lie end to end."""
        apart = hasattr(self.arm.weighting, "packed") and self.critic is None
        return apart and not self.arm.estimator.normalize

    def _weigh_packed(self, episodes: Episodes, psi: Tensor) -> None:
        """Writes the Ψ of episodes that lie end to end: the bits of the other way, in a fraction of its time."""
        arm, rows = self.arm, self.rows
        first, end = np.searchsorted(episodes.run, (rows.start, rows.stop))
        run, lengths = episodes.run[first:end] - rows.start, episodes.length[first:end]
        if not len(lengths):  # all were too short to learn from
            return
        begin = int(episodes.length[:first].sum())
        own = slice(begin, begin + int(lengths.sum()))
        length = torch.from_numpy(lengths).to(self._device)
        packed = PackedEpisodes(self._learned_from(episodes)[own], length)
        weight = arm.weigh_packed(packed)
        runs = rows.stop - rows.start
        count, steps = np.bincount(run, minlength=runs), np.bincount(run, lengths, minlength=runs)
        counts = [torch.from_numpy(n.astype(np.int64)).to(self._device) for n in (steps, count)]
        scale = arm.estimator.scale(counts[0], counts[1])
        if arm.estimator.by_length:
            weight = weight / packed.everywhere(length)
        psi[own] = weight * packed.everywhere(scale[torch.from_numpy(run).to(self._device)])

    def batches(self, episodes: Episodes) -> Iterator[tuple[Tensor, Tensor, Batch]]:
        """Batches as the weighting sees them, with critic and memory as they now are.

        Yields:
            `(rows [r], index [r, E, T], batch)`: rows of the arm, positions of the batch's steps, the batch.
        """
        reward, value = self._learned_from(episodes), None
        if self.critic is not None:
            value = self._values(episodes.run, episodes.length, episodes.obs)
            if episodes.cut is not None or self.arm.estimator.truncation == "bootstrap":
                reward = self._bootstrapped(episodes, reward)
        for table_rows, index in padded_batches(episodes.run, episodes.length, self._device, self.rows):
            rows = table_rows - self.rows.start
            batch = Batch(
                obs=self._seen(episodes.obs)[index],
                action=episodes.action[index],
                reward=reward[index],
                mask=index < len(reward) - 1,
                terminated=episodes.terminates[index],
                truncated=episodes.truncates[index],
                value=None if value is None else value[index],
                memory={name: kept[rows] for name, kept in self.memory.items()},
            )
            greedy = greedy_of(episodes, table_rows, index)
            yield rows, index, batch if greedy is None else BesideGreedy(**vars(batch), greedy=greedy)

    @staticmethod
    def _seen(obs: Tensor) -> Tensor:
        """Packed observations as weightings and baselines see them: of images nothing."""
        return obs if obs.shape[-1] <= IMAGE else obs[:, :0]

    def scaled(self, psi: Tensor, batch: Batch) -> Tensor:
        """The weights of a batch, standardised if asked for, times the reduction's factor."""
        if self.arm.estimator.normalize:
            psi = standardize(psi, batch.mask)
        scale = self.arm.estimator.scale(batch.mask.sum((-2, -1)), batch.mask[..., 0].sum(-1))
        if self.arm.estimator.by_length:
            psi = psi / batch.mask.sum(-1, keepdim=True).clamp(min=1)
        return torch.where(batch.mask, psi * scale[:, None, None], 0.0)

    def _values(self, run: np.ndarray, length: np.ndarray, obs: Tensor) -> Tensor:
        """V of the arm's packed observations `[S + 1, D]`, `[S + 1]`, zero elsewhere."""
        assert self.critic is not None
        values = torch.zeros(len(obs), device=obs.device)
        for rows, index in self._blocks(run, length, obs.shape[-1]):
            values[index] = self.critic.values(rows - self.rows.start, obs[index])
        values[-1] = 0.0
        return values

    def _blocks(self, run: np.ndarray, length: np.ndarray, numbers: int) -> Iterator[tuple[Tensor, Tensor]]:
        own = np.arange(self.rows.start, self.rows.stop)
        return step_blocks(run, length, self._device, only=own, numbers=numbers)

    @property
    def scales(self) -> bool:
        """Tells whether rewards are divided by the deviation of the return."""
        return getattr(self.arm.rewards, "uses_deviation", False)

    def _learned_from(self, episodes: Episodes) -> Tensor:
        """The reward that each step learns from, `[S + 1]`; zero for padding."""
        if self.arm.rewards == RAW:
            return episodes.reward
        deviation = torch.ones(len(episodes.reward), device=self._device)
        if self.scales:
            run = torch.from_numpy(np.append(np.repeat(episodes.run, episodes.length), -1)).to(self._device)
            own = (run >= self.rows.start) & (run < self.rows.stop)
            deviation[own] = self.scale.deviation[run[own] - self.rows.start]
        return self.arm.rewards(episodes.reward, deviation)  # 0, of padding, stays 0

    def _bootstrapped(self, episodes: Episodes, reward: Tensor) -> Tensor:
        """Rewards with γ V(s_T) added to the last one of each episode that is continued by the critic."""
        ends = torch.cat((episodes.last_obs, torch.zeros_like(episodes.obs[:1])))
        value = self._values(episodes.run, np.ones_like(episodes.length), ends)[:-1]
        continued = np.zeros_like(episodes.truncated) if episodes.cut is None else episodes.cut
        if self.arm.estimator.truncation == "bootstrap":
            continued = continued | (episodes.truncated & ~episodes.terminated)
        cut = torch.from_numpy(continued).to(self._device)
        last = torch.from_numpy(episodes.last).to(self._device)
        reward = reward.clone()
        reward[last] += self.arm.gamma * value * cut
        return reward

    def _keep(self, remembered: list[tuple[Tensor, Mapping[str, Tensor]]]) -> None:
        for rows, memory in remembered:
            for name, kept in memory.items():
                if name not in self.memory:
                    shape = (len(self.arm.seeds), *kept.shape[1:])
                    self.memory[name] = torch.zeros(shape, dtype=kept.dtype, device=kept.device)
                self.memory[name][rows] = kept


def greedy_of(episodes: Episodes, rows: Tensor, index: Tensor) -> Tensor | None:
    """R(greedy) of the episodes of some runs, `[r, E]`, zero for padding; None where no such episode was played.

    Args:
        rows, index: as `pglab.bits.padded_batches` yields them.
    """
    if episodes.greedy is None:
        return None
    first = np.searchsorted(episodes.run, rows.cpu().numpy())
    count = np.bincount(episodes.run, minlength=int(rows.max()) + 1)[rows.cpu().numpy()]
    slot = np.arange(index.shape[1])
    exists = slot < count[:, None]
    found = np.where(exists, episodes.greedy[np.where(exists, first[:, None] + slot, 0)], 0.0)
    return torch.from_numpy(found).to(episodes.reward)
