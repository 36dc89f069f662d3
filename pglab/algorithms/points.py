"""Returns of games that are played for points, as in "Pong from pixels"."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pglab.algorithms.batch import Batch
from pglab.algorithms.losses import standardize
from pglab.algorithms.returns import discount_powers, rewards_to_go
from pglab.algorithms.weightings import RewardToGo


@dataclass(frozen=True)
class PointReturns:
    """The discounted return up to the next point: Ψ_t = γ^d r_{t+d}, d ≥ 0 the first with a reward other than 0.

    The sum begins anew at each point, for what was done before it has no part in later ones. (Karpathy 2016.)

    Attributes:
        reset: begin anew at each point; False: Ψ_t = Σ_{k≥t} γ^{k-t} r_k, the reward-to-go.
        standardize: Ψ less its mean, divided by its deviation, over each episode.
    """

    gamma: float
    reset: bool = True
    standardize: bool = True

    @property
    def bias(self) -> tuple[str, ...]:
        """Why the mean of the estimate is not ∇J."""
        reasons = {
            "the return ends with the next reward": self.reset,
            "the weights are standardised over each episode": self.standardize,
        }
        return tuple(reason for reason, applies in reasons.items() if applies)

    def without_bias(self) -> RewardToGo:
        return RewardToGo(self.gamma)

    def simplest(self) -> "PointReturns | RewardToGo":
        return self if self.bias else RewardToGo(self.gamma)

    def __call__(self, batch: Batch) -> Tensor:
        reward = batch.reward.detach()
        psi = (up_to_next(reward, self.gamma) if self.reset else rewards_to_go(reward, self.gamma)) * batch.mask
        return standardize(psi, batch.mask, (-1,)) if self.standardize else psi


def up_to_next(reward: Tensor, gamma: float) -> Tensor:
    """γ^d r_{t+d} with the first r_{t+d} from step t on that is not 0, `[..., T]`; 0 where all are."""
    steps = reward.shape[-1]
    step = torch.arange(steps, device=reward.device)
    point = torch.where(reward != 0, step, steps).flip(-1).cummin(-1).values.flip(-1)
    waiting = point.clamp(max=steps - 1)
    earned = reward.gather(-1, waiting)
    return discount_powers(steps, gamma, reward)[(waiting - step).clamp(min=0)] * earned
