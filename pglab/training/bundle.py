"""A bundle: runs whose tensors have the same shapes, trained as one batched program.

An arm is a slice of rows, a seed is one row. A single run is a bundle of one row.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pglab.envs.world import World
from pglab.models.model import Model, Policy
from pglab.training.arm import Arm, ArmState, Measures
from pglab.training.diagnostics import COLUMNS, DiagnosedMeasures, GradientDiagnostics, Update, Witness
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
    """Runs in training; measuring their gradients changes none of their other numbers."""

    def __init__(self, shapes: Shapes, arms: list[Arm], diagnostics: GradientDiagnostics | None = None) -> None:
        self._shapes, self._policy = shapes, shapes.policy()
        self._diagnostics, self._updates = diagnostics, 0
        self._arms = [ArmState(arm, self._policy, shapes.world.observation, shapes.device) for arm in arms]

    @property
    def finished(self) -> bool:
        return all(len(arm.active) == 0 for arm in self._arms)

    def step(self) -> list[tuple[int, Measures]]:
        """One update of every run that still trains: of each arm that does, its number and measures."""
        training = [(number, arm, arm.active) for number, arm in enumerate(self._arms) if len(arm.active)]
        spans, begin = [], 0
        for _, _, rows in training:
            spans.append(slice(begin, begin + len(rows)))
            begin += len(rows)
        parameters = torch.cat([arm.policy.parameters[torch.from_numpy(rows)] for _, arm, rows in training])
        episodes = collect(
            self._shapes.world,
            self._policy,
            parameters,
            _join([arm.streams(rows) for _, arm, rows in training]),
            _join([arm.target(rows) for _, arm, rows in training]),
            np.concatenate([arm.expected_length(rows) for _, arm, rows in training]),
            self._shapes.lanes,
        )
        shortest = [np.full(len(rows), arm.arm.estimator.min_episode_length) for _, arm, rows in training]
        kept = episodes.select(episodes.length >= np.concatenate(shortest)[episodes.run])
        measuring = self._diagnostics is not None and self._diagnostics.due(self._updates)
        self._updates += 1
        psi, entropy_weight, witnesses = [], [], []
        for (_, arm, rows), span in zip(training, spans, strict=True):
            own = kept.of_runs(span.start, rows)
            if measuring:
                witnesses.append(Witness.of(arm, own, rows))
            psi.append(arm.weigh(own)[:-1])
            entropy_weight.append(arm.entropy_weight(own)[torch.from_numpy(rows)])
        zero = torch.zeros(1, device=parameters.device)
        weights, bonus = torch.cat((*psi, zero)), torch.cat(entropy_weight)
        estimate = policy_gradient(self._policy, parameters, kept, weights, bonus)

        has_episodes = np.isin(np.arange(begin), kept.run)
        measures: list[tuple[int, Measures]] = []
        for (number, arm, rows), span in zip(training, spans, strict=True):
            own = Gradient(*(part[span] for part in vars(estimate).values()))
            diverged = arm.update(rows, own, has_episodes[span])
            measures.append((number, arm.measure(rows, episodes.of_runs(span.start, rows), own, diverged)))
        if self._diagnostics is None:
            return measures
        columns = dict.fromkeys(COLUMNS, np.full(begin, np.nan))
        if measuring:
            update = Update(
                arms=[arm.arm for _, arm, rows in training for _ in rows],
                before=parameters,
                after=torch.cat([arm.policy.parameters[torch.from_numpy(rows)] for _, arm, rows in training]),
                played=episodes,
                kept=kept,
                psi=weights,
                plain=torch.cat([*(w.plain_or(own) for w, own in zip(witnesses, psi, strict=True)), zero]),
                entropy_weight=bonus,
                explained_variance=np.concatenate([witness.explained_variance for witness in witnesses]),
            )
            columns = update.measured(self._policy, self._shapes.world, self._diagnostics.exact_states)
        return [
            (number, DiagnosedMeasures(**vars(plain), **{name: column[span] for name, column in columns.items()}))
            for (number, plain), span in zip(measures, spans, strict=True)
        ]

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
