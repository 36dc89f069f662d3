"""Measuring the gradient while training, without touching it.

Everything here is computed beside the update, from the episodes, weights and parameters that it
used: no random number is drawn and nothing that trains is written, so a run's other numbers
keep their bits. Every sum is over one run's own data in a fixed order, so these keep theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.baselines import NoBaseline
from pglab.algorithms.objectives import uses_sequence_ratio
from pglab.algorithms.returns import rewards_to_go
from pglab.envs.finite import FiniteMDP
from pglab.envs.spaces import Space, as_space
from pglab.envs.world import OneStep, World
from pglab.models.model import Policy
from pglab.training.arm import Arm
from pglab.training.departure import Trail, departures, is_distribution
from pglab.training.diagnosed import DiagnosedMeasures, diagnosed
from pglab.training.episodes import Episodes
from pglab.training.gradient import Weights
from pglab.training.groups import Groups, cosine
from pglab.training.measures import Measures
from pglab.training.randomness import reset_uniforms
from pglab.training.trainee import Trainee, alike, column


@dataclass(frozen=True)
class NoDiagnostics:
    """Nothing is measured, and there are no columns for it."""


@dataclass(frozen=True)
class GradientDiagnostics:
    """The columns of `DiagnosedMeasures` at every n-th update, the first included; NaN at the others.

    Args:
        every: n.
        epochs: those of `UpdateMeasures` too, with two for each epoch of an update.
        exact_states: largest finite MDP whose J and ∇J are computed; the time grows with the cube.
    """

    every: int = 10
    epochs: bool = False
    exact_states: int = 100

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every={self.every} must be at least 1 (for none, choose diagnostics=none)")
        if self.exact_states < 0:
            raise ValueError(f"exact_states={self.exact_states} must be at least 0 (0: no exact value)")

    def due(self, updates: np.ndarray) -> np.ndarray:
        """Tells whether the update after so many others is measured, `[K]`."""
        return updates % self.every == 0

    def shown(self, arm: Arm, plain: Measures, columns: Mapping[str, np.ndarray], due: np.ndarray) -> DiagnosedMeasures:
        """The measures of runs of an arm with what was measured beside them where it is due, `[R]`."""
        epochs = getattr(arm.rule, "epochs", 1) if self.epochs else None
        return diagnosed(plain, columns, due, epochs)


@dataclass(frozen=True)
class Witness:
    """Facts about an update that only the states on its way can tell.

    Attributes:
        training: the arms that made the update.
        before: flat policy parameters, `[K, P]`.
        plain: Ψ without the baseline of each packed step, its reduction included, `[S + 1]`; zero for
            arms whose weighting has no baseline.
        explained_variance: see `DiagnosedMeasures`, `[K]`.
        trail: the policies as each epoch left them.
    """

    training: Sequence[Trainee]
    before: Tensor
    plain: Tensor
    explained_variance: np.ndarray
    trail: Trail

    @classmethod
    def of(cls, training: Sequence[Trainee], parameters: Tensor, kept: Episodes) -> "Witness":
        """Looks at the batches before critics, memories and policies learn from them."""
        plain = torch.zeros_like(kept.reward)
        for trainee in training:
            weighting = without_baseline(trainee.arm.weighting)
            if weighting is None:
                continue
            arm = replace(trainee.arm, weighting=weighting)
            for _, index, batch in trainee.weigher.batches(kept):
                plain[index] = trainee.weigher.scaled(arm.psi(batch), batch)
        explained = explained_variance(training, len(parameters), kept)
        return cls(training, parameters.clone(), plain, explained, Trail.begin(parameters))


def explained_variance(training: Sequence[Trainee], runs: int, kept: Episodes) -> np.ndarray:
    """1 - Var(G - V) / Var(G) over each run's steps, with the critic as it is now, `[K]`; NaN without one."""
    value, returns = (torch.zeros_like(kept.reward) for _ in range(2))
    for trainee in training:
        if not trainee.arm.has_critic:
            continue
        for _, index, batch in trainee.weigher.batches(kept):
            assert batch.value is not None
            value[index] = batch.value
            returns[index] = rewards_to_go(batch.reward, trainee.arm.gamma)
    run = np.repeat(kept.run, kept.length)
    left, whole = _variance(run, _numpy((returns - value)[:-1]), runs), _variance(run, _numpy(returns[:-1]), runs)
    known = column(training, runs, lambda arm: arm.has_critic) & (whole > 0)
    return np.where(known, 1.0 - left / np.where(known, whole, 1.0), np.nan)


def without_baseline(weighting: Any) -> Any:
    """The same weighting with `NoBaseline`; None where it has no other baseline."""
    if not is_dataclass(weighting) or isinstance(weighting, type):
        return None
    replaceable = any(field.name == "baseline" and field.init for field in fields(weighting))
    if not replaceable or isinstance(getattr(weighting, "baseline", None), NoBaseline | None):
        return None
    return replace(weighting, baseline=NoBaseline())


