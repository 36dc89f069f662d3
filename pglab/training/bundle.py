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
from pglab.training.arm import Arm, Measures
from pglab.training.arm_state import ArmState
from pglab.training.diagnostics import COLUMNS, DiagnosedMeasures, GradientDiagnostics, Update, Witness
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


@dataclass(frozen=True)
class _Attempt:
    """The batches of R runs and what they estimate, before any step is taken.

    Attributes:
        spans: which of the R rows belong to each arm.
        parameters: `[R, P]`.
        episodes, kept: all that were played, and those in the estimate.
        psi: Ψ of the packed steps of `kept`, an arm each.
        entropy_weight: `[R]`.
        witnesses: for the diagnostics, an arm each; empty where none are due.
        estimate: gradient of the loss, and the loss.
    """

    spans: list[slice]
    parameters: Tensor
    episodes: Episodes
    kept: Episodes
    psi: list[Tensor]
    entropy_weight: Tensor
    witnesses: list[Witness]
    estimate: Gradient


class Bundle:
    """Runs in training; measuring their gradients changes none of their other numbers."""

    def __init__(self, shapes: Shapes, arms: list[Arm], diagnostics: GradientDiagnostics | None = None) -> None:
        self._shapes, self._policy = shapes, shapes.policy()
        self._diagnostics = diagnostics
        self._arms = [ArmState(arm, self._policy, shapes.world.observation, shapes.device) for arm in arms]

    @property
    def finished(self) -> bool:
        return all(len(arm.active) == 0 for arm in self._arms)

    def step(self) -> list[tuple[int, Measures]]:
        """One update of every run that still trains: of each arm that does, its number and measures."""
        training = [(number, arm, arm.active) for number, arm in enumerate(self._arms) if len(arm.active)]
        due = [self._diagnostics is not None and self._diagnostics.due(arm.updates) for _, arm, _ in training]
        attempt = self._attempt([(arm, rows) for _, arm, rows in training], with_witnesses=any(due))
        every, played = np.arange(len(attempt.parameters)), attempt.episodes
        has_episodes = np.isin(every, attempt.kept.run)
        cut = np.isin(every, played.run[played.truncated & ~played.terminated])
        measures: list[tuple[int, Measures]] = []
        for (number, arm, rows), span in zip(training, attempt.spans, strict=True):
            own = Gradient(*(part[span] for part in vars(attempt.estimate).values()))
            diverged = arm.update(rows, own, has_episodes[span], cut[span])
            measures.append((number, arm.measure(rows, attempt.episodes.of_runs(span.start, rows), own, diverged)))
        if self._diagnostics is None:
            return measures
        columns = self._diagnosed([(arm, rows) for _, arm, rows in training], attempt) if any(due) else {}
        unmeasured = np.full(len(attempt.parameters), np.nan)
        return [
            (number, DiagnosedMeasures(**vars(plain), **{
                name: (columns[name] if is_due else unmeasured)[span] for name in COLUMNS
            }))
            for (number, plain), span, is_due in zip(measures, attempt.spans, due, strict=True)
        ]  # fmt: skip

    def estimates(self) -> Tensor:
        """The estimate of ∇J that the coming update of every run would follow, `[R, P]`, from a batch of its own.

        Runs are in order of arm and seed. Critics and memories learn from the batch; policies stay.
        """
        arms = [(arm, arm.active) for arm in self._arms]
        attempt = self._attempt(arms, with_witnesses=False)
        slopes = [attempt.estimate.gradient[span] for span in attempt.spans]
        return -torch.cat([arm.clipped(slope) for (arm, _), slope in zip(arms, slopes, strict=True)])

    def _attempt(self, training: list[tuple[ArmState, np.ndarray]], with_witnesses: bool) -> "_Attempt":
        """Plays the coming batches of some rows of some arms, weighs them and estimates the gradients."""
        spans, begin = [], 0
        for _, rows in training:
            spans.append(slice(begin, begin := begin + len(rows)))
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
        psi, entropy_weight, witnesses = [], [], []
        for (arm, rows), span in zip(training, spans, strict=True):
            own = kept.of_runs(span.start, rows)
            if with_witnesses:
                witnesses.append(Witness.of(arm, own, rows))
            psi.append(arm.weigh(own)[:-1])
            entropy_weight.append(arm.entropy_weight(own)[torch.from_numpy(rows)])
        bonus = torch.cat(entropy_weight)
        estimate = policy_gradient(self._policy, parameters, kept, _padded(psi), bonus)
        return _Attempt(spans, parameters, episodes, kept, psi, bonus, witnesses, estimate)

    def _diagnosed(self, training: list[tuple[ArmState, np.ndarray]], attempt: "_Attempt") -> dict[str, np.ndarray]:
        """The diagnostics of the update that was just made, `[R]` each."""
        assert self._diagnostics is not None
        update = Update(
            arms=[arm.arm for arm, rows in training for _ in rows],
            before=attempt.parameters,
            after=torch.cat([arm.policy.parameters[torch.from_numpy(rows)] for arm, rows in training]),
            played=attempt.episodes,
            kept=attempt.kept,
            psi=_padded(attempt.psi),
            plain=_padded([w.plain_or(own) for w, own in zip(attempt.witnesses, attempt.psi, strict=True)]),
            entropy_weight=attempt.entropy_weight,
            explained_variance=np.concatenate([witness.explained_variance for witness in attempt.witnesses]),
            problems=torch.cat([arm.streams(rows).problems for arm, rows in training]),
        )
        return update.measured(self._policy, self._shapes.world, self._diagnostics.exact_states)

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


def _padded(psi: list[Tensor]) -> Tensor:
    """Ψ of all packed steps, and the zero of the padding."""
    return torch.cat((*psi, psi[0].new_zeros(1)))


def _join(parts: list[Any]) -> Any:
    """One dataclass of arrays or tensors `[R]` from several."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    joined = (np.concatenate(c) if isinstance(c[0], np.ndarray) else torch.cat(c) for c in columns)
    return type(parts[0])(*joined)
