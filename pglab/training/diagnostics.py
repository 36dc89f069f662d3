"""Measuring the gradient while training, without touching it.

Everything here is computed beside the update, from the episodes, weights and parameters that it
used: no random number is drawn and nothing that trains is written, so a run's other numbers
keep their bits. Every sum is over one run's own data in a fixed order, so these keep theirs.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pglab.algorithms.baselines import NoBaseline
from pglab.algorithms.returns import rewards_to_go
from pglab.envs.finite import FiniteMDP
from pglab.envs.world import OneStep
from pglab.models.model import Policy
from pglab.training.arm import Arm, Measures
from pglab.training.arm_state import ArmState
from pglab.training.blocks import step_blocks
from pglab.training.episodes import Episodes
from pglab.training.groups import Groups, cosine
from pglab.training.rollout import reset_uniforms


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

    def due(self, updates: int) -> bool:
        """Whether the update after so many others is measured."""
        return updates % self.every == 0


@dataclass(frozen=True)
class Witness:
    """What only an arm's state before the update can tell about k of its runs.

    Attributes:
        plain: Ψ without the baseline of each packed step, its reduction included, `[S]`; None where
            the weighting has no baseline.
        explained_variance: see `DiagnosedMeasures`, `[k]`.
    """

    plain: Tensor | None
    explained_variance: np.ndarray

    @classmethod
    def of(cls, state: ArmState, episodes: Episodes, rows: np.ndarray) -> "Witness":
        """Call it before `state.weigh`, which lets critic and memory learn."""
        weighting = without_baseline(state.arm.weighting)
        plain, value, returns = (torch.zeros_like(episodes.reward) for _ in range(3))
        has_critic = False
        if weighting is not None:
            for _, index, batch in state.batches(episodes):
                plain[index] = state.scaled(weighting(batch), batch)
                if batch.value is not None:
                    has_critic = True
                    value[index] = batch.value
                    returns[index] = rewards_to_go(batch.reward, state.arm.gamma)
        explained = np.full(len(rows), np.nan)
        if has_critic:
            run, k = np.repeat(episodes.run, episodes.length), len(state.arm.seeds)
            left = _variance(run, _numpy((returns - value)[:-1]), k)[rows]
            whole = _variance(run, _numpy(returns[:-1]), k)[rows]
            explained = np.where(whole > 0, 1.0 - left / np.where(whole > 0, whole, 1.0), np.nan)
        return cls(None if weighting is None else plain[:-1], explained)

    def plain_or(self, psi: Tensor) -> Tensor:
        """Ψ without the baseline; the given Ψ `[S]` where there is none to leave out."""
        return psi if self.plain is None else self.plain


def without_baseline(weighting: Any) -> Any:
    """The same weighting with `NoBaseline`; None where it has no other baseline."""
    if not is_dataclass(weighting) or isinstance(weighting, type):
        return None
    replaceable = any(field.name == "baseline" and field.init for field in fields(weighting))
    if not replaceable or isinstance(getattr(weighting, "baseline", None), NoBaseline | None):
        return None
    return replace(weighting, baseline=NoBaseline())


@dataclass(frozen=True)
class Update:
    """One update of R runs, to be measured after it was made.

    Attributes:
        arms: of each run, `[R]`.
        before, after: flat policy parameters, `[R, P]`.
        played, kept: all episodes of the batches, and those in the estimate.
        psi, plain: of the packed steps of `kept`, `[S + 1]`: Ψ as used and without a baseline.
        entropy_weight: β of each run, its reduction included, `[R]`.
        explained_variance: see `DiagnosedMeasures`, `[R]`.
        problems: key of each run's problem, `[R]`.
    """

    arms: list[Arm]
    before: Tensor
    after: Tensor
    played: Episodes
    kept: Episodes
    psi: Tensor
    plain: Tensor
    entropy_weight: Tensor
    explained_variance: np.ndarray
    problems: Tensor

    def measured(self, policy: Policy, world: Any, exact_states: int) -> dict[str, np.ndarray]:
        """The columns of `DiagnosedMeasures`, `[R]` each."""
        runs = len(self.arms)
        groups = Groups.of(self.kept, runs)
        by_steps = np.array([_by_steps(arm) for arm in self.arms])
        has_baseline = np.array([without_baseline(arm.weighting) is not None for arm in self.arms])
        removed, kl, objective, exact_cosine = (np.full(runs, np.nan) for _ in range(4))
        with np.errstate(all="ignore"):  # a run that diverges has infinities and NaN to measure
            psis = [self.psi, self.plain] if has_baseline.any() else [self.psi]
            parts, *plain = groups.gradients(policy, self.before, psis, self.entropy_weight)
            estimate = groups.sums(parts)
            variance = groups.variance(parts, by_steps)
            signal = np.maximum((estimate**2).sum(1) - variance, 0.0)
            if plain:
                noisier = groups.variance(plain[0], by_steps)
                removed = np.where(has_baseline & (noisier > 0), 1.0 - variance / noisier, np.nan)
            if is_distribution(policy.head, world.actions):
                kl = step_kl(policy, world.actions, self.before, self.after, self.played)
                if isinstance(world, FiniteMDP) and len(world.transition) <= exact_states:
                    objective, slope = _exact(world, policy, self.before, self.arms)
                    exact_cosine = cosine(estimate, slope)
            return {
                "grad_variance": variance,
                "grad_snr": np.where(variance > 0, np.sqrt(signal / variance), np.nan),
                "half_cosine": np.where(variance >= 0, cosine(*groups.halves(parts)), np.nan),
                "variance_removed": removed,
                "explained_variance": self.explained_variance,
                "kl": kl,
                "objective": objective,
                "exact_cosine": exact_cosine,
                "optimal_action": optimal_share(world, self.problems, self.played),
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


def is_distribution(head: Any, actions: int) -> bool:
    """Whether exp(log_prob) of a head sums to 1; one that is wrong on purpose has no KL and no exact J."""
    logits = torch.linspace(-2.0, 2.0, 32 * head.width(actions)).reshape(32, -1)
    chosen = torch.arange(actions)[:, None].expand(-1, 32)
    total = torch.stack([head.log_prob(logits, action) for action in chosen]).exp().sum(0)
    return bool(torch.allclose(total, torch.ones(32), atol=1e-4))


def _log_probs(policy: Policy, logits: Tensor, actions: int) -> Tensor:
    """log π of every action, `[A, b, n]`."""
    shape, device = logits.shape[:-1], logits.device
    return torch.stack([policy.head.log_prob(logits, torch.full(shape, a, device=device)) for a in range(actions)])


def _by_steps(arm: Arm) -> bool:
    """Whether a random number of steps, not of episodes, is what the estimate is a ratio over."""
    reduction = arm.estimator.reduction
    return reduction == "steps" or (reduction == "sum" and arm.batch.steps is not None)


def _exact(mdp: FiniteMDP, policy: Policy, parameters: Tensor, arms: list[Arm]) -> tuple[np.ndarray, np.ndarray]:
    from pglab.exact.stacked import objectives_and_gradients  # nothing else in training needs it

    gamma = torch.tensor([arm.gamma for arm in arms], dtype=torch.float64, device=parameters.device)
    value, gradient = objectives_and_gradients(mdp, policy, parameters, gamma)
    return value.cpu().numpy(), gradient.cpu().numpy()


def _variance(run: np.ndarray, x: np.ndarray, runs: int) -> np.ndarray:
    """Variance of x over the steps of each run, `[R]`, in order of the steps."""
    count = np.maximum(np.bincount(run, minlength=runs), 1)
    mean = np.bincount(run, weights=x, minlength=runs) / count
    return np.bincount(run, weights=(x - mean[run]) ** 2, minlength=runs) / count


def _numpy(x: Tensor) -> np.ndarray:
    return x.double().cpu().numpy()