def measured(
    policy: Policy,
    world: World,
    witness: Witness,
    after: Tensor,
    played: Episodes,
    kept: Episodes,
    weights: Weights,
    problems: Tensor,
    diagnostics: GradientDiagnostics,
) -> dict[str, np.ndarray]:
    """The columns of `UpdateMeasures` for an update that was made, `[K]` each; NaN for runs that made none.

    Args:
        witness: of the same update.
        after: flat policy parameters, `[K, P]`.
        played, kept: all episodes of the batches, and those in the estimate.
        weights: of the steps of `kept`.
        problems: key of each run's problem, `[K]`.
        diagnostics: what is wanted.
    """
    training, before, k = witness.training, witness.before, len(after)
    groups = Groups.of(kept, k)
    by_steps = column(training, k, _by_steps)
    has_baseline = column(training, k, lambda arm: without_baseline(arm.weighting) is not None)
    rows = np.unique(played.run)
    removed, objective, exact_cosine = (np.full(k, np.nan) for _ in range(3))
    with np.errstate(all="ignore"):  # a run that diverges has infinities and NaN to measure
        psis = [weights.psi, witness.plain] if has_baseline.any() else [weights.psi]
        parts, *plain = groups.gradients(policy, before, psis, weights, _objectives(training))
        estimate = groups.sums(parts)
        variance = groups.variance(parts, by_steps)
        signal = np.maximum((estimate**2).sum(1) - variance, 0.0)
        if plain:
            noisier = groups.variance(plain[0], by_steps)
            removed = np.where(has_baseline & (noisier > 0), 1.0 - variance / noisier, np.nan)
        mdp = world if isinstance(world, FiniteMDP) and len(world.transition) <= diagnostics.exact_states else None
        if mdp is not None and is_distribution(policy.head, as_space(mdp.actions)):
            gamma = column(training, k, lambda arm: float(arm.gamma))
            objective[rows], slope = _exact(mdp, policy, before[torch.from_numpy(rows)], gamma[rows])
            exact_cosine[rows] = cosine(estimate[rows], slope)
        return _of_the_update(policy, as_space(world.actions), witness, after, played, kept, weights, diagnostics) | {
            "grad_variance": variance,
            "grad_snr": np.where(variance > 0, np.sqrt(signal / variance), np.nan),
            "half_cosine": np.where(variance >= 0, cosine(*groups.halves(parts)), np.nan),
            "variance_removed": removed,
            "explained_variance": witness.explained_variance,
            "objective": objective,
            "exact_cosine": exact_cosine,
            "optimal_action": optimal_share(world, problems, played),
        }


def _of_the_update(
    policy: Policy,
    space: Space,
    witness: Witness,
    after: Tensor,
    played: Episodes,
    kept: Episodes,
    weights: Weights,
    diagnostics: GradientDiagnostics,
) -> dict[str, np.ndarray]:
    """The columns about where the update led."""
    training, before, trail, k = witness.training, witness.before, witness.trail, len(after)
    if not diagnostics.epochs:
        (end,) = departures(policy, space, before, [after], played)
        return {"kl": end.kl}
    clips = column(training, k, lambda arm: _clips_each_ratio(arm.objective))
    clip = np.where(clips, _numpy(weights.strength), np.nan)
    *epochs, end = departures(policy, space, before, [*trail.after, after], played, clip)
    columns = vars(end) | {
        "update_length": _numpy((after - before).norm(dim=-1)),
        "explained_variance_after": explained_variance(training, k, kept),
    }
    for number, epoch in enumerate(epochs):
        for name in ("kl", "approx_kl"):
            columns[f"{name}_epoch_{number + 1}"] = np.where(trail.made > number, getattr(epoch, name), np.nan)
    return columns


def _clips_each_ratio(objective: Any) -> bool:
    """Tells whether it clips the ratio of each step, by as much below 1 as above."""
    by_step = getattr(objective, "strength", None) == "clip" and not uses_sequence_ratio(objective)
    return by_step and getattr(objective, "is_symmetric", True)


def optimal_share(world: Any, problems: Tensor, episodes: Episodes) -> np.ndarray:
    """Share of each run's actions that are the best in its problem, `[R]`; NaN where the world does not say.

    Args:
        problems: key of each run's problem, `[R]`.
    """
    if not isinstance(world, OneStep):
        return np.full(len(problems), np.nan)
    # Where episodes differ in more than the run's problem there is no best action of a run.
    best = world.best_action(world.reset(reset_uniforms(world, problems, problems))).cpu().numpy()
    hit = episodes.action[:-1].cpu().numpy() == best[np.repeat(episodes.run, episodes.length)]
    count = np.bincount(episodes.run, weights=episodes.length, minlength=len(problems))
    return np.bincount(np.repeat(episodes.run, episodes.length), weights=hit, minlength=len(problems)) / count


def _by_steps(arm: Arm) -> bool:
    """Tells whether a random number of steps, not of episodes, is what the estimate is a ratio over."""
    reduction = arm.estimator.reduction
    return reduction == "steps" or (reduction == "sum" and arm.batch.steps is not None)


def _objectives(training: Sequence[Trainee]) -> list[tuple[Any, np.ndarray]]:
    """Each objective with the rows of the arms that have it."""
    return [
        (trainees[0].arm.objective, np.concatenate([trainee.table_rows for trainee in trainees]))
        for trainees in alike(training, lambda arm: arm.objective)
    ]


def _exact(mdp: FiniteMDP, policy: Policy, parameters: Tensor, gamma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from pglab.exact.stacked import objectives_and_gradients  # nothing else in training needs it

    discount = torch.from_numpy(gamma).to(parameters.device)
    value, gradient = objectives_and_gradients(mdp, policy, parameters, discount)
    return value.cpu().numpy(), gradient.cpu().numpy()


def _variance(run: np.ndarray, x: np.ndarray, runs: int) -> np.ndarray:
    """Variance of x over the steps of each run, `[R]`, in order of the steps."""
    count = np.maximum(np.bincount(run, minlength=runs), 1)
    mean = np.bincount(run, weights=x, minlength=runs) / count
    return np.bincount(run, weights=(x - mean[run]) ** 2, minlength=runs) / count


def _numpy(x: Tensor) -> np.ndarray:
    return x.double().cpu().numpy()
