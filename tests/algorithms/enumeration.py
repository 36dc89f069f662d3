"""Every episode that can happen, with its probability: expectations without sampling."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import torch
from torch import Tensor

from pglab.algorithms.batch import Batch
from pglab.algorithms.heads import Sigmoid, Softmax
from pglab.envs.finite import corridor
from tests.algorithms.episodes import batch_of


@dataclass(frozen=True)
class Outcomes:
    """All M episodes `[M, T]`, and as functions of the parameters `[P]` their probabilities and scores."""

    episodes: Batch
    log_prob: object  # parameters [P] -> log π(a_t|s_t) of each step, [M, T], zero after the end
    theta: Tensor

    @cached_property
    def probability(self) -> Tensor:
        return self.log_prob(self.theta).sum(-1).exp()

    @cached_property
    def score(self) -> Tensor:
        """∇log π(a_t|s_t), `[M, T, P]`."""
        return torch.autograd.functional.jacobian(self.log_prob, self.theta)

    def objective(self, theta: Tensor, gamma: float = 1.0) -> Tensor:
        """J(θ) = Σ_τ p(τ) Σ_t γ^t r_t: no score function anywhere."""
        powers = gamma ** torch.arange(self.episodes.reward.shape[-1], dtype=torch.float64)
        return (self.log_prob(theta).sum(-1).exp() * (self.episodes.reward * powers).sum(-1)).sum()

    def slope(self, gamma: float = 1.0) -> Tensor:
        """∇J(θ) by differentiating the probabilities."""
        return torch.autograd.functional.jacobian(lambda theta: self.objective(theta, gamma), self.theta)

    def estimates(self, psi: Tensor) -> Tensor:
        """Σ_t Ψ_t ∇log π of each episode, `[..., M, P]`."""
        return torch.einsum("...mt,mtp->...mp", psi, self.score)

    def mean(self, estimates: Tensor) -> Tensor:
        return torch.einsum("m,m...->...", self.probability, estimates)

    def variance(self, estimates: Tensor) -> Tensor:
        """Trace of the covariance."""
        return self.mean((estimates - self.mean(estimates)).square()).sum()

    def mean_over_batches(self, weighting, size: int) -> Tensor:
        """E of (1/N) Σ_i Σ_t Ψ_t ∇log π over all M^N batches of N independent episodes, `[P]`."""
        index = torch.tensor(list(product(range(len(self.probability)), repeat=size)))
        batches = Batch(**{name: kept[index] for name, kept in vars(self.episodes).items() if torch.is_tensor(kept)})
        estimates = torch.einsum("bnt,bntp->bp", weighting(batches), self.score[index]) / size
        return self.probability[index].prod(-1) @ estimates


def bandit_outcomes(theta: list[float], rewards: list[float]) -> Outcomes:
    """One step, one episode for each action."""
    actions = torch.arange(len(rewards))[:, None]

    def log_prob(theta: Tensor) -> Tensor:
        return Softmax().log_prob(theta.expand(len(rewards), 1, -1), actions)

    return Outcomes(
        batch_of([[r] for r in rewards], actions=actions.tolist()), log_prob, torch.tensor(theta, dtype=torch.float64)
    )


def corridor_outcomes(right: float, horizon: int) -> Outcomes:
    """The short corridor cut at `horizon`, truncation treated as the end; θ is the logit of going right."""
    world = corridor(horizon)

    def play(state: int, actions: list[int]) -> list[list[int]]:
        if world.terminal[state] or len(actions) == horizon:
            return [actions]
        return [episode for a in range(2) for episode in play(int(world.transition[state, a].argmax()), [*actions, a])]

    episodes = play(0, [])
    batch = batch_of([[-1.0] * len(actions) for actions in episodes], actions=episodes)

    def log_prob(theta: Tensor) -> Tensor:
        return Sigmoid().log_prob(theta.expand(*batch.action.shape, 1), batch.action) * batch.mask

    return Outcomes(batch, log_prob, torch.tensor([right], dtype=torch.float64).logit())
