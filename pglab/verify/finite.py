"""A finite MDP under a policy, solved."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from pglab.algorithms.divergence import KLForm, kl_estimate
from pglab.envs.finite import FiniteMDP
from pglab.exact import estimators as exact
from pglab.exact.enumeration import Trajectories, enumerate_trajectories, estimate_moments
from pglab.exact.gradients import gradient_by_theorem
from pglab.exact.group_estimators import group_moments
from pglab.exact.moments import Moments
from pglab.exact.policy import policy_table, score_table
from pglab.exact.sampling import head_fault, sampled_tables
from pglab.exact.values import values, visitation
from pglab.training.arm import Arm
from pglab.training.bundle import Shapes
from pglab.training.prompts import PromptGroups
from pglab.verify.measure import drawn
from pglab.verify.solved import Known, Solution, State, Table

MOST_BATCHES = 200_000  # that are enumerated
MOST_NUMBERS = 2_000_000_000  # of vectors by time, state and action, that a formula goes through: a minute or two


@dataclass(frozen=True)
class Tables:
    """A policy on a finite MDP: what it plays, and the score that the estimator multiplies.

    Attributes:
        pi: π(a|s) as it is sampled, `[S, A]`.
        score: ∇log_prob(a|s), `[S, A, P]`: the score of π where the head is right.
        stands_for: whether these are tables of another world, whose rewards have the same mean and variance, and
            nothing else in common.
        reference: π_ref(a|s) that a penalty compares with, `[S, A]`; None: there is none.
    """

    mdp: FiniteMDP
    pi: np.ndarray
    score: np.ndarray
    stands_for: bool = False
    reference: np.ndarray | None = None

    def penalised(self, form: KLForm, weight: float) -> "Tables | None":
        """The same with β times the estimate of KL(π ‖ π_ref) taken off the rewards."""
        if self.stands_for or self.reference is None:
            return None
        penalty = weight * kl_estimate(form, *(torch.from_numpy(log) for log in self._logs)).numpy()
        return replace(self, mdp=replace(self.mdp, reward=self.mdp.reward - penalty[..., None]))

    def penalty_gradient(self, form: KLForm) -> np.ndarray | None:
        """E[Σ_t ∇k(a_t|s_t)], `[P]`, of the estimate k in the loss."""
        if self.reference is None:
            return None
        log_pi, log_reference = (torch.from_numpy(log) for log in self._logs)
        log_pi.requires_grad_()
        (slope,) = torch.autograd.grad(kl_estimate(form, log_pi, log_reference).sum(), log_pi)
        visits = np.atleast_2d(visitation(self.mdp, self.pi, 1.0)).sum(0)
        return np.einsum("s,sa,sap->p", visits, self.pi * slope.numpy(), self.score)

    @property
    def _logs(self) -> list[np.ndarray]:
        """log π and log π_ref, `[S, A]`."""
        assert self.reference is not None
        return [np.log(np.where(table > 0, table, 1.0)) for table in (self.pi, self.reference)]

    def estimators(self, gamma: float) -> "FiniteEstimators | None":
        numbers = (self.mdp.horizon or 1) * self.pi.size * len(self._basis)
        return None if numbers > MOST_NUMBERS else FiniteEstimators(*self._reduced, gamma, self._basis)

    def with_rewards(self, rewards: Any) -> "Tables | None":
        if self.stands_for:
            return None
        reward = torch.from_numpy(self.mdp.reward)
        return replace(self, mdp=replace(self.mdp, reward=rewards(reward, torch.ones_like(reward)).numpy()))

    def entropy_gradient(self) -> np.ndarray:
        """With ∇H = -Σ_a π log π ∇log π at each state."""
        visits = np.atleast_2d(visitation(self.mdp, self.pi, 1.0)).sum(0)
        log_pi = np.log(np.where(self.pi > 0, self.pi, 1.0))
        return -np.einsum("s,sa,sap->p", visits, self.pi * log_pi, self.score)

    def value_of(self, critic: Any) -> np.ndarray:
        """V(s), `[S]`."""
        symbol = np.arange(len(self.mdp.transition)) if self.mdp.symbol is None else self.mdp.symbol
        obs = torch.tensor(symbol, dtype=torch.float32)[None, :, None]
        return critic.values(torch.zeros(1, dtype=torch.int64), obs)[0].double().numpy()

    def by_running(self, arm: Arm, value: Table | None, memory: State) -> Known | None:
        estimator, episodes = arm.estimator, arm.batch.episodes
        if isinstance(arm.batch, PromptGroups):
            return self._by_groups(arm, arm.batch)
        if episodes is None or self.trajectories(int(MOST_BATCHES ** (1 / episodes))) is None:
            return None
        reduction = "episodes" if estimator.reduction == "sum" else estimator.reduction
        assert value is None or isinstance(value, np.ndarray)
        found = estimate_moments(
            *self._reduced, arm.psi, episodes, value, reduction, bool(estimator.normalize), MOST_BATCHES, memory,
            estimator.budget,
        )  # fmt: skip
        return Known(found.mean @ self._basis, found.variance)

    def _by_groups(self, arm: Arm, batch: PromptGroups) -> Known | None:
        """As `by_running` for batches of groups; None too where weights look at what earlier batches left."""
        if arm.has_critic or hasattr(arm.baseline, "remember"):
            return None
        of = (arm.weighting, batch.group, batch.prompts, arm.estimator, arm.psi, MOST_BATCHES)
        try:
            found = group_moments(*self._reduced, *of)
        except ValueError:
            return None
        return Known(found.mean @ self._basis, found.variance)

    def trajectories(self, most: int) -> Trajectories | None:
        try:
            return enumerate_trajectories(self.mdp, self.pi, most)
        except ValueError:
            return None

    @cached_property
    def _basis(self) -> np.ndarray:
        """All scores lie in the span of a few directions `[b, P]`; the rest of the P dimensions is empty."""
        scores = self.score.reshape(-1, self.score.shape[-1])
        _, size, directions = np.linalg.svd(scores, full_matrices=False)
        return directions[size > 1e-12 * size.max()]

    @property
    def _reduced(self) -> tuple[FiniteMDP, np.ndarray, np.ndarray]:
        return self.mdp, self.pi, self.score @ self._basis.T


@dataclass(frozen=True)
class FiniteEstimators:
    """The formulas of `pglab.exact.estimators` on one policy's tables.

    Attributes:
        score: in the coordinates of `basis`, `[S, A, b]`.
        basis: orthonormal directions, `[b, P]`.
    """

    mdp: FiniteMDP
    pi: np.ndarray
    score: np.ndarray
    gamma: float
    basis: np.ndarray

    @property
    def objective(self) -> float:
        return values(self.mdp, self.pi, self.gamma).objective

    @property
    def is_centred(self) -> bool:
        return bool(np.abs((self.pi[..., None] * self.score).sum(1)).max() <= 1e-6)

    def total_return(self, baseline: Table = 0.0) -> Known:
        return self._known(exact.total_return(*self._at, baseline))

    def reward_to_go(self, baseline: Table = 0.0, discount_states: bool = False) -> Known:
        return self._known(exact.reward_to_go(*self._at, baseline, discount_states))

    def gae(self, lam: float, value: Table, discount_states: bool = False) -> Known:
        return self._known(exact.gae(*self._at, lam, value, discount_states))

    def leave_one_out(self, episodes: int, returns: str = "rtg", discount_states: bool = False) -> Known:
        return self._known(exact.leave_one_out(*self._at, episodes, returns, discount_states))

    def return_times_score(self, discount_states: bool = False) -> np.ndarray:
        return exact.return_times_score(*self._at, discount_states) @ self.basis

    def exponent_slip(self) -> Known | None:
        if self.mdp.horizon is None:
            return None
        slipped = replace(self.mdp, reward=self.gamma**self.mdp.reward * self.mdp.reward)
        return self._known(exact.reward_to_go(slipped, self.pi, self.score, gamma=1.0))

    @property
    def _at(self) -> tuple[FiniteMDP, np.ndarray, np.ndarray, float]:
        return self.mdp, self.pi, self.score, self.gamma

    def _known(self, moments: Moments) -> Known:
        return Known(moments.mean @ self.basis, moments.variance)


def solve_finite(shapes: Shapes, arm: Arm, seed: int) -> Solution | None:
    """The tables of a finite MDP, or of a world that has such; None: it has none.

    ∇J of a faulty head is that of the policy that it samples.

    Raises:
        ValueError: the policy may never end, …
    """
    world: Any = shapes.world
    mdp = world.finite_mdp() if hasattr(world, "finite_mdp") else world
    if not isinstance(mdp, FiniteMDP):
        return None
    fault = head_fault(shapes.head, mdp.actions)
    policy, named = shapes.policy(), drawn(shapes, arm, seed)
    score = score_table(mdp, policy, named)
    if fault is None:
        pi, true_score = policy_table(mdp, policy, named), score
    else:
        pi, true_score = sampled_tables(mdp, policy, named)
    gradient = gradient_by_theorem(mdp, pi, true_score, arm.gamma)
    length = float(visitation(mdp, pi, 1.0).sum())
    reference = None
    if arm.estimator.kl_reference and fault is None:
        reference = policy_table(mdp, policy, drawn(shapes, arm, seed + 1))
    return Solution(Tables(mdp, pi, score, mdp is not world, reference), gradient, length, fault)
