"""Exact mean and covariance of the estimate of ∇J from one episode of a continuous bandit.

An episode is one step, so that every weighting is R - b: with R = noise - Σ_i y_i, a constant b (the state is always
the same) and the score ∇log π = Jᵀ s, for the slope J of the outputs in the parameters and the scores s of the
outputs. Everything follows from the moments in `pglab.exact.score_moments`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pglab.exact.moments import Moments
from pglab.exact.score_moments import ScoreMoments


@dataclass(frozen=True)
class BanditEstimators:
    """The estimates that one-episode weightings make of ∇J.

    Attributes:
        moments: of costs and scores.
        noise: deviation of the reward's noise.
        slope: ∂outputs/∂parameters, `[W, P]`.
    """

    moments: ScoreMoments
    noise: float
    slope: np.ndarray

    @property
    def objective(self) -> float:
        """J = -Σ_i E[y_i]."""
        return -float(self.moments.cost[:, 1].sum())

    @property
    def is_centred(self) -> bool:
        """Tells whether E[∇log π] = 0."""
        return bool(np.abs(self.moments.one[:, 0]).max() <= 1e-6)

    @property
    def gradient(self) -> np.ndarray:
        """E[R ∇log π], `[P]`: ∇J where the score is that of what is played."""
        return self.total_return().mean

    def total_return(self, baseline: np.ndarray | float = 0.0) -> Moments:
        """Ψ = R - b."""
        b = float(np.asarray(baseline).reshape(()))
        mean = self._mean(b)
        return self._of_parameters(mean, self._second(b) - np.outer(mean, mean))

    def reward_to_go(self, baseline: np.ndarray | float = 0.0, discount_states: bool = False) -> Moments:
        """The same: there is one reward, at the first step."""
        return self.total_return(baseline)

    def gae(self, lam: float, value: np.ndarray | float, discount_states: bool = False) -> Moments:
        """The same with b = V: V = 0 after the only step, whatever λ."""
        return self.total_return(value)

    def leave_one_out(self, episodes: int, returns: str = "rtg", discount_states: bool = False) -> Moments:
        """The mean of a *batch* of n episodes, each less the mean return of the others.

        As `pglab.exact.estimators.leave_one_out`: its h is R ∇log π, its z is ∇log π and its ρ is ∇J.
        """
        if episodes < 2:
            raise ValueError(f"episodes={episodes} must be at least 2: a single episode has no others")
        mean = self._mean(0.0)
        others = 1 / (episodes - 1)
        one = self._second(self.objective) - np.outer(mean, mean) + others * self.return_variance() * self._scores
        return self._of_parameters(mean, (one + others * np.outer(mean, mean)) / episodes)

    def return_times_score(self, discount_states: bool = False) -> np.ndarray:
        """E[R ∇log π], `[P]`."""
        return self.total_return().mean

    def exponent_slip(self) -> None:
        """γ^r r is no polynomial of the action."""

    def return_variance(self) -> float:
        """Variance of the reward."""
        return float(self._variances.sum()) + self.noise**2

    def _mean(self, b: float) -> np.ndarray:
        """E[(R - b) s], `[W]`."""
        one, others = self.moments.one, self._others
        return -(one[:, 1] + (others + b) * one[:, 0])

    def _second(self, b: float) -> np.ndarray:
        """E[(R - b)² s sᵀ], `[W, W]`: R - b is noise - (y + m) with the owner's y, and m for all else and b."""
        two, owner, product = self.moments.two, self.moments.owner, self._product
        mean, spread = self.moments.cost[owner, 1], self._variances[owner]
        total, variance = self.moments.cost[:, 1].sum() + b, self.return_variance()
        # Outputs of one number.
        m, v = total - mean, variance - spread
        together = two[..., 2] + 2 * m * two[..., 1] + (m**2 + v) * two[..., 0]
        # Outputs of two numbers, whose costs are y and y'.
        m, v = total - mean[:, None] - mean, variance - spread[:, None] - spread
        squares = product[..., 2, 0] + product[..., 0, 2] + 2 * product[..., 1, 1]
        crossed = 2 * m * (product[..., 1, 0] + product[..., 0, 1])
        return together + self._apart * (squares + crossed + (m**2 + v) * product[..., 0, 0])

    @property
    def _scores(self) -> np.ndarray:
        """E[s sᵀ], `[W, W]`."""
        return self.moments.two[..., 0] + self._apart * self._product[..., 0, 0]

    @property
    def _product(self) -> np.ndarray:
        """E[s_v y^j] E[s_w y^k], `[W, W, 3, 3]`."""
        one = self.moments.one
        return one[:, None, :, None] * one[None, :, None, :]

    @property
    def _apart(self) -> np.ndarray:
        """Tells which outputs belong to different numbers, `[W, W]`."""
        return self.moments.owner[:, None] != self.moments.owner

    @cached_property
    def _variances(self) -> np.ndarray:
        """Var y_i, `[D]`."""
        return self.moments.cost[:, 2] - self.moments.cost[:, 1] ** 2

    @cached_property
    def _others(self) -> np.ndarray:
        """Mean cost of all numbers but the owner, `[W]`."""
        mean = self.moments.cost[:, 1]
        return mean.sum() - mean[self.moments.owner]

    def _of_parameters(self, mean: np.ndarray, covariance: np.ndarray) -> Moments:
        return Moments(mean @ self.slope, self.slope.T @ covariance @ self.slope)
