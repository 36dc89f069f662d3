"""A bundle: runs whose tensors have the same shapes, trained as one batched program.

An arm is a slice of rows, a seed is one row. A single run is a bundle of one row.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.envs.spaces import as_space
from pglab.envs.world import World
from pglab.models.model import Policy
from pglab.models.networks import Normalized
from pglab.training.arm import Arm
from pglab.training.critic_lesson import CriticLesson, Targets, join
from pglab.training.diagnostics import GradientDiagnostics, Witness, measured
from pglab.training.episodes import Episodes, Steps
from pglab.training.gradient import Gradient, Weights, step_factors
from pglab.training.greedy import Greedy
from pglab.training.grouped import in_use, refilled, with_greedy
from pglab.training.measures import Measures, measure
from pglab.training.observations import Observed
from pglab.training.prompts import group_of
from pglab.training.randomness import Streams, generator
from pglab.training.reference import anchored
from pglab.training.rollout import Player, Target
from pglab.training.runs import Runs
from pglab.training.segments import PlaysSegments, Segments, lanes_in_torch
from pglab.training.trainee import Trainee, alike, column
from pglab.training.update import Differentiate, Lesson, by_torch, first_estimate

NOTHING: Mapping[str, np.ndarray] = MappingProxyType({})


@dataclass(frozen=True)
class Shapes:
    """Everything that all runs of a bundle have in common."""

    world: World
    head: Any
    network: Any
    player: Player
    device: torch.device
    differentiate: Differentiate = by_torch
    lanes: Callable[[Segments, World, Streams, Policy], PlaysSegments] = lanes_in_torch
    policies: type[Policy] = Policy

    def policy(self) -> Policy:
        """The policy of every run; a ValueError where head or network does not fit the world."""
        return self.policies.of(self.network, self.head, self.world.observation, self.world.actions)


@dataclass(frozen=True)
class Evaluation:
    """Undiscounted return and length of each evaluation episode of an arm, `[seeds, episodes]`."""

    returns: np.ndarray
    length: np.ndarray


def _ignored(rows: np.ndarray) -> None:
    """Takes no notice of a pass over the batch."""


class Bundle:
    """Runs in training; measuring their gradients changes none of their other numbers."""

    def __init__(self, shapes: Shapes, arms: list[Arm], diagnostics: GradientDiagnostics | None = None) -> None:
        self._shapes, self._policy, self._diagnostics = shapes, shapes.policy(), diagnostics
        self._greedy = Greedy(self._policy, as_space(shapes.world.actions))
        draw, device = self._policy.model.draw, shapes.device
        drawn = [draw(arm.init, [generator(seed, "weights") for seed in arm.seeds], device) for arm in arms]
        self._runs = Runs.begin([arm.seeds for arm in arms], [arm.updates for arm in arms], torch.cat(drawn))
        self._arms = [
            Trainee.of(arm, rows, self._runs.parameters, self._policy.model)
            for arm, rows in zip(arms, self._runs.arms, strict=True)
        ]
        join(trainee.weigher.critic for trainee in self._arms)
        self._reference = self._runs.parameters.clone() if any(arm.estimator.kl_reference for arm in arms) else None
        standardized = isinstance(shapes.network, Normalized)
        self._observed = Observed(len(self._runs.seed), self._policy.model, device) if standardized else None
        self._lanes, batch = None, arms[0].batch
        if isinstance(batch, Segments):
            self._lanes = shapes.lanes(batch, shapes.world, self._runs.coming, self._policy)

    @property
    def finished(self) -> bool:
        return not self._runs.active.any()

    def step(self) -> list[tuple[int, Measures]]:
        """One update of every run that still trains: of each arm that does, its number and measures."""
        runs, active, training = self._runs, self._runs.active, self._training
        for trainee in training:
            trainee.schedule(int(runs.update[trainee.rows][0]))
        played = self._play(training)
        kept = self._kept(training, played)
        due = active & self._diagnostics.due(runs.update) if self._diagnostics else np.zeros_like(active)
        witness = Witness.of(training, runs.parameters, kept) if due.any() else None
        weights, critics = self._weigh(training, kept)
        self._stop_cut_runs(training, played)
        noted, passed = self._unknown(training), witness.trail.note if witness else _ignored
        lessons = self._lessons(training, kept, weights, critics, noted, passed)
        shown = [self._learn(trainees, lesson) for trainees, lesson in lessons]
        columns = self._diagnosed(witness, played, kept, weights) if witness else {}
        self._observe(training, played)
        runs.count(played, active)
        measures = measure(runs, played, reduce(add, shown), noted)
        return [(number, self._row(number, rows, measures, columns, due)) for number, rows in runs.members(active)]

    def estimates(self) -> Tensor:
        """The estimate of ∇J that the coming update of every run would follow, `[K, P]`, from a batch of its own.

        Runs are in order of arm and seed. Critics and memories learn from the batch; policies stay.
        """
        kept = self._kept(self._arms, self._play(self._arms))
        total = torch.zeros_like(self._runs.parameters)
        for trainees, lesson in self._lessons(self._arms, kept, *self._weigh(self._arms, kept)):
            total += first_estimate(trainees[0].arm.rule, lesson).gradient
        return -torch.cat([trainee.stepper.clipped(total) for trainee in self._arms])

    def refer(self, parameters: Tensor) -> None:
        """Takes other policies as the references of all runs, `[P]` or `[K, P]`."""
        if self._reference is not None:
            self._reference.copy_(parameters.expand_as(self._reference))

    def evaluate(self, episodes: int, greedy: bool = False) -> list[Evaluation]:
        """Plays each run's present policy, or the greedy one, so many episodes, on streams of the evaluation's own."""
        shapes, runs, k = self._shapes, self._runs, len(self._runs.seed)
        target, unknown = Target(np.zeros(k, dtype=np.int64), np.full(k, episodes)), np.full(k, np.nan)
        keys = Streams.of(runs.seed.tolist(), "evaluation_", shapes.device)
        policy: Any = self._greedy if greedy else self._policy
        played = shapes.player(shapes.world, policy, runs.parameters, keys, target, unknown)
        returns, length = (x.reshape(-1, episodes) for x in (played.returns(), played.length))
        return [Evaluation(returns[rows], length[rows]) for rows in runs.arms]

    def state(self) -> list[dict[str, Tensor]]:
        """Of each arm everything that an update changes, by name (see `Trainee.state`)."""
        seen = self._observed
        return [
            trainee.state(self._runs, self._lanes) | ({"observed/seen": seen.state(trainee.rows)} if seen else {})
            for trainee in self._arms
        ]

    def restore(self, states: list[dict[str, Tensor]]) -> None:
        """Takes the place of the bundle whose `state` it was."""
        for trainee, state in zip(self._arms, states, strict=True):
            trainee.restore(self._runs, self._lanes, state)
            if self._observed:
                self._observed.restore(trainee.rows, state["observed/seen"])

    def parameters(self) -> list[dict[str, np.ndarray]]:
        """The named policy parameters of each arm, `[seeds, …]`."""
        layout = self._policy.model.layout
        named = [layout.unflatten(self._runs.parameters[rows]) for rows in self._runs.arms]
        return [{name: tensor.cpu().numpy().copy() for name, tensor in arm.items()} for arm in named]

    @property
    def _training(self) -> list[Trainee]:
        """The arms of which a run still trains."""
        return [trainee for trainee in self._arms if self._runs.active[trainee.rows].any()]

    def _play(self, training: Sequence[Trainee]) -> Episodes:
        """The coming batches of the runs that train."""
        shapes, runs, active = self._shapes, self._runs, self._runs.active
        if self._lanes is not None:
            return self._lanes.play(self._policy, runs.parameters, runs.coming, active)
        steps = active * self._column(training, lambda arm: arm.batch.steps or 0)
        episodes = active * self._column(training, lambda arm: arm.batch.episodes or 1)
        target = Target(steps, episodes, group_of(training[0].arm.batch))

        def play(sizes: Target, policy: Any = self._policy) -> Episodes:
            return shapes.player(shapes.world, policy, runs.parameters, runs.coming, sizes, runs.length)

        played = refilled(play, target, training)
        return with_greedy(played, partial(play, policy=self._greedy), target, training)

    def _kept(self, training: Sequence[Trainee], played: Episodes) -> Episodes:
        """The episodes that enter the estimate."""
        shortest = self._column(training, lambda arm: arm.estimator.min_episode_length)
        return played.select((played.length >= shortest[played.run]) & in_use(training, played))

    def _weigh(
        self, training: Sequence[Trainee], kept: Episodes, again: bool = False
    ) -> tuple[Weights, list[CriticLesson]]:
        """The weights of the steps, and what critics learn from that do so together with their policies.

        Args:
            again: as before, with the critics as they are by now; nothing learns.
        """
        k, device = len(self._runs.seed), self._shapes.device
        psi = torch.zeros_like(kept.reward)
        entropy, reduction, strength = (torch.zeros(k, device=device) for _ in range(3))
        each = step_factors(self._column(training, lambda arm: arm.estimator.by_length), kept)
        steps, count = (torch.from_numpy(x) for x in (kept.steps(k), kept.count(k)))
        critics, targets, anchor = [], Targets.like(psi), None
        if self._reference is not None:
            kept, anchor = anchored(self._policy, self._runs.parameters, self._reference, training, kept)
        for trainee in training:
            rows, arm, weigher = trainee.rows, trainee.arm, trainee.weigher
            lesson = weigher.reweigh(kept, psi, targets) if again else weigher.weigh(kept, psi, targets)
            critics += [lesson] if lesson else []
            reduction[rows] = arm.estimator.scale(steps[rows], count[rows])
            entropy[rows] = arm.estimator.entropy_bonus * reduction[rows]
            if anchor is not None:
                anchor.set(rows, arm.estimator, reduction[rows])
            strength[rows] = trainee.strength * arm.schedule.strength(int(self._runs.update[rows][0]))
        return Weights(psi, entropy, reduction, strength, each, anchor), critics

    def _stop_cut_runs(self, training: Sequence[Trainee], played: Episodes) -> None:
        """Marks the runs that diverge because only the time limit ended one of their episodes."""
        strict = self._column(training, lambda arm: arm.estimator.truncation == "diverge")
        cut = np.unique(played.run[played.truncated & ~played.terminated])
        self._runs.diverged[cut] |= strict[cut]

    def _unknown(self, training: Sequence[Trainee]) -> dict[str, np.ndarray]:
        """The columns that the arms' rules are going to measure, NaN as yet."""
        names = [name for trainee in training for name in trainee.arm.columns]
        return {name: np.full(len(self._runs.seed), np.nan) for name in names}

    def _lessons(
        self,
        training: Sequence[Trainee],
        kept: Episodes,
        weights: Weights,
        critics: Sequence[CriticLesson],
        noted: Mapping[str, np.ndarray] = NOTHING,
        passed: Callable[[np.ndarray], None] = _ignored,
    ) -> Iterator[tuple[list[Trainee], Lesson]]:
        """A lesson for the arms that learn in the same way."""
        runs, k = self._runs, len(self._runs.seed)
        for trainees in alike(training, lambda arm: (arm.rule, arm.objective, arm.step_rule)):
            anew = column(trainees, k, lambda arm: arm.estimator.normalize == "minibatch")
            lesson = Lesson(
                world=self._shapes.world,
                policy=self._policy,
                objective=trainees[0].arm.objective,
                step_rule=trainees[0].arm.step_rule,
                parameters=runs.parameters,
                arms=[trainee.stepper for trainee in trainees],
                critics=critics,
                runs=np.concatenate([trainee.table_rows for trainee in trainees]),
                shuffling=runs.shuffling,
                episodes=kept,
                steps=Steps(kept.run, kept.length, numbers=kept.obs.shape[-1] if critics else self._policy.model.width),
                weights=weights,
                standardized=torch.from_numpy(anew),
                weigh=partial(self._weigh, trainees, kept, again=True),
                diverged=runs.diverged,
                noted=noted,
                passed=passed,
                differentiate=self._shapes.differentiate,
            )
            yield trainees, lesson.begun()

    def _observe(self, training: Sequence[Trainee], played: Episodes) -> None:
        """Takes the batches into the statistics of observations, for the next update."""
        if self._observed is None:
            return
        self._observed.add(played)
        critics = [(trainee.rows, trainee.weigher.critic) for trainee in training if trainee.arm.has_critic]
        self._observed.show(self._runs.parameters, [one for one in critics if hasattr(one[1], "set_buffers")])

    def _learn(self, trainees: Sequence[Trainee], lesson: Lesson) -> Gradient:
        """Has the arms of a lesson learn from it."""
        shown = trainees[0].arm.rule(lesson)
        if any(trainee.adapts for trainee in trainees):
            kl = lesson.kl()
            for trainee in trainees:
                trainee.adapt(kl[trainee.rows])
        return shown

    def _diagnosed(self, witness: Witness, played: Episodes, kept: Episodes, weights: Weights) -> dict[str, np.ndarray]:
        assert self._diagnostics is not None
        return measured(
            self._policy, self._shapes.world, witness, self._runs.parameters, played, kept, weights,
            self._runs.keys.problems, self._diagnostics,
        )  # fmt: skip

    def _row(
        self, number: int, rows: np.ndarray, measures: Measures, columns: dict[str, np.ndarray], due: np.ndarray
    ) -> Measures:
        """The measures of some rows of an arm, with the columns of what was measured beside its update."""
        arm = self._arms[number].arm
        plain = measures.of(rows, arm.columns)
        if self._diagnostics is None:
            return plain
        own = {name: column[rows] for name, column in columns.items()}
        return self._diagnostics.shown(arm, plain, own, due[rows])

    def _column(self, trainees: Sequence[Trainee], of: Callable[[Arm], Any]) -> np.ndarray:
        return column(trainees, len(self._runs.seed), of)
