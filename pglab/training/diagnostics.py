"""Measuring the gradient while training, without touching it.

Everything here is computed beside the update, from the episodes, weights and parameters that it
used: no random number is drawn and nothing that trains is written, so a run's other numbers
keep their bits. Every sum is over one run's own data in a fixed order, so these keep theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.baselines import NoBaseline
from pglab.algorithms.returns import rewards_to_go
from pglab.bits import step_blocks
from pglab.envs.finite import FiniteMDP
from pglab.envs.spaces import Discrete, as_space
from pglab.envs.world import OneStep, World
from pglab.models.model import Policy
from pglab.training.arm import Arm
from pglab.training.episodes import Episodes
from pglab.training.gradient import Weights
from pglab.training.groups import Groups, cosine
from pglab.training.measures import Measures
from pglab.training.randomness import reset_uniforms
from pglab.training.trainee import Trainee, alike, column


@dataclass(frozen=True)
class DiagnosedMeasures(Measures):
    """`Measures`, and what was measured about the gradient: `[R]` each, NaN where it does not apply.

    ĝ is the estimate of ∇J before clipping, its reduction and entropy bonus included; what needs
    two episodes is NaN for a batch with fewer. Episodes below the minimum length count in `kl` only.

    Attributes:
        grad_variance: estimate of tr Var(ĝ) over batches like this one (see `Groups.variance`).
        grad_snr: ‖E ĝ‖ / √tr Var(ĝ), estimated as √(max(‖ĝ‖² - V, 0) / V) with V = `grad_variance`;
            0 where the noise hides the signal, NaN where V is 0.
        half_cosine: cosine between the gradients of the first and the second half of the episodes.
        variance_removed: 1 - V / V₀, the share of the variance that the baseline removes: V₀ is
            that of the same weighting with `NoBaseline` on the same episodes. NaN without a baseline.
        explained_variance: of the critic, before it is fitted to this batch:
            1 - Var(G - V) / Var(G) over the batch's steps. NaN without a critic.
        kl: KL(π_old ‖ π_new) of the step in nats, the mean over the steps of the batch.
        objective: the exact J = E[Σ γ^t r_t] of the policy that played the batch. This and the next
            are NaN but on a finite MDP; truncation counts as the end.
        exact_cosine: cosine between ĝ and the exact ∇J.
        optimal_action: share of the batch's actions that have the highest mean reward. NaN but in a
            bandit (a world with `best_action`).

    The last four need actions that can be counted: they are NaN where an action is a Box.
    """

    grad_variance: np.ndarray
    grad_snr: np.ndarray
    half_cosine: np.ndarray
    variance_removed: np.ndarray
    explained_variance: np.ndarray
    kl: np.ndarray
    objective: np.ndarray
    exact_cosine: np.ndarray
    optimal_action: np.ndarray


COLUMNS = tuple(field.name for field in fields(DiagnosedMeasures) if field.name not in Measures.__dataclass_fields__)


@dataclass(frozen=True)
class NoDiagnostics:
    """Nothing is measured, and there are no columns for it."""


@dataclass(frozen=True)
class GradientDiagnostics:
    """The columns of `DiagnosedMeasures` at every n-th update, the first included; NaN at the others.

    Args:
        every: n.
        exact_states: largest finite MDP whose J and ∇J are computed; the time grows with the cube.
    """

    every: int = 10
    exact_states: int = 100

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every={self.every} must be at least 1 (for none, choose diagnostics=none)")
        if self.exact_states < 0:
            raise ValueError(f"exact_states={self.exact_states} must be at least 0 (0: no exact value)")

    def due(self, updates: np.ndarray) -> np.ndarray:
        """Tells whether the update after so many others is measured, `[K]`."""
        return updates % self.every == 0


def diagnosed(plain: Measures, columns: dict[str, np.ndarray], due: np.ndarray) -> DiagnosedMeasures:
    """The measures of an update with the columns of the runs where they are due, `[K]`, and NaN elsewhere."""
    unknown = np.full(len(due), np.nan)
    own = {name: np.where(due, columns.get(name, unknown), np.nan) for name in COLUMNS}
    return DiagnosedMeasures(**vars(plain), **own)


@dataclass(frozen=True)
class Witness:
    """Facts about an update that only the state before it can tell.

    Attributes:
        training: the arms that made the update.
        before: flat policy parameters, `[K, P]`.
        plain: Ψ without the baseline of each packed step, its reduction included, `[S + 1]`; zero for
            arms whose weighting has no baseline.
        explained_variance: see `DiagnosedMeasures`, `[K]`.
    """

    training: Sequence[Trainee]
    before: Tensor
    plain: Tensor
    explained_variance: np.ndarray

    @classmethod
    def of(cls, training: Sequence[Trainee], parameters: Tensor, kept: Episodes) -> "Witness":
        """Looks at the batches before critics, memories and policies learn from them."""
        k = len(parameters)
        plain, value, returns = (torch.zeros_like(kept.reward) for _ in range(3))
        for trainee in training:
            weighting = without_baseline(trainee.arm.weighting)
            if weighting is None:
                continue
            arm = replace(trainee.arm, weighting=weighting)
            for _, index, batch in trainee.weigher.batches(kept):
                plain[index] = trainee.weigher.scaled(arm.psi(batch), batch)
                if batch.value is not None:
                    value[index] = batch.value
                    returns[index] = rewards_to_go(batch.reward, arm.gamma)
        run = np.repeat(kept.run, kept.length)
        left, whole = _variance(run, _numpy((returns - value)[:-1]), k), _variance(run, _numpy(returns[:-1]), k)
        known = column(training, k, lambda arm: arm.has_critic) & (whole > 0)
        explained = np.where(known, 1.0 - left / np.where(known, whole, 1.0), np.nan)
        return cls(training, parameters.clone(), plain, explained)


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
    exact_states: int,
) -> dict[str, np.ndarray]:
    """The columns of `DiagnosedMeasures` for an update that was made, `[K]` each; NaN for runs that made none.

    Args:
        witness: of the same update.
        after: flat policy parameters, `[K, P]`.
        played, kept: all episodes of the batches, and those in the estimate.
        weights: of the steps of `kept`.
        problems: key of each run's problem, `[K]`.
        exact_states: largest finite MDP whose J and ∇J are computed.
    """
    training, before, k = witness.training, witness.before, len(after)
    groups = Groups.of(kept, k)
    by_steps = column(training, k, _by_steps)
    has_baseline = column(training, k, lambda arm: without_baseline(arm.weighting) is not None)
    rows = np.unique(played.run)
    removed, kl, objective, exact_cosine = (np.full(k, np.nan) for _ in range(4))
    with np.errstate(all="ignore"):  # a run that diverges has infinities and NaN to measure
        psis = [weights.psi, witness.plain] if has_baseline.any() else [weights.psi]
        parts, *plain = groups.gradients(policy, before, psis, weights.entropy, _objectives(training))
        estimate = groups.sums(parts)
        variance = groups.variance(parts, by_steps)
        signal = np.maximum((estimate**2).sum(1) - variance, 0.0)
        if plain:
            noisier = groups.variance(plain[0], by_steps)
            removed = np.where(has_baseline & (noisier > 0), 1.0 - variance / noisier, np.nan)
        space = as_space(world.actions)
        if isinstance(space, Discrete) and is_distribution(policy.head, space):
            kl = step_kl(policy, space.size, before, after, played)
            if isinstance(world, FiniteMDP) and len(world.transition) <= exact_states:
                gamma = column(training, k, lambda arm: float(arm.gamma))
                objective[rows], slope = _exact(world, policy, before[torch.from_numpy(rows)], gamma[rows])
                exact_cosine[rows] = cosine(estimate[rows], slope)
        return {
            "grad_variance": variance,
            "grad_snr": np.where(variance > 0, np.sqrt(signal / variance), np.nan),
            "half_cosine": np.where(variance >= 0, cosine(*groups.halves(parts)), np.nan),
            "variance_removed": removed,
            "explained_variance": witness.explained_variance,
            "kl": kl,
            "objective": objective,
            "exact_cosine": exact_cosine,
            "optimal_action": optimal_share(world, problems, played),
        }


def step_kl(policy: Policy, actions: int, before: Tensor, after: Tensor, episodes: Episodes) -> np.ndarray:
    """Mean over each run's steps of Σ_a π_old(a|s) log(π_old(a|s) / π_new(a|s)), `[R]`."""
    divergence = torch.zeros_like(episodes.reward)
    with torch.no_grad():
        for rows, index in step_blocks(episodes.run, episodes.length, before.device):
            obs = episodes.obs[index]
            old, new = (
                _log_probs(policy, policy.model(policy.model.layout.unflatten(flat[rows]), obs), actions)
                for flat in (before, after)
            )
            divergence[index] = (old.exp() * (old - new)).sum(0)
    run = np.repeat(episodes.run, episodes.length)
    total = np.bincount(run, weights=_numpy(divergence[:-1]), minlength=len(before))
    return total / np.bincount(run, minlength=len(before))


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


def is_distribution(head: Any, space: Discrete) -> bool:
    """Tells whether exp(log_prob) of a head sums to 1; one that is wrong on purpose has no KL and no exact J."""
    logits = torch.linspace(-2.0, 2.0, 32 * head.width(space)).reshape(32, -1)
    chosen = torch.arange(space.size)[:, None].expand(-1, 32)
    total = torch.stack([head.log_prob(logits, action) for action in chosen]).exp().sum(0)
    return bool(torch.allclose(total, torch.ones(32), atol=1e-4))


def _log_probs(policy: Policy, logits: Tensor, actions: int) -> Tensor:
    """log π of every action, `[A, b, n]`."""
    shape, device = logits.shape[:-1], logits.device
    return torch.stack([policy.head.log_prob(logits, torch.full(shape, a, device=device)) for a in range(actions)])


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
