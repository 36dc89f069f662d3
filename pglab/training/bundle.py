"""A bundle: runs whose tensors have the same shapes, trained as one batched program.

An arm is a slice of rows, a seed is one row. A single run is a bundle of one row.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.envs.world import World
from pglab.models.model import Model, Policy
from pglab.training.arm import Arm, ArmState, Measures
from pglab.training.episodes import Episodes
from pglab.training.gradient import Gradient, policy_gradient
from pglab.training.rollout import Target, collect


@dataclass(frozen=True)
class Shapes:
    """What all runs of a bundle have in common."""

    world: World
    head: Any
    network: Any
    lanes: int
    device: torch.device

    def policy(self) -> Policy:
        outputs = self.head.width(self.world.actions)
        return Policy(Model(self.network, self.world.observation, outputs), self.head)


@dataclass(frozen=True)
class Evaluation:
    """Undiscounted return and length of each evaluation episode of an arm, `[seeds, episodes]`."""

    returns: np.ndarray
    length: np.ndarray


class Bundle:
    """Runs in training."""

    def __init__(self, shapes: Shapes, arms: list[Arm]) -> None:
        self._shapes, self._policy = shapes, shapes.policy()
        self._arms = [ArmState(arm, self._policy, shapes.world.observation, shapes.device) for arm in arms]

    @property
    def finished(self) -> bool:
        return all(len(arm.active) == 0 for arm in self._arms)

    def step(self) -> list[tuple[int, Measures]]:
        """One update of every run that still trains: of each arm that does, its number and measures."""
        training = [(number, arm, arm.active) for number, arm in enumerate(self._arms) if len(arm.active)]
        episodes, kept, estimate = self._estimate([(arm, rows) for _, arm, rows in training])
        has_episodes = np.isin(np.arange(len(estimate.loss)), kept.run)
        measures, begin = [], 0
        for number, arm, rows in training:
            span = slice(begin, begin := begin + len(rows))
            own = Gradient(*(part[span] for part in vars(estimate).values()))
            diverged = arm.update(rows, own, has_episodes[span])
            measures.append((number, arm.measure(rows, episodes.of_runs(span.start, rows), own, diverged)))
        return measures

    def estimates(self) -> Tensor:
        """The estimate of ∇J that the coming update of every run would follow, `[R, P]`, from a batch of its own.

        Runs are in order of arm and seed. Critics and memories learn from the batch; policies stay.
        """
        training = [(arm, arm.active) for arm in self._arms]
        _, _, estimate = self._estimate(training)
        spans = estimate.gradient.split([len(rows) for _, rows in training])
        return -torch.cat([arm.clipped(own) for (arm, _), own in zip(training, spans, strict=True)])

    def _estimate(self, training: list[tuple[ArmState, np.ndarray]]) -> tuple[Episodes, Episodes, Gradient]:
        """The coming batches of some rows of some arms, which of their episodes count, and what they estimate."""
        parameters = torch.cat([arm.policy.parameters[torch.from_numpy(rows)] for arm, rows in training])
        episodes = collect(
            self._shapes.world,
            self._policy,
            parameters,
            _join([arm.streams(rows) for arm, rows in training]),
            _join([arm.target(rows) for arm, rows in training]),
            np.concatenate([arm.expected_length(rows) for arm, rows in training]),
            self._shapes.lanes,
        )
        shortest = [np.full(len(rows), arm.arm.estimator.min_episode_length) for arm, rows in training]
        kept = episodes.select(episodes.length >= np.concatenate(shortest)[episodes.run])
        psi, entropy_weight, begin = [], [], 0
        for arm, rows in training:
            own = kept.of_runs(begin, rows)
            psi.append(arm.weigh(own)[:-1])
            entropy_weight.append(arm.entropy_weight(own)[torch.from_numpy(rows)])
            begin += len(rows)
        psi.append(torch.zeros(1, device=parameters.device))
        estimate = policy_gradient(self._policy, parameters, kept, torch.cat(psi), torch.cat(entropy_weight))
        return episodes, kept, estimate

    def evaluate(self, episodes: int) -> list[Evaluation]:
        """Plays each run's present policy for as many episodes, on streams of the evaluation's own."""
        parameters = torch.cat([arm.policy.parameters for arm in self._arms])
        target = Target(np.zeros(len(parameters), dtype=np.int64), np.full(len(parameters), episodes))
        played = collect(
            self._shapes.world,
            self._policy,
            parameters,
            _join([arm.evaluation_streams() for arm in self._arms]),
            target,
            np.full(len(parameters), np.nan),
            self._shapes.lanes,
        )
        returns = played.returns().reshape(-1, episodes)
        length = played.length.reshape(-1, episodes)
        ends = np.cumsum([len(arm.arm.seeds) for arm in self._arms])[:-1]
        return [Evaluation(*arm) for arm in zip(np.split(returns, ends), np.split(length, ends), strict=True)]

    def state(self) -> list[dict[str, Tensor]]:
        """Of each arm everything that an update changes, by name (see `ArmState.state`)."""
        return [arm.state() for arm in self._arms]

    def restore(self, states: list[dict[str, Tensor]]) -> None:
        """Takes the place of what `state` was called on."""
        for arm, state in zip(self._arms, states, strict=True):
            arm.restore(state)

    def parameters(self) -> list[dict[str, np.ndarray]]:
        """The named policy parameters of each arm, `[seeds, …]`."""
        layout = self._policy.model.layout
        named = [layout.unflatten(arm.policy.parameters) for arm in self._arms]
        return [{name: tensor.cpu().numpy().copy() for name, tensor in arm.items()} for arm in named]


def _join(parts: list[Any]) -> Any:
    """One dataclass of arrays or tensors `[R]` from several."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    joined = (np.concatenate(c) if isinstance(c[0], np.ndarray) else torch.cat(c) for c in columns)
    return type(parts[0])(*joined)
